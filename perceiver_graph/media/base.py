"""What a kind of media is: a key of the spec, what it fits, and what reads or writes its files.

A kind is a class. Defining it is all that it takes: the spec takes its key from then on, and the
compiler and the runtime ask the class for all else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from perceiver_graph.spec.models.base import Form

if TYPE_CHECKING:
    import numpy as np

CHANNEL = "channel"

Names = list[str]
"""What classes are called, in order."""


@dataclass(frozen=True)
class Part:
    """An input or an output, and its media."""

    name: str
    side: Literal["inputs", "outputs"]
    media: InputMedia | OutputMedia | None
    sizes: Mapping[str, int | str]
    """The axes in order, batch left out, and their sizes: numbers, or expressions of symbols."""
    dtype: str = "float32"
    vocabulary: int | None = None
    """For ids: how many there are."""

    @property
    def kind(self) -> str:
        """The key of its media, empty for none."""
        return self.media.key if self.media else ""

    @property
    def settings(self) -> Any:
        """What stands under that key."""
        return settings_of(self.media) if self.media else None

    @property
    def channels(self) -> int | str:
        """The size of the last axis."""
        return list(self.sizes.values())[-1]

    def place(self, axis: str = "") -> tuple[str, ...]:
        """The key below this part in the spec that an axis comes from; of all axes by default."""
        if self.side == "inputs":
            return ("shape", axis) if axis else ("shape",)
        return ("head",) if axis == CHANNEL else ("query",)


@dataclass(frozen=True)
class Mismatch:
    """Why a part and its media do not fit."""

    fault: str
    remedy: str
    place: tuple[str | int, ...]
    """The key to blame, below the part in the spec."""
    whole: bool = False
    """Whether the remedy leaves `media` out itself."""
    also: tuple[tuple[tuple[str | int, ...], str], ...] = ()
    """Other keys below the part that have to do with it, and what they are."""


@dataclass(frozen=True)
class Signature:
    """What an output is held against: the inputs that are read from media, and all outputs."""

    inputs: Sequence[Part] = ()
    outputs: Mapping[str, Part] = field(default_factory=dict)

    @classmethod
    def of(cls, inputs: Iterable[Part], outputs: Iterable[Part]) -> Signature:
        """Inputs that do not fit their media themselves are left out."""
        fitting = tuple(one for one in inputs if one.media and mismatch(one) is None)
        return cls(fitting, {one.name: one for one in outputs})

    def read_as(self, *kinds: str) -> list[Part]:
        """The inputs that are read as one of these kinds, by kind."""
        return [one for kind in kinds for one in self.inputs if one.kind == kind]


Check = Callable[[Part, Signature], Mismatch | None]
"""What is asked of a part, once those before it have found nothing."""


class InputMedia(Form):
    """What `perceiver-graph run` reads an input from."""

    what = "a kind of media"
    input_checks: ClassVar[tuple[Check, ...]] = ()
    """What is asked of an input, one after the other."""
    input_warnings: ClassVar[tuple[Check, ...]] = ()
    """What is most likely not meant, asked of one that fits."""
    reader: ClassVar[Any] = None
    """Its `perceiver_graph.media.io.Reader`, or `MODULE:NAME` of it, imported when files are read."""
    example: ClassVar[str] = "FILE"
    """What a command line names, for messages."""
    stream: ClassVar[str] = ""
    """Which part of a clip it is, of which a file has one."""
    is_decoded: ClassVar[bool] = False
    """Whether codecs read it, which take memory themselves."""
    places: ClassVar[bool] = False
    """Whether its channels say where each token is, so that it needs no position."""

    def scale(self) -> str | None:
        """How values of whole numbers, as files have them, are scaled, for messages."""
        return None

    def bounds(self) -> tuple[float, float] | None:
        """The least and the greatest value that comes of such a file."""
        return None

    def scaled(self, name: str, dtype: np.dtype[Any]) -> str:
        """The expression that scales an array of whole numbers that is called so, as files are."""
        return name


class OutputMedia(Form):
    """What `perceiver-graph run` writes an output to."""

    what = "a kind of media"
    output_checks: ClassVar[tuple[Check, ...]] = ()
    """What is asked of an output, one after the other."""
    output_refusals: ClassVar[tuple[Check, ...]] = ()
    """What a spec may not say, asked of one that fits; artifacts that say it are taken all the same."""
    output_warnings: ClassVar[tuple[Check, ...]] = ()
    """What is most likely not meant, asked of one that fits."""
    writer: ClassVar[Any] = None
    """Its `perceiver_graph.media.io.Writer`, or `MODULE:NAME` of it."""

    def class_count(self, part: Part, outputs: Mapping[str, Part]) -> int | str | None:
        """How many classes, or numbers, of an output may have names; None if none have."""
        return part.channels if hasattr(part.settings, "names") else None


def settings_of(media: InputMedia | OutputMedia) -> Any:
    """What stands under the key that names a kind of media."""
    return getattr(media, media.key)


def mismatch(part: Part, signature: Signature | None = None) -> Mismatch | None:
    """What keeps a part from being read from, or written to, media of its kind, if anything does.

    A part without media has none, and inputs are looked at by themselves.
    """
    return _first("checks", part, signature)


def refused(part: Part, signature: Signature | None = None) -> Mismatch | None:
    """What a spec may not say of a part that fits its media, and an artifact may."""
    return _first("refusals", part, signature)


def warned(part: Part, signature: Signature | None = None) -> Mismatch | None:
    """What is most likely not meant of a part that fits its media."""
    return _first("warnings", part, signature)


def _first(asked: str, part: Part, signature: Signature | None) -> Mismatch | None:
    side = part.side.removesuffix("s")
    checks: Iterable[Check] = getattr(part.media, f"{side}_{asked}", ())
    found = (check(part, signature or Signature()) for check in checks)
    return next(filter(None, found), None)
