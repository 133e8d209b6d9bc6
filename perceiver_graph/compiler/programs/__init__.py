"""What becomes of a graph to run it: programs, what they cost, what they are compiled for."""
