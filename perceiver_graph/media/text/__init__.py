"""Texts in, and texts with their gaps filled out."""
