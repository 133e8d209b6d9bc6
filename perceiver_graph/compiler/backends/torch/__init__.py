"""The PyTorch backend: one readable file that needs only torch, and the same as a module in memory.

Writing source takes no torch; only `load_module` imports it.
"""

from __future__ import annotations

from perceiver_graph.compiler.backends.torch.interface import Interface, interface_of
from perceiver_graph.compiler.backends.torch.loading import load_module, write
from perceiver_graph.compiler.backends.torch.simplify import simplify
from perceiver_graph.compiler.backends.torch.source import source

__all__ = ["Interface", "interface_of", "load_module", "simplify", "source", "write"]
