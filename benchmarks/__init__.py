"""How long perceiver-graph takes beside transformers, measured in the same run: `make bench`."""
