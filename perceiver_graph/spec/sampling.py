"""Words for how often a signal is sampled, and for the windows of a spectrogram, that stand elsewhere than
under `media`: the line that says the same here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perceiver_graph.diagnostics.text import quote
from perceiver_graph.spec.around import at, flow
from perceiver_graph.spec.elsewhere import folded
from perceiver_graph.spec.size_advice import spelled
from perceiver_graph.spec.spans import Path

_RATE = {
    "rate",
    "sample_rate",
    "sampling_rate",
    "samplerate",
    "sr",
    "fs",
    "fps",
    "frame_rate",
    "framerate",
}
_WINDOW = {"window", "n_fft", "win_length", "window_length", "window_size", "frame_length"}
_HOP = {"hop", "hop_length", "hop_size", "frame_step"}
_KINDS = {"video": ("rate",), "audio": ("rate",), "mel": ("rate", "window", "hop")}
_MEL = {"rate": 16000, "window": 400, "hop": 160}
_SLOWEST_SOUND = 2000
_EARS = 2  # channels of sound


def sampled(word: str, value: Any, parent: Path, data: Any) -> str | None:
    """What to write for a word that stands at `parent`, of an input or its media; None for any other."""
    key, here = _key(word), at(data, parent)
    if key is None or parent[2:] not in ((), ("media",)):
        return None
    name, media = parent[:2], at(data, (*parent[:2], "media"))
    words = here if isinstance(here, dict) else {word: value}
    said = {
        ours: number for one, n in words.items() if (ours := _key(one)) and (number := _number(n))
    }
    kind, place = _kind(said, media, at(data, (*name, "shape"))), quote(".".join(map(str, name)))
    if kind is None:
        return (
            "leave it out: arrays are taken as they are, whatever their rate; files of sound and video have "
            "one, `media: {audio: {rate: 16000}}`"
        )
    settings = media.get(kind) if isinstance(media, dict) else None
    before = settings if isinstance(settings, dict) else {}
    usual = _MEL if kind == "mel" else {}
    written = usual | before | {one: n for one, n in said.items() if one in _KINDS[kind]}
    under = "" if parent == name else f" under {place}"
    return f"write `media: {{{kind}: {flow(written)}}}`{under}"


def _key(word: Any) -> str | None:
    word = folded(word)
    return (
        "rate"
        if word in _RATE
        else "window"
        if word in _WINDOW
        else "hop"
        if word in _HOP
        else None
    )


def _number(value: Any) -> Any:
    """A number as it may stand there: 16000 for `16kHz` and 16000.0."""
    if isinstance(value, str):
        found = spelled(value)
        value = float(found) if found is not None else None
    if type(value) is float and value.is_integer() and value < 10**9:
        return int(value)
    return value if type(value) in (int, float) and value > 0 else None


def _kind(said: Mapping[str, Any], media: Any, shape: Any) -> str | None:
    """What a signal of this shape is read from; None for arrays."""
    known = [key for key in media if key in _KINDS] if isinstance(media, dict) else []
    if known:
        return str(known[0])
    axes = [*shape] if isinstance(shape, dict) else []
    rate, channels = said.get("rate", 0), shape.get("channel", 1) if axes else 1
    if {"height", "width", "time"} <= {*axes}:
        return "video"
    if len(said.keys() - {"rate"}) or axes[1:2] == ["frequency"]:
        return "mel"
    loud = rate >= _SLOWEST_SOUND and (type(channels) is not int or channels <= _EARS)
    return "audio" if loud and axes in ([], ["time", "channel"]) else None
