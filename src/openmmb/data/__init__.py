"""From words to batches of token ids, as pure functions."""
