"""Which arrays a kind of media can fill, and which can be written as one.

The compiler refuses a spec and the runtime an artifact by the same rules. A rule looks at a `Part`
and says what is wrong; two tables at the end say which rules a kind has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isqrt, prod
from typing import Any, Literal

from perceiver_graph.diagnostics.text import quote
from perceiver_graph.media.base import kind_of, parameters_of
from perceiver_graph.media.kinds import CLIP
from perceiver_graph.spec.arithmetic import words
from perceiver_graph.spec.models.base import Model

BYTE_IDS = 262
"""How many ids the tokenizer `bytes` has: 6 special ones and the bytes."""
SOUND_CHANNELS = (1, 2)
"""Channels that the sound of a file is mixed to."""
CHANNEL = "channel"
VIDEO_AXES = ("time", "height", "width", CHANNEL)
SOUND_AXES = ("time", CHANNEL)
MEL_AXES = ("time", "frequency", CHANNEL)
IMAGE_AXES = ("height", "width", CHANNEL)


@dataclass(frozen=True)
class Part:
    """An input or an output, and its kind of media (empty for none)."""

    name: str
    side: Literal["inputs", "outputs"]
    kind: str
    settings: Any
    """What stands under the kind."""
    sizes: Mapping[str, int | str]
    """The axes in order, batch left out, and their sizes: numbers, or expressions of symbols."""
    dtype: str = "float32"
    vocabulary: int | None = None
    """For ids: how many there are."""

    @property
    def channels(self) -> int | str:
        """The size of the last axis."""
        return list(self.sizes.values())[-1]

    def place(self, axis: str = "") -> tuple[str, ...]:
        """The key below this part in the spec that an axis comes from; of all axes by default."""
        if self.side == "inputs":
            return ("shape", axis) if axis else ("shape",)
        return ("head",) if axis == CHANNEL else ("query",)


def named(media: Model | None) -> tuple[str, Any]:
    """The kind of media and what stands under it; an empty kind for none."""
    return (kind_of(media), parameters_of(media)) if media else ("", None)


@dataclass(frozen=True)
class Misfit:
    """Why a part and its media do not fit."""

    fault: str
    remedy: str
    place: tuple[str, ...]
    """The key to blame, below the part in the spec."""


@dataclass(frozen=True)
class Around:
    """What an output is held against: the inputs that are read from media, and all outputs."""

    inputs: Sequence[Part] = ()
    outputs: Mapping[str, Part] = field(default_factory=dict)

    @classmethod
    def of(cls, inputs: Iterable[Part], outputs: Iterable[Part]) -> Around:
        """Inputs that do not fit their media themselves are left out."""
        fitting = tuple(one for one in inputs if one.kind and misfit(one) is None)
        return cls(fitting, {one.name: one for one in outputs})


Rule = Callable[[Part, Around], Misfit | None]


def misfit(part: Part, around: Around | None = None) -> Misfit | None:
    """What keeps a part from being read from, or written to, media of its kind, if anything does.

    A part without media has no misfit, and inputs are looked at by themselves.
    """
    rules = {"": (), **(INPUTS if part.side == "inputs" else OUTPUTS)}[part.kind]
    found = (rule(part, around or Around()) for rule in rules)
    return next((one for one in found if one is not None), None)


def certain(part: Part) -> Misfit | None:
    """A choice among one class, which is always certain of it."""
    if part.kind not in ("classes", "labels") or part.channels != 1:
        return None
    fault = f"`{part.name}` has one class: the probability that is shown is 100 % for every input"
    remedy = "give it a score for each answer (yes and no are 2), or write `media: {scores: {}}`"
    return Misfit(fault, remedy, ("media", part.kind))


def crowded(inputs: Iterable[Part]) -> list[list[str]]:
    """Names of the inputs that are all the pictures, or all the sound, of the one clip that is read."""
    streams: dict[bool, list[str]] = {}
    for part in inputs:
        if part.kind in CLIP:
            streams.setdefault(part.kind == "video", []).append(part.name)
    return [names for names in streams.values() if len(names) > 1]


def neighbourhood(channels: int) -> int | None:
    """The side of the square of RGB pixels that a pixel's channels are made of: 3 of 27 channels.

    None for a number of channels that is not 3 k^2 with an odd k.
    """
    side = isqrt(max(channels, 0) // 3)
    return side if side % 2 and 3 * side * side == channels else None


def overlap_fault(height: int, width: int, overlap: int) -> str | None:
    """What is wrong with tiles of so many pixels that overlap so much: no step is left."""
    if overlap < min(height, width):
        return None
    return f"tiles of {height} x {width} pixels cannot overlap by {overlap}"


def _axes(*wanted: str) -> Rule:
    """These axes in any order, of fixed sizes."""

    def rule(part: Part, around: Around) -> Misfit | None:
        needs = f"the axes {', '.join(wanted)} with fixed sizes"
        if set(part.sizes) != set(wanted):
            return _needs(part, needs, "give it these axes")
        unknown = [axis for axis, size in part.sizes.items() if not isinstance(size, int)]
        if not unknown:
            return None
        return _needs(part, needs, f"write a number for `{unknown[0]}`", unknown[0])

    return rule


def _rank(count: int, remedy: str) -> Rule:
    """So many axes, channel included."""

    def rule(part: Part, around: Around) -> Misfit | None:
        fits = len(part.sizes) == count
        return None if fits else _needs(part, f"{count} axes" if count > 1 else "one axis", remedy)

    return rule


def _needs(part: Part, wanted: str, remedy: str, axis: str = "") -> Misfit:
    have = ", ".join(f"{axis} {size}" for axis, size in part.sizes.items()) or "none"
    return Misfit(
        f"`{part.name}` is declared as media of the kind `{part.kind}`, which needs {wanted}, "
        f"and has {have}",
        remedy,
        part.place(axis),
    )


def _channels(wanted: int, why: str) -> Rule:
    def rule(part: Part, around: Around) -> Misfit | None:
        have = part.sizes.get(CHANNEL, part.channels)
        if have == wanted:
            return None
        fault = f"`{part.name}` has {_count(have, 'channel')}, and {why}"
        return Misfit(fault, f"give it {_count(wanted, 'channel')}", part.place(CHANNEL))

    return rule


def _count(size: int | str, noun: str) -> str:
    return f"{size} {noun}" if size == 1 else f"{size} {noun}s"


def _sound_channels(part: Part, around: Around) -> Misfit | None:
    have = part.sizes[CHANNEL]
    if have in SOUND_CHANNELS:
        return None
    fault = f"`{part.name}` has {have} channels, and sound is read with 1 or 2"
    return Misfit(fault, "give it 1 channel or 2", part.place(CHANNEL))


def _byte_ids(part: Part, around: Around) -> Misfit | None:
    if part.dtype != "int64":
        fault = f"`{part.name}` takes real numbers, and a text is read as ids"
        embedding = f"`embedding: {{vocabulary: {BYTE_IDS}, width: ...}}`"
        return Misfit(fault, f"begin its steps with {embedding}", part.place())
    known = part.vocabulary
    if known is None or known >= BYTE_IDS:
        return None
    fault = f"`{part.name}` takes {known} ids, and bytes need ids below {BYTE_IDS}"
    return Misfit(fault, f"write {BYTE_IDS} or more", ("steps",))


def _rows(part: Part, around: Around) -> Misfit | None:
    if isinstance(part.channels, int) and part.dtype == "float32":
        return None
    fault = f"`{part.name}` needs real numbers with a fixed number of channels, last"
    return Misfit(fault, "begin with real numbers, `channel` last", part.place())


def _one_length(part: Part, around: Around) -> Misfit | None:
    """The length of a file says one symbol."""
    axis, size = next(iter(part.sizes.items()))
    symbols = words(size) if isinstance(size, str) else []
    if len(symbols) < 2:
        return None
    fault = f"the length of a file does not say what {' and '.join(map(quote, symbols))} of "
    return Misfit(f"{fault}`{part.name}` are", "write one symbol", part.place(axis))


def _two_frames(part: Part, around: Around) -> Misfit | None:
    have = part.sizes["time"]
    if have == 2:
        return None
    fault = f"`{part.name}` has {_count(have, 'frame')}, and flow is between 2"
    return Misfit(fault, "write `time: 2`", part.place("time"))


def _neighbours(part: Part, around: Around) -> Misfit | None:
    have = part.sizes[CHANNEL]
    if isinstance(have, int) and neighbourhood(have) is not None:
        return None
    channels = _count(have, "channel")
    fault = f"`{part.name}` has {channels}, which are not those of a pixel and its neighbours"
    remedy = "give it 3 channels (the pixel itself), 27 (3 x 3 pixels) or 75 (5 x 5)"
    return Misfit(fault, remedy, part.place(CHANNEL))


def _overlap(part: Part, around: Around) -> Misfit | None:
    height, width, overlap = part.sizes["height"], part.sizes["width"], part.settings.overlap
    assert isinstance(height, int)  # by the rule of axes
    assert isinstance(width, int)
    fault = overlap_fault(height, width, overlap)
    remedy = f"write an overlap below {min(height, width)}"
    place = ("media", "flow", "overlap")
    return Misfit(f"`{part.name}`: {fault}", remedy, place) if fault else None


def _about_tokens(part: Part, around: Around) -> Misfit | None:
    """One answer for each token of a text that is read."""
    have, *_ = part.sizes.values()
    texts = [one for one in around.inputs if one.kind == "text"]
    lengths = [size for one in texts for size in one.sizes.values()]
    if have in lengths:
        return None
    known = " or ".join(map(str, lengths)) or "none, as it reads no text"
    return Misfit(
        f"`{part.name}` is about the tokens of a text, and has {have} of them (the model's text: "
        f"{known})",
        _PER_TOKEN if lengths else "add an input with `media: {text: {}}`",
        part.place(),
    )


def _about_tokens_if_read(part: Part, around: Around) -> Misfit | None:
    """The same, unless the text comes out of something else."""
    reads = any(one.kind == "text" for one in around.inputs)
    return _about_tokens(part, around) if reads else None


def _flow_of_frames(part: Part, around: Around) -> Misfit | None:
    have = part.sizes["height"], part.sizes["width"]
    frames = [one for one in around.inputs if one.kind == "flow"]
    if have in [(one.sizes["height"], one.sizes["width"]) for one in frames]:
        return None
    sizes = " or ".join(f"{one.sizes['height']} x {one.sizes['width']}" for one in frames)
    return Misfit(
        f"`{part.name}` is a flow of {have[0]} x {have[1]} pixels, and the model's frames have "
        f"{sizes or 'none: no input is read as `flow`'}",
        "ask one query for each pixel: `query: {inputs: ...}`"
        if frames
        else "add an input with `media: {flow: {}}`",
        part.place(),
    )


def _whole_samples(part: Part, around: Around) -> Misfit | None:
    """The values are samples of as many channels as the sound that is read (else 1)."""
    values = prod(size for size in part.sizes.values() if isinstance(size, int))
    sounds = [one.sizes[CHANNEL] for one in around.inputs if one.kind == "audio"]
    channels = next((size for size in sounds if isinstance(size, int)), 1)
    if values % channels == 0:
        return None
    fault = f"`{part.name}` has {values} values, which are not samples of {channels} channels"
    return Misfit(fault, f"give it a number of values that {channels} divides", part.place())


def _boxes(part: Part, around: Around) -> Misfit | None:
    named = part.settings.classes
    scores = around.outputs.get(named)
    place = ("media", "boxes", "classes")
    if scores is None:
        fault = f"`{part.name}` has no classes: there is no output {quote(named)}"
        return Misfit(fault, "name the output with their scores", place)
    if scores.channels == 1:
        fault = f"{quote(named)} has one class, and the last class says that there is nothing"
        return Misfit(fault, f"give {quote(named)} 2 channels or more", place)
    count, wanted = next(iter(part.sizes.values())), list(scores.sizes.values())[:-1]
    if wanted == [count]:
        return None
    have = " x ".join(map(str, wanted)) or "one"
    fault = f"`{part.name}` has {count} boxes, and {quote(named)} has scores for {have}"
    return Misfit(
        fault, f"give {quote(named)} its queries: `query: {{output: {part.name}}}`", place
    )


_ENDS = {"channel": "s", "class": "es"}


def _names(part: Part, around: Around) -> Misfit | None:
    """A name for each class: with one too few, or one too many, every name may be another's."""
    names = part.settings.names
    classes: int | str | None = part.channels
    if part.kind == "boxes":  # the last class of their scores means that there is nothing
        scores = around.outputs.get(part.settings.classes)
        count = scores.channels if scores is not None else None
        classes = count - 1 if isinstance(count, int) else None
    if names is None or not isinstance(classes, int) or len(names) == classes:
        return None
    what = "channel" if part.kind == "scores" else "class"
    fault = f"`{part.name}` has {classes} {what}{_ENDS[what]}, and {len(names)} names are given"
    remedy = f"give each {what} its name, in their order"
    return Misfit(fault, remedy, ("media", part.kind, "names"))


