"""Attention masks at run time: what is accepted, and that leaving out masked ends changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import perceiver_graph as pg
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.runtime import Program, load, open_artifact
from perceiver_graph.runtime import program as running
from perceiver_graph.runtime.cut import cut
from perceiver_graph.runtime.feeds import check_inputs
from perceiver_graph.spec.loader import parse_spec
from perceiver_graph.spec.manifest import Manifest, MaskEntry
from tests.tiny import fault, write_artifact

SPEC = """
perceiver: 1
name: masked
dialect: DIALECT
dims: {length: {min: 2, max: 32, multiple_of: 2}}
inputs:
  text:
    shape: {length: length}
    steps: [{embedding: {vocabulary: 30, width: 16}}]
    position: {learned: {width: 16}, combine: add}
    attention_mask: true
latents: {count: 4, width: 16}
process: {layers: 1, heads: 2}
outputs:
  text: {query: {grid: {length: length}, position: {learned: {width: 16}}}, head: {linear: 30}}
  label: {query: {learned: {}}, head: {linear: 3}}
"""
MASK = "text.attention_mask"


@pytest.fixture(scope="module", params=["huggingface", "deepmind"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder = tmp_path_factory.mktemp(request.param) / "masked"
    pg.compile(parse_spec(SPEC.replace("DIALECT", request.param))).save(folder)
    return load(folder, device="cpu")


def ids(batch: int = 1, length: int = 16) -> NDArray[np.int64]:
    return np.random.default_rng(length).integers(0, 30, (batch, length))


def prefix(*lengths: int, of: int = 16) -> NDArray[np.bool_]:
    return np.arange(of)[None] < np.array(lengths)[:, None]


def lengths_of(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths that encode is run on, as they come."""
    seen: list[int] = []

    def watched(manifest: Manifest, feeds: Any) -> Any:
        less = cut(manifest, feeds)
        seen.append(less.sizes["length"])
        return less

    monkeypatch.setattr(running, "cut", watched)
    return seen


def same(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-6, strict=True)


@pytest.mark.parametrize(
    ("mask", "length"),
    [
        (prefix(5), 6),  # an even number of tokens
        (prefix(1), 2),
        (prefix(3, 9, 8), 10),  # the longest of a batch
        (prefix(6) & (np.arange(16) != 2), 6),  # a hole stays masked
        (prefix(16), 16),
        (~prefix(5), 16),  # masked at the beginning
        (
            prefix(3, 0),
            16,
        ),  # where nothing is left, what masked tokens weigh is the dialect's matter
    ],
)
def test_what_is_masked_at_the_end_is_left_out(
    program: Program, monkeypatch: pytest.MonkeyPatch, mask: NDArray[np.bool_], length: int
) -> None:
    given = {"text": ids(len(mask)), MASK: mask}
    seen = lengths_of(monkeypatch)
    found = program.run(given)
    assert seen == [length]
    assert found["text"].shape == (len(mask), 16, 30)
    monkeypatch.setattr(running, "cut", lambda manifest, feeds: feeds)
    same(found, program.run(given))


def test_a_mask_hides_what_it_masks(program: Program) -> None:
    given = {"text": ids(2), MASK: prefix(7, 12)}
    wanted = program.run(given)
    other = given["text"].copy()
    other[0, 7:], other[1, 12:] = 0, 29
    same(program.run(given | {"text": other}), wanted)
    other[0, 6] += 1
    assert np.abs(program.run(given | {"text": other % 30})["label"] - wanted["label"]).max() > 1e-5


def test_left_out_a_mask_is_all_true(program: Program) -> None:
    wanted = program.run({"text": ids(2)})
    for dtype in (bool, np.int64, np.uint8):
        same(program.run({"text": ids(2), MASK: np.ones((2, 16), dtype)}), wanted)
    same(program.run({"text": ids(2), MASK: [[True] * 16] * 2}), wanted)


