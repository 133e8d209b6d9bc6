"""The contract of a primitive: parameters, shape rule, numpy reference and cost in one class.

A primitive is a frozen dataclass deriving from `Op`; defining it registers it. Parameters are
plain values, or sizes: what needs a size holds it, and reads no value for the sake of its shape.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeVar

from perceiver_graph.compiler.ir.dims import Dim, Shape, format_shape
from perceiver_graph.extensions import is_other

T = TypeVar("T")
DType = Literal["float32", "float64", "float16", "bfloat16", "int64", "bool"]
if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]
else:
    Array = Any
"""A numpy array of any shape and element type."""


ITEM_BYTES: Mapping[DType, int] = {
    "float64": 8,
    "int64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "bool": 1,
}


class ShapeError(ValueError):
    """The inputs of a primitive do not fit; the message states the rule and both offending values."""


@dataclass(frozen=True, slots=True)
class TensorType:
    """Shape and element type of a value."""

    shape: Shape
    dtype: DType = "float32"
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.shape, self.dtype)))

    def __hash__(self) -> int:
        """Worked out once: thousands of layers look up what is known about a few types."""
        return self._hash

    def __reduce__(self) -> tuple[type[TensorType], tuple[Shape, DType]]:
        return TensorType, (self.shape, self.dtype)  # another process hashes text in another way

    @property
    def rank(self) -> int:
        return len(self.shape)

    def with_shape(self, *shape: Dim) -> TensorType:
        return TensorType(shape, self.dtype)

    def __str__(self) -> str:
        return f"{self.dtype}{format_shape(self.shape)}"


PRIMITIVES: dict[str, type[Op]] = {}
"""Every primitive by the name it has in the IR text, in order of definition."""


@dataclass(frozen=True)
class Op:
    """A primitive operation with one output."""

    name: ClassVar[str] = ""
    operands: ClassVar[tuple[str, ...]] = ()
    """What it reads, in order. `mask?` may be absent, and stands after those that may not. `parts*`
    stands for any number at the end; several such names alternate: a table, its places, a table ..
    """
    _places: ClassVar[Mapping[str, int]] = {}
    _needed: ClassVar[int] = 0
    _turns: ClassVar[int] = 0
    known_only: ClassVar[bool] = False
    """Whether it is evaluated at compile time alone: no backend can compute it."""
    rewritten_only: ClassVar[bool] = False
    """Whether passes alone make it: a backend of graphs as they are lowered has no use for it."""
    sized: ClassVar[tuple[str, ...]] = ()
    """The parameters that are sizes: a `Dim`, or a tuple that may hold some."""
    mixes: ClassVar[Literal["nothing", "channels", "anything"]] = "anything"
    """What an element of the result depends on: elements of operands at its own place alone, those along
    the last axis, or any. A model that writes computes by itself a row that no other is mixed with."""
    quiet: ClassVar[tuple[str, ...]] = ()
    """The parameters that IR text leaves out where they are as usual."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        before = PRIMITIVES.get(cls.name)
        if not cls.name or (before and is_other(before, cls)):
            raise TypeError(f"{cls.__name__} needs a name of its own")
        marks = "".join(name[-1] if name[-1] in "?*" else "." for name in cls.operands)
        if not re.fullmatch(r"\.*(\?*|\**)", marks):
            raise TypeError(f"{cls.__name__} may read more only behind what it always reads")
        cls._places = {name.rstrip("?*"): place for place, name in enumerate(cls.operands)}
        cls._needed, cls._turns = marks.count("."), marks.count("*")
        PRIMITIVES[cls.name] = cls

    @classmethod
    def operand(cls, name: str, of: Sequence[T]) -> T:
        """The operand of this name among all that are read. `KeyError` where there is none."""
        place = cls._places[name]
        if place >= len(of):
            raise KeyError(name)
        return of[place]

    @classmethod
    def each(cls, name: str, of: Sequence[T]) -> Sequence[T]:
        """All operands of this name: none or one where it may be absent, any number of `parts*`."""
        place = cls._places[name]
        return (
            of[place :: cls._turns]
            if place >= cls._needed and cls._turns
            else of[place : place + 1]
        )

    @classmethod
    def optional(cls, name: str, of: Sequence[T]) -> T | None:
        """The operand of this name, None where it is absent."""
        place = cls._places[name]
        return of[place] if place < len(of) else None

    @classmethod
    def replaced(cls, of: Sequence[T], **new: T) -> tuple[T, ...]:
        """All operands, with others of these names; what is not named stays, whatever it is."""
        found = list(of)
        for name, operand in new.items():
            cls.operand(name, of)
            found[cls._places[name]] = operand
        return tuple(found)

    @classmethod
    def accepts(cls, of: Sequence[object]) -> bool:
        """Whether there is all that it always reads, and no more than it may."""
        more = len(of) - cls._needed
        if cls._turns:
            return more >= 0 and more % cls._turns == 0
        return 0 <= more <= len(cls.operands) - cls._needed

    def says_only(self, known: Collection[str], of: Sequence[object]) -> bool:
        """Whether all but these attributes are as usual, and all but these optional operands absent."""
        if not self.unusual() <= set(known):
            return False
        return len(of) <= self._needed or not any(
            name not in known and self.each(name, of)
            for name, place in self._places.items()
            if place >= self._needed
        )

    def unusual(self) -> set[str]:
        """The attributes that are not as usual."""
        return {one.name for one in fields(self) if getattr(self, one.name) != one.default}

    def infer(self, *inputs: TensorType) -> TensorType:
        """The type of the output. Raises ShapeError where the inputs do not fit."""
        raise NotImplementedError(type(self).__name__)

    def evaluate(self, *inputs: Array) -> Array:
        """The numpy reference: what every backend and every rewrite is compared with.

        Sizes must be numbers: `bound` makes them so.
        """
        raise NotImplementedError(type(self).__name__)

    def flops(self, inputs: Sequence[TensorType], output: TensorType) -> Dim:
        """Multiplications plus additions of the matrix products, as both Perceiver papers count.

        Element-wise work, normalisation and softmax are left out, as there.
        """
        return Dim.of(0)

    def bytes_held(
        self, inputs: Sequence[TensorType], sizes: Mapping[str, int], score_limit: int
    ) -> int:
        """Bytes that exist at once while it runs, inputs and output left out: scores of attention.

        `score_limit` is how many bytes of them a sample may have, where an operator can keep to it.
        """
        return 0

    def decompose(self, make: Callable[..., T], *operands: T) -> T | None:
        """The same in other primitives, for a backend that has nothing better; None where there are none.

        `make(op, *operands)` applies one of them; an operand may also be an array, for a number that
        is known. The result is that of the last one made.
        """
        return None

    @property
    def dims(self) -> list[Dim]:
        """The sizes it holds that are known only at run time."""
        held = [dim for name in self.sized for dim in _each(getattr(self, name))]
        return [dim for dim in held if isinstance(dim, Dim) and not dim.is_constant]

    def bound(self, bindings: Mapping[str, int]) -> Self:
        """The same with numbers for its sizes; `ValueError` for a missing or forbidden one."""
        if not self.dims:
            return self

        def number(held: Any) -> Any:
            if isinstance(held, tuple):
                return tuple(map(number, held))
            return Dim.of(held.evaluate(bindings)) if isinstance(held, Dim) else held

        return replace(self, **{name: number(getattr(self, name)) for name in self.sized})

    @property
    def attributes(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __str__(self) -> str:
        usual = {one.name: one.default for one in fields(self) if one.name in self.quiet}
        told = (
            (key, value)
            for key, value in self.attributes.items()
            if key not in usual or value != usual[key]
        )
        attributes = ", ".join(f"{key}={written(value)}" for key, value in told)
        return f"{self.name}({attributes})" if attributes else self.name


def _each(held: Any) -> Sequence[Any]:
    return held if isinstance(held, tuple) else (held,)


def written(attribute: Any) -> str:
    """A parameter as IR text has it: sizes of symbols as strings, others as Python writes them."""
    if isinstance(attribute, tuple):
        items = ", ".join(map(written, attribute))
        return f"({items},)" if len(attribute) == 1 else f"({items})"
    if isinstance(attribute, Dim):
        return str(attribute) if attribute.is_constant else repr(str(attribute))
    return repr(attribute)


def require(condition: bool, message: str) -> None:
    """Raise ShapeError unless the condition holds."""
    if not condition:
        raise ShapeError(message)


def broadcast(op: str, left: Shape, right: Shape) -> Shape:
    """The common shape under numpy's rule: axes are aligned at the end, 1 stretches."""
    rank = max(len(left), len(right))
    one = Dim.of(1)
    left, right = (one,) * (rank - len(left)) + left, (one,) * (rank - len(right)) + right
    for a, b in zip(left, right, strict=True):
        require(
            a == b or a == 1 or b == 1,
            f"{op} needs equal or stretchable axes, got {format_shape(left)} and {format_shape(right)}",
        )
    return tuple(b if a == 1 else a for a, b in zip(left, right, strict=True))


def normalize_axis(op: str, axis: int, rank: int) -> int:
    """An axis counted from the front; ShapeError where there is none."""
    require(-rank <= axis < rank, f"{op} needs an axis below {rank}, got {axis}")
    return axis % rank
