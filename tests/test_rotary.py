"""Rotary positions against formulas written out: of tokens by number, and of times that are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import perceiver_graph as pg
from perceiver_graph.compiler.driver import Compiled
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.passes.pipeline import Level
from perceiver_graph.spec.loader import parse_spec
from perceiver_graph.spec.models import Rotary
from tests.test_differential import onnx_program, randomised

Weights = Mapping[str, torch.Tensor]

WRITER = """\
perceiver: 1
name: writer
dims: {length: {min: 5, max: 12}}
inputs: {text: {shape: {place: length}, steps: [{embedding: {vocabulary: 11, width: 16}}]}}
latents: {of: text, last: 4}
layers: {norm: none, bias: false, mlp: false, rotary: {fraction: 0.5, pairs: halves}}
encode: {heads: 2, causal: true}
process: {layers: 2, heads: 2, causal: true, key_heads: 1}
outputs: {next: {query: latents}}
"""

SPIKES = """\
perceiver: 1
name: spikes
dims: {spikes: {max: 20}}
inputs:
  spikes:
    shape: {spike: spikes, channel: 16}
    position: {rotary: {given: [time]}}
    attention_mask: true
latents: {count: 3, width: 16, range: [0, 6]}
layers: {norm: none, mlp: false, rotary: {wavelengths: [0.5, 20], fraction: 0.5, values: true}}
encode: {heads: 2}
process: {layers: 1, heads: 2}
decode: {heads: 2, rotary: {values: false}}
outputs:
  speed: {query: {points: [time], position: {fourier: {bands: 2, max_resolution: 8}}}, head: {linear: 2}}
