"""What a Perceiver is made of, each block written once as a composition of primitives."""
