"""The training of a classifier of what may be said."""