_FRAMES = _channels(3, "video frames have 3 (RGB)")
_PER_TOKEN = "ask one query for each token"

INPUTS: Mapping[str, tuple[Rule, ...]] = {
    "video": (_axes(*VIDEO_AXES), _FRAMES),
    "audio": (_axes(*SOUND_AXES), _sound_channels),
    "mel": (_axes(*MEL_AXES), _channels(1, "a mel spectrogram has 1")),
    "image": (_axes(*IMAGE_AXES), _channels(3, "pictures have 3 (RGB)")),
    "text": (_rank(1, "give it one axis, of ids"), _one_length, _byte_ids),
    "flow": (_axes(*VIDEO_AXES), _two_frames, _neighbours, _overlap),
    "points": (_rank(2, "give it one axis of points, and `channel`"), _one_length, _rows),
    "table": (_rank(2, "give it one axis of rows, and `channel`"), _one_length, _rows),
}
"""What is asked of an input of each kind, one after the other."""

OUTPUTS: Mapping[str, tuple[Rule, ...]] = {
    "video": (_axes(*VIDEO_AXES), _FRAMES),
    "audio": (_axes(*SOUND_AXES), _whole_samples),
    "classes": (_rank(1, "ask a single query: `query: {learned: {}}`"), _names),
    "text": (
        _rank(2, _PER_TOKEN),
        _channels(BYTE_IDS, f"bytes need {BYTE_IDS} scores"),
        _about_tokens_if_read,
    ),
    "flow": (_axes(*IMAGE_AXES), _channels(2, "flow has 2: right and down"), _flow_of_frames),
    "labels": (_rank(2, _PER_TOKEN), _about_tokens, _names),
    "span": (
        _rank(2, _PER_TOKEN),
        _channels(2, "an answer needs 2: start and end"),
        _about_tokens,
    ),
    "boxes": (
        _rank(2, "ask one query for each box: `query: {learned: {count: ...}}`"),
        _channels(4, "a box needs 4: centre x, centre y, width and height"),
        _boxes,
        _names,
    ),
    "scores": (_names,),
}
"""What is asked of an output of each kind."""


def fitting_kinds(part: Part) -> list[str]:
    """The other kinds whose rules an input keeps as it is."""
    others = (replace(part, kind=kind) for kind in INPUTS if kind not in {part.kind, "flow"})
    return [one.kind for one in others if misfit(one) is None]
