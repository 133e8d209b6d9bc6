"""Queries at points that are made of a vector: what they ask, and what latents know of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import perceiver_graph as pg
from perceiver_graph.compiler.driver import Compiled
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.weights import initialize
from perceiver_graph.runtime.program import Program
from perceiver_graph.spec.loader import parse_spec

SPEC = """
perceiver: 1
name: example
inputs:
  spikes: {shape: {spike: 6, channel: 3}, position: {rotary: {given: [time]}}}
  session: {shape: {}, steps: [{embedding: {vocabulary: 4, width: 8}}]}
latents: {count: 5, width: 8, range: [0, 1]}
process: {layers: 1, heads: 2}
decode: {rotary: true, mlp: false, norm: none, query_residual: true}
outputs:
  alone: {query: {points: [time], vector: session}}
  sum:
    query:
      points: [time]
      vector: session
      position: {fourier: {bands: 2, spacing: octaves}, project: 8, combine: add}
"""


def weights(compiled: Compiled) -> dict[str, Array]:
    return {name: 20 * value for name, value in initialize(compiled.graph, 1).items()}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder: Path = tmp_path_factory.mktemp("vectors") / "artifact"
    compiled = pg.compile(parse_spec(SPEC))
    compiled.save(folder, weights=weights(compiled))
    return pg.load(folder, device="cpu")


def given(*sessions: int) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    batch = len(sessions)
    times = rng.random((1, 6, 1), np.float32)
    spikes = rng.standard_normal((1, 6, 3)).astype(np.float32)
    return {
        "spikes": np.repeat(spikes, batch, 0),
        "spikes.position": np.repeat(times, batch, 0),
        "session": np.array(sessions),
    }


POINTS = np.linspace(0, 1, 7, dtype=np.float32).reshape(1, 7, 1)


def test_a_session_is_asked_of_the_same_latents(program: Program) -> None:
    state = program.encode(given(0, 2))
    answers = program.decode(state, {"alone": POINTS[0], "sum": POINTS[0]})
    for name, found in answers.items():
        assert found.shape == (2, 7, 8)
        assert np.abs(found[0] - found[1]).max() > 0.01, name
        alone = program.decode(program.encode(given(2)), {name: POINTS})[name]
        np.testing.assert_allclose(found[1], alone[0], atol=1e-5)
    at_once = program.run({**given(0), "alone.points": POINTS, "sum.points": POINTS})["alone"]
    later = program.decode(program.encode(given(0)), {"alone": POINTS})["alone"]
    np.testing.assert_array_equal(at_once, later)


def test_a_query_is_the_vector_alone_or_with_positions() -> None:
    """Where what is attended to has a map of zeros, queries are all that comes out."""
    compiled = pg.compile(parse_spec(SPEC))
    values = weights(compiled)
    for kind in ("weight", "bias"):
        values[f"decoder.cross_attend.attention.output.{kind}"] *= 0
    module = compiled.to_torch(values)
    torch = pytest.importorskip("torch")
    inputs = {name: torch.from_numpy(x) for name, x in given(1, 3).items()}
    points = torch.from_numpy(np.repeat(POINTS, 2, 0))
    with torch.no_grad():
        found = module(inputs, {"alone": points, "sum": points})
    vectors = values["inputs.session.embedding.weight"][[1, 3]][:, None]
    np.testing.assert_allclose(found["alone"].numpy(), np.repeat(vectors, 7, 1), rtol=1e-6)
    x = POINTS
    waves = np.concatenate(
        [x, *(wave(np.pi * 2**band * x) for wave in (np.sin, np.cos) for band in (0, 1))], -1
    )
    scope = "queries.sum.position.project"
    mapped = waves @ values[f"{scope}.weight"].T + values[f"{scope}.bias"]
    np.testing.assert_allclose(found["sum"].numpy(), vectors + mapped, atol=1e-5)


READ_BACK = """
perceiver: 1
name: read_back
inputs:
  first: {shape: {step: 3, channel: 8}}
  session: {shape: {}, steps: [{embedding: {vocabulary: 4, width: 8}}]}
  second: {shape: {step: 2, channel: 8}}
latents: {count: 2, width: 8}
encode: {cross_attends: 2, share: none, induced: true}
process: {blocks: 2, layers: 0, share: false}
decode: {query_residual: true}
outputs:
  first: {query: {inputs: first}}
  second: {query: {inputs: second}}
  any:
    query:
      points: [time]
      vector: session
      position: {fourier: {bands: 2, spacing: octaves}, project: 8, combine: add}
"""


def test_a_vector_is_not_among_the_tokens_that_were_read_back() -> None:
    torch = pytest.importorskip("torch")
    alone = READ_BACK[: READ_BACK.index("  any:")].splitlines(keepends=True)
    without = pg.compile(parse_spec("".join(x for x in alone if "session" not in x)))
    both = pg.compile(parse_spec(READ_BACK))
    values = weights(both)
    arrays = {
        name: torch.from_numpy(np.random.default_rng(1).random((1, count, 8), np.float32))
        for name, count in (("first", 3), ("second", 2))
    }
    session = {"session": torch.tensor([1])}
    with torch.no_grad():
        wanted = without.to_torch({n: values[n] for n in initialize(without.graph, 1)})(arrays)
        points = torch.from_numpy(POINTS)
        found = both.to_torch(values)(arrays | session, {"any": points})
    for name, count in (("first", 3), ("second", 2)):
        assert found[name].shape == (1, count, 8)
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-6)
