"""Which parameters two graphs have in common, so that values for those of one serve the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from perceiver_graph.compiler.ir.dims import product
from perceiver_graph.compiler.ir.graph import Parameter
from perceiver_graph.compiler.ir.op import TensorType


@dataclass(frozen=True)
class Tensors:
    """The parameters of two graphs by name, running statistics too."""

    a: Mapping[str, Parameter]
    b: Mapping[str, Parameter]

    @cached_property
    def kept(self) -> tuple[str, ...]:
        """Those of the same name and shape, so that values for the one are values for the other."""
        return tuple(n for n in self._common if self.a[n].value.type == self.b[n].value.type)

    @cached_property
    def reshaped(self) -> tuple[str, ...]:
        """Those of the same name and another shape."""
        kept = {*self.kept}
        return tuple(name for name in self._common if name not in kept)

    @property
    def only_a(self) -> tuple[str, ...]:
        return tuple(name for name in self.a if name not in self.b)

    @property
    def only_b(self) -> tuple[str, ...]:
        return tuple(name for name in self.b if name not in self.a)

    @property
    def _common(self) -> list[str]:
        return [name for name in self.a if name in self.b]

    @property
    def are_the_same(self) -> bool:
        """Whether weights for the one are weights for the other, as `compile --weights` asks for."""
        return len(self.kept) == len(self.a) == len(self.b)

    def types(self, name: str) -> tuple[TensorType | None, TensorType | None]:
        """What a tensor is in both."""
        a, b = (of[name].value.type if name in of else None for of in (self.a, self.b))
        return a, b

    def as_json(self) -> dict[str, Any]:
        """Counts of trainable numbers, and all tensors that do not carry over."""

        def rows(names: Iterable[str]) -> list[dict[str, Any]]:
            found = ((name, *map(_plain, self.types(name))) for name in names)
            return [{"name": name, "a": a, "b": b} for name, a, b in found]

        return {
            "a": numbers(self.a.values()),
            "b": numbers(self.b.values()),
            "tensors_a": len(self.a),
            "tensors_b": len(self.b),
            "carry_over": {
                "tensors": len(self.kept),
                "parameters": numbers(self.a[name] for name in self.kept),
            },
            "reshaped": rows(self.reshaped),
            "only_a": rows(self.only_a),
            "only_b": rows(self.only_b),
        }


def numbers(parameters: Iterable[Parameter]) -> int:
    """How many trainable numbers there are in some tensors."""
    return sum(int(product(one.value.shape)) for one in parameters if one.trainable)


def _plain(kind: TensorType | None) -> list[int] | None:
    return None if kind is None else [int(size) for size in kind.shape]
