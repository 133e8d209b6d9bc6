"""Rotary positions along several axes or coordinates, which share the pairs of each head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.ir.text import same_structure
from perceiver_graph.compiler.passes.pipeline import Level
from tests.test_differential import onnx_program, randomised
from tests.test_rotary import Weights, attention, compiled, doubled, maps, turned

PLANE = """\
perceiver: 1
name: plane
inputs: {image: {shape: {height: 3, width: 4, channel: 24}}}
latents: {of: image, last: 12}
layers: {norm: none, bias: false, mlp: false, rotary: {of: [height, width], base: 50, pairs: halves}}
encode: {heads: 2}
process: {layers: 0}
outputs: {seen: {query: latents}}
"""

CLOUD = """\
perceiver: 1
name: cloud
dims: {points: {min: 5, max: 20}}
inputs: {cloud: {shape: {point: points, channel: 24}, position: {rotary: {given: [x, y, z]}}}}
latents: {of: cloud, last: 5}
layers: {norm: none, bias: false, mlp: false, rotary: {of: [z, x], wavelengths: [0.5, 8], fraction: 0.6667}}
encode: {heads: 2}
process: {layers: 0}
outputs: {seen: {query: latents}}
"""


def by_several(w: Weights, x: torch.Tensor, angles: torch.Tensor, last: int, pairs: str) -> Array:
    """Tokens read by the last of them, all turned by these angles."""
    q, k, v = maps(w, "encoder.cross_attend.attention", x[:, -last:], x, x)
    q, k = turned(q, angles[..., -last:, :], 2, pairs), turned(k, angles, 2, pairs)
    found = attention(q, k, v, 2) @ w["encoder.cross_attend.attention.output.weight"].T
    return (x[:, -last:] + found).numpy()


@pytest.mark.parametrize("level", [0, 2])
@pytest.mark.parametrize("text", [PLANE, CLOUD])
def test_several_positions_share_the_pairs_of_a_head(
    text: str, level: Level, tmp_path: Path
) -> None:
    rng, model = np.random.default_rng(3), compiled(text, level)
    if text == PLANE:
        arrays = {"image": rng.standard_normal((2, 3, 4, 24)).astype(np.float32)}
        rows, columns = torch.meshgrid(torch.arange(3), torch.arange(4), indexing="ij")
        steps = 50 ** (torch.arange(3, dtype=torch.float64) / 3)
        angles = torch.cat([one.reshape(12, 1) / steps for one in (rows, columns)], dim=-1)
        last, pairs = 12, "halves"
    else:
        arrays = {"cloud": rng.standard_normal((2, 9, 24)).astype(np.float32)}
        arrays["cloud.position"] = rng.uniform(0, 4, (2, 9, 3)).astype(np.float32)
        x, _, z = torch.from_numpy(arrays["cloud.position"]).double()[..., None, :].unbind(-1)
        periods = 0.5 * 16 ** torch.linspace(0, 1, 2, dtype=torch.float64)
        angles = torch.cat([2 * np.pi * one / periods for one in (z, x)], dim=-1)
        last, pairs = 5, "interleaved"
    weights = randomised(model, 5)
    tokens = torch.from_numpy(next(iter(arrays.values()))).double().reshape(2, -1, 24)
    expected = by_several(doubled(weights), tokens, angles, last, pairs)
    exact = {name: array.astype(np.float64) for name, array in {**arrays, **weights}.items()}
    found = evaluate(model.graph, {name: exact[name] for name in arrays}, exact)["seen"]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    program = onnx_program(model, weights, tmp_path)
    given = {name: torch.from_numpy(array) for name, array in arrays.items()}
    with torch.no_grad():
        of_torch = model.to_torch(weights)(given)["seen"].numpy()
    for found in (program.run(arrays)["seen"], of_torch):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@settings(deadline=None, max_examples=30)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=3, max_size=3),
    of=st.permutations(["depth", "height", "width"]),
    count=st.integers(2, 3),
    style=st.sampled_from(["interleaved", "halves"]),
    heads=st.integers(1, 2),
    level=st.sampled_from([0, 2]),
)
def test_any_positions_in_any_order(
    sizes: list[int], of: list[str], count: int, style: str, heads: int, level: Level
) -> None:
    """Of three axes two or three, in an order of their own: in float64, beside the formula."""
    names, width = of[:count], 24 * heads
    shape = dict(zip(("depth", "height", "width"), sizes, strict=True))
    text = (
        PLANE.replace("{height: 3, width: 4, channel: 24}", str(shape | {"channel": width}))
        .replace("'", "")
        .replace("[height, width]", f"[{', '.join(names)}]")
        .replace("pairs: halves", f"pairs: {style}")
        .replace("last: 12", f"last: {np.prod(sizes)}")
        .replace("heads: 2", f"heads: {heads}")
    )
    model = compiled(text, level)
    weights = {name: x.astype(np.float64) for name, x in randomised(model, 5).items()}
    image = np.random.default_rng(3).standard_normal((2, *sizes, width))
    places = dict(zip(shape, np.indices(sizes).reshape(3, -1, 1), strict=True))
    each = 12 // count
    steps = 50 ** (np.arange(each) / each)
    angles = torch.from_numpy(np.concatenate([places[name] / steps for name in names], axis=-1))
    x = torch.from_numpy(image).reshape(2, -1, width)
    q, k, v = maps(doubled(weights), "encoder.cross_attend.attention", x, x, x)
    q, k = turned(q, angles, heads, style), turned(k, angles, heads, style)
    output = torch.from_numpy(weights["encoder.cross_attend.attention.output.weight"])
    expected = x + attention(q, k, v, heads) @ output.T
    found = evaluate(model.graph, {"image": image}, weights)["seen"]
    np.testing.assert_allclose(
        found, expected.numpy(), rtol=1e-5, atol=1e-5
    )  # tables are of float32


def test_one_position_in_a_list_is_that_position() -> None:
    graphs = [
        compiled(PLANE.replace("[height, width]", said)).graph for said in ("width", "[width]")
    ]
    assert same_structure(*graphs)


@pytest.mark.parametrize("level", [0, 2])
def test_learned_latents_at_places_of_two_axes(level: Level) -> None:
    """`per` gives them both: a latent at each place of a grid is turned by its row and its column."""
    text = """\
