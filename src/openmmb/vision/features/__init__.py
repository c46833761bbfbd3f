"""Image vectors computed once and kept on disk, or in a store, by image id."""
