"""Latents that are tokens which the caller chooses: by hand, in numpy, ONNX and PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import perceiver_graph as pg
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.runtime.run import run_files
from perceiver_graph.spec import parse_spec
from tests.torch_support import lowered, parameters

CLOUD = """
perceiver: 1
name: shapes
dims: {points: {min: 2, max: 40}}
inputs:
  cloud: {shape: {point: points, channel: 3}, steps: [{linear: 8}], attention_mask: true}
latents: {of: cloud, chosen: 4}
encode: {heads: 2}
process: {layers: 1, heads: 2}
outputs:
  latents_of_all: {query: latents}
  inside: {query: {points: 3, position: {fourier: {bands: 2, spacing: octaves}}}, head: {linear: 1}}
"""
BESIDE = CLOUD.replace("latents: {of", "  code: {shape: {channel: 8}}\nlatents: {of")
ROTARY = CLOUD.replace("heads: 2}", "heads: 2, rotary: true}")
TIMES = ROTARY.replace("steps:", "position: {rotary: {given: [time]}}, steps:")
ITSELF = CLOUD.replace("encode: {heads: 2}", "encode: {cross_attends: 0}")
BOTH = CLOUD.replace("heads: 2}\nprocess", "heads: 2, keys: [inputs, latents]}\nprocess")
LEVELS = """
perceiver: 1
name: levels
inputs:
  air: {shape: {level: 5, place: 3, channel: 6}, attention_mask: true}
latents: {of: air, chosen: 2}
encode: {over: level, heads: 2}
process: {layers: 1, heads: 2}
outputs:
  latents_of_all: {query: latents}
"""
OPTIONAL = """
perceiver: 1
name: optional
inputs:
  cloud: {shape: {point: 6, channel: 8}}
  text: {shape: {word: 3}, steps: [{embedding: {vocabulary: 9, width: 8}}]}
join: {}
latents: {of: cloud, chosen: 3}
process: {layers: 1}
outputs:
  latents_of_all: {query: latents}
