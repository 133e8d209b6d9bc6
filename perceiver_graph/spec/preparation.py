"""Words for how a picture is read that stand elsewhere than under `media`, or are other libraries': the
line that says the same here.

Configurations of processors and pipelines of transforms say where a picture is cut, to what size it is
brought and what is subtracted from it. Here `media` says it, and the shape says the size. What stands side by
side is told as one line, since `media` can be written once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perceiver_graph.diagnostics.text import quote
from perceiver_graph.media.image.model import RESAMPLING
from perceiver_graph.spec.around import at, flow
from perceiver_graph.spec.elsewhere import folded, meant
from perceiver_graph.spec.sampling import sampled
from perceiver_graph.spec.shapes import sizes_meant
from perceiver_graph.spec.spans import Path

_TOPICS = {
    "normalise": "normalize normalise do_normalize do_normalise normalization normalisation normalized "
    "standardize standardise",
    "mean": "mean image_mean img_mean pixel_mean rgb_mean",
    "std": "std image_std img_std pixel_std rgb_std stdev",
    "size": "size resize height width do_resize input_size target_size shortest_edge",
    "crop": "crop crop_size center_crop centre_crop do_center_crop crop_pct",
    "resample": "resample interpolation resampling",
    "scale": "rescale rescale_factor do_rescale to_tensor totensor to_float scale",
    "colour": "to_rgb do_convert_rgb convert_rgb rgb color_mode colour_mode",
}
_TOPIC_OF = {word: topic for topic, words in _TOPICS.items() for word in words.split()}
_KEYS = ("crop", "stretch", "resample", "mean", "std")
_BYTE = 255
_COLOURS = 3
_LEAST_PERCENT = 50
_USUAL_CROP = 0.875  # 224 of 256 pixels
_OF = {
    "video": "frames of a file are scaled to 0 to 1, and nothing is subtracted",
    "audio": "the sound of a file lies in -1 to 1, and nothing is subtracted",
    "points": "`media: {points: {}}` moves the points to their mean and scales them into -1 to 1",
    "": "numbers are taken as they are given: scale them before they go in",
}
"""What is done to what is no picture."""


def prepared(word: str, value: Any, parent: Path, data: Any) -> str | None:
    """What to write for a word that stands at `parent`, of an input or its media; None for any other."""
    if parent[:1] != ("inputs",) or len(parent) < 2 or parent[2:3] not in ((), ("media",)):
        return None
    if told := sampled(word, value, parent, data):
        return told
    topic, here = _TOPIC_OF.get(folded(word)), at(data, parent)
    if topic is None or (parent[2:] == ("media", "image") and word in _KEYS):
        return None
    kind = _kind(parent, data)
    if kind != "image":
        asked = topic in ("normalise", "mean", "std", "scale")
        return f"leave it out: {_OF.get(kind, _OF[''])}" if asked else None
    if topic == "size":
        return _size(value, parent, data)
    if topic == "colour":
        return "leave it out: pictures are read as red, green and blue"
    if topic == "scale":
        return "leave it out: pixels are divided by 255, and then come `mean` and `std`"
    return _line(_said(here if isinstance(here, dict) else {word: value}), parent, data, topic)


def of_a_step(word: str, value: Any, path: Path, data: Any) -> str | None:
    """The same for a step that prepares files, `{normalize: {...}}`."""
    if len(path) < 3 or path[2] != "steps" or _TOPIC_OF.get(folded(word)) is None:
        return None
    part = path[:2]
    if _kind(part, data) != "image":
        return None
    if _TOPIC_OF[folded(word)] in ("size", "scale", "colour"):
        told = prepared(word, value, part, data)
    else:
        told = _line(_said({word: value}), part, data, _TOPIC_OF[folded(word)], within=False)
    return f"take it out of the steps; {told.removeprefix('leave it out: ')}" if told else None


def share(value: Any, here: Any) -> str | None:
    """What to write for `crop: 224`, which is a share here."""
    percent = type(value) is int and _LEAST_PERCENT <= value <= 100
    more = f", and {value} % is `{value / 100:g}`" if percent else ""
    return f"write `crop: {_share(value, here if isinstance(here, dict) else {})}`: {_WHAT['crop']}{more}"


def _kind(parent: Path, data: Any) -> str:
    """What an input is read from, as its media or its shape says."""
    media, shape = at(data, (*parent[:2], "media")), at(data, (*parent[:2], "shape"))
    if isinstance(media, str):
        return next(iter(meant(media, ("image", "video", "audio", "points", "table"))), "")
    if isinstance(media, dict):
        known = [key for key in media if folded(key) not in _TOPIC_OF]
        if known:
            return str(known[0])
    read = sizes_meant(shape) if shape is not None else {"height": None, "width": None}
    axes = {*(read or ())}
    if {"height", "width"} <= axes:
        return "video" if "time" in axes else "image"
    return ""


def _said(words: Mapping[Any, Any]) -> dict[str, Any]:
    """What words that stand together say, by our keys."""
    found: dict[str, Any] = {}
    for word, value in words.items():
        topic = _TOPIC_OF.get(folded(word))
        if topic == "normalise":
            found |= _normalised(value)
        elif topic in ("mean", "std") and (colours := _colours(value, topic)):
            found[topic] = colours
        elif topic == "crop":
            found |= {"stretch": True} if value is False else {}
            if type(value) is not bool:
                found["crop"] = _share(value, words)
        elif topic == "resample" and (name := _filter(value)):
            found["resample"] = name
    return {key: found[key] for key in _KEYS if key in found}


def _normalised(value: Any) -> dict[str, Any]:
    if value is False:
        return {"mean": [0] * _COLOURS, "std": [1] * _COLOURS}
    if isinstance(value, list) and len(value) == 2:
        value = {"mean": value[0], "std": value[1]}
    return _said(value) if isinstance(value, dict) else {}


def _colours(value: Any, topic: str) -> list[Any] | None:
    """A number for each colour, of pixels from 0 to 1."""
    found = value if isinstance(value, list) else [value]
    if not found or not all(type(one) in (int, float) and abs(one) < 10**6 for one in found):
        return None
    found = found * _COLOURS if len(found) == 1 else found
    if max(map(abs, found)) > 2:
        found = [round(one / _BYTE, 4) for one in found]
    if topic == "std":
        found = [one if one > 0 else 1 for one in found]
    return found if len(found) == _COLOURS else None


def _share(value: Any, words: Mapping[Any, Any]) -> float:
    """Which share of a picture a number of pixels, or of percent, is."""
    sizes = [_pixels(one) for word, one in words.items() if _TOPIC_OF.get(folded(word)) == "size"]
    size, pixels = next(filter(None, sizes), None), _pixels(value)
    if type(value) in (int, float) and 0 < value <= 1:
        return float(value)
    if size and pixels:  # pictures are brought to one and cut to the other, or the other way round
        return round(min(size, pixels) / max(size, pixels), 4)
    percent = type(value) is float and _LEAST_PERCENT <= value < 100
    return round(value / 100, 4) if percent else _USUAL_CROP


def _pixels(value: Any) -> int | None:
    if isinstance(value, dict):
        value = list(value.values())
    value = value[0] if isinstance(value, list) and value else value
    return value if type(value) is int and value > 1 else None


def _filter(value: Any) -> str | None:
    if type(value) is int:
        return next((name for name, number in RESAMPLING.items() if number == value), None)
    return next(iter(meant(str(value), RESAMPLING)), None)


def _size(value: Any, parent: Path, data: Any) -> str:
    """The shape says the size; where it does not yet, the line that does."""
    shape = at(data, (*parent[:2], "shape"))
    pixels = _pixels(value)
    if isinstance(shape, dict) and {"height", "width"} <= {*shape}:
        return (
            f"leave it out: pictures are brought to the size of the shape, `shape: {flow(shape)}`"
        )
    side = pixels or 224
    written = f"shape: {{height: {side}, width: {side}, channel: 3}}"
    under = "" if len(parent) == 2 else f" under {quote('.'.join(map(str, parent[:2])))}"
    return f"write `{written}`{under}: pictures are brought to the size of the shape"


_WHAT = {
    "normalise": "pixels are divided by 255, then `mean` is subtracted, and they are divided by `std`: "
    "those of ImageNet unless they are said",
    "mean": "it is subtracted from pixels that are divided by 255",
    "std": "pixels are divided by it at last; with 1 they stay as they are",
    "crop": "it is the share of the shorter side that is kept, as 224 of 256 pixels are 0.875; how many "
    "pixels come of it, the shape says",
    "resample": "it is the filter by which a picture is brought to the size of the shape",
}


def _line(said: dict[str, Any], parent: Path, data: Any, topic: str, within: bool = True) -> str:
    """The line with all that was said; `within` is whether it stands where the words do."""
    name, media = parent[:2], at(data, (*parent[:2], "media"))
    image = media.get("image") if isinstance(media, dict) else None
    place = quote(".".join(map(str, name)))
    if isinstance(image, dict):
        kept = {key: one for key, one in image.items() if key in _KEYS and key not in said}
        if not said:
            return (
                f"leave it out: {place} has it from `media: {{image: {{}}}}`, where {_WHAT[topic]}"
            )
        said = kept | said
    under = "" if within and len(parent) == len(name) else f" under {place}"
    return f"write `media: {{image: {flow(said)}}}`{under}: {_WHAT[topic]}"
