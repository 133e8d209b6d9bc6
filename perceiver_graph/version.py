"""The version: parts of the package write it into what they make, and import nothing for it."""

__version__ = "0.1.0"
