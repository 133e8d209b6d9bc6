"""Latents at several places: those of all along an axis read each other, or stand there from the start."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import perceiver_graph as pg
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.spec import parse_spec
from tests.test_differential import randomised
from tests.test_places import arrays, called, opened, spec

ENCODED = "process: {layers: 0}\noutputs: {y: {query: latents}}\n"
QUERIES = """
decode: {padding: {min: 0}, chunks: 3}
outputs:
  y: {query: latents}
  z: {query: {learned: {count: 5, width: 8}}, head: {linear: 2}}
  m: {query: {mean: latents}}
  w: {query: {learned: {}}}
  d: {query: {inputs: x}, query_mask: x}
  s: {query: {inputs: s}}
  p: {query: {points: 2, position: {fourier: {bands: 1, max_resolution: 4}}}}
"""


def together(latents: Array, over: str, joined: bool) -> Array:
    """By hand. Shapes: latents [batch, 4, 3, n, width], at the places a and b."""
    a, b = (1, 2) if over == "b" else (2, 1)
    moved = latents.transpose(0, a, b, 3, 4)
    batch, rest, along, n, width = moved.shape
    shape = (along, n * width) if joined else (along * n, width)
    return moved.reshape(batch * rest, *shape)


@pytest.mark.parametrize(
    ("over", "joined", "symbols"),
    [
        ("a", False, True),
        ("b", True, False),
        *(
            pytest.param(*case, marks=pytest.mark.full)
            for case in itertools.product("ab", [False, True], [False, True])
            if case not in {("a", False, True), ("b", True, False)}
        ),
    ],
)
def test_latents_of_all_places_along_an_axis_read_each_other(
    over: str, joined: bool, symbols: bool, tmp_path: Path
) -> None:
    """What `process` makes of the latents, put together by hand, and what is asked of them."""
    process = f"process: {{layers: 2, heads: 4, over: {over}, joined: {str(joined).lower()}}}"
    text = spec(process + QUERIES, symbols=symbols)
    compiled = pg.compile(parse_spec(text), level=2, verify=True)
    weights, given = randomised(compiled, 1), arrays()
    first = pg.compile(parse_spec(spec(ENCODED)))
    encoded = called(first, {n: weights[n] for n in randomised(first, 1)}, _encoder_inputs(given))
    module: Any = pg.compile(parse_spec(text)).to_torch(weights).eval()
    with torch.no_grad():
        x = module.process(torch.from_numpy(together(encoded["y"], over, joined)))
    assert (
        x.shape
        == {
            ("a", False): (6, 12, 8),
            ("b", False): (8, 9, 8),
            ("a", True): (6, 4, 24),
            ("b", True): (8, 3, 24),
        }[over, joined]
    )
    found, other = opened(compiled, weights, tmp_path).run(given), called(compiled, weights, given)
    places, along = (3, 4) if over == "a" else (4, 3)
    axes = (along,) if joined else (along, 3)
    width = 24 if joined else 8
    assert {name: y.shape for name, y in found.items()} == {
        "y": (2, places, *axes, width),
        "z": (2, places, 5, 2),
        "m": (2, places, width),
        "w": (2, places, width),
        "d": (2, places, along, 6, width),
        "s": (2, places, along, width),
        "p": (2, places, 7, width),
    }
    np.testing.assert_allclose(found["y"].reshape(x.shape), x.numpy(), rtol=1e-4, atol=1e-5)
    mean = x.numpy().mean(1).reshape(found["m"].shape)
    np.testing.assert_allclose(found["m"], mean, rtol=1e-4, atol=1e-5)
    for name, y in found.items():
        assert other[name].shape == y.shape
        np.testing.assert_allclose(other[name], y, rtol=1e-4, atol=1e-5)
    level0 = called(pg.compile(parse_spec(text), level=0), weights, given)
    for name, y in found.items():
        np.testing.assert_allclose(level0[name], y, rtol=1e-4, atol=1e-5)


def _encoder_inputs(given: dict[str, Array]) -> dict[str, Array]:
    return {name: x for name, x in given.items() if not name.endswith(".points")}


TOKENS = """
perceiver: 1
name: tokens
inputs: {x: {shape: {a: 4, c: 6, b: 3, channel: 8}}}
latents: {count: 3, width: 8}
encode: {over: c}
outputs:
  d: {query: {inputs: x}}
