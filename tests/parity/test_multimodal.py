"""Multimodal models against transformers with the same weights: the numpy oracle, ONNX, PyTorch.

Weights travel as a checkpoint: transformers writes it, our loader reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import perceiver_graph as pg
from perceiver_graph.compiler.driver import Compiled
from perceiver_graph.compiler.interpreter import evaluate
from perceiver_graph.compiler.ops.base import Array
from perceiver_graph.runtime import Program
from perceiver_graph.spec.loader import load_spec, parse_spec
from tests.parity import compositions
from tests.parity.reference import KINETICS, Reference, Result, Sizes, autoencoder, composed

Arrays = Mapping[str, Array]

TOLERANCE = 1e-4
"""Largest difference, as a share of the largest magnitude in the reference."""
TOLERANCE_64 = 1e-6
"""In float64: what is left comes from the position tables, whose sines are of float32 numbers."""

CASES: dict[str, Callable[[], Reference]] = {
    "small": lambda: autoencoder(Sizes()),
    "shared_blocks": lambda: autoencoder(Sizes(blocks=3, layers=2, heads=2)),
    "no_layers": lambda: autoencoder(Sizes(layers=0)),
    "wide_mlps": lambda: autoencoder(Sizes(widening=3, cross_widening=2, cross_heads=1)),
    "cross_heads": lambda: autoencoder(Sizes(cross_heads=3, width=24, samples_per_patch=8)),
    "narrow_keys": lambda: autoencoder(Sizes(qk_width=8, v_width=16, cross_heads=2, heads=2)),
    "as_wide_as_the_query": lambda: autoencoder(Sizes(by_query=True, query_residual=False)),
    "longer_film": lambda: autoencoder(
        Sizes(frames=5, side=20, samples_per_frame=33, samples_per_patch=3, latents=13)
    ),
    "many_labels": lambda: autoencoder(Sizes(labels=450, label_query=500, project=19)),
    "sensors": lambda: composed(compositions.sensors),
    "cameras": lambda: composed(compositions.cameras),
    "alone": lambda: composed(compositions.alone),
}


@dataclass
class Built:
    """One model on both sides."""

    name: str
    reference: Reference
    compiled: Compiled
    checkpoint: Path
    weights: Arrays

    def data(self, batch: int = 2, seed: int = 1) -> dict[str, Array]:
        """Random modalities; channels last, as specs have them."""
        rng = np.random.default_rng(seed)
        return {
            leaf.of: rng.standard_normal(
                [batch, *(int(size) for size in leaf.value.shape[1:])], np.float32
            )
            for leaf in self.compiled.graph.inputs
            if leaf.role == "data"
        }

    def chunks(self) -> Iterator[dict[str, Array]]:
        """Queries of all outputs that can be chosen from: both halves, then some in no order."""
        outputs = self.compiled.lowered.outputs
        counts = {n: int(o.queries) for n, o in outputs.items() if o.axes}
        yield {name: np.arange(count // 2) for name, count in counts.items()}
        yield {name: np.arange(count // 2, count) for name, count in counts.items()}
        rng = np.random.default_rng(2)
        yield {name: rng.integers(0, count, 5) for name, count in counts.items()}

    def maskable(self) -> list[str]:
        return [leaf.of for leaf in self.compiled.graph.inputs if leaf.role == "present"]

    def oracle(self, data: Arrays, queries: Arrays, absent: str = "") -> Result:
        batch = len(next(iter(data.values())))
        present = {
            leaf.value.name: np.full(batch, leaf.of != absent)
            for leaf in self.compiled.graph.inputs
            if leaf.role == "present"
        }
        asked = {f"{name}.queries": positions for name, positions in queries.items()}
        found = evaluate(self.compiled.graph, {**data, **present, **asked}, self.weights)
        return Result(found.pop("latents"), found)

    def onnx(self, folder: Path) -> Program:
        """The artifact, written and opened as the command line does it."""
        self.compiled.save(folder, backends=("onnx",), weights=self.checkpoint)
        return pg.load(folder, device="cpu")


def build(name: str, reference: Reference, folder: Path) -> Built:
    compiled = pg.compile(parse_spec(reference.spec, name))
    checkpoint = reference.save(folder / "checkpoint")
    return Built(name, reference, compiled, checkpoint, compiled.weights(checkpoint))


def run(program: Program, data: Arrays, queries: Arrays) -> Result:
    state = program.encode(data)
    asked = {name: queries.get(name) for name in program.manifest.outputs}
    return Result(state.latents, program.decode(state, asked))


def compare(what: str, found: Result, expected: Result, tolerance: float = TOLERANCE) -> None:
    """Print and assert the largest difference of the latents and of each output."""
    assert found.outputs.keys() == expected.outputs.keys()
    pairs = {"latents": (found.latents, expected.latents)}
    pairs |= {name: (found.outputs[name], expected.outputs[name]) for name in found.outputs}
    for name, (ours, theirs) in pairs.items():
        assert ours.shape == theirs.shape
        difference, scale = np.abs(ours - theirs).max(), np.abs(theirs).max()
        share = difference / scale
        print(
            f"{what}, {name}: difference {difference:.1e}, reference up to {scale:.3g}: {share:.1e}"
        )
        assert scale > 0.1  # a reference of zeros would show nothing
        assert share <= tolerance


@pytest.fixture(scope="module", params=CASES)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(request.param, CASES[request.param](), tmp_path_factory.mktemp("parity"))


def test_oracle(built: Built) -> None:
    data = built.data()
    for number, queries in enumerate(built.chunks()):
        expected = built.reference.run(data, queries)
        compare(f"{built.name}, oracle, chunk {number}", built.oracle(data, queries), expected)


def test_oracle_in_float64(built: Built) -> None:
    data = {name: array.astype(np.float64) for name, array in built.data().items()}
    queries = next(built.chunks())
    expected = built.reference.double().run(data, queries)
    found = built.oracle(data, queries)
    compare(f"{built.name}, oracle in float64", found, expected, TOLERANCE_64)


def test_absent_modalities(built: Built, tmp_path: Path) -> None:
    """Whatever stands in the array of an absent modality, its mask token is read."""
    program = built.onnx(tmp_path / "artifact")
    data, queries = built.data(), next(built.chunks())
    for name in built.maskable():
        with built.reference.without(name):
            expected = built.reference.run(data, queries)
        poisoned = data | {name: np.full_like(data[name], np.nan)}
        compare(
            f"{built.name}, oracle without {name}", built.oracle(poisoned, queries, name), expected
        )
        given = {n: array for n, array in data.items() if n != name}
        if len(built.maskable()) > 1 or len(given) > len(_always_masked(program)):
            compare(f"{built.name}, ONNX without {name}", run(program, given, queries), expected)


def _always_masked(program: Program) -> list[str]:
    return [name for name, entry in program.manifest.inputs.items() if entry.mask == "always"]


def test_onnx(built: Built, tmp_path: Path) -> None:
    program = built.onnx(tmp_path / "artifact")
    for batch in (1, 3):
        data = built.data(batch)
        for number, queries in enumerate(built.chunks()):
            expected = built.reference.run(data, queries)
            found = run(program, data, queries)
            compare(f"{built.name}, ONNX, batch {batch}, chunk {number}", found, expected)


DIVISORS = st.sampled_from([1, 2, 4])


@st.composite
def all_sizes(draw: st.DrawFn) -> Sizes:
    width = 8 * draw(st.integers(1, 3))
    patch = draw(st.integers(1, 6))
    narrow = draw(st.booleans())
    sizes = Sizes(
        frames=draw(st.integers(2, 4)),
        side=4 * draw(st.integers(1, 4)),
        samples_per_patch=patch,
        samples_per_frame=patch * draw(st.integers(1, 9)),
        labels=draw(st.sampled_from([2, 7, 501])),
        latents=draw(st.integers(1, 9)),
        width=width,
        layers=draw(st.integers(1, 3)),
        blocks=draw(st.integers(1, 3)),
        heads=draw(DIVISORS),
        cross_heads=draw(DIVISORS),
        qk_width=4 * draw(st.integers(1, 5)) if narrow else None,
        v_width=width if narrow else None,
        by_query=draw(st.booleans()),
        widening=draw(st.integers(1, 2)),
        cross_widening=draw(st.integers(1, 2)),
        query_residual=draw(st.booleans()),
        project=draw(st.integers(1, 12)),
        label_query=draw(st.sampled_from([3, 400])),
    )
    channels = max(385 + patch, 195 + 48, sizes.labels) + 4
    cross = sizes.qk_width or (width if sizes.by_query else channels)
    assume(cross % sizes.cross_heads == 0)
    return sizes


@settings(max_examples=12, deadline=None, derandomize=True)
@given(sizes=all_sizes())
def test_any_sizes(sizes: Sizes, tmp_path_factory: pytest.TempPathFactory) -> None:
    built = build("random", autoencoder(sizes), tmp_path_factory.mktemp("random"))
    data, queries = built.data(), next(built.chunks())
    if built.compiled.lowered.outputs["audio"].queries == 1:
        queries["audio"] = np.array([0])  # half of one would be none
    compare(f"{sizes}, oracle", built.oracle(data, queries), built.reference.run(data, queries))
