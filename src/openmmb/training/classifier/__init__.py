"""A classifier of what may be said, from a recipe to a folder that the guard can ask."""
