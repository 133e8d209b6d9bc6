"""One class among several, or several of them, out."""
