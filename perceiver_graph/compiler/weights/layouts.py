"""What a checkpoint calls the parameters: our own names, or those of another library."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from perceiver_graph.compiler.weights.files import Tensors
from perceiver_graph.compiler.weights.folders import adapter, constants
from perceiver_graph.compiler.weights.system_tables import find
from perceiver_graph.compiler.weights.systems import SystemLayout
from perceiver_graph.compiler.weights.transformers import TransformersLayout
from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.diagnostics.commands import command

_OF_ADAPTERS = re.compile(r"(^|\.)(lora_[A-Za-z]+|base_model|ia3_l|lokr_w1|hada_w1_a)(\.|$)")

_WRAPPERS = frozenset({"_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module"})
"""What torch writes into names for a module that is compiled, checkpointed or sharded, wherever it lies."""
_COUNT = "n_averaged"
"""What `torch.optim.swa_utils.AveragedModel` keeps beside its `module`: of how many steps it is the mean."""
_OPTIMIZER = frozenset({"state", "param_groups"})


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


def unwrapped(tensors: Tensors) -> Tensors:
    """The tensors without what torch's own wrappers add to a model: parts of names, and a count of steps."""
    averaged = _COUNT in tensors.names and all(
        name == _COUNT or name.startswith("module.") for name in tensors.names
    )
    names = {
        name: ".".join(part for part in name.split(".") if part not in _WRAPPERS)
        for name in tensors.names
        if not (averaged and name == _COUNT)
    }
    if len({*names.values()}) < len(names):
        return tensors
    return replace(tensors, tensors={names[n]: x for n, x in tensors.tensors.items() if n in names})


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
    if _OPTIMIZER.issubset(tensors.names):
        raise DiagnosticError.of(
            "PG306",
            f"{tensors.label} are the state of an optimizer, which has no weights",
            help="give those of the model that it trains: `model.state_dict()`, or the model itself",
        )
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


def why_left_over(layout: Layout, extra: Sequence[str]) -> str | None:
    """Why tensors have no place that a module has beside the weights of a model, and what would work; None
    of others."""
    if any(".parametrizations." in name for name in extra):
        way = "torch.nn.utils.parametrize.remove_parametrizations(PART, NAME)"
        return f"some layers compute their weights from others: first `{way}` for each"
    if any(name.endswith("_orig") and f"{name[:-5]}_mask" in extra for name in extra):
        return 'layers are pruned: first `torch.nn.utils.prune.remove(PART, "weight")` for each'
    prefix = layout.prefix if isinstance(layout, OwnLayout) else ""
    if prefix and not any(name.startswith(prefix) for name in extra):
        part = prefix.rstrip(".")
        return f"if they are of what was trained around the model, give `MODULE.{part}` alone"
    return None


def pieces(layout: Layout, tensors: Tensors) -> Tensors:
    """The tensors as a layout names them: one of its tensors may hold several parameters."""
    return layout.pieces(tensors) if isinstance(layout, SystemLayout) else tensors
