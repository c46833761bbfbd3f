"""Pictures: untrusted bytes, checked pixels, encoders, features on disk."""
