"""Hypothesis strategies for the style of layers, and what of it is left out where it says nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from perceiver_graph.testing.inputs import Data

_OF_THE_MLP = ("widening", "hidden", "activation", "gated", "mlp_norm", "hidden_norm")


@st.composite
def styles(draw: st.DrawFn, heads: int) -> Data:
    """What layers say that is not as in the paper: a few of the settings, or none."""
    norms = ["layer_norm", "rms_norm", "none"]
    flags = st.fixed_dictionaries({key: st.booleans() for key in ("qkv", "output", "mlp")})
    settings: dict[str, st.SearchStrategy[Any]] = {
        "norm": st.sampled_from(norms),
        "norm_at": st.sampled_from(["before", "after"]),
        "mlp_norm": st.sampled_from(norms),
        "hidden_norm": st.sampled_from(norms),
        "qk_norm": st.sampled_from(norms),
        "key_heads": st.sampled_from([n for n in (1, 2, 4) if heads % n == 0]),
        "scale": st.sampled_from([0.25, 1.5]),
        "bias": st.booleans() | flags,
        "mapped_twice": st.booleans(),
        "mlp": st.booleans(),
        "hidden": st.integers(1, 5),
        "gated": st.booleans(),
        "dropout": st.sampled_from([0.0, 0.5]),
    }
    names = draw(st.lists(st.sampled_from(list(settings)), max_size=4, unique=True))
    if not draw(st.booleans()):
        return {}
    style = {name: draw(settings[name]) for name in names}
    if {"qk_norm", "hidden_norm"} & style.keys():
        style["norm_epsilon"] = 0.1  # of a channel or two, a norm makes much of the last bits
    return style


@st.composite
def norms_apart(draw: st.DrawFn, settings: Data) -> Data:
    """Other norms for what reads and for values, in some of the layers with norms before them."""
    if settings.get("norm_at") != "before" or settings.get("shared_norm") or draw(st.booleans()):
        return {}  # `layers` may say that they stand after them
    return {"query_norm": draw(st.sampled_from(["none", "rms_norm"])), "value_norm": "layer_norm"}


def drop_idle(spec: Data) -> None:
    """Takes out of a spec what is said of an MLP or of norms where there are none."""
    common: Data = spec.get("layers", {})
    parts = [spec[part] for part in ("encode", "process", "decode")]
    parts += [process["within"] for process in parts if "within" in process]
    idle = [_idle({**common, **own}) for own in parts]
    for own, keys in zip(parts, idle, strict=True):
        _drop(own, keys)
    _drop(common, set.intersection(*idle))


def _idle(style: Mapping[str, Any]) -> set[str]:
    has_mlp = style.get("mlp", True)
    norms = {style.get("norm", "layer_norm"), style.get("query_norm", "none")}
    within = {style.get("qk_norm", "none"), style.get("value_norm", "none")}
    if has_mlp:
        norms.add(style.get("mlp_norm", "none"))
        within.add(style.get("hidden_norm", "none"))
    found = set() if has_mlp else {*_OF_THE_MLP, "bias.mlp"}
    found |= {"norm_at"} if norms == {"none"} else set()
    return found | ({"norm_epsilon"} if norms | within == {"none"} else set())


def _drop(said: Data, keys: set[str]) -> None:
    for key in keys & said.keys():
        del said[key]
    if "bias.mlp" in keys and isinstance(said.get("bias"), dict):
        said["bias"] = {key: value for key, value in said["bias"].items() if key != "mlp"}
