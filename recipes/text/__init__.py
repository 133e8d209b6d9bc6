"""The language of a text, told from its bytes."""
