"""What a checkpoint calls the parameters: our own names, or those of another library."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from perceiver_graph.compiler.weights.files import Tensors
from perceiver_graph.compiler.weights.folders import adapter, constants
from perceiver_graph.compiler.weights.system_tables import find
from perceiver_graph.compiler.weights.systems import SystemLayout
from perceiver_graph.compiler.weights.transformers import TransformersLayout
from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.diagnostics.commands import command

_OF_ADAPTERS = re.compile(r"(^|\.)(lora_[A-Za-z]+|base_model|ia3_l|lokr_w1|hada_w1_a)(\.|$)")


class Layout(Protocol):
    """A vocabulary of tensor names."""

    def candidates(self, name: str) -> list[str]:
        """What a parameter of ours may be called there, the most likely name first."""

    def fits(self, shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
        """Whether a tensor of a shape can fill a parameter of the wanted shape."""

    def ignores(self, name: str, shape: tuple[int, ...]) -> bool:
        """Whether a tensor that nothing uses means nothing."""


@dataclass(frozen=True)
class OwnLayout:
    """The names of the graph, after a prefix."""

    prefix: str = ""

    @classmethod
    def recognise(cls, names: Iterable[str], ours: set[str]) -> OwnLayout | None:
        """What stands before the names: mostly nothing, `module.` after distributed training."""
        for name in names:
            parts = name.split(".")
            for start in range(len(parts)):
                if ".".join(parts[start:]) in ours:
                    return cls("".join(f"{part}." for part in parts[:start]))
        return None

    def candidates(self, name: str) -> list[str]:
        return [self.prefix + name]

    def fits(self, shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
        return shape == wanted

    def ignores(self, name: str, shape: tuple[int, ...]) -> bool:
        return False


def recognise(tensors: Tensors, ours: set[str]) -> Layout:
    """The layout, told by the names. Raises DiagnosticError (PG301, PG306) where they tell nothing."""
    if any(_OF_ADAPTERS.search(name) for name in tensors.names):
        raise adapter(tensors.path)
    if part := constants(tensors.path):
        raise part
    layout = (
        TransformersLayout.recognise(tensors.names)
        or _of_system(tensors)
        or OwnLayout.recognise(tensors.names, ours)
    )
    if layout:
        return layout
    some = ", ".join(quote(name) for name in tensors.names[:5])
    more = " and others" if len(tensors.names) > 5 else ""
    raise DiagnosticError.of(
        "PG306",
        f"the tensors of {tensors.label} have names of no known layout",
        notes=[f"it holds {some}{more}" if some else "it holds no tensors"],
        help=f"expected names such as {quote(min(ours))} or, as transformers writes them, "
        "`perceiver.embeddings.latents`",
    )


def _of_system(tensors: Tensors) -> SystemLayout | None:
    """The names of a system that such Perceivers are parts of. Raises DiagnosticError (PG306) for one
    whose channels stand in an order that only its positions tell."""
    found = find(tensors.names)
    if found and found[0].system.fourier is not None:
        raise DiagnosticError.of(
            "PG306",
            f"the tensors of {tensors.label} are those of {found[0].system.source}, where the "
            "channels of positions stand in another order",
            help=f"import their file first: {command('import', tensors.file, '-o', 'DIR')}",
        )
    return SystemLayout(found[0].system, found[0].prefix) if found else None


def pieces(layout: Layout, tensors: Tensors) -> Tensors:
    """The tensors as a layout names them: one of its tensors may hold several parameters."""
    return layout.pieces(tensors) if isinstance(layout, SystemLayout) else tensors
