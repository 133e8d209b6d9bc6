"""Hypothesis strategies for what becomes of latents: how many there are, and who reads them."""

from __future__ import annotations

from math import prod

from hypothesis import strategies as st

from perceiver_graph.testing.inputs import Data
from perceiver_graph.testing.places import PLACES
from perceiver_graph.testing.rotary import are_counted, names_of_tokens


def choose_tokens(draw: st.DrawFn, spec: Data) -> bool:
    """Now and then, tokens of the first input that the caller chooses are the latents."""
    name, first = next((name, one) for name, one in spec["inputs"].items() if name != "place")
    if first.get("mask") == "always" or draw(st.booleans()):
        return False
    spec["latents"] = {"of": name, "chosen": draw(st.integers(1, _tokens(first)))}
    if not draw(st.integers(0, 3)):
        spec["encode"] = {"cross_attends": 0}
    return True


def _tokens(one: Data) -> int:
    """How many tokens an input has at a place, 3 at most; 1 where that is not plain to see."""
    along = [size for axis, size in one["shape"].items() if axis == "level"]
    axes = along or [
        size for axis, size in one["shape"].items() if axis not in ("channel", *PLACES)
    ]
    cut = any({"patch", "conv", "max_pool"} & step.keys() for step in one["steps"])
    if cut or any(isinstance(size, str) for size in axes):
        return 1
    return min(3, int(prod(axes)))


def count_latents(draw: st.DrawFn, spec: Data) -> None:
    """Now and then as many latents as an axis of an input is long, where that is known at run time."""
    sizes = [size for one in spec["inputs"].values() for size in one.get("shape", {}).values()]
    symbols = sorted({size for size in sizes if size in spec.get("dims", {})})
    fixed = "of" in spec["latents"] or "range" in spec["latents"] or spec["process"].get("joined")
    if symbols and not fixed and draw(st.booleans()):
        symbol = draw(st.sampled_from(symbols))
        spec["latents"]["count"] = draw(st.sampled_from([symbol, f"2 * {symbol}"]))


def read_back(draw: st.DrawFn, spec: Data) -> None:
    """In some of the specs in which inputs are read several times, they read the latents back."""
    encode, tokens = spec["encode"], [name for name in spec["inputs"] if name != "place"]
    several = encode.get("cross_attends", 1) > 1 and "of" not in spec["latents"]
    told_apart = len(tokens) == 1 or "dims" not in spec
    # Tokens that read are turned as `decode` says, which names no coordinate here.
    lie = None in names_of_tokens(spec) and not ("range" in spec["latents"] and are_counted(spec))
    turned = "rotary" not in spec["decode"] or lie
    if several and told_apart and turned and "over" not in spec["process"] and draw(st.booleans()):
        encode["induced"] = True
        spec.pop("bottleneck", None)
        spec["outputs"] = {n: o for n, o in spec["outputs"].items() if o["query"] != "bottleneck"}
