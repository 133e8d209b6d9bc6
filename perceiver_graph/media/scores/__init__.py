"""Plain numbers, out."""
