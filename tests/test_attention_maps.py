"""What latents read of inputs, and outputs of latents: the scores that the model has, of every shipped
system, and those of transformers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

import perceiver_graph as pg
from perceiver_graph.compiler import ops
from perceiver_graph.compiler.importing import import_checkpoint
from perceiver_graph.compiler.ir.interpreter import trace
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.compiler.lowering.lowered import Lowered
from perceiver_graph.compiler.programs import attention as told_of
from perceiver_graph.compiler.programs.attention import cross_attends
from perceiver_graph.runtime import attention, scores
from perceiver_graph.runtime.artifact import open_artifact
from perceiver_graph.runtime.program import Program
from perceiver_graph.runtime.random_inputs import random_inputs
from perceiver_graph.runtime.scores import Attention, Rows
from perceiver_graph.spec.loader import load_spec
from perceiver_graph.spec.manifest_attention import AttentionSettings
from tests.import_support import CLASSES, IMAGE, SIDE, TEXT, answer, inputs_of, model, save
from tests.small import SMALL
from tests.tiny import fault


def shown(name: str) -> bool:
    """Whether a shipped system has attention to show."""
    try:
        cross_attends(lower(load_spec(name, list(SMALL[name]))))
    except pg.DiagnosticError:
        return False
    return True


SHOWN = [name for name in SMALL if shown(name)]


def feeds(lowered: Lowered, arrays: dict[str, Array], sizes: dict[str, int]) -> dict[str, Array]:
    """What the graph reads where the arrays are given: all queries, and every input."""
    found = {}
    for leaf in lowered.graph.inputs:
        shape = [dim.evaluate(sizes) for dim in leaf.value.shape if leaf.role != "queries"]
        match leaf.role:
            case "present":
                value: Array = np.full(shape, leaf.of in arrays)
            case "queries":
                value = np.arange(lowered.outputs[leaf.of].queries.evaluate(sizes))
            case "size":
                value = np.array([sizes[leaf.of]])
            case "attention_mask":
                value = arrays.get(f"{leaf.of}.attention_mask", np.ones(shape, bool))
            case _:
                value = arrays.get(leaf.value.name, np.zeros(shape, np.float32))  # always masked
        found[leaf.value.name] = value
    return found


def scores_of(op: ops.Attention, q: Array, k: Array, mask: Array | None) -> Array:
    """Head by head and row by row, [batch, heads, n, m]: what the docstring of the primitive says."""
    d, group = q.shape[2] // op.heads, op.heads // op.shared
    found = np.zeros((len(q), op.heads, q.shape[1], k.shape[1]))
    for b, h, n in np.ndindex(found.shape[:3]):
        products = k[b, :, h // group * d : (h // group + 1) * d] @ q[b, n, h * d : (h + 1) * d]
        there = np.ones(k.shape[1], bool) if mask is None else mask[b].copy()
        if op.causal:
            there[n + k.shape[1] - q.shape[1] + 1 :] = False
        scores = products * (d**-0.5 if op.scale is None else op.scale)
        if there.any():
            weights = np.where(there, np.exp(scores - scores[there].max()), 0)
            found[b, h, n] = weights / weights.sum()
        elif op.masked_rows == "uniform":
            found[b, h, n] = 1 / k.shape[1]
    return found


@pytest.mark.parametrize(
    ("name", "level"), [*((name, 2) for name in SHOWN), ("kinetics", 0), ("idefics2_connector", 0)]
)
def test_scores_are_those_of_the_model(name: str, level: Literal[0, 2], tmp_path: Path) -> None:
    compiled = pg.compile(name, overrides=SMALL[name], level=level, attention=True)
    weights = compiled.weights(seed=3)
    compiled.save(tmp_path / "a", weights=weights)
    program = pg.load(tmp_path / "a", device="cpu", engine="onnxruntime")
    made = random_inputs(program.manifest, {}, 5)
    arrays = {
        key: np.concatenate([a, a[::-1] * 0.5]).astype(a.dtype) for key, a in made.arrays.items()
    }
    sizes = made.sizes | {"batch": 2}
    for leaf in compiled.graph.inputs:  # also masks that may be left out
        if leaf.role == "attention_mask" and leaf.of in arrays:
            there = np.ones([dim.evaluate(sizes) for dim in leaf.value.shape], bool)
            there[0, ..., -1:] = False
            arrays[f"{leaf.of}.attention_mask"] = there
    found = program.attention(arrays, sizes=made.free)
    values = trace(compiled.graph, feeds(compiled.lowered, arrays, sizes), weights)
    crosses = cross_attends(compiled.lowered)
    assert found.keys() == crosses.keys()
    for key, cross in crosses.items():
        node, one = cross.node, found[key]
        mask = values[node["mask"].name] if "mask" in node else None
        expected = scores_of(
            cross.op, values[node["queries"].name], values[node["keys"].name], mask
        )
        expected = expected[:, :, one.positions]
        np.testing.assert_allclose(one.weights(heads=True), expected, atol=1e-5)
        np.testing.assert_allclose(one.weights(), expected.mean(axis=1), atol=1e-5)
        np.testing.assert_allclose(one.summary().mean, expected.mean(axis=(1, 2)), atol=1e-5)
        assert sum(rows.count for rows in one.read) == expected.shape[-1]
        assert one.rows.count == expected.shape[-2]


@pytest.mark.parametrize("short_class", CLASSES)
def test_scores_are_those_of_transformers(short_class: str, tmp_path: Path) -> None:
    heads = 2 if short_class in TEXT else 1
    original = model(short_class, 1, attn_implementation="eager", num_cross_attention_heads=heads)
    size = (SIDE, SIDE) if short_class in IMAGE[1:] else None
    imported = import_checkpoint(save(original, tmp_path / "checkpoint"), image_size=size)
    compiled = pg.compile(imported.spec_text, attention=True)
    compiled.save(tmp_path / "a", weights=imported.weights)
    inputs = inputs_of(original, short_class, 1)
    found = pg.load(tmp_path / "a", device="cpu").attention(inputs)
    read, asked = cross_attentions(original, short_class, inputs)
    np.testing.assert_allclose(found["encode"].weights(heads=True), read, atol=1e-5)
    decoded = [one.weights(heads=True) for name, one in found.items() if name != "encode"]
    np.testing.assert_allclose(np.concatenate(decoded, axis=2), asked, atol=1e-5)


def cross_attentions(original: Any, short_class: str, inputs: dict[str, Array]) -> list[Array]:
    """Those of the encoder and of the decoder, as transformers gives them."""
    kept: list[Any] = []
    hook = original.perceiver.register_forward_hook(
        lambda *call: kept.extend(call[-1].cross_attentions), always_call=True
    )
    forward = original.perceiver.forward

    def with_attentions(*arguments: Any, **settings: Any) -> Any:
        return forward(*arguments, **{**settings, "output_attentions": True, "return_dict": True})

    original.perceiver.forward = with_attentions
    answer(original, short_class, inputs)
    hook.remove()
    return [one.numpy() for one in kept]


PICTURE = {
    "perceiver": 1,
    "name": "seen",
    "inputs": {
        "image": {
            "shape": {"height": 8, "width": 8, "channel": 3},
            "steps": [{"patch": {"height": 2, "width": 2}}],
            "position": {"fourier": {"bands": 2}},
        }
    },
    "latents": {"count": 5, "width": 16},
    "process": {"layers": 1, "heads": 2},
    "outputs": {
        "image": {
            "query": {"grid": {"height": 8, "width": 8}, "position": {"fourier": {"bands": 2}}},
            "head": {"linear": 3},
        },
        "label": {"query": {"learned": {"width": 10}}, "head": {"linear": 4}},
        "tokens": {"query": "latents"},
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seen") / "a"
    pg.compile(PICTURE, attention=True).save(folder)
    return folder


@pytest.fixture(scope="module")
def program(folder: Path) -> Program:
    return pg.load(folder, device="cpu")


IMAGE_ARRAY = {"image": np.random.default_rng(1).random((2, 8, 8, 3), np.float32)}


def test_queries_can_be_chosen(program: Program) -> None:
    whole = program.attention(IMAGE_ARRAY)["decode.image"]
    found = program.attention(IMAGE_ARRAY, {"image": [9, 3]})
    assert [*found] == ["encode", "decode.image"]
    some = found["decode.image"]
    assert (some.rows.axes, some.rows.shape) == (("query",), (2,))
    assert some.positions.tolist() == [9, 3]
    np.testing.assert_allclose(some.weights(), whole.weights([9, 3]), atol=1e-6)
    assert whole.rows == Rows("image", ("height", "width"), (8, 8))


def test_many_queries_are_looked_at_on_a_coarser_grid(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = program.attention(IMAGE_ARRAY)["decode.image"]
    monkeypatch.setattr(attention, "MOST_QUERIES", 16)
    some = program.attention(IMAGE_ARRAY)["decode.image"]
    assert some.rows == Rows("image", ("height", "width"), (4, 4))
    assert some.positions[:5].tolist() == [9, 11, 13, 15, 25]
    np.testing.assert_allclose(some.weights(), whole.weights(some.positions), atol=1e-6)


def test_scores_come_in_pieces(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    one = program.attention(IMAGE_ARRAY)["decode.image"]
    weights, summary = one.weights(), one.summary()
    monkeypatch.setattr(scores, "_HELD", 300)  # of seven rows
    assert len(list(one._pieces(np.arange(64)))) == 10
    np.testing.assert_array_equal(one.weights(), weights)
    np.testing.assert_allclose(one.summary().mean, summary.mean, atol=1e-6)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-6)
    entropy = -(weights * np.log(weights)).sum(axis=-1)
    np.testing.assert_allclose(summary.spread, np.exp(entropy), rtol=1e-5)


def test_parts_lie_on_the_grids_of_inputs(program: Program) -> None:
    one = program.attention(IMAGE_ARRAY)["encode"]
    parts = one.parts(one.weights())
    assert {name: part.shape for name, part in parts.items()} == {"image": (2, 5, 4, 4)}
    assert program.attention(IMAGE_ARRAY)["decode.label"].parts(np.ones(5))["latents"].shape == (5,)
    np.testing.assert_array_equal(parts["image"].reshape(2, 5, 16), one.weights())


def test_an_attention_that_says_more_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told_of, "_SAID", ("heads", "masked_rows", "mask"))
    with pytest.raises(
        pg.DiagnosticError, match=r"key_heads=1.* says more than scores are told of"
    ):
        cross_attends(lower(load_spec("kinetics", ["encode.heads=2", "encode.key_heads=1"])))


def test_a_single_token_has_no_axes() -> None:
    settings = AttentionSettings(
        heads=1, key_heads=1, scale=1.0, causal=False, masked_rows="uniform"
    )
    q, k = np.ones((1, 2, 4), np.float32), np.ones((1, 3, 4), np.float32)
    read = [Rows("sound", ("time",), (2,)), Rows("label", (), ())]
    one = Attention("encode", Rows("latents", ("latent",), (2,)), read, settings, q, k, None)
    parts = one.parts(one.summary().mean[0])
    np.testing.assert_allclose(parts["label"], 1 / 3, rtol=1e-6)
    assert (parts["label"].shape, parts["sound"].shape) == ((), (2,))


def test_what_is_not_there_is_told(program: Program, tmp_path: Path) -> None:
    told = fault(lambda: program.attention(IMAGE_ARRAY, {"tokens": None}))
    assert (told.code, told.message) == (
        "PG523",
        "output `tokens` reads no latents: nothing of it can be shown",
    )
    assert fault(lambda: program.attention(IMAGE_ARRAY, {"lable": None})).code == "PG506"
    pg.compile(PICTURE).save(tmp_path / "plain")
    plain = pg.load(tmp_path / "plain", device="cpu")
    told = fault(lambda: plain.attention(IMAGE_ARRAY))
    assert told.code == "PG523"
    assert "attention=True" in (told.help or "")


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"spec": "tabicl_columns"}, "latents of their own at each place of `column`"),
        ({"spec": PICTURE, "precision": "int8"}, "in fp32, and these are in int8"),
        ({"spec": "hunyuan3d_decoder"}, ""),
    ],
)
def test_models_without_maps_are_refused(settings: Any, what: str) -> None:
    if not what:
        assert [*pg.compile(**settings, attention=True).attention] == ["decode.inside"]
        return
    told = fault(lambda: pg.compile(**settings, attention=True))
    assert told.code == "PG523"
    assert what in told.message


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda m: m.pop("attention"), "`attention` says nothing of it"),
        (lambda m: m["attention"]["encode"].update(program="decode"), "which shows none"),
        (lambda m: m["attention"]["encode"].update(keys="x"), "`x`, which `encode_attention` does"),
        (lambda m: m["attention"]["encode"].update(heads=7), "has 7 heads of 1, and queries and"),
        (lambda m: m["attention"]["encode"].update(mask="encode.keys"), "a mask for each of its"),
        (lambda m: m["attention"]["encode"]["rows"].update(name="x"), "is of `x`, and it is the"),
        (lambda m: m["attention"]["encode"]["read"][0].update(axes=[]), "one size for each axis"),
        (lambda m: m["attention"]["decode.label"]["rows"].update(name="x"), "not among `outputs`"),
        (lambda m: m["programs"].pop("decode_attention"), "is of `decode_attention`, which shows"),
        (
            lambda m: m["programs"]["encode_attention"]["inputs"][0].update(role="queries"),
            "has an input of role `queries`",
        ),
    ],
)
def test_a_manifest_that_does_not_fit_is_found(
    folder: Path, spoil: Callable[[Any], object], what: str, tmp_path: Path
) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    data = json.loads((folder / "manifest.json").read_text())
    spoil(data)
    (tmp_path / "manifest.json").write_text(json.dumps(data))
    with pytest.raises(pg.DiagnosticError) as raised:
        open_artifact(tmp_path)
    found = raised.value.diagnostics
    assert {one.code for one in found} == {"PG403"}
    assert any(what in one.message for one in found), found
