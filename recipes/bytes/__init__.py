"""The recipe of `bytes`."""