"""


def test_tokens_that_ask_stay_at_their_places(tmp_path: Path) -> None:
    """A query is the token of its place: asked alone it has the answer that it has among all."""
    text = f"{TOKENS}process: {{layers: 1, over: a, heads: 2}}\ndecode: {{query_residual: true}}\n"
    compiled = pg.compile(parse_spec(text))
    weights = randomised(compiled, 2)
    weights |= {n: x * 0 for n, x in weights.items() if "attention.output" in n or "dense2" in n}
    x = np.random.default_rng(3).standard_normal((2, 4, 6, 3, 8)).astype(np.float32)
    found = opened(compiled, weights, tmp_path).run({"x": x})["d"]
    np.testing.assert_allclose(found, x.transpose(0, 3, 1, 2, 4), rtol=1e-5, atol=1e-6)


def test_places_are_apart_again_where_inputs_are_read_again() -> None:
    """Two blocks: together, apart, together. By hand with the parts of the module."""
    for over, joined in (("a", False), ("b", True)):
        process = f"{{layers: 1, heads: 2, blocks: 2, over: {over}, joined: {str(joined).lower()}}}"
        text = f"{TOKENS}process: {process}\n".replace("over: c", "over: c, cross_attends: 2")
        text = text.replace("d: {query: {inputs: x}}", "y: {query: latents}")
        compiled = pg.compile(parse_spec(text), level=2, verify=True)
        weights = randomised(compiled, 4)
        x = np.random.default_rng(3).standard_normal((2, 4, 6, 3, 8)).astype(np.float32)
        found = called(compiled, weights, {"x": x})["y"]
        module: Any = pg.compile(parse_spec(text)).to_torch(weights).eval()
        tokens = torch.from_numpy(x.transpose(0, 1, 3, 2, 4).reshape(24, 6, 8).copy())
        latents: Any = module.latents
        with torch.no_grad():
            for block in range(2):
                latents = module.encoder["cross_attends"][block](latents, tokens).numpy()
                latents = together(latents.reshape(2, 4, 3, 3, 8), over, joined)
                latents = module.process(torch.from_numpy(latents.copy())).numpy()
                last = latents
                rest, along = (3, 4) if over == "a" else (4, 3)
                latents = latents.reshape(2, rest, along, 3, 8)
                latents = latents.transpose(0, 2, 1, 3, 4) if over == "a" else latents
                latents = torch.from_numpy(latents.reshape(24, 3, 8).copy())
        np.testing.assert_allclose(found.reshape(last.shape), last, rtol=1e-4, atol=1e-5)


PER = """
perceiver: 1
name: per
inputs: {x: {shape: {n: 5, channel: 6}}}
latents: {count: 3, per: {time: 4, side: 2}, width: 8}
process: {layers: 1, heads: 2}
outputs: {y: {query: latents}, m: {query: {mean: latents}}}
"""


@pytest.mark.parametrize("level", [0, 2])
def test_the_same_latents_at_each_place_of_axes(level: Any, tmp_path: Path) -> None:
    """24 latents of a table of 3 are as 24 of a table that holds these eight times."""
    compiled = pg.compile(parse_spec(PER), level=level, verify=True)
    weights = randomised(compiled, 0)
    assert weights["latents"].shape == (3, 8)
    assert [int(size) for size in compiled.lowered.latents] == [24, 8]
    x = np.random.default_rng(1).standard_normal((2, 5, 6)).astype(np.float32)
    found, other = (
        opened(compiled, weights, tmp_path).run({"x": x}),
        called(compiled, weights, {"x": x}),
    )
    assert found["y"].shape == (2, 4, 2, 3, 8)
    whole = pg.compile(parse_spec(PER.replace("count: 3, per: {time: 4, side: 2}", "count: 24")))
    written = weights | {"latents": np.tile(weights["latents"], (8, 1))}
    wanted = called(whole, written, {"x": x})
    for name, y in found.items():
        np.testing.assert_allclose(y, wanted[name].reshape(y.shape), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(other[name], y, rtol=1e-4, atol=1e-5)