"""


def compiled(text: str, level: Level = 0) -> Compiled:
    return pg.compile(parse_spec(text, "rotary.yaml"), level=level, verify=True)


def turned(
    x: torch.Tensor, angles: torch.Tensor, heads: int, pairs: str = "interleaved"
) -> torch.Tensor:
    """Channels as the real and imaginary parts of numbers that are multiplied by exp(i angle).

    x [batch, n, heads * d], angles [.., n, count].
    """
    x = torch.unflatten(x, -1, (heads, -1)).clone()
    count = angles.shape[-1]
    first = torch.arange(count) if pairs == "halves" else 2 * torch.arange(count)
    second = first + (count if pairs == "halves" else 1)
    factor = torch.polar(torch.ones_like(angles), angles).unsqueeze(-2)
    found = torch.complex(x[..., first], x[..., second]) * factor
    x[..., first], x[..., second] = found.real, found.imag
    return x.flatten(-2)


def attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, heads: int, **options: Any
) -> torch.Tensor:
    q, k, v = (
        torch.unflatten(x, -1, (-1, q.shape[-1] // heads)).transpose(1, 2) for x in (q, k, v)
    )
    found = F.scaled_dot_product_attention(q, k, v, enable_gqa=True, **options)
    return found.transpose(1, 2).flatten(2)


def maps(w: Weights, at: str, *xs: torch.Tensor) -> list[torch.Tensor]:
    names = ("query", "key", "value")
    zero = torch.zeros(())
    return [
        x @ w[f"{at}.{n}.weight"].T + w.get(f"{at}.{n}.bias", zero)
        for n, x in zip(names, xs, strict=True)
    ]


def written(w: Weights, ids: Array) -> torch.Tensor:
    x = w["inputs.text.embedding.weight"][torch.from_numpy(ids)]
    n = ids.shape[1]
    angles = torch.arange(n)[:, None] / 10000 ** (torch.arange(2, dtype=torch.float64) / 2)
    before = torch.arange(n) <= torch.arange(n - 4, n)[:, None]
    latents = x[:, -4:]
    for layer in range(3):
        at = "encoder.cross_attend" if layer == 0 else f"process.layers.{layer - 1}"
        read, where, may = (
            (x, angles, before) if layer == 0 else (latents, angles[-4:], before[:, -4:])
        )
        q, k, v = maps(w, f"{at}.attention", latents, read, read)
        q = turned(q, angles[-4:], 2, "halves")
        k = turned(k, where, 2 if layer == 0 else 1, "halves")
        found = attention(q, k, v, 2, attn_mask=may)
        latents = latents + found @ w[f"{at}.attention.output.weight"].T
    return latents


def decoded(w: Weights, arrays: Mapping[str, torch.Tensor]) -> torch.Tensor:
    periods = 0.5 * 40.0 ** torch.linspace(0, 1, 2, dtype=torch.float64)

    def angles(times: torch.Tensor) -> torch.Tensor:
        return 2 * np.pi * times[..., None] / periods

    times = arrays["spikes.position"][..., 0], torch.tensor([1.0, 3.0, 5.0], dtype=torch.float64)
    latents, there = w["latents"].expand(2, -1, -1), arrays["spikes.attention_mask"][:, None, None]
    for at in ("encoder.cross_attend", "process.layers.0"):
        first = at.startswith("encoder")
        read, where = (arrays["spikes"], times[0]) if first else (latents, times[1])
        q, k, v = maps(w, f"{at}.attention", latents, read, read)
        q = turned(q, angles(times[1]), 2)
        k, v = turned(k, angles(where), 2), turned(v, angles(where), 2)
        found = attention(q, k, v, 2, attn_mask=there if first else None)
        found = turned(found, -angles(times[1]), 2)
        name = f"{at}.attention.output"
        latents = latents + F.linear(found, w[f"{name}.weight"], w[f"{name}.bias"])
    points = arrays["speed.points"]
    phases = points * torch.tensor([1.0, 4.0], dtype=torch.float64) * np.pi
    asked = torch.cat([points, phases.sin(), phases.cos()], dim=-1)
    at = "decoder.cross_attend.attention"
    q, k, v = maps(w, at, asked, latents, latents)
    q, k = turned(q, angles(points[..., 0]), 2), turned(k, angles(times[1]), 2)
    found = F.linear(attention(q, k, v, 2), w[f"{at}.output.weight"], w[f"{at}.output.bias"])
    return F.linear(found, w["heads.speed.linear.weight"], w["heads.speed.linear.bias"])


def spikes() -> dict[str, Array]:
    rng = np.random.default_rng(2)
    return {
        "spikes": rng.standard_normal((2, 9, 16)).astype(np.float32),
        "spikes.position": rng.uniform(0, 6, (2, 9, 1)).astype(np.float32),
        "spikes.attention_mask": np.arange(9) < np.array([[9], [6]]),
        "speed.points": rng.uniform(-1, 1, (2, 4, 1)).astype(np.float32),
    }


def doubled(arrays: Mapping[str, Array]) -> dict[str, torch.Tensor]:
    return {
        name: torch.from_numpy(x.astype(np.float64) if x.dtype == np.float32 else x)
        for name, x in arrays.items()
    }


@pytest.mark.parametrize("level", [0, 1, 2])
def test_tokens_are_turned_by_their_number(level: Level, tmp_path: Path) -> None:
    model = compiled(WRITER, level)
    weights = randomised(model, 5)
    program = onnx_program(model, weights, tmp_path)
    for length in (9, 12):
        ids = np.random.default_rng(1).integers(0, 11, (2, length))
        expected = written(doubled(weights), ids).numpy()
        with torch.no_grad():
            of_torch = model.to_torch(weights)({"text": torch.from_numpy(ids)})["next"].numpy()
        for found in (program.run({"text": ids})["next"], of_torch):
            np.testing.assert_allclose(
                found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max()
            )


@pytest.mark.parametrize("level", [0, 1, 2])
def test_tokens_latents_and_points_are_turned_by_times(level: Level, tmp_path: Path) -> None:
    model, arrays = compiled(SPIKES, level), spikes()
    weights = randomised(model, 5)
    expected = decoded(doubled(weights), doubled(arrays)).numpy()
    points = {"speed": arrays.pop("speed.points")}
    program = onnx_program(model, weights, tmp_path)
    with torch.no_grad():
        of_torch = model.to_torch(weights)(
            {name: torch.from_numpy(x) for name, x in arrays.items()},
            {name: torch.from_numpy(x) for name, x in points.items()},
        )["speed"].numpy()
    for found in (program.run(arrays, points)["speed"], of_torch):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_in_float64_it_is_exact() -> None:
    model, arrays = compiled(SPIKES, 2), spikes()
    weights = {name: x.astype(np.float64) for name, x in randomised(model, 5).items()}
    expected = decoded(doubled(weights), doubled(arrays)).numpy()
    wide = {name: x.numpy() for name, x in doubled(arrays).items()}
    np.testing.assert_allclose(evaluate(model.graph, wide, weights)["speed"], expected, 1e-9, 1e-9)


def test_only_how_far_away_things_are_counts() -> None:
    """Times of tokens, latents and points moved together: with values turned, too, nothing changes."""
    arrays, moved = spikes(), spikes()
    moved["spikes.position"] = arrays["spikes.position"] + 2
    # The points are features as well: only what becomes of the latents is asked here.
    other = SPIKES.replace("range: [0, 6]", "range: [2, 8]")
    weights = randomised(compiled(SPIKES), 5)
    one, two = (
        evaluate(compiled(text).graph, given, weights)["latents"]
        for text, given in ((SPIKES, arrays), (other, moved))
    )
    np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


def test_a_part_says_what_is_otherwise() -> None:
    spec = parse_spec(SPIKES, "rotary.yaml").spec
    assert spec.attention("process").rotary == spec.layers.rotary  # type: ignore[union-attr]
    found = {
        said: parse_spec(SPIKES.replace("{values: false}", said), "rotary.yaml").spec
        for said in ("{values: false}", "{base: 10}", "true", "false")
    }
    common = Rotary(wavelengths=[0.5, 20], fraction=0.5, values=True)
    assert {said: one.attention("decode").rotary for said, one in found.items()} == {
        "{values: false}": common.model_copy(update={"values": False}),
        "{base: 10}": common.model_copy(update={"base": 10, "wavelengths": None}),
        "true": common,
        "false": False,
    }


def test_along_one_axis_of_tokens_and_queries() -> None:
    """Places along `time` of a grid, of tokens and of the points of an output."""
    text = """\
