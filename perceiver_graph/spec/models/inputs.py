"""What the inputs of a model are: arrays, and how they become tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Tag

from perceiver_graph.choices import MaskUse
from perceiver_graph.media.kinds import InputMedia
from perceiver_graph.spec.models.base import Axis, Model, Name, Size
from perceiver_graph.spec.models.positions import Position
from perceiver_graph.spec.models.steps import Step


class Input(Model):
    """A modality: an array with named axes and how it becomes tokens."""

    shape: dict[Axis, Size]
    """Axes in order with their sizes, without batch. The features, if any, are `channel`, last."""
    steps: list[Step] = []
    """What happens to the array before positions are attached, in order."""
    position: Position | None = None
    """The position encoding of the axes that remain after the steps."""
    mask: MaskUse | None = None
    """Whether a learned mask token stands for the modality: `always`, `optional` (when the input is
    left out) or `never`. Default: `optional` where a `join` is declared, else `never`."""
    attention_mask: bool = False
    """Whether the caller may say which tokens are there, one boolean each (true: attend to it), in
    an array called `NAME.attention_mask`. Without it, all are."""
    media: InputMedia | None = None
    """Which part of a media file `perceiver-graph run` fills this input from."""


class LikeInput(Model):
    """A modality that is made into tokens as another one is, with the same weights."""

    like: Name
    """The other input. Its steps and its position are those of this one, parameters included; what
    they leave open, such as `max_resolution`, is what it is there. A vector or a mask token that
    tells modalities apart is not shared."""
    shape: dict[Axis, Size] | None = None
    """Axes and sizes, where they are not the same: weights that depend on them are refused."""
    mask: MaskUse | None = None
    """As of any input; left out, that of the other."""
    attention_mask: bool | None = None
    """As of any input; left out, that of the other."""
    media: InputMedia | None = None
    """As of any input; left out, that of the other, unless that is a clip, which has one picture
    and one sound."""


def _kind(value: Any) -> str:
    return "<like>" if isinstance(value, LikeInput | dict) and "like" in dict(value) else "<shape>"


AnyInput = Annotated[
    Annotated[Input, Tag("<shape>")] | Annotated[LikeInput, Tag("<like>")], Discriminator(_kind)
]


def written_out(inputs: Mapping[str, Input | LikeInput]) -> dict[str, Input]:
    """The inputs as if those that are like others were written out. Those that are like nothing that
    exists, or like themselves, are left out."""
    found: dict[str, Input] = {}
    for name in inputs:
        chain = like_chain(inputs, name)
        base = inputs.get(chain[-1])
        if not isinstance(base, Input):
            continue
        for other in reversed(chain[:-1]):
            own = inputs[other]
            assert isinstance(own, LikeInput)
            given = {key: value for key in _OWN if (value := getattr(own, key)) is not None}
            if base.media is not None and base.media.stream:
                given = {"media": None} | given
            base = base.model_copy(update=given)
        found[name] = base
    return found


_OWN = ("shape", "mask", "attention_mask", "media")


def like_chain(inputs: Mapping[str, Input | LikeInput], name: str) -> list[str]:
    """An input, the one that it is like, the one that this is like ... up to one that is written out,
    one that is not there, or one that stands in the list already."""
    chain = [name]
    while isinstance(one := inputs.get(chain[-1]), LikeInput):
        chain.append(one.like)
        if one.like in chain[:-1]:
            break
    return chain
