"""ParlAI's command lines, read as this project's settings."""
