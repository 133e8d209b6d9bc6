"""The most that is accepted of a spec, of a model, of a file: what is larger is refused, in words,
before memory is taken for it. What single formats of media permit stands with their readers."""

SPEC_BYTES = 1 << 20
SPEC_DEPTH = 50
"""Lists and mappings within each other."""
SPEC_VALUES = 20_000
"""With aliases written out."""
DIGITS = 100
"""Of an integer."""
OPERANDS = 16
"""Numbers and symbols in a size: products of sums have that many terms to the power of how many."""

SIZE = 2**31 - 1
"""Of an axis, and counts: what every index type of every backend can hold."""
ELEMENTS = 2**40
"""Of an array: 4 TiB of float32, which no machine here holds."""
SYMBOL_VALUES = 4096
"""Of a symbol, that are looked at one by one."""
LAYERS = 10_000
"""They are written out one by one in the graph and in what is made of it."""

NUMBER = 1e17
"""Of a number in an input: norms sum squares, and those of 1e19 are infinite in float32. What is computed
then is not what the model says, and each way to compute it gives something else."""

MANIFEST_BYTES = 64 << 20
SUMMARY_BYTES = 256 << 20
"""Of what a run says of its results."""
NAMES_BYTES = 1 << 26
"""Of a file with the names of classes."""
ARCHIVE_BYTES = 1 << 31
"""Of arrays that come through a pipe, and are kept while they are read."""
STREAM_BYTES = 8 << 30
"""From a pipe, for a reader that does not say how much it takes."""
