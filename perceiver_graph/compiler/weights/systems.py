"""What the library of a system calls the parameters of the Perceiver in it: what such a table says, and
tensors read by it. The tables are in `system_tables.py`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from perceiver_graph.compiler.ir.names import collapse
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
    norm: str = ""
    """A tensor with a number for each channel of a head, which tells it where there is one."""
    pairs: str = ""
    """The same, with a number for each pair of channels."""


@dataclass(frozen=True)
class Hidden:
    """The hidden width of MLPs, in an axis of a matrix whose other axis is the width outside."""

    tensor: str
    axis: int


@dataclass(frozen=True)
class Published:
    """A size that no tensor tells: as published, or as such a part of what another says."""

    value: int | str
    """A number, or a size in symbols."""
    part_of: Size | None = None
    more: int = 0
    """What is added."""


@dataclass(frozen=True)
class Bands:
    """How many bands Fourier features have, in channels of a tensor that has them behind others."""

    tensor: str
    axes: int = 0
    """Of positions that are all there is in these channels, in our order."""


@dataclass(frozen=True)
class Waves:
    """The shortest and the longest wave, in a tensor of their frequencies from the highest to the lowest;
    zeros stand for none."""

    tensor: str

    def lengths(self, frequencies: Array) -> list[float]:
        """Their six digits, which rounding of float32 leaves."""
        turning = frequencies[frequencies > 0].astype(np.float64)
        ends = (turning[0], turning[-1]) if turning.size else (1.0, 1.0)
        return [float(f"{math.tau / frequency:.6g}") for frequency in ends]


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


Seen = Size | Numbered | Heads | Hidden | Published | Bands | Map | Waves
"""How a value of a spec is seen in tensors."""


@dataclass(frozen=True)
class Cut:
    """A tensor that holds several of our parameters below each other, in equal parts, each of which is
    named: `to_kv.weight` becomes `to_kv.weight[keys]` and `to_kv.weight[values]`."""

    pattern: str
    parts: tuple[str, ...]
    heads: str = ""
    """Where the parts alternate, head by head: the key of the spec that says how many heads there are."""
    norm: tuple[str, str] = ("", "")
    """The end of a name, and what is there in its place where a norm of heads tells the channels of one."""


@dataclass(frozen=True)
class Made:
    """A parameter that is computed there, out of tensors that are no parameters here."""

    name: str
    """Under which the rules know it."""
    of: tuple[str, ...]
    shape: Callable[..., tuple[int, ...]]
    """Of their shapes."""
    compute: Callable[..., Array]
    """In double precision."""


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
    cuts: tuple[Cut, ...] = ()
    sizes: Mapping[str, Seen] = field(default_factory=dict)
    """Where the sizes of the shipped spec are seen, by their keys, such as `latents.count`."""
    only_with: Mapping[str, str] = field(default_factory=dict)
    """Keys that hold only where there is a certain tensor."""
    only_without: Mapping[str, str] = field(default_factory=dict)
    """Keys that hold only where there is no such tensor."""
    made: tuple[Made, ...] = ()
    beside: str = ""
    """The tensors after the prefix that are of other parts, as a pattern: they are told, and not read."""
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
    heads: Mapping[str, int] = field(default_factory=dict)
    """How many heads the spec has, by their keys, for cuts that alternate with them."""

    def candidates(self, name: str) -> list[str]:
        return [self.prefix + theirs for theirs in renamed(name, self.system.rules)]

    def fits(self, shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
        """Axes of size 1 may differ: latents are [1, 16, 768] in some."""
        return same_but_for_ones(shape, wanted)

    def ignores(self, name: str, shape: tuple[int, ...]) -> bool:
        return False

    def pieces(self, tensors: Tensors) -> Tensors:
        """The tensors with those cut that hold several parameters, those made that are computed, and
        those told that are of other parts."""
        found: dict[str, Tensor] = {}
        left = []
        made = self._made(tensors.tensors)
        read = {
            self.prefix + n for m in self.system.made if self.prefix + m.name in made for n in m.of
        }
        for name, tensor in {**tensors.tensors, **made}.items():
            if name in read:
                continue
            tensor = self._in_order(name, tensor)
            ours = name.removeprefix(self.prefix) if name.startswith(self.prefix) else None
            cut = next((c for c in self.system.cuts if re.search(c.pattern, ours or "")), None)
            if ours is not None and self.system.beside and re.search(self.system.beside, ours):
                left.append(name)
            elif cut is None or (rows := self.rows(cut, name, tensors.tensors)) is None:
                found[name] = tensor
            else:
                for part, taken in zip(cut.parts, rows, strict=True):
                    shape = (len(taken), *tensor.shape[1:])
                    value = partial(_rows, tensor, taken)
                    found[f"{name}[{part}]"] = Tensor(shape, tensor.dtype, value)
        told = [f"beside {self.system.source}, not read: {', '.join(collapse(left))}"]
        return replace(tensors, tensors=found, notes=(*tensors.notes, *(told if left else ())))

    def rows(self, cut: Cut, name: str, tensors: Mapping[str, Tensor]) -> Array | None:
        """Which rows of a tensor each part has; None where they cannot be told."""
        shape, heads = tensors[name].shape, 1
        rows = shape[0] if shape else 0
        if cut.heads:
            norm = tensors.get(re.sub(*cut.norm, name))
            each = norm.shape[-1] * len(cut.parts) if norm is not None and norm.shape else 0
            heads = self.heads.get(cut.heads, 0) or (rows // each if each else 0)
        if not rows or not heads or rows % (heads * len(cut.parts)):
            return None
        places = np.arange(rows).reshape(heads, len(cut.parts), -1)
        return places.swapaxes(0, 1).reshape(len(cut.parts), -1)

    def _made(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        found = {}
        for made in self.system.made:
            read = [
                tensors[self.prefix + name] for name in made.of if self.prefix + name in tensors
            ]
            if len(read) == len(made.of):
                shape = made.shape(*(tensor.shape for tensor in read))
                value = partial(_computed, made, read)
                found[self.prefix + made.name] = Tensor(shape, read[0].dtype, value)
        return found

    def _in_order(self, name: str, tensor: Tensor) -> Tensor:
        """A tensor with its channels in our order."""
        fourier = self.system.fourier
        if fourier is None or not tensor.shape or not re.search(fourier.pattern, name):
            return tensor
        bands = fourier.bands(tensor.shape[-1])
        if bands is None:
            return tensor
        return Tensor(tensor.shape, tensor.dtype, partial(_taken, tensor, fourier.order(bands)))


def _rows(tensor: Tensor, rows: Array) -> Array:
    first, last = int(rows[0]), int(rows[-1])
    if last - first == len(rows) - 1:  # a part that stands together is not copied
        return tensor.read()[first : last + 1]
    return tensor.read()[rows]


def _computed(made: Made, tensors: Sequence[Tensor]) -> Array:
    return made.compute(*(tensor.read().astype(np.float64) for tensor in tensors))


def _taken(tensor: Tensor, order: Sequence[int]) -> Array:
    return tensor.read()[..., order]
