"""From next-token logits to replies: beam search, sampling, constraints."""
