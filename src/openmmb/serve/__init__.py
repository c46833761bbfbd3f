"""Talking to a model over HTTP: a server that clients of OpenAI's protocol speak to, and a page."""
