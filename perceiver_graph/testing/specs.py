"""Hypothesis strategies for random valid specs, small enough to run.

Use them to property-test what you build on specs: `@given(specs())` draws plain data as a YAML file
would hold it; `render` turns it into text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from perceiver_graph.spec.arithmetic import words
from perceiver_graph.spec.render import render_yaml
from perceiver_graph.testing.inputs import (
    ACTIVATIONS,
    AXES,
    SYMBOLS,
    Data,
    close,
    coordinates,
    modalities,
    positions,
    sequences,
    sized_grids,
    sized_modalities,
)
from perceiver_graph.testing.latents import choose_tokens, count_latents, read_back
from perceiver_graph.testing.places import over, placed
from perceiver_graph.testing.points import ask_with
from perceiver_graph.testing.rotary import turn
from perceiver_graph.testing.styles import drop_idle, norms_apart, styles

NAMES = ("audio", "image", "lidar", "touch", "label", "forward", "train", "class", "x1")


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
    queries = [output["query"] for output in data["outputs"].values()]
    sizes += [query.get("grid", {}) for query in queries if isinstance(query, dict)]
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
    along = not draw(st.integers(0, 4))
    inputs = (
        draw(placed(names, sized=sized)) if along else {n: draw(st.one_of(kinds)) for n in names}
    )
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
        "latents": draw(latents(latent_width)),
        "encode": draw(encoders(heads, blocks)),
        "process": draw(processes(heads, blocks)),
        "decode": draw(decoders(heads)),
        "outputs": draw(outputs(inputs)),
    }
    if draw(st.booleans()) and draw(st.booleans()):
        _tokens_as_latents(draw, spec)
    if layers := draw(styles(heads)):
        spec["layers"] = layers
    if along:
        draw(over(spec))
    drop_idle(spec)
    _add_bottleneck(draw, spec)
    if sized:
        for output in spec["outputs"].values():
            if "grid" in output["query"]:
                output["query"] = draw(sized_grids())
    if used := {word: SYMBOLS[word] for word in _words(spec) if word in SYMBOLS}:
        spec["dims"] = used
    if draw(st.booleans()):
        spec["decode"]["project"] = draw(st.integers(1, 6))
    turn(draw, spec)
    ask_with(draw, spec)
    read_back(draw, spec)
    count_latents(draw, spec)
    return spec


def _add_bottleneck(draw: st.DrawFn, spec: Data) -> None:
    """In some of the specs in which the inputs are read once, a bottleneck, perhaps asked for."""
    several = spec["encode"].get("cross_attends", 1) != 1 or "over" in spec["process"]
    if several or draw(st.booleans()) or draw(st.booleans()):
        return
    spec["bottleneck"] = {"variational": draw(st.integers(1, 3))}
    _add_norm(draw, spec["bottleneck"])
    if draw(st.booleans()):
        spec["outputs"]["moments"] = {"query": "bottleneck"}


def _tokens_as_latents(draw: st.DrawFn, spec: Data) -> None:
    """The last token of all is the latent, which may read in order, or nothing; or some of the first
    input are, which the caller chooses."""
    if choose_tokens(draw, spec):
        return
    last = [name for name in spec["inputs"] if name != "place"][-1]
    spec["latents"] = {"of": last, "last": 1}
    for part in ("encode", "process"):
        if draw(st.booleans()):
            spec[part]["causal"] = True
    if draw(st.booleans()):
        spec["encode"] = {"cross_attends": 0}


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
def latents(draw: st.DrawFn, width: int) -> Data:
    """Learned latents, now and then at each place of an axis, or of two."""
    settings: Data = {"count": draw(st.integers(1, 5)), "width": width}
    if not draw(st.integers(0, 4)):
        settings["per"] = {"hour": draw(st.integers(1, 3))}
        if draw(st.booleans()):
            settings["per"]["minute"] = draw(st.integers(1, 2))
    return settings


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
        settings["activation"] = draw(st.sampled_from(["gelu", "gelu_tanh", "relu", "silu"]))
    settings |= draw(styles(heads))
    if "hidden" in settings:
        del settings["widening"]
    return settings


@st.composite
def encoders(draw: st.DrawFn, heads: int, blocks: int) -> Data:
    """One cross-attend or as many as there are blocks."""
    settings = draw(_attention(heads))
    settings["query_residual"] = draw(st.booleans())
    settings |= draw(norms_apart(settings))
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
    settings |= draw(norms_apart(settings))
    settings["padding"] = {"min": draw(st.integers(0, 2))}
    settings["chunks"] = draw(st.integers(1, 3))
    return settings


@st.composite
def outputs(draw: st.DrawFn, inputs: Mapping[str, Data]) -> Data:
    """One to three outputs with queries of every kind."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    found: Data = {name: draw(_output(inputs)) for name in names}
    last = found[names[-1]]
    taken = any(word in found[names[0]]["query"] for word in ("mean", "latents"))
    if len(names) > 1 and not taken and draw(st.booleans()):
        last["query"] = {"output": names[0]}
        last.pop("query_mask", None)
    return found


@st.composite
def _output(draw: st.DrawFn, inputs: Mapping[str, Data]) -> Data:
    kinds = ["grid", "learned", "inputs", "inputs", "points", "mean", "latents"]
    kind = draw(st.sampled_from(kinds))
    query: Data = {}
    if kind == "mean":
        query = {"mean": "latents"}
    elif kind == "latents":
        query = {"latents": "all"}
    elif kind == "grid":
        axes = draw(st.lists(st.sampled_from(AXES), min_size=1, max_size=3, unique=True))
        query = {"grid": {axis: draw(st.integers(1, 3)) for axis in axes}}
        query["position"] = draw(positions())
        close(draw, query["position"], axes)
    elif kind == "points":
        position = draw(coordinates("points"))
        query = {"points": position.pop("points"), "position": position}
    elif kind == "learned":
        query = {"learned": {"count": draw(st.integers(1, 4)), "width": draw(st.integers(1, 4))}}
    else:
        query = {
            "inputs": draw(st.sampled_from(sorted(name for name in inputs if name != "place")))
        }
    is_word = kind == "latents" and draw(st.booleans())
    output: Data = {"query": kind if is_word else query}
    source = inputs.get(query.get("inputs", ""), {})
    axes = [axis for axis in source.get("shape", ()) if axis != "channel"]
    if axes and source.get("attention_mask") and draw(st.booleans()):
        output["query_mask"] = query["inputs"]
    _add_norm(draw, output)
    if draw(st.sampled_from([True, True, False])):
        output["head"] = draw(_heads())
    return output


@st.composite
def _heads(draw: st.DrawFn) -> Data:
    """A linear map or two, and what may be done with the result."""
    head: Data = {"linear": draw(st.integers(1, 4))}
    if draw(st.booleans()):
        head = {"mlp": {"hidden": draw(st.integers(1, 4)), "channels": 2}}
        head["mlp"]["bias"] = draw(st.booleans())
    _add_norm(draw, head)
    if draw(st.booleans()):
        head["activation"] = draw(st.sampled_from(ACTIVATIONS))
    if draw(st.booleans()):
        head["scale"] = draw(st.sampled_from([0.5, 2.0]))
    return head


def _add_norm(draw: st.DrawFn, place: Data) -> None:
    """Of an answer or of what a head makes of it, one in four."""
    if draw(st.booleans()) and draw(st.booleans()):
        place["norm"] = draw(st.sampled_from(["layer_norm", "rms_norm"]))
        # Of a channel or two, a norm makes much of the last bits.
        place["norm_epsilon"] = draw(st.sampled_from([0.1, 0.5]))
