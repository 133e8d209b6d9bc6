"""The two products of emitted source: a folder with its weights, and a module in memory."""

from __future__ import annotations

import hashlib
import linecache
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from perceiver_graph.compiler.backends.torch.source import WEIGHTS
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.ops import Array
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.diagnostics.commands import shell

if TYPE_CHECKING:
    from torch import nn

MODEL = "model.py"


def write(text: str, graph: Graph, parameters: Mapping[str, Array], directory: Path) -> list[str]:
    """Write the source of a graph and its weights into a folder that exists; returns the names of
    the files.

    The same input gives the same bytes. `KeyError` names a parameter that is missing, before any
    file exists; arrays that are no parameters of the graph are left out.
    """
    from safetensors.numpy import save

    names = [parameter.value.name for parameter in graph.parameters]
    stored = save({key: np.ascontiguousarray(parameters[key]) for key in names})
    (directory / MODEL).write_text(text, encoding="utf-8")
    (directory / WEIGHTS).write_bytes(stored)
    return [MODEL, WEIGHTS]


def load_module(source: str, parameters: Mapping[str, Array] | None = None) -> nn.Module:
    """Run emitted source and make its model, in eval mode, with the parameters if given.

    A model pickles with its source, as those of torch.fx do: `torch.load` and processes that are
    spawned need nothing but this package. Tracebacks, `inspect.getsource` and `torch.compile` find
    the source. `KeyError` names a parameter that is missing, `RuntimeError` lists those of the
    wrong shape. Raises DiagnosticError (PG509) where torch is not installed.
    """
    try:
        import torch
    except ModuleNotFoundError as error:
        raise DiagnosticError.of(
            "PG509",
            "a PyTorch module needs torch, which is not installed",
            notes=[str(error)],
            help=shell("pip", "install", "perceiver-graph[torch]"),
        ) from error

    module = execute(source)
    model: nn.Module = getattr(module, module.__all__[0])().eval()
    if parameters is not None:
        state = {key: torch.from_numpy(_copy(parameters[key])) for key in model.state_dict()}
        model.load_state_dict(state)
    return model


def execute(source: str) -> ModuleType:
    """The source as a Python module, the same one for the same source."""
    name = f"perceiver_graph_model_{hashlib.sha256(source.encode()).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    file = f"<{name}>"
    module = ModuleType(name)
    module.__file__ = file
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
    sys.modules[name] = module
    try:
        exec(compile(source, file, "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    _carry_source(module, source)
    return module


def _carry_source(module: ModuleType, source: str) -> None:
    """Let the classes of a module pickle with its source: no other process could import them."""
    from torch import nn

    for name, found in list(vars(module).items()):
        own = isinstance(found, type) and found.__module__ == module.__name__
        if own and issubclass(found, nn.Module):

            def reduce(
                self: nn.Module, protocol: Any, *, made: type = found, name: str = name
            ) -> Any:
                parts = nn.Module.__reduce_ex__(self, protocol)
                # A class that somebody has derived from it is found where they have defined it.
                return (_blank, (source, name), *parts[2:]) if type(self) is made else parts

            found.__reduce_ex__ = reduce


def _blank(source: str, name: str) -> nn.Module:
    """An object of a class in emitted source, before it is given its state. For unpickling."""
    made: type[nn.Module] = getattr(execute(source), name)
    return made.__new__(made)


def _copy(array: Array) -> Array:
    """An array of its own, in a dtype that torch takes from numpy."""
    return np.array(array, dtype=np.float32 if array.dtype.kind == "V" else array.dtype)
