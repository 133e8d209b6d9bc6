"""Two pictures in, the flow between them out."""