def test_the_graph_says_the_same(tmp_path: Path) -> None:
    compiled = pg.compile(parse_spec(SPEC.replace("DIALECT", "huggingface")))
    compiled.save(tmp_path / "masked")
    mask = prefix(5, 10)
    given = {"text": ids(2), MASK: mask, "text.queries": np.arange(16)}
    wanted = evaluate(compiled.graph, given, compiled.weights())
    found = load(tmp_path / "masked", device="cpu").run({"text": ids(2), MASK: mask})
    np.testing.assert_allclose(found["text"], wanted["text"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("mask", "code", "texts"),
    [
        (np.ones(16), "PG504", ["dtype float64", "(mask != 0)"]),
        (np.zeros((1, 16)), "PG504", ["(mask != 0) if 0 stands for none", "(mask == 0)"]),
        (np.eye(1, 16), "PG504", ["(mask != 0) if 0 stands for none"]),
        (np.eye(1, 16) * -1e9, "PG504", ["0 stands for a token, and what is below", "(mask == 0)"]),
        (np.full((1, 16), -1e9), "PG504", ["0 stands for a token, and what is below"]),
        (np.eye(1, 16, dtype=int) * -10000, "PG514", ["0 stands for a token, and what is below"]),
        (np.linspace(-1, 1, 16)[None], "PG504", ["(mask != 0) if 0", "(mask == 0)"]),
        (np.full((1, 16), 2), "PG514", ["16 of 16 values", "the first is 2"]),
        (np.full((1, 16), -1), "PG514", ["neither 0 nor 1"]),
        (np.ones(16, bool), "PG503", ["shape [16], and takes [1, 16]", "mask[None]"]),
        (np.ones((1, 8), bool), "PG503", ["[batch 1, length 16]"]),
        ([[True], [True, False]], "PG504", ["no array"]),
    ],
)
def test_a_bad_mask_is_explained(program: Program, mask: Any, code: str, texts: list[str]) -> None:
    found = fault(lambda: program.run({"text": ids(), MASK: mask}))
    assert found.code == code
    everything = "\n".join([found.message, *found.notes, found.help or ""])
    assert f"`{MASK}`" in everything
    for text in texts:
        assert text in everything


def test_a_mask_without_the_batch_is_repeated_for_it(program: Program) -> None:
    mask = np.arange(16) < 9
    found = fault(lambda: program.run({"text": ids(2), MASK: mask}))
    assert found.code == "PG503"
    better = str(found.help).removeprefix("add the batch axis: ")
    program.run({"text": ids(2), MASK: eval(better, {"numpy": np, "mask": mask})})


def test_a_mask_belongs_to_an_input(program: Program, tmp_path: Path) -> None:
    assert fault(lambda: program.run({MASK: prefix(3)})).message.startswith("input `text` is miss")
    inputs = {"text": _text(mask="optional"), "other": _text()}
    manifest = _manifest(inputs=inputs)
    found = fault(lambda: check_inputs(manifest, {MASK: prefix(3), "other": ids()}))
    assert (found.code, "without input `text`" in found.message) == ("PG501", True)
    feeds = check_inputs(manifest, {"other.attention_mask": prefix(3), "other": ids()})
    assert feeds.masks["text"].all()
    np.testing.assert_array_equal(feeds.masks["other"], prefix(3))
    found = fault(lambda: program.run({"text": ids(), "text.attention_maks": prefix(3)}))
    assert (found.code, found.help) == ("PG502", f"did you mean `{MASK}`?")
    tiny = load(write_artifact(tmp_path / "tiny"), device="cpu")
    found = fault(lambda: tiny.run({"points.attention_mask": prefix(3)} | some()))
    assert found.code == "PG502"


def some() -> dict[str, Any]:
    return {"points": np.zeros((1, 2, 2)), "ids": np.zeros(1, int)}


def test_a_mask_that_leaves_nothing_is_told(program: Program) -> None:
    notes: list[str] = []
    program.run({"text": ids(3), MASK: prefix(3, 0, 0)}, note=notes.append)
    assert notes == ["every token of input `text` is masked in batch element 1, 2"]


def _manifest(**changes: Any) -> Manifest:
    data: dict[str, Any] = {
        "dims": {"length": {"max": 16}, "batch": {}},
        "inputs": {
            "text": {
                "dtype": "int64",
                "axes": ["batch", "length"],
                "shape": ["batch", "length"],
                "mask": "never",
                "attention_mask": {
                    "axes": ["batch", "length"],
                    "shape": ["batch", "length"],
                    "pointwise": True,
                },
            }
        },
        "kept": [["batch", 4, 16]],
    } | changes
    kept = data.pop("kept")
    port = {"name": "x", "role": "state", "of": "x", "dtype": "float32"}
    encode = {"file": "encode.onnx", "inputs": [], "outputs": [port | {"shape": s} for s in kept]}
    return Manifest.model_validate(
        {
            "format": 1,
            "name": "by-hand",
            "tool": "",
            "backends": ["onnx"],
            "spec_sha256": "0" * 64,
            "weights": "",
            "level": 0,
            "precision": "fp32",
            "files": {},
            "outputs": {},
            "chunks": 1,
            "decode_memory": {"fixed": 0, "per_query": 0},
            "programs": {"encode": encode},
            "parameters": 0,
            "flops": 0,
            **data,
        }
    )


def _text(**changes: Any) -> dict[str, Any]:
    entry = _manifest().inputs["text"].model_dump()
    return {**entry, **changes}


POINTWISE = MaskEntry(axes=["batch", "length"], shape=["batch", "length"], pointwise=True)


@pytest.mark.parametrize(
    ("changes", "length"),
    [
        ({}, 5),
        ({"dims": {"length": {"min": 8, "max": 16}}}, 8),
        ({"kept": [["batch", 4, 16], ["batch", "length", 8]]}, 16),  # queries made of tokens
        ({"kept": [["batch", "length/2", 8]]}, 16),
        (
            {
                "inputs": {
                    "text": _text(attention_mask=POINTWISE.model_dump() | {"pointwise": False})
                }
            },
            16,
        ),
        (
            {"inputs": {"text": _text(), "other": _text(attention_mask=None)}},
            16,  # they share their length
        ),
        (
            {
                "inputs": {
                    "text": _text(
                        attention_mask={
                            "axes": ["batch", "length"],
                            "shape": ["batch", 16],
                            "pointwise": True,
                        },
                        shape=["batch", 16],
                    )
                }
            },
            16,
        ),
    ],
)
def test_nothing_is_cut_that_matters_to_others(changes: dict[str, Any], length: int) -> None:
    manifest = _manifest(**changes)
    given = {name: ids() for name in manifest.inputs}
    less = cut(manifest, check_inputs(manifest, given | {MASK: prefix(5)}))
    assert less.arrays["text"].shape == less.masks["text"].shape == (1, length)
    assert less.sizes.get("length", 16) == length


def test_the_parts_of_a_mask_must_fit(tmp_path: Path) -> None:
    def broken(manifest: dict[str, Any]) -> None:
        manifest["inputs"]["points"]["attention_mask"] = {"axes": ["time"], "shape": ["length"]}
        ports = manifest["programs"]["encode"]["inputs"]
        ports.append({**ports[2], "role": "attention_mask", "name": "m"})

    folder = write_artifact(tmp_path / "tiny", broken)
    with pytest.raises(pg.DiagnosticError) as caught:
        open_artifact(folder)
    messages = "\n".join(one.message for one in caught.value.diagnostics)
    assert "the attention mask of `points` needs" in messages
    assert "reads an attention mask of `extra`, which has none" in messages
