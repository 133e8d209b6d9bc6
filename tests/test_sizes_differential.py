"""Random specs of symbolic sizes: what `check` accepts compiles, loads and runs in every backend, at
any size that it permits, with the shapes that the manifest says and the numbers of the reference."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import perceiver_graph as pg
from perceiver_graph.compiler.driver import Compiled
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.runtime.sizes import evaluate as evaluate_size
from perceiver_graph.spec.loader import parse_spec
from perceiver_graph.testing.specs import render, specs, symbol_sizes
from tests.support import POINTS, random_inputs
from tests.test_differential import SLOW, agree, given_inputs, onnx_program, randomised

EXAMPLES = int(os.environ.get("PERCEIVER_EXAMPLES", "12"))


@settings(SLOW, max_examples=EXAMPLES)
@given(specs(sized=True), st.data(), st.integers(0, 2**31), st.sampled_from([0, 2]))
def test_what_is_accepted_runs_at_any_size(
    data: dict[str, Any], draw: st.DataObject, seed: int, level: Any
) -> None:
    compiled = pg.compile(parse_spec(render(data)), level=level, verify=True)
    weights = randomised(compiled, seed)
    module: Any = compiled.to_torch(weights).eval()
    with tempfile.TemporaryDirectory() as folder:
        program = onnx_program(compiled, weights, Path(folder))
        for _ in range(2):
            sizes = draw.draw(symbol_sizes(data))
            arrays = random_inputs(compiled.lowered, 2, seed, sizes)
            for name in arrays:
                if name.endswith(".present"):
                    arrays[name][:] = True
            inputs = given_inputs(compiled, arrays)
            expected = evaluate(compiled.graph, arrays, weights)
            free = {n: sizes[n] for n in compiled.lowered.free_symbols}
            for name, result in program.run(inputs, sizes=free).items():
                agree(result, expected[name])
                shape = program.manifest.outputs[name].shape
                known = sizes | {"batch": 2, f"{name}_points": POINTS}
                assert list(result.shape) == [evaluate_size(n, known) for n in shape]
            results = called(module, compiled, arrays, inputs, free)
            shapes = {
                name: result.shape for name, result in program.run(inputs, sizes=free).items()
            }
            for name, array in results.items():
                agree(array, expected[name])
                assert array.shape == shapes[name]
            assert set(results) == set(shapes)


def called(
    module: Any,
    compiled: Compiled,
    arrays: dict[str, Array],
    inputs: dict[str, Array],
    free: dict[str, int],
) -> dict[str, Array]:
    """All outputs of the emitted module."""
    tensors = {n: torch.from_numpy(x) for n, x in inputs.items() if not n.endswith(".points")}
    points = {i.of: i.value.name for i in compiled.graph.inputs if i.role == "points"}
    queries = {name: torch.from_numpy(arrays[array]) for name, array in points.items()}
    given = [queries or None, *([free] if free else [])]
    with torch.no_grad():
        return {name: result.numpy() for name, result in module(tensors, *given).items()}
