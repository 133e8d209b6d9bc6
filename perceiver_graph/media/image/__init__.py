"""Pictures, in."""
