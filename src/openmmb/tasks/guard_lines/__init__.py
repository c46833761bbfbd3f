"""Lines of this project that a guard learns from and is measured on, by family of wording."""
