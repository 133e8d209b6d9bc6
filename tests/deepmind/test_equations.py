"""The deepmind dialect against the papers' equations: oracle, ONNX and PyTorch, for every system.

Specs of the other dialect are switched with `--set dialect=deepmind`, which changes the GELU, the
padding of convolutions and pools and what a query finds where all is masked.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import perceiver_graph as pg
from perceiver_graph.compiler.driver import Compiled
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.spec.loader import load_spec
from tests.deepmind.equations import Weights
from tests.deepmind.systems import SYSTEMS
from tests.figures import difference
from tests.small import LATER, SMALL
from tests.support import random_inputs
from tests.test_differential import given_inputs, onnx_program, randomised

LENGTH = 12
RESIDUAL = {"imagenet_learned": ("decode.query_residual=false",)}
"""The original decodes the learned model without the query residual."""


def compiled_as_deepmind(name: str) -> Compiled:
    overrides = [*SMALL[name], "dialect=deepmind", *RESIDUAL.get(name, ())]
    return pg.compile(load_spec(name, overrides=overrides))


def arrays_for(compiled: Compiled) -> dict[str, Array]:
    """Random inputs: of two sequences one is whole; the other is padded, or nothing but padding."""
    dims = compiled.lowered.document.spec.dims
    arrays = random_inputs(compiled.lowered, batch=3, seed=5, lengths=dict.fromkeys(dims, LENGTH))
    for name, array in arrays.items():
        if name.endswith(".present"):
            array[:] = True
        elif name.endswith(".attention_mask"):
            array[:] = np.arange(array.shape[1]) < np.array([[array.shape[1]], [7], [0]])
    return arrays


def agree(found: Array, expected: Array) -> float:
    """The largest difference, as a share of the largest output."""
    scale = float(np.abs(expected).max())
    assert scale > 1e-4
    assert found.shape == expected.shape
    share = float(np.abs(found - expected).max()) / scale
    assert share <= 1e-4
    return share


def test_every_system_is_transcribed() -> None:
    assert SYSTEMS.keys() == SMALL.keys() - {*LATER}


@pytest.mark.parametrize("name", SYSTEMS)
def test_system(name: str, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    compiled = compiled_as_deepmind(name)
    weights = randomised(compiled, seed=3)
    arrays = arrays_for(compiled)
    expected = SYSTEMS[name](Weights(weights), arrays)
    oracle = evaluate(compiled.graph, arrays, weights)
    program = onnx_program(compiled, weights, tmp_path)
    inputs = given_inputs(compiled, arrays)
    onnx = program.run(inputs)
    module: Any = compiled.to_torch(weights).eval()
    outputs = compiled.lowered.outputs
    asked = {n: torch.from_numpy(arrays[f"{n}.queries"]) for n, o in outputs.items() if o.axes}
    with torch.no_grad():
        answers = module({n: torch.from_numpy(a) for n, a in inputs.items()}, asked)
    assert expected.keys() == set(compiled.lowered.outputs)
    for output, theirs in expected.items():
        for found in (oracle[output], onnx[output], answers[output].numpy()):
            share = agree(found.reshape(theirs.shape), theirs)
            record_property("difference", difference("equations", name, share))


@pytest.mark.parametrize(
    "name",
    ["language", "imagenet_conv", "optical_flow", "kinetics"],
)
def test_the_dialects_differ(name: str) -> None:
    ours = compiled_as_deepmind(name)
    theirs = pg.compile(
        load_spec(name, overrides=[*SMALL[name], "dialect=huggingface", *RESIDUAL.get(name, ())])
    )
    weights, arrays = randomised(ours, seed=3), arrays_for(ours)
    found = evaluate(ours.graph, arrays, weights)["latents"]
    other = evaluate(theirs.graph, arrays, weights)["latents"]
    # Far more than rounding (1e-6): the two GELUs alone are up to 5e-4 apart.
    assert np.abs(found - other).max() > 1e-5 * np.abs(found).max()


def test_a_text_of_padding_alone_is_read_as_zeros_or_evenly() -> None:
    name = "language"
    for dialect in ("deepmind", "huggingface"):
        overrides = [*SMALL[name], f"dialect={dialect}", "encode.activation=gelu"]
        overrides += ["process.layers=0", "encode.query_residual=false"]
        compiled = pg.compile(load_spec(name, overrides=overrides))
        weights, arrays = randomised(compiled, seed=3), arrays_for(compiled)
        before = evaluate(compiled.graph, arrays, weights)["latents"][2]
        arrays["text"][2] = (arrays["text"][2] + 1) % 262
        after = evaluate(compiled.graph, arrays, weights)["latents"][2]
        assert np.array_equal(before, after) == (dialect == "deepmind")
