"""The public names, each imported on first use so that `import perceiver_graph` costs nothing.

The compiler brings networkx and the backends bring torch or onnx; a program that only loads an
artifact must not pay for them.
"""

from __future__ import annotations

from importlib import import_module

from perceiver_graph.version import __version__

TYPE_CHECKING = False  # as type checkers know it, without the time that `typing` takes
if TYPE_CHECKING:
    from perceiver_graph.compiler import compile  # noqa: A004
    from perceiver_graph.compiler.importing import import_checkpoint
    from perceiver_graph.compiler.ir.dims import Dim
    from perceiver_graph.compiler.ir.graph import Graph
    from perceiver_graph.diagnostics import DiagnosticError
    from perceiver_graph.extensions import extend
    from perceiver_graph.runtime import load
    from perceiver_graph.runtime.farthest import farthest_points
    from perceiver_graph.spec import load_spec

__all__ = [
    "DiagnosticError",
    "Dim",
    "Graph",
    "__version__",
    "compile",
    "extend",
    "farthest_points",
    "import_checkpoint",
    "load",
    "load_spec",
]

_HOME = {
    "DiagnosticError": "perceiver_graph.diagnostics",
    "Dim": "perceiver_graph.compiler.ir.dims",
    "Graph": "perceiver_graph.compiler.ir.graph",
    "compile": "perceiver_graph.compiler",
    "extend": "perceiver_graph.extensions",
    "farthest_points": "perceiver_graph.runtime.farthest",
    "import_checkpoint": "perceiver_graph.compiler.importing",
    "load": "perceiver_graph.runtime",
    "load_spec": "perceiver_graph.spec",
}


def __getattr__(name: str) -> object:
    """Import a public name from its module and keep it (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
