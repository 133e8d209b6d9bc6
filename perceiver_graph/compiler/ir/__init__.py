"""The graph: sizes, primitives, values and nodes, its text, what must hold of it, and what it computes."""
