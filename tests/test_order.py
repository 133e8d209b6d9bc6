"""Inputs whose order nothing tells are told (PG224), and those that cannot be told apart (PG225), with a
line that mends it; all others are not."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import perceiver_graph as pg
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.spec.loader import load_spec, parse_spec, shipped_names

SPEC = """\
perceiver: 1
name: reader
inputs:
  text:
    shape: {byte: 12}
    steps: [{embedding: {vocabulary: 262, width: 16}}]
    media: {text: {}}
latents: {count: 4, width: 16}
process: {layers: 1, heads: 2}
outputs: {label: {query: {learned: {}}, head: {linear: 5}}}
"""
POSITION = ("    media:", "    position: {learned: {}, combine: add}\n    media:")
LAST = [
    (
        "latents: {count: 4, width: 16}",
        "latents: {of: text, last: 4}\nencode: {heads: 2, causal: true}",
    ),
    ("layers: 1, heads: 2", "layers: 1, heads: 2, causal: true"),
]
OTHER = """\
perceiver: 1
name: sensors
dims: {length: {max: 800}, endless: {}}
inputs: INPUTS
latents: {count: 4, width: 16}
encode: {heads: HEADS}
process: {layers: 1, heads: 2}
outputs: {label: {query: {learned: {}}, head: {linear: 5}}}
"""


def other(inputs: str, heads: int = 1) -> str:
    return OTHER.replace("INPUTS", inputs).replace("HEADS", str(heads))


def replaced(*pairs: tuple[str, str]) -> str:
    text = SPEC
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


def told(text: str) -> list[str]:
    return [one.code for one in lower(parse_spec(text)).warnings]


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ([], ["PG224"]),
        ([POSITION], []),
        ([("width: 16}}]", "width: 16}}, {linear: 16}]")], ["PG224"]),
        ([("width: 16}}]", "width: 16}}, {patch: {byte: 3}}]")], ["PG224"]),
        ([("width: 16}}]", "width: 16}}, {patch: {byte: 12}}]")], []),
        ([("    media:", "    position: none\n    media:")], []),
        (LAST, []),
        (
            [
                (
                    "latents: {count",
                    "encode: {heads: 2, rotary: {of: byte}}\nlatents: {range: [0, 12], count",
                )
            ],
            [],
        ),
        ([("    media: {text: {}}\n", "")], ["PG224"]),
    ],
)
def test_of_which_texts_it_is_told(changes: list[tuple[str, str]], wanted: list[str]) -> None:
    assert told(replaced(*changes)) == wanted


@pytest.mark.parametrize(
    ("one", "wanted"),
    [
        ("{shape: {joint: 7, channel: 1}}", True),
        ("{shape: {channel: 7}}", False),
        ("{shape: {joint: 1, channel: 7}}", False),
        ("{shape: {time: 500, channel: 3}, steps: [{linear: 64}]}", True),
        ("{shape: {time: length, channel: 3}}", True),
        ("{shape: {height: 8, width: 8, channel: 3}}", True),
        ("{shape: {height: 8, width: 8, channel: 3}, steps: [{patch: {height: 4}}]}", True),
        ("{shape: {height: 8, width: 8, channel: 3}, position: {fourier: {bands: 4}}}", False),
        ("{shape: {event: 9, channel: 3}, position: {fourier: {bands: 4}, given: 1}}", True),
        ("{shape: {point: 40, channel: 3}}", False),
        ("{shape: {point: 40, channel: 1}}", True),
        (
            "{shape: {hit: 40, channel: 3}, steps: [{fourier: {bands: 4, max_resolution: 9}}]}",
            False,
        ),
        ("{shape: {hit: 40, channel: 3}, media: {points: {}}}", False),
        ("{shape: {hit: 40, channel: 3}, position: none}", False),
    ],
)
def test_of_which_others_it_is_told(one: str, wanted: bool) -> None:
    if "given" in one:
        one, wanted = one.replace("bands: 4", "bands: 4, max_resolution: 9"), False
    assert told(other(f"{{a: {one}}}")) == ["PG224"] * wanted


@pytest.mark.parametrize("name", shipped_names())
def test_no_shipped_system_reads_a_bag_of_tokens(name: str) -> None:
    assert not {"PG224", "PG225"} & {*told(load_spec(name).source.text)}


def answers(text: str, *calls: dict[str, np.ndarray]) -> list[np.ndarray]:
    """What a model with large weights says of each call."""
    model, rng = pg.compile(text), np.random.default_rng(5)
    weights = {
        name: np.asarray(rng.standard_normal(array.shape))
        for name, array in model.weights(seed=3).items()
    }
    there = {
        leaf.value.name: np.ones(1, bool) for leaf in model.graph.inputs if leaf.role == "present"
    }
    return [np.asarray(evaluate(model.graph, one | there, weights)["label"]) for one in calls]


def test_what_is_told_is_so() -> None:
    """In any order, the same; with the position that is advised, not."""
    ids = np.random.default_rng(3).integers(6, 262, (1, 12))
    for changes, same in (([], True), ([POSITION], False)):
        one, turned = answers(replaced(*changes), {"text": ids}, {"text": ids[:, ::-1]})
        assert np.allclose(one, turned) == same


SIZES = st.sampled_from([2, 7, 12, 64, 65, 500, "length", "endless"])


@given(
    sizes=st.lists(SIZES, min_size=1, max_size=2),
    channels=st.sampled_from([None, 1, 3, 16, 64]),
    heads=st.sampled_from([1, 4, 8]),
    mapped=st.booleans(),
)
def test_advice_to_tell_tokens_apart_is_right(
    sizes: list[int | str], channels: int | None, heads: int, mapped: bool
) -> None:
    """Whatever the axes, and with or without channels: followed, nothing is left to say."""
    axes = dict(zip(("height", "width"), sizes, strict=False))
    if channels is not None:
        axes["channel"] = channels
    shape = ", ".join(f"{name}: {size}" for name, size in axes.items())
    if channels is not None and not mapped and channels % heads:
        mapped = True
    steps = ", steps: [{linear: 64}]" if mapped else ""
    try:
        found = lower(parse_spec(other(f"{{a: {{shape: {{{shape}}}{steps}}}}}", heads))).warnings
    except DiagnosticError as error:
        found = error.diagnostics
    (help,) = [str(one.help) for one in found if one.code in ("PG206", "PG224")]
    position = re.search("`position: (.*?)`", help)
    assert position
    assert position[1] != "none"
    last = "" if channels else ", channel: 1"
    mended = f"{{a: {{shape: {{{shape}{last}}}{steps}, position: {position[1]}}}}}"
    width = (
        1 if channels or mapped else heads
    )  # a number and a position beside it are not divisible
    assert told(other(mended, heads if width == 1 else 1)) == []
    if features := re.search("`shape: (.*?)`", help):
        assert told(other(f"{{a: {{shape: {features[1]}{steps}}}}}")) == []


CAMERA = "{shape: {height: 4, width: 4, channel: 3}, position: {fourier: {bands: 2}}}"
LEARNED = "{shape: {height: 4, width: 4, channel: 3}, position: {learned: {width: 5}}}"


@pytest.mark.parametrize(
    ("left", "right", "join", "same"),
    [
        (CAMERA, "{like: left}", None, True),
        (LEARNED, "{like: left}", None, True),
        (CAMERA, CAMERA, None, True),
        (LEARNED, LEARNED, None, False),
        (CAMERA, CAMERA.replace("bands: 2", "bands: 2, max_resolution: 3"), None, False),
        (CAMERA, "{like: left}", 4, False),
        (CAMERA, CAMERA, 4, False),
    ],
)
def test_inputs_that_can_be_exchanged_are_told(
    left: str, right: str, join: int | None, same: bool
) -> None:
    """Exactly where exchanging them changes nothing, and what is advised mends it."""
    text = other(f"{{left: {left}, right: {right}}}")
    if join is not None:
        text = text.replace("latents:", f"join: {{padding: {{min: {join}}}}}\nlatents:")
    a, b = np.random.default_rng(3).standard_normal((2, 1, 4, 4, 3))
    one, exchanged = answers(text, {"left": a, "right": b}, {"left": b, "right": a})
    assert np.allclose(one, exchanged) == same
    assert told(text) == ["PG225"] * same


@pytest.mark.parametrize("heads", [1, 4, 8])
def test_what_tells_inputs_apart_is_a_line_to_add(heads: int) -> None:
    camera = CAMERA.replace("}}}", "}, project: 5}}")
    text = other(f"{{left: {camera}, right: {{like: left}}}}", heads)
    (warning,) = lower(parse_spec(text)).warnings
    apart, meant = re.findall("`(join: .*?)`", str(warning.help))
    for line in (apart, meant):
        assert told(text.replace("latents:", f"{line}\nlatents:")) == []
