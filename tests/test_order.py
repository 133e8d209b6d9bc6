"""Texts whose order nothing tells are told (PG224), and all others are not."""

from __future__ import annotations

import numpy as np
import pytest

import perceiver_graph as pg
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.lowering.lower import lower
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
        ([("width: 16}}]", "width: 16}}, {patch: {byte: 3}}]")], []),
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
        ([("    media: {text: {}}\n", "")], []),
    ],
)
def test_of_which_texts_it_is_told(changes: list[tuple[str, str]], wanted: list[str]) -> None:
    assert told(replaced(*changes)) == wanted


@pytest.mark.parametrize("name", shipped_names())
def test_no_shipped_system_reads_a_bag_of_bytes(name: str) -> None:
    assert "PG224" not in told(load_spec(name).source.text)


def test_what_is_told_is_so() -> None:
    """In any order, the same; with the position that is advised, not."""
    ids = np.random.default_rng(3).integers(6, 262, (1, 12))
    for changes, same in (([], True), ([POSITION], False)):
        model = pg.compile(replaced(*changes))
        weights = {
            name: np.asarray(np.random.default_rng(5).standard_normal(array.shape))
            for name, array in model.weights(seed=3).items()
        }
        one, other = (
            evaluate(model.graph, {"text": order}, weights)["label"]
            for order in (ids, ids[:, ::-1])
        )
        assert np.allclose(one, other) == same
