"""The training of a model that talks."""
