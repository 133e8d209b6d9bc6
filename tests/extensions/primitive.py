"""A primitive, relu(x)^2 (So et al., 2021, Primer), and a step that applies it: `squared_relu: {}`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from perceiver_graph.compiler.backends.decompose import lowers
from perceiver_graph.compiler.blocks.context import Context, Field, Path
from perceiver_graph.compiler.blocks.requirements import require_float
from perceiver_graph.compiler.blocks.steps import apply_step
from perceiver_graph.compiler.ops import Array, Mul, Op, Relu, TensorType
from perceiver_graph.spec.models import Step
from perceiver_graph.spec.models.base import Model

if TYPE_CHECKING:
    from perceiver_graph.compiler.backends.torch.lowerings import Operands

T = TypeVar("T")


@dataclass(frozen=True)
class SquaredRelu(Op):
    """max(x, 0)^2. Shapes: [...] -> [...]."""

    name = "squared_relu"
    operands = ("x",)

    def infer(self, *inputs: TensorType) -> TensorType:
        """The type of the output."""
        (x,) = inputs
        return x

    def evaluate(self, *inputs: Array) -> Array:
        """What every backend is compared with."""
        (x,) = inputs
        return np.square(np.maximum(x, 0))

    def decompose(self, make: Callable[..., T], *operands: T) -> T:
        """What a backend computes that has nothing better, ONNX here."""
        positive = make(Relu(), *operands)
        return make(Mul(), positive, positive)


@lowers("torch", SquaredRelu)
def squared_relu(op: SquaredRelu, operands: Operands) -> str:
    """The text of an expression."""
    return f"F.relu({operands['x']}).square()"


class Nothing(Model):
    """Nothing to choose."""


class SquaredReluStep(Step):
    """The square of what is positive, and 0 for what is not."""

    pointwise = True

    squared_relu: Nothing
    """`{}`."""


@apply_step.register
def apply(step: SquaredReluStep, ctx: Context, x: Field, name: str, path: Path) -> Field:
    """Shapes: as they are."""
    require_float(ctx, x, "`squared_relu`", path)
    return Field(ctx.builder(SquaredRelu(), x.value, name=name), x.axes)
