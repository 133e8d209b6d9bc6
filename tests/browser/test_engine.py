"""Every shipped system, small, on onnxruntime-web: the numbers of onnxruntime, in node as in a browser.

Its programs are given what the runtime gives them, and `examples/browser/program.js` what a caller does.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import perceiver_graph as pg
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.runtime.sessions import Sessions
from perceiver_graph.spec.loader import load_spec
from tests.browser.support import ROOT, engine
from tests.small import SMALL
from tests.test_differential import given_inputs, randomised
from tests.test_half_precision import inputs_of
from tests.test_openvino import share

pytestmark = pytest.mark.browser
LIMIT = 1e-5
"""Of the largest number of an output."""
RUNNER = ROOT / "examples" / "browser" / "program.js"
SCRIPT = Path(__file__).parent / "engine.mjs"
Case = dict[str, Any]


def packed(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays, some of them still in the memory of onnxruntime, as JSON has them."""
    found = {}
    for name, value in arrays.items():
        array = np.ascontiguousarray(value if isinstance(value, np.ndarray) else value.numpy())
        data = base64.b64encode(array.tobytes()).decode("ascii")
        found[name] = {"dtype": str(array.dtype), "dims": list(array.shape), "data": data}
    return found


def unpacked(tensors: Mapping[str, Any]) -> dict[str, Array]:
    """The numbers, those of truth values too."""
    found = {}
    for name, one in tensors.items():
        flat = np.frombuffer(base64.b64decode(one["data"]), one["dtype"])
        found[name] = flat.reshape(one["dims"]).astype(np.float64)
    return found


def write_case(name: str, folder: Path) -> Case:
    """Compile a system, run it on onnxruntime, and keep what its programs were given and gave back, and
    what comes of the whole where masks are left out."""
    model = pg.compile(load_spec(name, overrides=list(SMALL[name])), target="onnx-standard")
    model.save(folder / "artifact", weights=randomised(model, seed=3))
    inputs = given_inputs(model, inputs_of(model))
    runs: list[Case] = []
    usual = Sessions.run

    def recording(self: Sessions, given: Any, outputs: Any, sizes: Any, **more: Any) -> Any:
        results = usual(self, given, outputs, sizes, **more)
        run = {"inputs": packed(given), "expected": packed(results)}
        runs.append({"name": self.file.stem, **run})
        return results

    program = pg.load(folder / "artifact", device="cpu", engine="onnxruntime")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sessions, "run", recording)
        program.run(inputs)
    given = {name: array for name, array in inputs.items() if not name.endswith(".attention_mask")}
    results = program.run(given)
    computed = {
        size: length
        for output, array in results.items()
        for size, length in zip(program.manifest.outputs[output].shape, array.shape, strict=True)
        if isinstance(size, str) and not size.isidentifier()
    }
    call = {"inputs": packed(given), "sizes": computed, "expected": packed(results)}
    case: Case = {"runs": runs, "call": call}
    (folder / "case.json").write_text(json.dumps(case), encoding="ascii")
    return case


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Case, Case]]:
    """What onnxruntime gave, and what onnxruntime-web gives, by the name of a system."""
    found, node = engine(), shutil.which("node")
    if node is None:
        pytest.skip("there is no node: install the package nodejs")
    folder = tmp_path_factory.mktemp("cases")
    asked = {name: write_case(name, folder / name) for name in SMALL}
    subprocess.run([node, SCRIPT, found, RUNNER, folder], check=True, timeout=600)
    return {
        name: (case, json.loads((folder / name / "result.json").read_text("ascii")))
        for name, case in asked.items()
    }


@pytest.mark.parametrize("name", SMALL)
def test_it_computes_what_onnxruntime_does(name: str, cases: dict[str, tuple[Case, Case]]) -> None:
    case, found = cases[name]
    assert "error" not in found, found["error"]
    assert {run["name"] for run in case["runs"]} == {"encode", "decode"}
    pairs = [(run["expected"], now) for run, now in zip(case["runs"], found["runs"], strict=True)]
    differences = [
        share(unpacked(now)[output], array)
        for expected, now in [*pairs, (case["call"]["expected"], found["call"])]
        for output, array in unpacked(expected).items()
    ]
    print(f"{name}: {max(differences):.1e}")
    assert max(differences) < LIMIT


def test_other_weights_would_be_seen(cases: dict[str, tuple[Case, Case]]) -> None:
    """The outputs are no constants: they differ between elements of the batch."""
    for case, _ in cases.values():
        outputs = unpacked(case["call"]["expected"]).values()
        assert any(np.ptp(array) > 0 for array in outputs)
