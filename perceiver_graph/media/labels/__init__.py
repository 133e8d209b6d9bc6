"""Labelled stretches of a text, out."""
