"""Hypothesis strategies for what specs are made of: inputs with their steps, positions, grids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

Data = dict[str, Any]

AXES = ("time", "height", "width", "depth")
ACTIVATIONS = ("gelu", "gelu_tanh", "relu", "silu", "sigmoid", "tanh")
SPACINGS = {"spacing", "wavelengths", "base"}
"""Each says that the waves of Fourier features are not spaced as usual."""
LONGEST = 5
"""The largest value of the symbol `length`, which the axis of a sequence may have for a size."""


SYMBOLS: Data = {
    "length": {"min": 2, "max": LONGEST},
    "even": {"min": 2, "max": 6, "multiple_of": 2},
    "steps": {"max": 3},
}
"""The symbols that specs may declare, with what they permit."""


@st.composite
def modalities(draw: st.DrawFn) -> Data:
    """An input: ids or numbers on up to three axes, with steps, positions and a mask."""
    axes = draw(st.lists(st.sampled_from(AXES), max_size=3, unique=True))
    patch = {axis: draw(st.integers(1, 3)) for axis in axes}
    shape = {axis: patch[axis] * draw(st.integers(1, 3)) for axis in axes}
    steps: list[Data] = []
    ids = draw(st.booleans()) and draw(st.booleans())
    if ids:
        embedding = {"vocabulary": draw(st.integers(1, 9)), "width": draw(st.integers(1, 5))}
        several = embedding | {"vocabulary": {"unit": draw(st.integers(1, 9)), "kind": 3}}
        kinds: list[Data] = [{"embedding": embedding}, {"one_hot": 4}, {"embedding": several}]
        steps.append(draw(st.sampled_from(kinds)))
        if steps[0] == {"embedding": several}:
            shape["channel"] = 2
    else:
        shape["channel"] = draw(st.integers(1, 3))
    patched, positioned = draw(st.booleans()), draw(st.booleans())
    if axes and patched:
        steps.append({"patch": patch})
    steps += draw(st.lists(channel_steps(), max_size=2))
    modality: Data = {"shape": shape, "steps": steps}
    if axes and positioned:
        modality["position"] = draw(st.one_of(positions(), positions(), coordinates()))
        close(draw, modality["position"], axes)
    elif draw(st.booleans()):
        modality["position"] = {"none": "set"}
    mask = draw(st.sampled_from([None, None, "always", "never", "optional"]))
    if mask:
        modality["mask"] = mask
    if mask != "always" and draw(st.booleans()) and draw(st.booleans()):
        modality["attention_mask"] = True
    return modality


@st.composite
def sequences(draw: st.DrawFn) -> Data:
    """An input whose length is known only at run time: tokens of a text, points, entities."""
    steps: list[Data] = []
    shape: Data = {"time": "length"}
    if draw(st.booleans()):
        steps.append({"embedding": {"vocabulary": 7, "width": draw(st.integers(1, 5))}})
    else:
        shape["channel"] = draw(st.integers(1, 3))
        if draw(st.booleans()):
            fourier: Data = {"bands": draw(st.integers(1, 3)), "max_resolution": 8}
            steps.append({"fourier": draw(spaced(fourier))})
    # Left out, it would have the smallest length, or that of another one: always given instead.
    sequence: Data = {"shape": shape, "steps": steps, "mask": "never"}
    if draw(st.booleans()) and draw(st.booleans()):
        sequence["position"] = draw(coordinates())
    elif draw(st.booleans()):
        learned = {"learned": {}} if draw(st.booleans()) else {"learned": {"width": 2}}
        combine = "concat" if "width" in learned["learned"] else "add"
        sequence["position"] = learned | {"combine": combine}
    if draw(st.booleans()):
        sequence["attention_mask"] = True
    return sequence


SIZES = ("length", "2 * length", "length + 1", "even", "3 * even / 2", "(even + 2) / 2", 1, 3)
"""Sizes of axes, of SYMBOLS that inputs have."""


@st.composite
def sized_modalities(draw: st.DrawFn) -> Data:
    """An input of one to three axes of any sizes, with windows and positions over them."""
    axes = draw(st.lists(st.sampled_from(AXES), min_size=1, max_size=3, unique=True))
    shape: Data = {axis: draw(st.sampled_from(SIZES)) for axis in axes}
    first = next(iter(shape))
    shape[first] = draw(st.sampled_from(["length", "even"]))  # which says what the symbol is
    shape |= {
        axis: 2 if "even" in str(size) and shape[first] != "even" else size
        for axis, size in shape.items()
        if axis != first
    }
    shape |= {
        axis: 2 if "length" in str(size) and shape[first] != "length" else size
        for axis, size in shape.items()
        if axis != first
    }
    shape["channel"] = draw(st.integers(1, 3))
    steps = draw(st.lists(windows(shape), max_size=1))
    if shape[first] == "even" and not steps and draw(st.booleans()):
        steps = [{"patch": {first: 2}}]
    steps += draw(st.lists(channel_steps(), max_size=1))
    modality: Data = {"shape": shape, "steps": steps, "mask": "never"}
    if draw(st.integers(0, 3)):
        modality["position"] = draw(sized_positions([a for a in shape if a != "channel"]))
    if draw(st.booleans()):
        modality["attention_mask"] = True
    return modality


@st.composite
def windows(draw: st.DrawFn, shape: Data) -> Data:
    """A convolution or a maximum over the last axes, which keeps an axis of any size in one piece."""
    axes = [axis for axis in shape if axis != "channel"]
    window = {axis: draw(st.integers(1, 2)) for axis in axes[-draw(st.integers(1, len(axes))) :]}
    if draw(st.booleans()):
        stride = {axis: draw(st.integers(1, 2)) for axis in window if shape[axis] == "even"}
        settings: Data = {"kernel": window, "stride": stride, "channels": draw(st.integers(1, 4))}
        kind = "conv"
    else:
        steps = {axis: 1 for axis in window if shape[axis] != "even"}
        settings, kind = {"window": window, "stride": steps}, "max_pool"
    return {kind: settings | {"padding": "same"}}


@st.composite
def sized_positions(draw: st.DrawFn, axes: list[str]) -> Data:
    """Positions over axes of any sizes: stretched, or counted to more than there can be."""
    longest = {axis: draw(st.integers(12, 14)) for axis in axes if draw(st.booleans())}
    kind = draw(st.sampled_from(["learned", "fourier", "fourier"]))
    settings: Data = {"width": draw(st.integers(1, 4))} if kind == "learned" else {"bands": 2}
    if longest:
        settings["of"] = longest
    if kind == "fourier" and draw(st.booleans()):
        settings["endpoint"] = draw(st.booleans())
    if kind == "fourier" and draw(st.booleans()):
        settings |= {"periodic": [axes[0]], "max_resolution": draw(st.integers(4, 8))}
        settings.pop("endpoint", None)
    return {kind: draw(spaced(settings)) if kind == "fourier" else settings}


@st.composite
def sized_grids(draw: st.DrawFn) -> Data:
    """A query of one to three axes, whose sizes no input need have."""
    axes = draw(st.lists(st.sampled_from(AXES), min_size=1, max_size=3, unique=True))
    grid = {
        axis: draw(st.sampled_from(["steps", "steps + 1", 2, "length", "even / 2"]))
        for axis in axes
    }
    return {"grid": grid, "position": draw(sized_positions(axes))}


def channel_steps() -> st.SearchStrategy[Data]:
    """Steps that work on any shape with channels."""
    return st.one_of(
        st.builds(lambda width: {"linear": width}, st.integers(1, 5)),
        st.sampled_from(ACTIVATIONS).map(lambda a: {"activation": a}),
        st.just({"batch_norm": {}}),
    )


@st.composite
def positions(draw: st.DrawFn) -> Data:
    """A position encoding, concatenated."""
    if draw(st.booleans()):
        position: Data = {"learned": {"width": draw(st.integers(1, 4))}}
    else:
        position = {"fourier": {"bands": draw(st.integers(1, 4))}}
        if draw(st.booleans()) and draw(st.booleans()):
            position["fourier"]["max_resolution"] = draw(st.sampled_from([2.5, 9]))
        if draw(st.booleans()):
            position["fourier"]["include_position"] = draw(st.booleans())
            position["fourier"]["sine_only"] = draw(st.booleans())
            position["fourier"]["endpoint"] = draw(st.booleans())
        position["fourier"] = draw(spaced(position["fourier"]))
    if draw(st.booleans()):
        position["project"] = draw(st.integers(1, 4))
    return position


@st.composite
def spaced(draw: st.DrawFn, fourier: Data) -> Data:
    """Fourier features as they are, mostly, or made of waves that are spaced in another way."""
    usual: Data = {}
    others: list[Data] = [
        {"spacing": "octaves"},
        {"spacing": "octaves", "pi": False},
        {"wavelengths": [0.3, 700]},
        {"base": 10000},
    ]
    waves: Data = draw(st.sampled_from([usual, usual, usual, *others]))
    unread = {"max_resolution"} if waves else set()
    if "wavelengths" in waves or "base" in waves:
        unread |= {"endpoint", "of", "periodic"}
    elif "pi" in waves:
        unread |= {"periodic"}
    order: Data = draw(st.sampled_from([usual, usual, {"order": "axes"}]))
    return {key: value for key, value in fourier.items() if key not in unread} | waves | order


@st.composite
def coordinates(draw: st.DrawFn, key: str = "given") -> Data:
    """A position made of coordinates that the caller gives, named or counted, under that key."""
    names = draw(st.sampled_from([["x"], ["x", "y"], ["longitude", "x", "y"]]))
    fourier: Data = {"bands": draw(st.integers(1, 3)), "max_resolution": 8}
    position: Data = {key: len(names), "fourier": fourier}
    if draw(st.booleans()):
        position[key] = names
        fourier["max_resolution"] = {name: draw(st.integers(6, 9)) for name in names}
        fourier["periodic"] = draw(st.sampled_from([[], names[:1], names]))
    if draw(st.booleans()):
        position["range"] = [-50, 70]
    if draw(st.booleans()):
        fourier["include_position"] = draw(st.booleans())
        fourier["sine_only"] = draw(st.booleans())
        position["project"] = draw(st.integers(1, 4))
    position["fourier"] = draw(spaced(fourier))
    return position


def close(draw: st.DrawFn, position: Data, axes: Sequence[str]) -> None:
    """Makes some axes of a grid periodic, which have enough whole frequencies for any bands here."""
    linear = "fourier" in position and not SPACINGS & position["fourier"].keys()
    if linear and "given" not in position and draw(st.booleans()):
        position["fourier"]["max_resolution"] = draw(st.sampled_from([8, 9.5]))
        position["fourier"]["periodic"] = list(axes[draw(st.integers(0, 1)) :])
        position["fourier"].pop("endpoint", None)
