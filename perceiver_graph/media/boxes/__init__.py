"""Boxes around what is in a picture, out."""
