"""Published checkpoints into this project's folders, and back."""
