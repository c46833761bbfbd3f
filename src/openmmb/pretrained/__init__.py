"""Published weights that a network starts from."""
