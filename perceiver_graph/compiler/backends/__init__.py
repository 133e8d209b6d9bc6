"""The backends: each turns programs of the IR into files, with one lowering per primitive."""
