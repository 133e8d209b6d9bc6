"""What a backend is: a name for `--backend`, and what it writes into the folder of an artifact.

Each has a folder, with its class in `backend.py`. What it writes with, and onnx and torch with that, is
imported when it writes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.lowering.lowered import Lowered
from perceiver_graph.compiler.ops import Array
from perceiver_graph.compiler.passes.pipeline import Level, passes
from perceiver_graph.compiler.programs.phases import Programs
from perceiver_graph.compiler.programs.target import Target
from perceiver_graph.diagnostics import Diagnostic
from perceiver_graph.diagnostics.arguments import one_of, wrong_kind
from perceiver_graph.extensions import is_other
from perceiver_graph.spec.manifest import InputEntry, Quantization

if TYPE_CHECKING:
    from perceiver_graph.compiler.backends.onnx.trial import Sample

BACKENDS: dict[str, type[Backend]] = {}
"""Every backend by its name, in order of definition, which is that of writing."""


def require_known(names: object) -> None:
    """Raises TypeError for what is no list of names, ValueError for a name of no backend."""
    if isinstance(names, str) or not isinstance(names, Sequence) or not names:
        raise wrong_kind("backends", 'a list, for example ["onnx", "torch"]', names)
    for name in names:
        one_of("backend", BACKENDS, name)


def classes_of(names: Sequence[str], level: Level) -> list[type]:
    """What may come from extensions beside a graph: backends, and the passes that they ask for."""
    chosen = [BACKENDS[name] for name in names]
    optimizing = any(backend.optimizes for backend in chosen)
    return [*chosen, *map(type, passes(level, frozen=True) if optimizing else ())]


@dataclass(frozen=True)
class Job:
    """What a backend is to write, and where."""

    lowered: Lowered
    """The spec as a graph, as the reference computes it."""
    parameters: Mapping[str, Array]
    folder: Path
    """Files that are in it afterwards are those of the artifact."""
    target: Target
    optimize: Callable[[], Programs]
    """Runs the passes: the programs, with everything evaluated that depends on weights only."""
    inputs: Mapping[str, InputEntry]
    """The inputs as the manifest has them."""
    metadata: Mapping[str, str]
    """The name of the model, the digest of its spec, and the tool."""
    sizes: Mapping[str, int]
    """Of each symbol the largest size that it may have, else the smallest; a batch of 1."""
    sample: Sample | None
    """What an int8 program is measured on, if the caller gives it."""
    progress: Callable[[str], None]
    """Is told what begins now: `writing encode.onnx`."""

    @property
    def graph(self) -> Graph:
        return self.lowered.graph


@dataclass(frozen=True)
class Written:
    """What the runtime can run of what was written: nothing, unless a backend says so."""

    programs: Mapping[str, Graph] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    """The file of each program."""
    quantization: Quantization | None = None
    warnings: tuple[Diagnostic, ...] = ()
    """What whoever compiles should know of them."""


class Backend(ABC):
    """A backend. Deriving a class with a name from it makes it a choice of `compile --backend`."""

    name: ClassVar[str]
    optimizes: ClassVar[bool] = False
    """Whether it writes what passes have made of the graph."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        before = BACKENDS.get(cls.name)
        if cls.name == "all" or (before and is_other(before, cls)):
            raise TypeError(f"the backend `{cls.name}` is there already")
        BACKENDS[cls.name] = cls

    @abstractmethod
    def write(self, job: Job) -> Written:
        """Write the files of a model."""
