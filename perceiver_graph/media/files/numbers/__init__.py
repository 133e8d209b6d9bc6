"""Files of numbers: points and tables."""
