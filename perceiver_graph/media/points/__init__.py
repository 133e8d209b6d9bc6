"""Clouds of points, in."""
