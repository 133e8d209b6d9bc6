"""The entries of the catalogue, one file for each range of codes."""
