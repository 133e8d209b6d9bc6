"""Answers as stretches of a text, out."""
