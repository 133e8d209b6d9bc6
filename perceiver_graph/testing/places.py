"""Hypothesis strategies for specs that read along one axis: inputs that lie at the same places."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from perceiver_graph.testing.inputs import (
    Data,
    channel_steps,
    close,
    coordinates,
    positions,
    sized_positions,
)

LEVEL = "level"
"""The axis that is read along."""
PLACES = ("row", "column")
_SIZES: tuple[str | int, ...] = ("length", "even", 1, 3)


@st.composite
def placed(draw: st.DrawFn, names: list[str], *, sized: bool = False) -> Data:
    """Inputs that have `level` and the same other axes; `sized`, of sizes that may be symbols."""
    kinds: st.SearchStrategy[Any] = st.sampled_from(_SIZES) if sized else st.integers(1, 3)
    axes = draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=2, unique=True))
    sizes: Data = {axis: draw(kinds) for axis in axes}
    level = draw(kinds)
    found = {name: draw(_modality(sizes, level, sized)) for name in names}
    if draw(st.booleans()) and draw(st.booleans()):  # one token at each place
        last = found[names[-1]]
        if len(names) > 1 and "position" not in last:
            del last["shape"][LEVEL]
    return found


@st.composite
def _modality(draw: st.DrawFn, places: Data, level: Any, sized: bool) -> Data:
    """An input with its places in their order and `level` anywhere among them, or without it."""
    axes = list(places)
    axes.insert(draw(st.integers(0, len(axes))), LEVEL)
    shape: Data = {axis: level if axis == LEVEL else places[axis] for axis in axes}
    shape["channel"] = draw(st.integers(1, 3))
    modality: Data = {"shape": shape, "steps": draw(st.lists(channel_steps(), max_size=1))}
    if draw(st.booleans()):
        position = sized_positions([LEVEL]) if sized else positions()
        modality["position"] = draw(st.one_of(position, position, coordinates()))
        if not sized:
            close(draw, modality["position"], [LEVEL])
    if sized:  # left out, it would have the smallest sizes, or those of another one
        modality["mask"] = "never"
    elif draw(st.booleans()):
        modality["mask"] = draw(st.sampled_from(["never", "optional"]))
    if draw(st.booleans()):
        modality["attention_mask"] = True
    return modality


@st.composite
def over(draw: st.DrawFn, spec: Data) -> None:
    """Has a spec of such inputs read along `level`, and maybe its latents over one of the places."""
    spec["encode"]["over"] = LEVEL
    first = next(iter(spec["inputs"].values()))["shape"]
    places = [axis for axis in first if axis in PLACES]
    if draw(st.booleans()):
        process = spec["process"]
        process["layers"] = max(process["layers"], 1)
        joined = "of" not in spec["latents"] and draw(st.booleans())  # tokens may be masked
        process |= {"over": draw(st.sampled_from(places)), "joined": joined}
        if draw(st.booleans()):
            process["within"] = {"layers": 1, "heads": 1, "mlp": draw(st.booleans())}
