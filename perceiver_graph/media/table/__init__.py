"""Tables of numbers, in."""
