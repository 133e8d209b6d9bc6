"""The group of an emoji, told from its picture."""
