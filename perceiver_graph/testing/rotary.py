"""Hypothesis strategies for rotary positions of a spec that is drawn already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

from hypothesis import strategies as st

from perceiver_graph.testing.inputs import Data

Positions = str | tuple[str, str] | None
"""What rows are turned by: the one that they have, one by its name, or two that share the pairs."""


def turn(draw: st.DrawFn, spec: Data) -> None:
    """Lets attention turn by positions, in one spec of two, wherever heads have pairs and rows lie
    somewhere; latents may lie anywhere."""
    if not draw(st.booleans()):
        return
    _without_features(draw, spec)
    names = names_of_tokens(spec)
    learned = "of" not in spec["latents"]
    if learned and len(spec["latents"].get("per", ())) < 2 and are_counted(spec):
        names = [name for name in names if name] or [""]  # the latents lie in a range
    of = draw(st.sampled_from(names if learned else [*names, *_two(names)]))
    parts: dict[str, list[Positions]] = {} if of == "" else {"encode": [of], "process": [of]}
    over = spec["process"].get("over")
    if learned:
        parts["process"] = [None, "anything"]
        per = [*spec["latents"].get("per", ())]
        if len(per) < 2:
            spec["latents"]["range"] = draw(st.sampled_from([[0, 1], [-3, 8.5]]))
        else:  # they lie along each of their axes, in a range or by their places, and nowhere else
            parts = {"process": [*per, *_two(per), *_two(per)]}
            over = over or "nothing"
            if draw(st.booleans()):
                each = {axis: draw(st.sampled_from([[0, 1], [-3, 8.5]])) for axis in per}
                spec["latents"]["range"] = draw(st.sampled_from([[2, 5], each]))
            else:
                parts["process"].append(None)
    if spec["process"].get("over"):
        parts["process"] = [None, over]
    if (
        not over
        and (of is None or learned)
        and all(_lies_somewhere(spec, output) for output in spec["outputs"].values())
    ):
        parts["decode"] = [None]
    for part, said in parts.items():
        if _pairs(spec[part]) and draw(st.sampled_from([True, True, False])):
            by = draw(st.sampled_from(said))
            if isinstance(by, tuple):
                spec[part]["qk_width"] = 4 * spec[part]["heads"]
            rotary = _settings(
                draw, spec[part], 1 if by is None or isinstance(by, str) else len(by)
            )
            if by:
                rotary["of"] = by if isinstance(by, str) else [*by]
            is_plain = not rotary and draw(st.booleans())
            spec[part]["rotary"] = True if is_plain else rotary


def _without_features(draw: st.DrawFn, spec: Data) -> None:
    """Lets given coordinates turn attention instead of being attached to tokens, some of them."""
    for one in spec["inputs"].values():
        position = one.get("position", {})
        if {"given", "inputs"} & position.keys() and draw(st.booleans()):
            keys = ("given", "inputs", "coordinates")
            one["position"] = {"rotary": {k: position[k] for k in keys if k in position}}


def are_counted(spec: Mapping[str, Any]) -> bool:
    """Whether tokens are turned by their numbers where nothing is said."""
    return not any("rotary" in one.get("position", {}) for one in spec["inputs"].values())


def names_of_tokens(spec: Mapping[str, Any]) -> list[str | None]:
    """What all tokens can be turned by: None where nothing has to be said, `""` where there is nothing."""
    inputs = {n: one for n, one in spec["inputs"].items() if n != "place"}
    written = [spec["inputs"][one["like"]] if "like" in one else one for one in inputs.values()]
    rotary = [one["position"]["rotary"] for one in written if "rotary" in one.get("position", {})]
    if not rotary:
        along = spec["encode"].get("over")
        axes = [
            {axis for axis in one["shape"] if axis != "channel" and along in (None, axis)}
            for one in written
        ]
        return [None, *sorted(set.intersection(*axes))]
    given = [one.get("given", one.get("coordinates")) for one in rotary]
    if len(rotary) < len(written):
        return [""]
    if all(one == given[0] for one in given) and isinstance(given[0], list):
        return [*given[0]] if len(given[0]) > 1 else [None, *given[0]]
    return [None] if all(_is_one(one) for one in given) else [""]


def _is_one(given: Any) -> bool:
    return given == 1 or (isinstance(given, list) and len(given) == 1)


def _lies_somewhere(spec: Mapping[str, Any], output: Mapping[str, Any]) -> bool:
    """Whether queries have places of which nothing has to be said."""
    query = output["query"]
    if isinstance(query, str) or {"mean", "latents"} & query.keys():
        return True
    if "output" in query:
        return _lies_somewhere(spec, spec["outputs"][query["output"]])
    if "points" in query:
        return _is_one(query["points"])
    if "inputs" not in query or len(spec["inputs"]) > 1:
        return False
    position = spec["inputs"][query["inputs"]].get("position", {})
    if "rotary" not in position:  # counted, which latents of a range are not
        return "range" not in spec["latents"]
    return _is_one(position["rotary"].get("given"))


def _two(names: Sequence[str | None]) -> list[tuple[str, str]]:
    """Two of several names, in both orders."""
    return [*permutations([name for name in names if name], 2)]


def _pairs(layers: Mapping[str, Any]) -> bool:
    return "qk_width" in layers and bool(layers["qk_width"] // layers["heads"] >= 2)


def _settings(draw: st.DrawFn, layers: Mapping[str, Any], positions: int) -> Data:
    """Settings for heads of one to three channels, or of a pair for each of several positions."""
    rotary: Data = {}
    head = layers["qk_width"] // layers["heads"]
    if positions == 1 and (head == 3 or draw(st.booleans())):
        rotary["fraction"] = 2 / max(head, 2)
    if draw(st.booleans()):
        rotary |= draw(st.sampled_from([{"base": 50}, {"wavelengths": [0.5, 20]}]))
    if draw(st.booleans()):
        rotary["pairs"] = draw(st.sampled_from(["interleaved", "halves"]))
    values = layers.get("v_width", layers["qk_width"]) // layers["heads"]
    if values >= 2 * positions and draw(st.booleans()):
        rotary["values"] = True
    return rotary