perceiver: 1
name: places
inputs: {image: {shape: {height: 3, width: 5, channel: 8}}}
latents: {count: 1, per: {height: 3, width: 4}, width: 16}
layers: {norm: none, bias: false, mlp: false, rotary: {of: [height, width]}}
encode: {heads: 2, qk_width: 16}
process: {layers: 1, heads: 2}
outputs: {seen: {query: latents}}
"""
    model = compiled(text, level)
    plain = compiled(text.replace("layers: 1, heads: 2", "layers: 1, heads: 2, rotary: false"))
    before = compiled(text.replace("layers: 1", "layers: 0"))
    weights = {name: x.astype(np.float64) for name, x in randomised(model, 5).items()}
    image = np.random.default_rng(3).standard_normal((2, 3, 5, 8))
    x = torch.from_numpy(evaluate(before.graph, {"image": image}, weights)["latents"])
    rows, columns = np.indices((3, 4)).reshape(2, 12, 1) / 10000 ** (np.arange(2) / 2)
    angles = torch.from_numpy(np.concatenate([rows, columns], axis=-1))
    q, k, v = maps(doubled(weights), "process.layers.0.attention", x, x, x)
    q, k = turned(q, angles, 2), turned(k, angles, 2)
    output = torch.from_numpy(weights["process.layers.0.attention.output.weight"])
    expected = (x + attention(q, k, v, 2) @ output.T).numpy()
    found = evaluate(model.graph, {"image": image}, weights)["latents"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    other = evaluate(plain.graph, {"image": image}, weights)["latents"]
    assert np.abs(found - other).max() > 1e-3


@pytest.mark.parametrize("level", [0, 2])
def test_learned_latents_spread_over_the_axes_that_they_read(level: Level) -> None:
    """`range` by axis puts each latent at a point of the picture, in the middle of its share, so that
    tokens are read by how far from it they are, down and across."""
    text = """\
perceiver: 1
name: spread
inputs: {image: {shape: {height: 3, width: 5, channel: 8}}}
latents: {count: 2, per: {height: 2, width: 3}, width: 16, range: {height: [0, 3], width: [-1, 5]}}
layers: {norm: none, bias: false, mlp: false, rotary: {of: [height, width], base: 50}}
encode: {heads: 2, qk_width: 16}
process: {layers: 0}
outputs: {seen: {query: latents}}
"""
    model = compiled(text, level)
    weights = {name: x.astype(np.float64) for name, x in randomised(model, 5).items()}
    image = np.random.default_rng(3).standard_normal((2, 3, 5, 8))
    down = np.repeat([0.75, 2.25], 6)  # two latents at each of three places of two rows
    across = np.tile(np.repeat([0.0, 2.0, 4.0], 2), 2)
    steps = 50 ** (np.arange(2) / 2)
    of_latents = np.concatenate([down[:, None] / steps, across[:, None] / steps], axis=-1)
    places = np.indices((3, 5)).reshape(2, 15, 1) / steps
    w = doubled(weights)
    latents = torch.from_numpy(np.tile(weights["latents"], (6, 1)))[None].expand(2, -1, -1)
    x = torch.from_numpy(image).reshape(2, 15, 8)
    q, k, v = maps(w, "encoder.cross_attend.attention", latents, x, x)
    q = turned(q, torch.from_numpy(of_latents), 2)
    k = turned(k, torch.from_numpy(np.concatenate([*places], axis=-1)), 2)
    output = w["encoder.cross_attend.attention.output.weight"]
    expected = latents + attention(q, k, v, 2) @ output.T
    found = evaluate(model.graph, {"image": image}, weights)["seen"]
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-5, atol=1e-5)
    alike = text.replace("{height: [0, 3], width: [-1, 5]}", "[0, 3]")
    assert same_structure(
        compiled(alike).graph,
        compiled(alike.replace("[0, 3]", "{height: [0, 3], width: [0, 3]}")).graph,
    )
