"""Hypothesis strategies for random valid specs, small enough to run.

Use them to property-test what you build on specs: `@given(specs())` draws plain data as a YAML file
would hold it; `render` turns it into text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from perceiver_graph.spec.arithmetic import words
from perceiver_graph.spec.render import render_yaml

Data = dict[str, Any]

NAMES = ("audio", "image", "lidar", "touch", "label", "forward", "train", "class", "x1")
AXES = ("time", "height", "width", "depth")
ACTIVATIONS = ("gelu", "gelu_tanh", "relu", "silu", "sigmoid", "tanh")
LONGEST = 5
"""The largest value of the symbol `length`, which the axis of a sequence may have for a size."""


SYMBOLS: Data = {
    "length": {"min": 2, "max": LONGEST},
    "even": {"min": 2, "max": 6, "multiple_of": 2},
    "steps": {"max": 3},
}
"""The symbols that specs may declare, with what they permit."""


def symbol_sizes(data: Mapping[str, Any]) -> st.SearchStrategy[dict[str, int]]:
    """A size for each symbol that a drawn spec declares."""
    permitted = {}
    for name, declared in data.get("dims", {}).items():
        low, step = declared.get("min", 1), declared.get("multiple_of", 1)
        permitted[name] = st.sampled_from(range(-(-low // step) * step, declared["max"] + 1, step))
    return st.fixed_dictionaries(permitted)


def _words(data: Any) -> list[str]:
    """The symbols in the sizes of a spec."""
    sizes = [m.get("shape", {}) for m in data["inputs"].values()]
    sizes += [o["query"].get("grid", {}) for o in data["outputs"].values()]
    texts = [text for part in sizes for text in part.values() if isinstance(text, str)]
    return list(dict.fromkeys(word for text in texts for word in words(text)))


def render(data: Mapping[str, Any]) -> str:
    """The YAML text of drawn data."""
    return render_yaml(data)


@st.composite
def specs(
    draw: st.DrawFn, *, max_inputs: int = 3, symbolic: bool = False, sized: bool = False
) -> Data:
    """A valid spec: one to three inputs of any kind, any widths and heads, one to three outputs.

    With `symbolic`, some inputs have an axis whose size is the symbol `length`, 2 to LONGEST. With
    `sized`, axes of inputs and grids are made of any of SYMBOLS, of sums and products of them too.
    """
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=max_inputs, unique=True))
    kinds = [modalities(), modalities(), sequences()] if symbolic else [modalities()]
    kinds = [modalities(), sized_modalities(), sized_modalities()] if sized else kinds
    inputs = {name: draw(st.one_of(kinds)) for name in names}
    if all(spec.get("mask") == "always" for spec in inputs.values()):
        del inputs[names[0]]["mask"]
    _separate_position(draw, inputs)
    if draw(st.booleans()) and draw(st.booleans()):
        inputs["twin"] = {"like": draw(st.sampled_from([n for n in inputs if n != "place"]))}
        first = inputs[inputs["twin"]["like"]]
        fixed = "attention_mask" in first or any(
            isinstance(s, str) for s in first["shape"].values()
        )
        if not fixed and draw(st.booleans()):
            inputs["twin"]["mask"] = draw(st.sampled_from(["never", "optional"]))
    heads = draw(st.sampled_from([1, 2, 4]))
    blocks = draw(st.integers(1, 2))
    latent_width = heads * draw(st.integers(1, 4))
    spec: Data = {
        "perceiver": 1,
        "name": "random",
        "dialect": draw(st.sampled_from(["huggingface", "deepmind"])),
        "inputs": inputs,
        "join": {"padding": {"min": draw(st.integers(0, 3))}},
        "latents": {"count": draw(st.integers(1, 5)), "width": latent_width},
        "encode": draw(encoders(heads, blocks)),
        "process": draw(processes(heads, blocks)),
        "decode": draw(decoders(heads)),
        "outputs": draw(outputs(inputs)),
    }
    if sized:
        for output in spec["outputs"].values():
            if "grid" in output["query"]:
                output["query"] = draw(sized_grids())
    if used := {word: SYMBOLS[word] for word in _words(spec) if word in SYMBOLS}:
        spec["dims"] = used
    if draw(st.booleans()):
        spec["decode"]["project"] = draw(st.integers(1, 6))
    return spec


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
        steps.append(draw(st.sampled_from([{"embedding": embedding}, {"one_hot": 4}])))
    else:
        shape["channel"] = draw(st.integers(1, 3))
    patched, positioned = draw(st.booleans()), draw(st.booleans())
    if axes and patched:
        steps.append({"patch": patch})
    steps += draw(st.lists(channel_steps(), max_size=2))
    modality: Data = {"shape": shape, "steps": steps}
    if axes and positioned:
        modality["position"] = draw(st.one_of(positions(), positions(), coordinates()))
        _close(draw, modality["position"], axes)
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
            steps.append({"fourier": {"bands": draw(st.integers(1, 3)), "max_resolution": 8}})
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
    return {kind: settings}


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
    if draw(st.booleans()):
        position["project"] = draw(st.integers(1, 4))
    return position


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
    return position


def _close(draw: st.DrawFn, position: Data, axes: Sequence[str]) -> None:
    """Makes some axes of a grid periodic, which have enough whole frequencies for any bands here."""
    if "fourier" in position and "given" not in position and draw(st.booleans()):
        position["fourier"]["max_resolution"] = draw(st.sampled_from([8, 9.5]))
        position["fourier"]["periodic"] = list(axes[draw(st.integers(0, 1)) :])
        position["fourier"].pop("endpoint", None)


def _separate_position(draw: st.DrawFn, inputs: Data) -> None:
    """Lets an input of its own hold the coordinates that come with another one."""
    given = [name for name, one in inputs.items() if "given" in one.get("position", {})]
    if not given or draw(st.booleans()):
        return
    modality = inputs[given[0]]
    position = modality["position"]
    patches = [step["patch"] for step in modality["steps"] if "patch" in step]
    sizes = {axis: size for axis, size in modality["shape"].items() if axis != "channel"}
    for patch in patches:
        sizes = {axis: size // patch[axis] for axis, size in sizes.items()}
    names = position.pop("given")
    if isinstance(names, list):
        position["coordinates"] = names
    position["inputs"] = "place"
    channels = len(names) if isinstance(names, list) else names
    inputs["place"] = {"shape": {**sizes, "channel": channels}}


@st.composite
def _attention(draw: st.DrawFn, heads: int) -> Data:
    """Widths that the heads divide, and the other settings of an attention."""
    settings: Data = {
        "heads": heads,
        "qk_width": heads * draw(st.integers(1, 3)),
        "widening": draw(st.integers(1, 2)),
    }
    if draw(st.booleans()):
        settings["v_width"] = heads * draw(st.integers(1, 3))
    if draw(st.booleans()):
        settings["activation"] = draw(st.sampled_from(["gelu", "gelu_tanh", "relu"]))
    return settings


@st.composite
def encoders(draw: st.DrawFn, heads: int, blocks: int) -> Data:
    """One cross-attend or as many as there are blocks."""
    settings = draw(_attention(heads))
    settings["query_residual"] = draw(st.booleans())
    settings["cross_attends"] = draw(st.integers(1, blocks))
    settings["share"] = draw(st.sampled_from(["none", "all", "all_but_first"]))
    return settings


@st.composite
def processes(draw: st.DrawFn, heads: int, blocks: int) -> Data:
    """Blocks of self-attention, sharing weights or not."""
    settings = draw(_attention(heads))
    return settings | {
        "blocks": blocks,
        "layers": draw(st.integers(0, 2)),
        "share": draw(st.booleans()),
    }


@st.composite
def decoders(draw: st.DrawFn, heads: int) -> Data:
    """A decoder with padding, so that any queries fit together."""
    settings = draw(_attention(heads))
    settings["query_residual"] = draw(st.booleans())
    settings["padding"] = {"min": draw(st.integers(0, 2))}
    settings["chunks"] = draw(st.integers(1, 3))
    return settings


@st.composite
def outputs(draw: st.DrawFn, inputs: Mapping[str, Data]) -> Data:
    """One to three outputs with queries of every kind."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    found: Data = {name: draw(_output(inputs)) for name in names}
    last = found[names[-1]]
    if len(names) > 1 and "mean" not in found[names[0]]["query"] and draw(st.booleans()):
        last["query"] = {"output": names[0]}
        last.pop("query_mask", None)
    return found


