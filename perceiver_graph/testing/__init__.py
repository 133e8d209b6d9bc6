"""Hypothesis strategies, so that users can property-test what they build (needs `hypothesis`)."""
