"""DeepMind's files: every parameter finds its place, and the spec is that of the original model."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perceiver_graph.compiler.importing import classes, deepmind, import_checkpoint
from perceiver_graph.compiler.importing.draft import Configuration
from perceiver_graph.compiler.importing.pickled import Dtype, Pickled
from perceiver_graph.compiler.importing.settings import Settings
from perceiver_graph.compiler.importing.specs import BUILDERS
from perceiver_graph.compiler.importing.yaml_text import spec_text
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.compiler.weights.haiku import HaikuLayout
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.spec.loader import load_spec, parse_spec
from tests.deepmind_files import RELEASED, content, rows, tree, write
from tests.import_support import model, save

SMALL: dict[str, dict[str, Any]] = {
    "MaskedLM": {"d_model": 32, "qk_channels": 16, "v_channels": 32, "vocab_size": 262},
    "ImageClassificationLearned": {},
    "ImageClassificationFourier": {},
    "ImageClassificationConvProcessing": {},
    "OpticalFlow": {},
    "MultimodalAutoencoding": {},
}
GRIDS = {
    "train_size": [6, 8],
    "num_frames": 2,
    "audio_samples_per_frame": 12,
    "output_shape": [1, 2, 16, 16],
}
"""What the shapes of parameters do not tell, of the small models."""
SHIPPED = {
    "MaskedLM": "language",
    "ImageClassificationLearned": "imagenet_learned",
    "ImageClassificationFourier": "imagenet_fourier",
    "ImageClassificationConvProcessing": "imagenet_conv",
    "OpticalFlow": "optical_flow",
    "MultimodalAutoencoding": "kinetics",
}


def small(short_class: str) -> Any:
    heads, cross_heads, blocks = {
        "MaskedLM": (8, 8, 1),
        "OpticalFlow": (16, 1, 1),
        "MultimodalAutoencoding": (8, 1, 1),
    }.get(short_class, (8, 1, 8))
    settings = {"num_blocks": blocks, "num_self_attention_heads": heads, "d_latents": 32}
    settings |= {"num_cross_attention_heads": cross_heads, **SMALL[short_class]}
    return model(short_class, **settings)


def settings_for(short_class: str) -> dict[str, Any]:
    return GRIDS | ({"image_size": 4} if short_class == "MultimodalAutoencoding" else {})


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("short_class", RELEASED)
def test_parameters_are_those_of_the_same_model_in_transformers(
    short_class: str, protocol: int, tmp_path: Path
) -> None:
    made = small(short_class)
    theirs = import_checkpoint(save(made, tmp_path / "transformers"))
    found = import_checkpoint(
        write(short_class, made, tmp_path, protocol), config=settings_for(short_class)
    )
    assert found.weights.keys() == theirs.weights.keys()
    for name, value in theirs.weights.items():
        if name == "inputs.image.conv.weight":  # transformers has height and width exchanged
            value = value.transpose(0, 1, 3, 2)
        assert np.array_equal(found.weights[name], value), name
    spec = parse_spec(found.spec_text).spec
    assert spec.dialect == "deepmind"
    assert spec.process == parse_spec(theirs.spec_text).spec.process
    assert spec.encode == parse_spec(theirs.spec_text).spec.encode


@pytest.mark.parametrize("short_class", RELEASED)
def test_released_models_are_those_that_are_shipped(
    short_class: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the names and shapes of the whole models, and no values."""
    shapes: dict[str, dict[str, Any]] = {}
    for row in rows(short_class):
        module, _, parameter = row.path.rpartition("/")
        shapes.setdefault(module, {})[parameter] = Pickled(row.shape, Dtype("f4"))
    monkeypatch.setattr(deepmind, "read_pickle", lambda path: {"params": shapes, "state": {}})
    found = deepmind.read_parameters(tmp_path / RELEASED[short_class][0])
    assert found.model_class == f"PerceiverFor{short_class}"
    draft = BUILDERS[found.model_class](Configuration(Settings(found.config), 2))
    deepmind.adapt(found.model_class, draft)
    text = spec_text({"perceiver": 1, "name": "released", **draft.data}, draft.remarks)
    document, shipped = parse_spec(text), load_spec(SHIPPED[short_class])
    left = {name: tensor.shape for name, tensor in found.tensors.tensors.items()}
    for leaf in lower(document).graph.parameters:
        names = [n for n in HaikuLayout().candidates(leaf.value.name) if n in left]
        assert len(names) == 1, leaf.value.name
        assert HaikuLayout().fits(left.pop(names[0]), tuple(map(int, leaf.value.shape)))
    assert all(HaikuLayout().ignores(name, shape) for name, shape in left.items())
    parts = ("dims", "latents", "encode", "process", "join")
    for part in parts:
        assert getattr(document.spec, part) == getattr(shipped.spec, part), part
    decode = shipped.spec.decode.model_copy(
        update={"query_residual": document.spec.decode.query_residual}
    )
    assert document.spec.decode == decode
    for name, array in shipped.spec.modalities.items():
        ours = document.spec.modalities[name]
        assert (ours.shape, ours.steps) == (array.shape, array.steps)
        assert ours.mask == array.mask
    for name, output in shipped.spec.outputs.items():
        assert document.spec.outputs[name].head == output.head


