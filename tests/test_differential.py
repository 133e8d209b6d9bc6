"""Random specs through every backend: the numpy oracle, onnxruntime and PyTorch agree."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import perceiver_graph as pg
from perceiver_graph.compiler.artifact import describe
from perceiver_graph.compiler.blocks.initial import NORMAL
from perceiver_graph.compiler.driver import Compiled
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.weights import initialize
from perceiver_graph.runtime import sizes as sizes_of
from perceiver_graph.runtime.coordinates import is_extra
from perceiver_graph.spec.loader import parse_spec
from perceiver_graph.testing.inputs import LONGEST
from perceiver_graph.testing.specs import render, specs
from tests.support import random_inputs

SLOW = settings(
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking takes minutes
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def randomised(compiled: Compiled, seed: int) -> dict[str, Array]:
    """Weights without the zeros and ones that a fresh model has, which hide mistakes.

    Their size is that of the noise in both dialects: what deepmind starts with has it already, and
    rounding would show in models with twice as much.
    """
    rng = np.random.default_rng(seed)
    leaves = (
        replace(leaf, init=NORMAL) if leaf.init.kind in {"truncated_normal", "fan_in"} else leaf
        for leaf in compiled.graph.parameters
    )
    fresh = initialize(replace(compiled.graph, parameters=tuple(leaves)), seed)
    weights = {}
    for name, array in sorted(fresh.items()):
        noise = np.asarray(rng.standard_normal(array.shape), np.float32)
        noisy = np.add(array, 0.3 * noise, dtype=np.float32)
        weights[name] = np.abs(noisy) if "running_var" in name else noisy
    return weights


def given_inputs(compiled: Compiled, arrays: dict[str, Array]) -> dict[str, Array]:
    """What a caller passes: the data of modalities that are present, their positions, and points."""
    found = {}
    entries = describe.input_entries(compiled.lowered)
    for leaf in compiled.graph.inputs:
        if leaf.role == "points":
            source = compiled.lowered.outputs[leaf.of].source
            if source:  # asked where the output is whose queries these are
                arrays[leaf.value.name] = arrays[f"{source}.points"]
            else:
                found[leaf.value.name] = arrays[leaf.value.name]
        if (
            leaf.role == "data"
            and not leaf.beside
            and arrays.get(f"{leaf.of}.present", np.ones(1, bool)).all()
        ):
            found[leaf.of] = arrays[leaf.of]
        if leaf.role == "attention_mask" and leaf.of in found:
            found[leaf.value.name] = arrays[leaf.value.name]
    for leaf in compiled.graph.inputs:
        alone = leaf.beside and entries[leaf.of].mask != "optional"
        if alone or any(other in found for other in leaf.beside):
            found[leaf.of] = arrays[leaf.of]
    return found


def agree(found: Array, expected: Array) -> float:
    """The largest difference, as a share of the largest number."""
    assert found.size == expected.size
    scale = max(float(np.abs(expected).max()), 1e-3)
    difference = float(np.abs(found.reshape(expected.shape) - expected).max())
    assert difference <= 1e-4 * scale, f"{difference} of {scale}"
    return difference / scale


@SLOW
@given(
    specs(symbolic=True),
    st.integers(1, 2),
    st.integers(2, LONGEST),
    st.integers(0, 2**31),
    st.sampled_from([0, 1, 2]),
)
def test_backends_agree(
    data: dict[str, Any], batch: int, length: int, seed: int, level: Any
) -> None:
    document = parse_spec(render(data))
    compiled = pg.compile(document, level=level, verify=True)
    weights = randomised(compiled, seed)
    arrays = random_inputs(compiled.lowered, batch, seed, {"length": length})
    for name in arrays:
        if name.endswith(".present"):  # a modality is given for the whole batch, or not at all
            arrays[name][:] = arrays[name][0]
    masks = describe.input_entries(compiled.lowered)
    if all(
        masks[name].mask == "always"
        for name in given_inputs(compiled, arrays)
        if name in masks and not is_extra(masks[name])
    ):
        for name in arrays:  # a call has to give something that is read
            if name.endswith(".present"):
                arrays[name][:] = True
    inputs = given_inputs(compiled, arrays)
    for name in arrays:  # zeros stand in for what is left out, which queries made of it see
        if name in masks and name not in inputs:
            arrays[name][:] = 0
        if name.removesuffix(".attention_mask") not in {name, *inputs}:
            arrays[name][:] = True
    expected = evaluate(compiled.graph, arrays, weights)
    with tempfile.TemporaryDirectory() as folder:
        program = onnx_program(compiled, weights, Path(folder))
        state = program.encode(inputs)
        agree(state.latents, expected["latents"])
        sizes = {"batch": batch, "length": length}
        at_points = {leaf.of for leaf in compiled.graph.inputs if leaf.role == "points"}
        shapes = {
            name: tuple(sizes_of.evaluate(size, sizes) for size in entry.shape)
            for name, entry in program.manifest.outputs.items()
            if name not in at_points
        }
        results = program.decode(state)
    assert {name: results[name].shape for name in shapes} == shapes
    for name, result in results.items():
        agree(result, expected[name])
    agree_with_torch(compiled, weights, arrays, inputs, expected, shapes)


def onnx_program(compiled: Compiled, weights: dict[str, Array], folder: Path) -> Any:
    from safetensors.numpy import save_file

    save_file(weights, folder / "weights.safetensors")
    compiled.save(folder / "artifact", weights=folder / "weights.safetensors")
    return pg.load(folder / "artifact", device="cpu")


def agree_with_torch(
    compiled: Compiled,
    weights: dict[str, Array],
    arrays: dict[str, Array],
    inputs: dict[str, Array],
    expected: dict[str, Array],
    shapes: dict[str, tuple[int, ...]],
) -> float:
    """Without positions the module decodes all of them, and puts them on the axes of the output.

    The largest difference of an output, as a share of the largest number.
    """
    import torch

    module: Any = compiled.to_torch(weights).eval()
    with torch.no_grad():
        given = [name for name in inputs if not name.endswith(".points")]
        tensors = {name: torch.from_numpy(inputs[name]) for name in given}
        agree(module.encode(tensors)["latents"].numpy(), expected["latents"])
        kinds = {i.of: i.value.name for i in compiled.graph.inputs if i.role == "points"}
        points = {name: torch.from_numpy(arrays[array]) for name, array in kinds.items()}
        results = module(tensors, points or None)
        found = {name: tuple(result.shape) for name, result in results.items()}
        assert {name: shape for name, shape in found.items() if name not in points} == shapes
        assert set(found) == set(shapes) | set(points)
        return max(agree(result.numpy(), expected[name]) for name, result in results.items())
