"""The family of an instrument, told from a note."""
