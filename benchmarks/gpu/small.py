"""Every shipped system, small, on the device in every precision: how far from the numpy reference.

The compiler's interpreter computes the reference in float32 on the CPU, from the same weights.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import perceiver_graph as pg
from benchmarks.gpu.plan import Plan
from benchmarks.tasks import Precision
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.spec.loader import load_spec
from tests.small import SMALL
from tests.support import random_inputs
from tests.test_differential import given_inputs, randomised

SYSTEMS = tuple(SMALL)
_LENGTH = 12
Arrays = Mapping[str, NDArray[Any]]


def measure(plan: Plan, system: str, engines: list[str]) -> None:
    """Find the differences of a system, a finding for each engine and precision."""
    document = load_spec(system, overrides=list(SMALL[system]))
    reference = pg.compile(document)
    lengths = dict.fromkeys(document.spec.dims, _LENGTH)
    arrays = random_inputs(reference.lowered, batch=2, seed=5, lengths=lengths)
    for array in arrays.values():
        if array.dtype == np.bool_:
            array[:] = True
            if array.ndim > 1:
                array[1, array.shape[1] * 2 // 3 :] = False
    weights = randomised(reference, seed=3)
    expected = evaluate(reference.graph, arrays, weights)
    inputs = given_inputs(reference, arrays)
    for engine in engines:
        run = {"torch": _module, "onnxruntime": _program}[engine]
        for precision in plan.precisions:
            of = {"system": system, "engine": engine, "precision": precision}
            with plan.finding("small", **of) as found:
                if plan.left() < 5:
                    found["note"] = "not reached"
                    continue
                with plan.beside_others():
                    results = run(plan, document, precision, weights, inputs)
                found["difference"] = _difference(results, expected)


def _difference(results: Arrays, expected: Arrays) -> float:
    return max(
        float(np.abs(result.astype(np.float64).ravel() - expected[name].ravel()).max())
        / float(np.abs(expected[name]).max())
        for name, result in results.items()
    )


def _program(
    plan: Plan, document: Any, precision: Precision, weights: Arrays, inputs: Arrays
) -> Arrays:
    from safetensors.numpy import save_file

    compiled = pg.compile(document, device=plan.device, precision=precision)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        save_file(dict(weights), path / "weights.safetensors")
        compiled.save(path / "artifact", weights=path / "weights.safetensors")
        program = pg.load(path / "artifact", device=plan.device)
        return program.decode(program.encode(inputs))


def _module(
    plan: Plan, document: Any, precision: Precision, weights: Arrays, inputs: Arrays
) -> Arrays:
    import torch

    from benchmarks.reference import DTYPES

    dtype = DTYPES[precision]
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    compiled = pg.compile(document)
    module: Any = compiled.to_torch(weights).eval().to(plan.device, dtype)
    tensors = {name: torch.from_numpy(array).to(plan.device) for name, array in inputs.items()}
    data = {n: t.to(dtype) if t.is_floating_point() else t for n, t in tensors.items()}
    sizes = {"batch": 2} | dict.fromkeys(document.spec.dims, _LENGTH)
    asked = {
        name: torch.arange(output.queries.evaluate(sizes), device=plan.device)
        for name, output in compiled.lowered.outputs.items()
        if output.axes
    }
    with torch.no_grad():
        answers = module(data, asked)
    return {name: answer.float().cpu().numpy() for name, answer in answers.items()}