"""
SPECS = {
    "cloud": CLOUD,
    "beside": BESIDE,
    "rotary": ROTARY,
    "times": TIMES,
    "itself": ITSELF,
    "both": BOTH,
    "levels": LEVELS,
    "optional": OPTIONAL,
}


def inputs_for(name: str, batch: int = 2, points: int = 7) -> dict[str, Array]:
    rng = np.random.default_rng(3)

    def numbers(*shape: int) -> Array:
        return np.asarray(rng.standard_normal(shape), np.float32)

    if name == "levels":
        mask = np.ones((batch, 5, 3), bool)
        mask[0, 4, 1] = False
        chosen = rng.integers(0, 5, (batch, 3, 2))
        return {"air": numbers(batch, 5, 3, 6), "air.attention_mask": mask, "air.chosen": chosen}
    if name == "optional":
        words = rng.integers(0, 9, (batch, 3))
        return {
            "cloud": numbers(batch, 6, 8),
            "cloud.chosen": rng.integers(0, 6, (batch, 3)),
            "text": words,
        }
    mask = np.ones((batch, points), bool)
    mask[0, -2:] = False
    chosen = rng.integers(0, points, (batch, 4))
    chosen[0, -1] = points - 1  # one that is masked
    found = {
        "cloud": numbers(batch, points, 3),
        "cloud.attention_mask": mask,
        "cloud.chosen": chosen,
        "inside.points": np.asarray(rng.uniform(-1, 1, (batch, 5, 3)), np.float32),
    }
    found |= {"code": numbers(batch, 8)} if name == "beside" else {}
    times = np.asarray(rng.uniform(0, 9, (batch, points, 1)), np.float32)
    return found | ({"cloud.position": times} if name == "times" else {})


def saved(folder: Path, text: str, level: int) -> tuple[Any, dict[str, Array], Any]:
    from safetensors.numpy import save_file

    compiled = pg.compile(parse_spec(text, "spec.yaml"), level=level, verify=True)  # type: ignore[arg-type]
    weights = parameters(compiled.lowered.graph)
    save_file(weights, folder / "weights.safetensors")
    compiled.save(folder / "artifact", weights=folder / "weights.safetensors")
    return compiled, weights, pg.load(folder / "artifact", device="cpu")


@pytest.mark.parametrize("level", [0, 2])
@pytest.mark.parametrize("name", SPECS)
def test_numpy_onnx_and_pytorch_agree(name: str, level: int, tmp_path: Path) -> None:
    compiled, weights, program = saved(tmp_path, SPECS[name], level)
    inputs = inputs_for(name)
    present = {leaf.value.name: np.ones(2, bool) for leaf in compiled.graph.inputs}
    model = lowered(SPECS[name])
    expected = evaluate(model.graph, {**present, **inputs}, weights)
    found = program.run(inputs)
    module = compiled.to_torch(weights).eval()
    tensors = {n: torch.from_numpy(x) for n, x in inputs.items() if not n.endswith(".points")}
    queries = {"inside": torch.from_numpy(inputs["inside.points"])} if "inside" in found else None
    with torch.no_grad():
        torched = module(tensors, queries)
    for output, array in found.items():
        np.testing.assert_allclose(array, expected[output], rtol=0, atol=2e-5)
        np.testing.assert_allclose(torched[output], expected[output], rtol=0, atol=2e-5)


def test_latents_are_the_rows_that_are_named() -> None:
    """By hand: without layers or reading, what comes out are the mapped rows themselves."""
    text = ITSELF.replace("process: {layers: 1, heads: 2}", "process: {layers: 0}")
    model, inputs = lowered(text), inputs_for("itself")
    weights = parameters(model.graph)
    rows = inputs["cloud"] @ weights["inputs.cloud.linear.weight"].T
    rows += weights["inputs.cloud.linear.bias"]
    found = evaluate(model.graph, inputs, weights)["latents_of_all"]
    for sample, chosen in enumerate(inputs["cloud.chosen"]):
        np.testing.assert_allclose(found[sample], rows[sample, chosen], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["cloud", "rotary", "times"])
def test_the_last_ones_by_their_numbers_are_the_last_ones(name: str) -> None:
    text, inputs = SPECS[name], inputs_for(name)
    text = text.replace("points: {min: 2", "points: {min: 4")
    last = lowered(text.replace("chosen: 4", "last: 4"))
    weights = parameters(last.graph)
    expected = evaluate(last.graph, inputs, weights)
    inputs["cloud.chosen"] = np.tile(np.arange(3, 7), (2, 1))
    found = evaluate(lowered(text).graph, inputs, weights)
    np.testing.assert_allclose(found["inside"], expected["inside"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["cloud", "both"])
def test_a_chosen_token_that_is_masked_is_read_by_nobody(name: str) -> None:
    model, inputs = lowered(SPECS[name]), inputs_for(name)
    weights = parameters(model.graph)
    expected = evaluate(model.graph, inputs, weights)["inside"]
    inputs["cloud"][0, -2:] = 5
    np.testing.assert_array_equal(evaluate(model.graph, inputs, weights)["inside"], expected)
    inputs["cloud.attention_mask"][:] = True
    found = evaluate(model.graph, inputs, weights)["inside"]
    assert np.abs(found[0] - expected[0]).max() > 1e-3


def test_masked_points_at_the_end_do_not_change_what_numbers_mean(tmp_path: Path) -> None:
    _, weights, program = saved(tmp_path, CLOUD, 2)
    inputs = inputs_for("cloud")
    inputs["cloud.attention_mask"][:, -2:] = False
    expected = evaluate(lowered(CLOUD).graph, inputs, weights)
    np.testing.assert_allclose(program.run(inputs)["inside"], expected["inside"], atol=2e-5)


def test_an_input_that_is_left_out_has_nothing_chosen(tmp_path: Path) -> None:
    compiled, weights, program = saved(tmp_path, OPTIONAL, 2)
    words = inputs_for("optional")["text"]
    found = program.run({"text": words})["latents_of_all"]
    module = compiled.to_torch(weights).eval()
    with torch.no_grad():
        torched = module({"text": torch.from_numpy(words)})["latents_of_all"]
    np.testing.assert_allclose(torched, found, rtol=0, atol=2e-5)
    cloud = inputs_for("optional")["cloud"]
    with pytest.raises(
        DiagnosticError, match=r"without the numbers of its chosen tokens, `cloud\.chosen`"
    ):
        program.run({"text": words, "cloud": cloud})
    with pytest.raises(DiagnosticError, match="without `cloud`, whose chosen tokens it holds"):
        program.run({"text": words, "cloud.chosen": np.zeros((2, 3), np.int64)})
    with pytest.raises(ValueError, match=r"input `cloud\.chosen` is missing"):
        module.check({"text": torch.from_numpy(words), "cloud": torch.from_numpy(cloud)})


@pytest.mark.parametrize("wrong", [-1, 7])
def test_numbers_of_no_token_are_refused(wrong: int, tmp_path: Path) -> None:
    compiled, weights, program = saved(tmp_path, CLOUD, 2)
    inputs = inputs_for("cloud")
    inputs["cloud.chosen"][1, 2] = wrong
    with pytest.raises(DiagnosticError) as caught:
        program.run(inputs)
    (fault,) = caught.value.diagnostics
    assert fault.code == "PG514"
    assert fault.message == "1 of 8 numbers in `cloud.chosen` are of no token of `cloud`"
    assert fault.notes == (f"the first is {wrong} at batch 1, latent 2",)
    module = compiled.to_torch(weights)
    tensors = {n: torch.from_numpy(x) for n, x in inputs.items() if not n.endswith(".points")}
    with pytest.raises(ValueError, match=rf"`cloud.chosen` holds {wrong}, and takes 0 to 6"):
        module(tensors, {"inside": torch.from_numpy(inputs["inside.points"])})


def test_numbers_that_are_missing_or_no_whole_numbers_are_told(tmp_path: Path) -> None:
    _, _, program = saved(tmp_path, CLOUD, 2)
    inputs = inputs_for("cloud")
    with pytest.raises(DiagnosticError, match=r"int64 .*, the chosen tokens of `cloud`"):
        program.run({n: x for n, x in inputs.items() if n != "cloud.chosen"})
    with pytest.raises(DiagnosticError, match="takes int64"):
        program.run(inputs | {"cloud.chosen": inputs["cloud.chosen"].astype(np.float32)})
    with pytest.raises(DiagnosticError, match="has size 3, and takes 4"):
        program.run(inputs | {"cloud.chosen": inputs["cloud.chosen"][:, :3]})


def test_gradients_reach_the_tokens_that_are_chosen_and_no_others() -> None:
    module: Any = pg.compile(parse_spec(ITSELF, "spec.yaml")).to_torch()
    inputs = inputs_for("itself")
    cloud = torch.from_numpy(inputs["cloud"]).requires_grad_()
    chosen = torch.from_numpy(inputs["cloud.chosen"])
    state = module.encode({"cloud": cloud, "cloud.chosen": chosen})
    state["latents"].square().sum().backward()
    assert cloud.grad is not None
    reached = [set(row.nonzero().flatten().tolist()) for row in cloud.grad.abs().amax(-1)]
    assert reached == [set(row.tolist()) for row in chosen]


@pytest.mark.parametrize("name", ["cloud", "levels", "times"])
def test_the_module_compiles_and_exports_whole(name: str) -> None:
    module: Any = pg.compile(parse_spec(SPECS[name], "spec.yaml")).to_torch().eval()
    inputs = {n: torch.from_numpy(x) for n, x in inputs_for(name).items()}
    points = inputs.pop("inside.points", None)
    given = (inputs,) if points is None else (inputs, {"inside": points})
    expected = module(*given)
    exported = torch.export.export(module, given, strict=True).module()(*given)
    for output, array in expected.items():
        torch.testing.assert_close(exported[output], array)


def test_random_inputs_choose_each_token_once(tmp_path: Path) -> None:
    from perceiver_graph.runtime.random_inputs import random_inputs

    _, _, program = saved(tmp_path, CLOUD, 2)
    few = random_inputs(program.manifest, {"points": 3}).arrays["cloud.chosen"]
    assert set(few[0]) == {0, 1, 2}
    some = random_inputs(program.manifest, {"points": 30}).arrays["cloud.chosen"]
    assert len(set(some[0])) == 4
    assert program.run(random_inputs(program.manifest, {}).arrays)["inside"].shape == (1, 16, 1)


def brute_force(points: Array, count: int) -> list[int]:
    found = [0]
    while len(found) < count:
        distances = np.square(points[:, None] - points[found][None]).sum(-1).min(1)
        found.append(int(distances.argmax()))
    return found


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 3), st.integers(1, 12))
def test_farthest_points_are_farthest(seed: int, points: int, channels: int, count: int) -> None:
    cloud = np.random.default_rng(seed).standard_normal((2, points, channels)).astype(np.float32)
    count = min(count, points)
    found = pg.farthest_points(cloud, count)
    assert found.tolist() == [brute_force(one, count) for one in cloud]
    assert all(len(set(row)) == count for row in found.tolist())
    assert pg.farthest_points(cloud[0], count).tolist() == found[0].tolist()


def test_masked_points_are_not_chosen_and_few_are_chosen_again() -> None:
    cloud = np.array([[[0.0], [5], [6], [100]]])
    mask = np.array([[False, True, True, False]])
    assert pg.farthest_points(cloud, 2, mask=mask).tolist() == [[1, 2]]
    assert set(pg.farthest_points(cloud, 3, mask=mask)[0].tolist()) == {1, 2}
    cloud[0, 0] = np.nan
    assert pg.farthest_points(cloud, 2, mask=mask).tolist() == [[1, 2]]
    with pytest.raises(ValueError, match=r"points must be finite, and at \[0, 0, 0\] is nan"):
        pg.farthest_points(cloud, 2)
    with pytest.raises(ValueError, match="mask must be"):
        pg.farthest_points(cloud, 2, mask=mask[0])
    with pytest.raises(ValueError, match="points must be"):
        pg.farthest_points(cloud[0, 0], 2)
    with pytest.raises(ValueError, match="count must be"):
        pg.farthest_points(cloud, 0)


def test_points_far_apart_become_latents(tmp_path: Path) -> None:
    _, _, program = saved(tmp_path, CLOUD, 2)
    inputs = inputs_for("cloud")
    mask = inputs["cloud.attention_mask"]
    inputs["cloud.chosen"] = pg.farthest_points(inputs["cloud"], 4, mask=mask)
    assert np.isfinite(program.run(inputs)["inside"]).all()


def test_a_file_is_not_thinned_whose_points_are_chosen_by_number(tmp_path: Path) -> None:
    """Or numbers of the file's points would be those of others."""
    spec = CLOUD.replace("attention_mask: true}", "attention_mask: true, media: {points: {}}}")
    pg.compile(parse_spec(spec)).save(tmp_path / "artifact", seed=1)
    program = pg.load(tmp_path / "artifact", device="cpu")
    arrays = {"cloud.chosen": np.array([[0, 1, 2, 3]]), "inside.points": np.zeros((1, 2, 3), "f4")}
    for count in (40, 41):
        points = np.random.default_rng(0).standard_normal((count, 3))
        np.savetxt(tmp_path / f"{count}.csv", points, delimiter=",")

    def run(count: int) -> Any:
        paths = [tmp_path / f"{count}.csv"]
        return run_files(program, paths, tmp_path / "out", arrays=arrays)

    assert not any("evenly spaced" in note for note in run(40)[0].notes)
    with pytest.raises(DiagnosticError, match=r"41\.csv has 41 rows, and `cloud` takes"):
        run(41)
