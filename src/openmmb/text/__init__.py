"""Between words and token ids."""
