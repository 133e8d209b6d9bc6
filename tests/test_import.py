"""`import` of transformers checkpoints: where they lie, what they say, and everything that is wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from perceiver_graph.compiler.importing import import_checkpoint
from perceiver_graph.compiler.importing.yaml_text import spec_text
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.diagnostics import Source
from perceiver_graph.spec.loader import parse_spec
from perceiver_graph.spec.yaml12 import parse_yaml
from tests.import_checks import (
    CONV,
    FOURIER,
    configure,
    problems,
    same,
    spec_of,
    tensors_of,
    without,
)
from tests.import_support import CLASSES, model, save
from tests.parity.harness import agree

# Where the tensors and their configuration are


@pytest.mark.parametrize("short_class", CLASSES)
def test_the_class_is_told_from_the_tensors(
    short_class: str, checkpoints: Any, tmp_path: Path
) -> None:
    path = Path(shutil.copytree(checkpoints[short_class], tmp_path / "copy"))
    expected = import_checkpoint(path)
    assert f"PerceiverFor{short_class}" in expected.source
    for found in (
        import_checkpoint(without(path, "architectures"), name=expected.name),
        import_checkpoint(path, model_class=short_class.lower(), name=expected.name),
    ):
        assert found.spec_text == expected.spec_text
        assert same(found, expected)


@pytest.mark.parametrize("short_class", CLASSES)
def test_a_spec_reads_as_it_was_written(short_class: str, checkpoints: Any) -> None:
    found = import_checkpoint(checkpoints[short_class])
    assert found.name == short_class
    assert max(map(len, found.spec_text.splitlines())) <= 120
    assert found.weights.keys() == {
        leaf.value.name for leaf in lower(parse_spec(found.spec_text)).graph.parameters
    }
    assert "null" not in found.spec_text


def test_shards(tmp_path: Path, checkpoints: Any) -> None:
    path = save(model(FOURIER), tmp_path / "sharded", max_shard_size="40KB")
    assert not (path / "model.safetensors").exists()
    assert same(import_checkpoint(path), import_checkpoint(checkpoints[FOURIER]))


@pytest.mark.parametrize("prefix", ["", "model.", "student.body.perceiver."])
def test_state_dicts_with_another_prefix(prefix: str, checkpoint: Path, tmp_path: Path) -> None:
    expected = import_checkpoint(checkpoint)
    renamed = {prefix + n.removeprefix("perceiver."): v for n, v in tensors_of(checkpoint).items()}
    (tmp_path / "bare").mkdir()
    save_file(renamed, tmp_path / "bare" / "tensors.safetensors")
    bare = tmp_path / "bare" / "tensors.safetensors"
    codes, text = problems(bare)
    assert codes == ["PG301"]
    assert "`config=FILE`" in text
    found = import_checkpoint(bare, config=checkpoint / "config.json")
    assert same(found, expected)
    assert found.name == "tensors"
    shutil.copy(checkpoint / "config.json", tmp_path / "bare")
    assert same(import_checkpoint(str(bare)), expected)
    settings = json.loads((checkpoint / "config.json").read_text())
    assert same(import_checkpoint(bare, config=settings), expected)


def test_one_of_two_models(checkpoint: Path) -> None:
    tensors = tensors_of(checkpoint)
    other = {name: value + 1 for name, value in tensors.items()}
    both = {f"student.{n}": v for n, v in tensors.items()} | {
        f"teacher.{n}": v for n, v in other.items()
    }
    expected = import_checkpoint(checkpoint)
    save_file(both, checkpoint / "model.safetensors")
    codes, text = problems(checkpoint)
    assert codes == ["PG306"]
    assert "holds 2 models" in text
    assert '`prefix="student."`' in text
    found = import_checkpoint(checkpoint, prefix="student")
    assert same(found, expected)
    (note,) = found.notes
    assert note.startswith("outside of `student.`, not read: teacher.")
    assert not same(import_checkpoint(checkpoint, prefix="teacher."), expected)
    assert problems(checkpoint, prefix="nobody")[0] == ["PG306"]


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_formats_are_converted(dtype: Any, checkpoint: Path) -> None:
    tensors = {name: value.astype(dtype) for name, value in tensors_of(checkpoint).items()}
    save_file(tensors, checkpoint / "model.safetensors")
    found = import_checkpoint(checkpoint)
    assert found.notes == [
        f"{len(tensors)} tensors converted from {np.dtype(dtype).name} to float32"
    ]
    assert all(value.dtype == np.float32 for value in found.weights.values())


@pytest.mark.parametrize(
    ("folder", "name"),
    [("plain", "plain"), ("with space", "with_space"), (".hidden", "hidden"), ("ü", "")],
)
def test_names_of_specs(folder: str, name: str, checkpoint: Path) -> None:
    moved = checkpoint.rename(checkpoint.parent / folder)
    expected = name or "perceiver_for_image_classification_fourier"
    assert import_checkpoint(moved).name == expected
    assert import_checkpoint(moved / "model.safetensors").name == expected
    assert spec_of(import_checkpoint(moved, name="mine")).name == "mine"
    assert problems(moved, name="not a name")[0] == ["PG109"]


# What the configuration says


def test_names_of_classes(checkpoint: Path) -> None:
    names = ["tench, Tinca tinca", 'say "a"', "yes", "1e3", "a: b #c"]
    configure(checkpoint, id2label={str(i): name for i, name in enumerate(names)})
    media = spec_of(import_checkpoint(checkpoint)).outputs["label"].media
    assert media is not None
    assert media.model_dump()["classes"]["names"] == names


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, {"classes": {}}),
        ({"problem_type": "multi_label_classification"}, {"classes": {"multi_label": True}}),
        ({"problem_type": "regression"}, {"scores": {}}),
        ({"id2label": {"0": "a", "1": "b"}}, None),
        ({"id2label": {"x": "a", "1": "b", "2": "c", "3": "d", "4": "e"}}, {"classes": {}}),
        ({"id2label": {"1": "a", "2": "b", "3": "c", "4": "d", "5": "e"}}, {"classes": {}}),
    ],
)
def test_what_scores_mean(settings: Any, kind: Any, checkpoint: Path) -> None:
    configure(checkpoint, **settings)
    if kind is None:  # there is room for five classes
        assert problems(checkpoint)[0] == ["PG304"]
        return
    media = spec_of(import_checkpoint(checkpoint)).outputs["label"].media
    assert media is not None
    assert media.model_dump(exclude_defaults=True) == kind


def test_labels_that_the_configuration_leaves_out(checkpoint: Path) -> None:
    without(checkpoint, "id2label", "label2id")
    assert import_checkpoint(checkpoint).weights["heads.label.linear.bias"].shape == (5,)


def test_how_pictures_are_prepared(checkpoint: Path) -> None:
    def image() -> dict[str, Any]:
        media = spec_of(import_checkpoint(checkpoint)).modalities["image"].media
        assert media is not None
        return dict(media.model_dump(exclude_defaults=True)["image"])

    assert image() == {}
    file = checkpoint / "preprocessor_config.json"
    usual = {
        "crop_size": {"height": 256, "width": 256},
        "size": {"height": 64, "width": 48},
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }
    file.write_text(json.dumps(usual | {"size": {"height": 224, "width": 224}}))
    assert image() == {}
    file.write_text(json.dumps(usual))
    assert image() == {"crop": 0.25}
    assert spec_of(import_checkpoint(checkpoint)).modalities["image"].shape["width"] == 48
    file.write_text(json.dumps(usual | {"do_center_crop": False, "image_mean": [0.5] * 3}))
    assert image() == {"stretch": True, "mean": [0.5] * 3}
    file.write_text(json.dumps({"do_normalize": False}))
    assert image() == {"mean": [0.0] * 3, "std": [1.0] * 3}
    file.write_text(json.dumps({"image_mean": "x", "image_std": [0, 1, 1], "size": {"height": -1}}))
    assert image() == {}
    file.write_text("[")
    assert problems(checkpoint)[0] == ["PG301"]


def test_learned_positions_at_another_size(tmp_path: Path) -> None:
    made = model("ImageClassificationLearned")
    found = import_checkpoint(save(made, tmp_path / "learned"), image_size=(6, 6))
    image = np.random.default_rng(0).standard_normal((2, 6, 6, 3), np.float32)
    with torch.no_grad():
        pixels = torch.from_numpy(image).movedim(-1, 1)
        expected = made(pixels, interpolate_pos_encoding=True).logits.numpy()
    ours = evaluate(found.graph, {"image": image}, found.weights)["label"]
    agree("positions resized", ours, expected)


def test_an_image_size_for_texts(checkpoints: Any) -> None:
    assert problems(checkpoints["MaskedLM"], image_size=(8, 8))[0] == ["PG310"]


@pytest.mark.parametrize("short_class", ["OpticalFlow", "MultimodalAutoencoding", FOURIER, CONV])
def test_an_image_size(short_class: str, checkpoints: Any) -> None:
    inputs = spec_of(import_checkpoint(checkpoints[short_class], image_size=(36, 40))).modalities
    shapes = [entry.shape for entry in inputs.values() if "height" in entry.shape]
    assert [(shape["height"], shape["width"]) for shape in shapes] == [(36, 40)]


BAD: dict[str, tuple[str, Any]] = {
    "num_latents": (FOURIER, 0),
    "d_latents": (FOURIER, "wide"),
    "num_blocks": (FOURIER, 0),
    "num_self_attends_per_block": (FOURIER, -1),
    "num_self_attention_heads": (FOURIER, 2.5),
    "num_cross_attention_heads": (FOURIER, None),
    "qk_channels": (FOURIER, [8]),
    "v_channels": (FOURIER, True),
    "self_attention_widening_factor": (FOURIER, 0),
    "cross_attention_widening_factor": (FOURIER, 2**40),
    "cross_attention_shape_for_attention": (FOURIER, "vk"),
    "use_query_residual": (FOURIER, "yes"),
    "hidden_act": (FOURIER, "quick_gelu"),
    "vocab_size": ("MaskedLM", 0),
    "max_position_embeddings": ("MaskedLM", 0),
    "d_model": ("MaskedLM", 0),
    "image_size": ("ImageClassificationLearned", [4, 4]),
    "train_size": ("OpticalFlow", [6]),
    "num_frames": ("MultimodalAutoencoding", 0),
    "audio_samples_per_frame": ("MultimodalAutoencoding", "x"),
    "samples_per_patch": ("MultimodalAutoencoding", 0),
    "output_shape": ("MultimodalAutoencoding", [1, 2, 16]),
    "output_num_channels": ("MultimodalAutoencoding", 0),
    "_label_trainable_num_channels": ("MultimodalAutoencoding", 0),
}


@pytest.mark.parametrize("setting", BAD)
def test_settings_that_make_no_sense(setting: str, checkpoints: Any) -> None:
    short_class, value = BAD[setting]
    path = checkpoints[short_class]
    settings = json.loads((path / "config.json").read_text()) | {setting: value}
    codes, text = problems(path, config=settings)
    assert set(codes) == {"PG310"}
    assert f"`{setting}`" in text


def test_all_that_is_wrong_is_said_at_once(checkpoint: Path) -> None:
    configure(checkpoint, num_latents=0, hidden_act="gelu_10", num_blocks=-1)
    codes, text = problems(checkpoint)
    assert codes == ["PG310"] * 3
    assert "`gelu_10`" in text


def test_widths_that_cannot_be_added(checkpoint: Path) -> None:
    for settings in ({"qk_channels": 8}, {"qk_channels": 16, "v_channels": 8}):
        codes, text = problems(configure(checkpoint, **settings))
        assert codes == ["PG310"]
        assert "`v_channels` has to be 16" in text


def test_sound_that_is_no_whole_number_of_patches(checkpoints: Any) -> None:
    path = checkpoints["MultimodalAutoencoding"]
    settings = json.loads((path / "config.json").read_text()) | {"samples_per_patch": 5}
    assert "PG310" in problems(path, config=settings)[0]


def test_settings_that_do_not_fit_the_tensors(checkpoint: Path) -> None:
    for settings in ({"d_latents": 32}, {"num_self_attends_per_block": 3}, {"num_latents": 7}):
        codes, _ = problems(
            checkpoint, config=json.loads((checkpoint / "config.json").read_text()) | settings
        )
        assert set(codes) <= {"PG302", "PG304"}
    codes, text = problems(configure(checkpoint, num_self_attention_heads=5))
    assert codes == ["PG204"]
    assert "heads: 5" in text


# What is no checkpoint of a Perceiver


def test_tensors_that_are_missing_extra_or_misshapen(checkpoint: Path) -> None:
    tensors = tensors_of(checkpoint)
    del tensors["perceiver.encoder.cross_attention.attention.self.key.bias"]
    tensors["perceiver.encoder.more"] = np.ones(2, np.float32)
    tensors["perceiver.embeddings.latents"] = np.ones((5, 16), np.float32)
    save_file(tensors, checkpoint / "model.safetensors")
    codes, text = problems(checkpoint)
    assert sorted(codes) == ["PG302", "PG303", "PG304"]
    assert "perceiver.encoder.cross_attention.attention.self.key.bias" in text
    assert "perceiver.encoder.more" in text
    assert "expected [6, 16], found [5, 16]" in text


def test_values_that_are_not_finite(checkpoint: Path) -> None:
    tensors = tensors_of(checkpoint)
    tensors["perceiver.embeddings.latents"][0, 0] = np.nan
    save_file(tensors, checkpoint / "model.safetensors")
    assert problems(checkpoint)[0] == ["PG308"]


def test_other_classes(checkpoint: Path) -> None:
    configure(checkpoint, architectures=["PerceiverForMaskedLMs"])
    codes, text = problems(checkpoint)
    assert codes == ["PG311"]
    assert "did you mean `PerceiverForMaskedLM`?" in text
    assert import_checkpoint(checkpoint, model_class=f"PerceiverFor{FOURIER}").weights
    assert problems(checkpoint, model_class="BertModel")[0] == ["PG311"]
    assert problems(checkpoint, model_class="OpticalFlow")[0][0] == "PG303"
    for listed in ([], None, ["PerceiverModel"], [3]):
        assert import_checkpoint(configure(checkpoint, architectures=listed)).weights


def test_a_bare_body(checkpoint: Path) -> None:
    tensors = {n: v for n, v in tensors_of(checkpoint).items() if ".decoder." not in n}
    save_file(tensors, checkpoint / "model.safetensors")
    codes, text = problems(configure(checkpoint, architectures=["PerceiverModel"]))
    assert codes == ["PG311"]
    assert "a bare PerceiverModel" in text
    assert "embedding_decoder.bias.data.zero_()" in text  # transformers leaves it as memory was


def _garbage(folder: Path) -> Iterator[tuple[Path, str, str]]:
    """Paths, the code that is expected, and words of the message."""
    yield folder / "absent", "PG301", "there is no file or folder"
    yield folder / "nul\0", "PG301", "there is no file or folder"
    yield folder, "PG301", "is empty"
    files = {
        "empty.safetensors": (b"", "PG301", "is empty"),
        "text.txt": (b"hello", "PG301", "is text, not weights"),
        "model.pt": (b"PK\3\4....", "PG301", "/model.pt', map_location="),
        "old.pt": (b"\x80\2....", "PG301", "/old.pt', map_location="),
        "zipped.pkl": (b"PK\3\4....", "PG301", "is a pickle or an archive"),
        "image.pickle": (b"\xff\xd8\xff", "PG301", "is no complete pickle"),
        "empty.pystate": (b"", "PG301", "is no complete pickle"),
        "pickle.dat": (b"\x80\4NNb.", "PG312", "state for what is no array"),
        "none.pickle": (b"N.", "PG306", "holds no dictionary"),
    }
    for name, (content, code, words) in files.items():
        path = folder / name
        path.write_bytes(content)
        if name in ("empty.safetensors", "text.txt", "model.pt", "old.pt", "zipped.pkl"):
            (folder / "config.json").write_text('{"model_type": "perceiver"}')
        yield path, code, words
    (folder / "config.json").write_text('{"model_type": "bert"}')
    yield folder, "PG306", "of the model type `bert`"
    (folder / "config.json").write_text('{"model_type": "perceiver"}')
    yield folder, "PG301", "model.pt, old.pt: pickles, which are not read"
    save_file({"conv.weight": np.ones(2, np.float32)}, folder / "model.safetensors")
    yield folder, "PG306", "holds no Perceiver as transformers names it"
    save_file({}, folder / "model.safetensors")
    yield folder, "PG306", "it holds no tensors"


def test_garbage(tmp_path: Path) -> None:
    for path, code, words in _garbage(tmp_path):
        codes, text = problems(path)
        assert codes == [code], path
        assert words in text, path


def test_a_configuration_that_is_not_there(checkpoint: Path) -> None:
    codes, text = problems(checkpoint, config="absent.json")
    assert codes == ["PG301"]
    assert "there is no file `absent.json`" in text


# The text of specs

TEXT = st.text(max_size=30) | st.text("abc:#,[]{}'\"\\ \n\t-0123456789.~!&*?|>%@`", max_size=12)


@given(st.lists(TEXT, min_size=1, max_size=30))
def test_any_text_is_read_as_it_was_written(names: list[str]) -> None:
    written = spec_text({"outputs": {"label": {"media": {"classes": {"names": names}}}}}, {})
    data, _ = parse_yaml(Source("spec.yaml", written))
    assert data["outputs"]["label"]["media"]["classes"]["names"] == names
