"""What the parity tests share: a model on both sides, ways to run it, and the comparison."""

from __future__ import annotations

import os
import runpy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

import perceiver_graph as pg
from perceiver_graph.compiler.driver import Compiled
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.runtime import Program
from perceiver_graph.spec.loader import parse_spec
from tests.parity.reference import Reference, Result

Arrays = Mapping[str, Array]

DEVICE: Any = os.environ.get("PERCEIVER_GRAPH_DEVICE", "cpu")
"""Where the ONNX programs run: `cuda` compares that with transformers on the CPU."""

TOLERANCE = 1e-4
"""Largest difference, as a share of the largest magnitude in the reference."""
TOLERANCE_64 = 1e-6
"""In float64: what is left comes from the position tables, whose sines are of float32 numbers."""


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
        yield {name: rng.integers(0, count, min(count, 5)) for name, count in counts.items()}

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

    @cached_property
    def expected(self) -> list[tuple[Arrays, Arrays, Result]]:
        """Data, queries and what the reference makes of them; the last with a batch of one."""
        asked = [(self.data(), queries) for queries in self.chunks()]
        asked.append((self.data(batch=1, seed=3), asked[0][1]))
        return [(data, queries, self.reference.run(data, queries)) for data, queries in asked]

    @cached_property
    def artifact(self) -> Path:
        """Everything that is written, from the checkpoint on, as the command line does it."""
        folder = self.checkpoint.parent / "artifact"
        self.compiled.save(folder, backends=("onnx", "torch"), weights=self.checkpoint)
        return folder

    @cached_property
    def onnx(self) -> Program:
        return pg.load(self.artifact, device=DEVICE)

    @cached_property
    def torch(self) -> Any:
        return load_emitted(self.artifact)


def load_emitted(artifact: Path) -> Any:
    """The model of an artifact's model.py, with its weights."""
    module = runpy.run_path(str(artifact / "model.py"))
    return module["load"](artifact).eval()


def build(name: str, reference: Reference, folder: Path) -> Built:
    compiled = pg.compile(parse_spec(reference.spec, name))
    checkpoint = reference.save(folder / "checkpoint")
    return Built(name, reference, compiled, checkpoint, compiled.weights(checkpoint))


def run_onnx(program: Program, data: Arrays, queries: Arrays) -> Result:
    state = program.encode(data)
    asked = {name: queries.get(name) for name in program.manifest.outputs}
    return Result(state.latents, program.decode(state, asked))


def run_torch(model: Any, data: Arrays, queries: Arrays) -> Result:
    asked = {name: torch.from_numpy(positions) for name, positions in queries.items()}
    with torch.no_grad():
        state = model.encode({name: torch.from_numpy(array) for name, array in data.items()})
        outputs = model.decode(state, asked)
    arrays = {name: output.numpy() for name, output in outputs.items()}
    return Result(state["latents"].numpy(), arrays)


def compare(what: str, found: Result, expected: Result, tolerance: float = TOLERANCE) -> float:
    """Print and assert the largest difference of the latents and of each output; the largest of all."""
    assert found.outputs.keys() == expected.outputs.keys()
    pairs = {"latents": (found.latents, expected.latents)}
    pairs |= {name: (found.outputs[name], expected.outputs[name]) for name in found.outputs}
    return max(
        agree(f"{what}, {name}", ours, theirs, tolerance) for name, (ours, theirs) in pairs.items()
    )


def agree(what: str, ours: Array, theirs: Array, tolerance: float = TOLERANCE) -> float:
    """Print and assert the largest difference of two arrays, as a share of the largest magnitude."""
    assert ours.shape == theirs.shape
    difference, scale = np.abs(ours - theirs).max(), np.abs(theirs).max()
    share = float(difference / scale)
    print(f"{what}: difference {difference:.1e}, reference up to {scale:.3g}: {share:.1e}")
    assert scale > 0.1  # a reference of zeros would show nothing
    assert share <= tolerance
    return share
