"""The backends: each turns programs of the IR into files, with one lowering per primitive.

Those that ship are defined here, in the order in which they write; what they write with is imported then.
"""

from perceiver_graph.compiler.backends.onnx.backend import Onnx
from perceiver_graph.compiler.backends.torch.backend import Torch

__all__ = ["Onnx", "Torch"]
