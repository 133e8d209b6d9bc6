"""What others call the inputs of a model, and which of this model's are meant."""

from __future__ import annotations

from collections.abc import Iterator

from perceiver_graph.diagnostics.text import quote
from perceiver_graph.diagnostics.words import joined
from perceiver_graph.spec.manifest import InputEntry, Manifest

_IDS = "input_ids token_ids tokens ids"
_SEGMENTS = "token_type_ids segment_ids"
_POSITIONS = "position_ids positions pos_ids"
_MASKS = "attention_mask mask padding_mask key_padding_mask pixel_mask"
_LABELS = "labels label target targets y return_dict output_attentions output_hidden_states"
_ANY = "x input data inputs array"
_OF_MEDIA = {
    "pixel_values pixels images image img": ("image",),
    "pixel_values_videos videos video frames": ("video", "clip", "flow"),
    "input_features input_values waveform audio sound": ("audio", "mel", "spectrogram"),
}


def called_otherwise(manifest: Manifest, name: str) -> str | None:
    """Which input is meant by a name that others have for one; None of a name that is none of theirs."""
    usable = {n: one for n, one in manifest.inputs.items() if one.mask != "always"}
    if name in _MASKS.split():
        return _masks(usable)
    if name in _SEGMENTS.split():
        return _segments(usable)
    if name in _POSITIONS.split():
        given = [other for one in usable for other in usable if one in usable[other].beside]
        return _named(given) or "positions are the model's own: leave them out"
    if name in _LABELS.split() and name not in manifest.outputs:
        return "a model takes inputs alone: leave it out"
    return _named([*_meant(name, usable)])


def _meant(name: str, usable: dict[str, InputEntry]) -> Iterator[str]:
    if name in _IDS.split():
        yield from (n for n, one in usable.items() if one.dtype == "int64" and one.among is None)
    elif name in _ANY.split() and len(usable) == 1:
        yield from usable
    for names, keys in _OF_MEDIA.items():
        if name in names.split():
            read = {n: one.media.key for n, one in usable.items() if one.media}
            found = [n for n, key in read.items() if key in keys]
            seen = [n for n, one in usable.items() if {"height", "width"} <= {*one.axes}]
            yield from found or (seen if "image" in keys else ())


def _named(found: list[str]) -> str | None:
    return f"here it is called {joined(map(quote, found), 'or')}" if found else None


def _segments(usable: dict[str, InputEntry]) -> str:
    """Segments are ids of a vocabulary of their own, behind those of the words."""
    for name, entry in usable.items():
        if len(entry.vocabularies or ()) == 2:
            stack = "numpy.stack([INPUT_IDS, TOKEN_TYPE_IDS], axis=-1)"
            return f"they are the second channel of {quote(name)}: {stack}"
    return "the model knows no segments: leave them out"


def _masks(usable: dict[str, InputEntry]) -> str:
    masks = [f"{name}.attention_mask" for name, entry in usable.items() if entry.attention_mask]
    if not masks:
        return "no input takes a mask: what is not there is left out of the array"
    return f"it is among the inputs, as {joined(map(quote, masks), 'or')}"
