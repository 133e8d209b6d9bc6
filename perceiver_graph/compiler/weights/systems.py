"""What the library of a system calls the parameters of the Perceiver in it: what such a table says, and
tensors read by it. The tables are in `system_tables.py`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.weights.files import Tensor, Tensors
from perceiver_graph.compiler.weights.names import Rules, renamed, same_but_for_ones


@dataclass(frozen=True)
class Size:
    """The size of an axis of a tensor."""

    tensor: str
    axis: int
    otherwise: str = ""
    """The tensor to look at where there is no such one."""


@dataclass(frozen=True)
class Numbered:
    """How many numbers stand behind the beginning of a name."""

    before: str


@dataclass(frozen=True)
class Heads:
    """How many heads there are in an axis of a tensor, which no tensor tells."""

    tensor: str
    axis: int
    each: int
    """Channels of a head, as published."""
    setting: tuple[str, ...] = ()
    """Where a configuration says it, if it does."""


@dataclass(frozen=True)
class Bands:
    """How many bands Fourier features have, in channels of a tensor that has them behind others."""

    tensor: str


@dataclass(frozen=True)
class Fourier:
    """Channels of an input and, behind them, its positions: here coordinates, sines and cosines of all
    axes, there sines, cosines and the coordinate of one axis after the other."""

    pattern: str
    """The tensors whose last axis these channels are."""
    channels: int
    """Those before the positions."""
    axes: int

    def bands(self, width: int) -> int | None:
        """None where the width is not that of an input with so many channels and axes."""
        each, rest = divmod(width - self.channels, self.axes)
        return None if rest or each < 3 or each % 2 == 0 else each // 2

    def order(self, bands: int) -> list[int]:
        """Where each channel stands there, in our order."""
        starts = [self.channels + axis * (2 * bands + 1) for axis in range(self.axes)]
        coordinates = [start + 2 * bands for start in starts]
        sines = [start + band for start in starts for band in range(bands)]
        return [*range(self.channels), *coordinates, *sines, *(at + bands for at in sines)]


@dataclass(frozen=True)
class Map:
    """A list of a step, a linear map to the rows of a tensor, if there is that tensor."""

    tensor: str


Seen = Size | Numbered | Heads | Bands | Map
"""How a value of a spec is seen in tensors."""


@dataclass(frozen=True)
class System:
    """What a library calls the parameters of a Perceiver, after a prefix."""

    name: str
    """Its table; several may be of one shipped spec."""
    spec: str
    """The shipped spec of its kind."""
    source: str
    """The class that calls them so, and its library."""
    signs: tuple[str, ...]
    """Names that are all there in such a checkpoint, and not in another."""
    rules: Rules
    """From our name to theirs, as in `names.renamed`."""
    cuts: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Patterns of tensors that hold several of our parameters below each other, in equal parts: what
    each part is. `to_kv.weight` becomes `to_kv.weight[keys]` and `to_kv.weight[values]`."""
    sizes: Mapping[str, Seen] = field(default_factory=dict)
    """Where the sizes of the shipped spec are seen, by their keys, such as `latents.count`."""
    only_with: Mapping[str, str] = field(default_factory=dict)
    """Keys that hold only where there is a certain tensor."""
    fourier: Fourier | None = None
    """Channels that stand in another order there."""

    def found_in(self, names: Collection[str]) -> Iterator[str]:
        """The prefixes after which this system stands, such as `image_proj.`."""
        for name in names:
            prefix = name.removesuffix(self.signs[0])
            whole = name != prefix and prefix[-1:] in ("", ".")
            if whole and all(prefix + sign in names for sign in self.signs):
                yield prefix


@dataclass(frozen=True)
class SystemLayout:
    """The names of a system after a prefix."""

    system: System
    prefix: str = ""

    def candidates(self, name: str) -> list[str]:
        return [self.prefix + theirs for theirs in renamed(name, self.system.rules)]

    def fits(self, shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
        """Axes of size 1 may differ: latents are [1, 16, 768] in some."""
        return same_but_for_ones(shape, wanted)

    def ignores(self, name: str, shape: tuple[int, ...]) -> bool:
        return False

    def pieces(self, tensors: Tensors) -> Tensors:
        """The tensors with those cut that hold several parameters."""
        found: dict[str, Tensor] = {}
        for name, tensor in tensors.tensors.items():
            tensor = self._in_order(name, tensor)
            parts = self._parts(name) if name.startswith(self.prefix) else ()
            rows = tensor.shape[0] if tensor.shape else 0
            if not parts or rows % len(parts):
                found[name] = tensor
                continue
            each = rows // len(parts)
            for i, part in enumerate(parts):
                read = partial(_rows, tensor, i * each, each)
                shape = (each, *tensor.shape[1:])
                found[f"{name}[{part}]"] = Tensor(shape, tensor.dtype, read)
        return replace(tensors, tensors=found)

    def _in_order(self, name: str, tensor: Tensor) -> Tensor:
        """A tensor with its channels in our order."""
        fourier = self.system.fourier
        if fourier is None or not tensor.shape or not re.search(fourier.pattern, name):
            return tensor
        bands = fourier.bands(tensor.shape[-1])
        if bands is None:
            return tensor
        return Tensor(tensor.shape, tensor.dtype, partial(_taken, tensor, fourier.order(bands)))

    def _parts(self, name: str) -> tuple[str, ...]:
        name = name.removeprefix(self.prefix)
        return next((parts for cut, parts in self.system.cuts if re.search(cut, name)), ())


def _rows(tensor: Tensor, first: int, count: int) -> Array:
    return tensor.read()[first : first + count]


def _taken(tensor: Tensor, order: Sequence[int]) -> Array:
    return tensor.read()[..., order]