@st.composite
def _output(draw: st.DrawFn, inputs: Mapping[str, Data]) -> Data:
    kind = draw(st.sampled_from(["grid", "learned", "inputs", "inputs", "points", "mean"]))
    query: Data
    if kind == "mean":
        query = {"mean": "latents"}
    elif kind == "grid":
        axes = draw(st.lists(st.sampled_from(AXES), min_size=1, max_size=3, unique=True))
        query = {"grid": {axis: draw(st.integers(1, 3)) for axis in axes}}
        query["position"] = draw(positions())
        _close(draw, query["position"], axes)
    elif kind == "points":
        position = draw(coordinates("points"))
        query = {"points": position.pop("points"), "position": position}
    elif kind == "learned":
        query = {"learned": {"count": draw(st.integers(1, 4)), "width": draw(st.integers(1, 4))}}
    else:
        query = {
            "inputs": draw(st.sampled_from(sorted(name for name in inputs if name != "place")))
        }
    output: Data = {"query": query}
    source = inputs.get(query.get("inputs", ""), {})
    axes = [axis for axis in source.get("shape", ()) if axis != "channel"]
    if axes and source.get("attention_mask") and draw(st.booleans()):
        output["query_mask"] = query["inputs"]
    head = draw(st.sampled_from(["none", "linear", "mlp"]))
    if head == "linear":
        output["head"] = {"linear": draw(st.integers(1, 4))}
    elif head == "mlp":
        output["head"] = {"mlp": {"hidden": draw(st.integers(1, 4)), "channels": 2}}
    if head != "none" and draw(st.booleans()):
        output["head"]["activation"] = draw(st.sampled_from(ACTIVATIONS))
    if head != "none" and draw(st.booleans()):
        output["head"]["scale"] = draw(st.sampled_from([0.5, 2.0]))
    return output