perceiver: 1
name: grid
inputs: {image: {shape: {height: 3, time: 4, width: 2, channel: 8}}}
latents: {count: 2, width: 8, range: [0, 4]}
encode: {heads: 2, rotary: {of: time}}
process: {layers: 0}
decode: {heads: 2, qk_width: 8, rotary: {of: time}}
outputs: {video: {query: {grid: {time: 5, row: 2}, position: {learned: {width: 3}}}}}
"""
    model = compiled(text)
    waves = {node.name: node for node in model.graph.nodes if node.name.endswith("_waves")}
    arrays: dict[str, Array] = {"image": np.ones((1, 3, 4, 2, 8), np.float32)}
    arrays["video.queries"] = np.arange(10)
    graph = model.graph
    shown = {**graph.outputs, **{name: node.output for name, node in waves.items()}}
    found = evaluate(replace(graph, outputs=shown), arrays, randomised(model, 5))
    places = np.tile(np.repeat(np.arange(4), 2), 3)[:, None]
    angles = places / 10000.0 ** (np.arange(2) / 2)
    np.testing.assert_allclose(
        found["rotary/input_waves"], np.concatenate([np.sin(angles), np.cos(angles)], 1), atol=1e-6
    )
    angles = np.repeat(np.arange(5), 2)[:, None] / 10000.0 ** (np.arange(2) / 2)
    np.testing.assert_allclose(
        found["rotary/query_waves"], np.concatenate([np.sin(angles), np.cos(angles)], 1), atol=1e-6
    )


def test_latents_that_are_tokens_are_read_behind_those_before_them() -> None:
    """Tokens before the latents and the latents, each normed by its own norm."""
    text = (
        WRITER.replace("norm: none, ", "")
        .replace(
            "heads: 2, causal: true}\nprocess",
            "heads: 2, causal: true, keys: [inputs, latents]}\nprocess",
        )
        .replace("layers: 2", "layers: 0")
    )
    model = compiled(text)
    weights = doubled(randomised(model, 5))
    ids = np.random.default_rng(1).integers(0, 11, (2, 9))
    x = weights["inputs.text.embedding.weight"][torch.from_numpy(ids)]
    at = "encoder.cross_attend.attention"

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return F.layer_norm(
            x, x.shape[-1:], weights[f"{at}.{name}.weight"], weights[f"{at}.{name}.bias"]
        )

    asking = norm(x[:, -4:], "latent_norm")
    read = torch.cat([norm(x[:, :-4], "input_norm"), asking], dim=1)
    angles = torch.arange(9)[:, None] / 10000 ** (torch.arange(2, dtype=torch.float64) / 2)
    q, k, v = maps(weights, at, asking, read, read)
    q, k = turned(q, angles[-4:], 2, "halves"), turned(k, angles, 2, "halves")
    may = torch.arange(9) <= torch.arange(5, 9)[:, None]
    expected = x[:, -4:] + attention(q, k, v, 2, attn_mask=may) @ weights[f"{at}.output.weight"].T
    wide = {name: w.numpy() for name, w in weights.items()}
    found = evaluate(model.graph, {"text": ids}, wide)["next"]
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-6, atol=1e-6)
