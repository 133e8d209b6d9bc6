"""Reading along one axis: each place of the others by itself, in numpy, ONNX and PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import perceiver_graph as pg
from perceiver_graph.compiler.driver import Compiled
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.runtime import Program
from perceiver_graph.spec import parse_spec
from tests.test_differential import randomised

SIZES = {"a": 4, "c": 6, "b": 3}
INDEX = {"x": ("a", "c", "b"), "s": ("a", "b")}
X = ", ".join(f"{axis}: {{{axis}}}" for axis in INDEX["x"])


def spec(rest: str, *, symbols: bool = False, places: bool = True, over: str = "c") -> str:
    """A spec that reads along `c`; without `places`, of one of the places."""
    sizes = {axis: f"n{axis}" if symbols else str(size) for axis, size in SIZES.items()}
    dims = ", ".join(f"n{axis}: {{max: {size + 2}}}" for axis, size in SIZES.items())

    def shape(name: str, channels: int) -> str:
        axes = [axis for axis in INDEX[name] if places or axis == over]
        return "{" + ", ".join([*(f"{a}: {sizes[a]}" for a in axes), f"channel: {channels}"]) + "}"

    return f"""
perceiver: 1
name: places
dims: {{{dims if symbols else ""}}}
inputs:
  x:
    shape: {shape("x", 5)}
    attention_mask: true
    position: {{learned: {{of: 9}}, combine: add}}
  s: {{shape: {shape("s", 3)}, steps: [{{linear: 5}}], mask: optional}}
latents: {{count: 3, width: 8}}
encode: {{{f"over: {over}, " if places else ""}}}
{rest}
"""


OUTPUTS = """
process: {layers: 1, heads: 2}
decode: {chunks: 2}
outputs:
  y: {query: latents, norm: layer_norm}
  z: {query: {learned: {count: 5, width: 8}}, head: {linear: 2}}
  one: {query: {learned: {width: 8}}, head: {linear: 2}}
  m: {query: {mean: latents}}
  g: {query: {grid: {h: 2, w: 3}, position: {learned: {width: 8}}}}
  p: {query: {points: 2, position: {fourier: {bands: 1, max_resolution: 4}, project: 8}}}
  x: {query: {output: d}, head: {linear: 4}}
  d: {query: {inputs: x}, query_mask: x}
decode: {padding: {min: 1}, chunks: 2}
""".replace("decode: {chunks: 2}\n", "", 1)


def arrays(batch: int = 2) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, 4, 6, 3, 5)).astype(np.float32)
    s = rng.standard_normal((batch, 4, 3, 3)).astype(np.float32)
    return {
        "x": x,
        "s": s,
        "x.attention_mask": rng.random((batch, 4, 6, 3)) < 0.7,
        "p.points": rng.uniform(-1, 1, (batch, 7, 2)).astype(np.float32),
    }


def opened(compiled: Compiled, weights: dict[str, Array], folder: Path) -> Program:
    save_file(weights, folder / "weights.safetensors")
    compiled.save(folder / "art", weights=folder / "weights.safetensors", backends=["onnx"])
    return pg.load(folder / "art", device="cpu")


def called(compiled: Compiled, weights: dict[str, Array], given: dict[str, Array]) -> Any:
    module = compiled.to_torch(weights).eval()
    tensors = {name: torch.from_numpy(x) for name, x in given.items()}
    queries = {n.removesuffix(".points"): tensors.pop(n) for n in given if n.endswith(".points")}
    with torch.no_grad():
        return {n: x.numpy() for n, x in module(tensors, *([queries] if queries else [])).items()}


@pytest.mark.parametrize("symbols", [False, True])
@pytest.mark.parametrize("level", [0, 2])
def test_a_place_is_a_problem_of_its_own(level: Any, symbols: bool, tmp_path: Path) -> None:
    """At each place the answers are those of a spec that has this place and no other."""
    compiled = pg.compile(parse_spec(spec(OUTPUTS, symbols=symbols)), level=level, verify=True)
    single = pg.compile(parse_spec(spec(OUTPUTS, places=False)), level=level)
    weights, given = randomised(compiled, 1), arrays()
    assert {n: x.shape for n, x in weights.items()} == {
        leaf.value.name: tuple(map(int, leaf.value.shape)) for leaf in single.graph.parameters
    }
    (tmp_path / "1").mkdir()
    program, alone = opened(compiled, weights, tmp_path), opened(single, weights, tmp_path / "1")
    found, other = program.run(given), called(compiled, weights, given)
    assert {name: x.shape[1:] for name, x in found.items()} == {
        "y": (4, 3, 3, 8),
        "z": (4, 3, 5, 2),
        "one": (4, 3, 2),
        "m": (4, 3, 8),
        "g": (4, 3, 2, 3, 9),
        "p": (4, 3, 7, 9),
        "x": (4, 3, 6, 4),
        "d": (4, 3, 6, 9),
    }
    for name, x in found.items():
        assert x.shape == other[name].shape
        np.testing.assert_allclose(other[name], x, rtol=1e-4, atol=1e-5)
    for i, j in ((0, 0), (1, 2), (3, 1)):
        here = {
            "x": given["x"][:, i, :, j],
            "s": given["s"][:, i, j],
            "x.attention_mask": given["x.attention_mask"][:, i, :, j],
            "p.points": given["p.points"],
        }
        for name, wanted in alone.run(here).items():
            np.testing.assert_allclose(found[name][:, i, j], wanted, rtol=1e-4, atol=1e-5)


def test_chosen_queries_are_asked_at_every_place(tmp_path: Path) -> None:
    compiled = pg.compile(parse_spec(spec(OUTPUTS)))
    program, given = opened(compiled, randomised(compiled, 1), tmp_path), arrays()
    whole = program.run(given)
    entry = program.manifest.outputs["z"]
    assert (entry.axes, entry.queries, entry.places) == (
        ["batch", "a", "b", "query", "channel"],
        5,
        2,
    )
    some = program.run(given, decode={"z": [3, 0], "g": slice(1, 4), "m": None})
    np.testing.assert_allclose(some["z"], whole["z"][:, :, :, [3, 0]], rtol=1e-5, atol=1e-6)
    g = whole["g"].reshape(2, 4, 3, 6, 9)
    np.testing.assert_allclose(some["g"], g[:, :, :, 1:4], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(some["m"], whole["m"])
    # However few are decoded at a time, the numbers are the same.
    few = program.run(given, memory=program.manifest.decode_memory.fixed * 2 + 60_000)
    for name, x in few.items():
        np.testing.assert_allclose(x, whole[name], rtol=1e-5, atol=1e-6)


def test_what_is_left_out_is_left_out_at_every_place(tmp_path: Path) -> None:
    compiled = pg.compile(parse_spec(spec(OUTPUTS)), level=2)
    single = pg.compile(parse_spec(spec(OUTPUTS, places=False)), level=2)
    weights, given = randomised(compiled, 1), arrays()
    del given["s"]
    (tmp_path / "1").mkdir()
    found = opened(compiled, weights, tmp_path).run(given)
    here = {n: x[:, 2, :, 1] if n.startswith("x") else x for n, x in given.items()}
    for name, wanted in opened(single, weights, tmp_path / "1").run(here).items():
        np.testing.assert_allclose(found[name][:, 2, 1], wanted, rtol=1e-4, atol=1e-5)
    other = called(compiled, weights, given)
    for name, x in found.items():
        np.testing.assert_allclose(other[name], x, rtol=1e-4, atol=1e-5)