def test_where_the_original_differs(tmp_path: Path) -> None:
    expected = {
        "ImageClassificationLearned": False,
        "ImageClassificationFourier": True,
        "ImageClassificationConvProcessing": True,
    }
    for short_class, residual in expected.items():
        found = import_checkpoint(write(short_class, small(short_class), tmp_path))
        spec = parse_spec(found.spec_text).spec
        assert spec.decode.query_residual is residual
    text = import_checkpoint(write("MaskedLM", small("MaskedLM"), tmp_path)).spec_text
    assert parse_spec(text).spec.outputs["text"].query_mask == "text"


def codes(path: Path, **options: Any) -> tuple[list[str], str]:
    with pytest.raises(DiagnosticError) as caught:
        import_checkpoint(path, **options)
    return [d.code for d in caught.value.diagnostics], str(caught.value)


def rewrite(path: Path, data: Any) -> Path:
    path.write_bytes(pickle.dumps(data))
    return path


def test_parameters_that_do_not_fit(tmp_path: Path) -> None:
    whole = content("ImageClassificationFourier", small("ImageClassificationFourier"))
    encoder = "perceiver_encoder/~/cross_attention/attention/linear_3"
    del whole["params"][encoder]["b"]
    whole["params"]["extra/linear"] = {"w": np.ones((2, 2), np.float32)}
    key = "perceiver_encoder/~/self_attention_1/mlp/linear"
    whole["params"][key]["w"] = np.ones((3, 3), np.float32)
    found, text = codes(rewrite(tmp_path / "a.pystate", whole))
    assert sorted(found) == ["PG302", "PG303", "PG304"]
    assert f"{encoder}/b" in text or "encoder.cross_attend.attention.output.bias" in text
    assert "extra/linear/w" in text


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        ([1, 2], "PG306", "no dictionary of parameters but a list"),
        ({}, "PG306", "names of no model"),
        ({"a": {"w": np.ones(2)}}, "PG306", "names of no model"),
        ({"a": {"w": 1}}, "PG306", "`a/w` is no array"),
        ({"a": {"w": [np.ones(2)]}}, "PG306", "`a/w` is no array"),
        ({"params": {"a": None}}, "PG306", "`a` is no array"),
        ({"a": np.array(["text"])}, "PG312", "not of numbers"),
        ({"a": np.array([None])}, "PG312", "not of numbers"),
        ({"a": np.zeros(2, [("x", "f4")])}, "PG312", "not of numbers"),
    ],
)
def test_files_that_hold_something_else(data: Any, code: str, words: str, tmp_path: Path) -> None:
    found, text = codes(rewrite(tmp_path / "a.pickle", data))
    assert found == [code]
    assert words in text


def test_a_dictionary_in_itself(tmp_path: Path) -> None:
    endless: dict[str, Any] = {}
    endless["again"] = endless
    found, text = codes(rewrite(tmp_path / "a.pickle", endless))
    assert found == ["PG306"]
    assert "too deep" in text
    wide: Any = {}
    for _ in range(10):
        wide = {str(i): wide for i in range(10)}
    assert codes(rewrite(tmp_path / "b.pickle", wide))[0] == ["PG306"]


def test_another_class_than_that_of_the_file(tmp_path: Path) -> None:
    path = write("OpticalFlow", small("OpticalFlow"), tmp_path)
    assert codes(path, model_class=classes.LEARNED)[0] == ["PG311"]
    assert codes(path, prefix="x.")[0] == ["PG311"]
    assert import_checkpoint(path, model_class="OpticalFlow", config={"train_size": [6, 8]}).weights


def test_not_a_number_is_found(tmp_path: Path) -> None:
    made = tree("OpticalFlow", small("OpticalFlow"))
    made["flow_decoder/~/basic_decoder/output"]["b"][0] = np.nan
    found, text = codes(rewrite(tmp_path / "a.pystate", made), config={"train_size": [6, 8]})
    assert found == ["PG308"]
    assert "flow_decoder/~/basic_decoder/output/b" in text
