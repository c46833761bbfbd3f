"""ParlAI command lines, understood: their flags become a recipe or the settings of a chat."""
