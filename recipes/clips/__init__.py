"""Short scenes, seen, heard and named."""
