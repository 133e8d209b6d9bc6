"""The folder that a compiled model is kept in."""
