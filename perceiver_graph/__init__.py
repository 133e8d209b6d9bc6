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
        raise AttributeError(_told(name), name=name)
    value: object = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


_INSTEAD = {
    "Program InferenceSession Session from_pretrained open": "`load(PATH)` is a program that runs",
    "run predict infer pipeline": "`load(PATH).run({NAME: ARRAY})`",
    "Spec parse parse_spec check": "`load_spec(SPEC)` reads one, `compile(SPEC)` checks all of it",
    "to_torch Module Model AutoModel Perceiver PerceiverIO": "`compile(SPEC).to_torch(WEIGHTS)`",
    "save export to_onnx": "`compile(SPEC).save(DIR, weights=WEIGHTS)`",
    "inspect summary info describe": "`print(compile(SPEC))`; `perceiver-graph inspect SPEC` has more",
    "import_ convert from_transformers import_model": "`import_checkpoint(CHECKPOINT)`",
}
"""What is called for otherwise, as who knows other libraries does, and what there is."""


def _told(name: str) -> str:
    said = f"module {__name__!r} has no attribute {name!r}"
    told = [text for names, text in _INSTEAD.items() if name in names.split()]
    if not told and not name.startswith("_"):
        from perceiver_graph.diagnostics.words import did_you_mean

        told = [text for text in [did_you_mean(name, __all__)] if text]
    return ": ".join([said, *told])


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
