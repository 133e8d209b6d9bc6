"""What the tests of the PyTorch backend share: a small model, and ways to run and judge a source."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from perceiver_graph.compiler.backends.torch.interface import interface_of
from perceiver_graph.compiler.backends.torch.loading import load_module
from perceiver_graph.compiler.backends.torch.source import source
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.compiler.lowering.lowered import Lowered
from perceiver_graph.spec.loader import parse_spec
from perceiver_graph.spec.programs import ASKED
from tests.support import random_inputs

SPEC = """
perceiver: 1
name: small-model
inputs:
  audio:
    shape: {time: 32, channel: 1}
    steps: [{patch: {time: 16}}]
    position: {fourier: {bands: 3, max_resolution: {time: 32}}}
  image:
    shape: {height: 8, width: 8, channel: 3}
    steps: [{patch: {height: 4, width: 4}}]
    position: {fourier: {bands: 2}}
  label: {shape: {channel: 7}, mask: always}
join: {padding: {min: 4}}
latents: {count: 6, width: 16}
process: {layers: 3, blocks: 2, heads: 2}
decode: {padding: {min: 2}, project: 8, chunks: 4}
outputs:
  audio:
    query: {grid: {time: 2}, position: {fourier: {bands: 3, max_resolution: {time: 32}}}}
    head: {linear: 16}
  image:
    query: {grid: {height: 8, width: 8}, position: {fourier: {bands: 2}}}
    head: {linear: 3}
  label: {query: {learned: {count: 1, width: 20}}, head: {linear: 7}}
"""


def lowered(text: str = SPEC, *overrides: str) -> Lowered:
    return lower(parse_spec(text, "specs/small.yaml", overrides))


def emit(model: Lowered) -> str:
    name, interface = model.document.spec.name, interface_of(model)
    return source(model.graph, name=name, chunks=model.chunks, interface=interface)


def parameters(graph: Graph) -> dict[str, Array]:
    """Random values, large enough for every part of a model to matter; variances are positive."""
    rng = np.random.default_rng(0)
    found = {}
    for leaf in graph.parameters:
        values = rng.normal(0, 0.3, [int(dim) for dim in leaf.value.shape]).astype(np.float32)
        found[leaf.value.name] = values if leaf.trainable else np.abs(values) + 0.2
    return found


def module(text: str, weights: Mapping[str, Array] | None = None) -> Any:
    return load_module(text, weights)


def check(graph: Graph, inputs: Mapping[str, Array], weights: Mapping[str, Array]) -> str:
    """The emitted module and the oracle agree; returns the source."""
    text = source(graph, name="checked", chunks=2)
    model = module(text, weights).eval()
    assert set(model.state_dict()) == {leaf.value.name for leaf in graph.parameters}
    leaves = {leaf: torch.from_numpy(np.asarray(inputs[leaf.value.name])) for leaf in graph.inputs}
    data = {leaf.value.name: array for leaf, array in leaves.items() if leaf.role not in ASKED}
    queries = {leaf.of: array for leaf, array in leaves.items() if leaf.role in ASKED}
    expected = evaluate(graph, inputs, weights)
    with torch.no_grad():
        state = model.encode(data)
        found = model.decode(state, queries)
    if "latents" in expected:
        found = {"latents": state["latents"], **found}
    assert set(found) == set(expected)
    for name, tensor in found.items():
        assert tensor.shape == expected[name].shape
        limit = 1e-4 * max(1.0, float(np.abs(expected[name]).max(initial=0)))
        np.testing.assert_allclose(tensor.detach(), expected[name], rtol=0, atol=limit)
    return text


def check_spec(model: Lowered) -> None:
    check(model.graph, random_inputs(model, 2), parameters(model.graph))


def tensors(model: Lowered) -> dict[str, torch.Tensor]:
    """Data for every modality."""
    given = random_inputs(model, 2)
    names = {leaf.value.name for leaf in model.graph.inputs if leaf.role == "data"}
    return {name: torch.from_numpy(array) for name, array in given.items() if name in names}


def assert_clean(text: str) -> None:
    """The file is as `ruff format` would have it, and without findings."""
    assert_formatted(text)
    _ruff(text, "check", "--isolated")


def assert_formatted(text: str) -> None:
    """The file is as `ruff format` would have it."""
    _ruff(text, "format", "--diff")


def _ruff(text: str, *command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--line-length", "100", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
