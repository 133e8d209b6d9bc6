"""`export --to transformers`: `from_pretrained` loads a model with the tensors and answers of the first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from perceiver_graph.compiler.driver import compile as compiled
from perceiver_graph.compiler.exporting import save as write
from perceiver_graph.compiler.exporting import to_transformers
from perceiver_graph.compiler.importing import import_checkpoint
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.diagnostics import DiagnosticError, render
from perceiver_graph.spec import load_spec, parse_spec
from tests.cli.support import Command
from tests.import_checks import configure, same
from tests.import_support import CLASSES, IMAGE, answer, inputs_of, model, save
from tests.small import SMALL


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


def exported(imported: Any, folder: Path) -> Path:
    lowered = lower(parse_spec(imported.spec_text))
    write(to_transformers(lowered, imported.weights), folder)
    return folder


def loaded(short_class: str, folder: Path) -> Any:
    """The model, with nothing missing, nothing left over and nothing said."""
    made, told = getattr(transformers, f"PerceiverFor{short_class}").from_pretrained(
        folder, output_loading_info=True
    )
    assert not any(told.values()), told
    return made.eval()


def assert_the_same(short_class: str, ours: Any, theirs: Any) -> None:
    state, other = ours.state_dict(), theirs.state_dict()
    assert state.keys() == other.keys()
    for name, tensor in state.items():
        assert torch.equal(tensor, other[name]), name
    inputs = inputs_of(theirs, short_class)
    found, expected = (answer(made, short_class, inputs) for made in (ours, theirs))
    for name, array in expected.items():
        assert np.array_equal(found[name], array), name


SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "shared": {"num_blocks": 3, "num_self_attention_heads": 2, "use_query_residual": False},
    "wide": {"self_attention_widening_factor": 2, "cross_attention_widening_factor": 3},
    "by query": {"cross_attention_shape_for_attention": "q", "hidden_act": "relu"},
    "channels": {"qk_channels": 8, "v_channels": 16, "hidden_act": "gelu_pytorch_tanh"},
}


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("short_class", CLASSES)
def test_there_and_back(short_class: str, settings: str, tmp_path: Path) -> None:
    # Of a side of 28, pictures are cut out of one of 32: a whole number.
    side = {"image_size": 28} if short_class.endswith("Learned") else {}
    made = model(short_class, **SETTINGS[settings], **side)
    first = import_checkpoint(save(made, tmp_path / "first"))
    second = loaded(short_class, exported(first, tmp_path / "second"))
    assert_the_same(short_class, second, made)
    again = import_checkpoint(tmp_path / "second", name=first.name)
    assert same(again, first)
    assert again.notes == []
    ours, theirs = (text.spec_text.replace("second", "first") for text in (again, first))
    assert ours == theirs


@pytest.mark.parametrize("short_class", IMAGE)
def test_how_pictures_are_prepared_comes_along(short_class: str, tmp_path: Path) -> None:
    folder = save(model(short_class, image_size=36), tmp_path / "first")
    settings = {
        "crop_size": {"height": 48, "width": 48},
        "size": {"height": 36, "width": 36},
        "image_mean": [0.5, 0.25, 0.125],
        "resample": 2,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    first = import_checkpoint(folder)
    target = exported(first, tmp_path / "second")
    again = import_checkpoint(target, name=first.name)
    assert again.spec_text.replace("second", "first") == first.spec_text
    processor = transformers.AutoImageProcessor.from_pretrained(target)
    assert list(processor.image_mean) == [0.5, 0.25, 0.125]
    assert (processor.size["height"], processor.crop_size["height"]) == (36, 48)


def test_names_of_classes_come_along(checkpoint: Path, tmp_path: Path) -> None:
    names = ["ant", "bee", "cat", "dog", "eel"]
    configure(checkpoint, id2label=dict(enumerate(names)))
    configure(checkpoint, problem_type="multi_label_classification")
    target = exported(import_checkpoint(checkpoint), tmp_path / "second")
    config = transformers.PerceiverConfig.from_pretrained(target)
    assert list(config.id2label.values()) == names
    assert config.label2id["cat"] == 2
    assert config.problem_type == "multi_label_classification"


SHIPPED = {
    "kinetics": "MultimodalAutoencoding",
    "language": "MaskedLM",
    "text_classification": "SequenceClassification",
    "imagenet_fourier": "ImageClassificationFourier",
    "imagenet_learned": "ImageClassificationLearned",
    "imagenet_conv": "ImageClassificationConvProcessing",
    "optical_flow": "OpticalFlow",
}


def test_shipped_systems_of_transformers_are_known() -> None:
    """At their published sizes, without weights."""
    for name, short_class in SHIPPED.items():
        found = to_transformers(lower(load_spec(name)), {})
        assert found.model_class == f"PerceiverFor{short_class}"


@pytest.mark.parametrize("name", sorted({*SMALL} - {*SHIPPED}))
def test_systems_that_transformers_lacks_are_refused(name: str) -> None:
    lowered = lower(load_spec(name))
    with pytest.raises(DiagnosticError) as caught:
        to_transformers(lowered, {})
    (found,) = caught.value.diagnostics
    assert found.code == "PG317"
    assert found.notes


def test_names_of_inputs_and_outputs_are_free(tmp_path: Path) -> None:
    made = model("MaskedLM")
    first = import_checkpoint(save(made, tmp_path / "first"))
    text = first.spec_text.replace("text:", "words:").replace(": text", ": words")
    text = text.replace("words: {}", "text: {}").replace("{length: length}", "{position: n}")
    text = text.replace("dims: {length:", "dims: {n:")
    weights = {n.replace(".text.", ".words."): value for n, value in first.weights.items()}
    write(to_transformers(lower(parse_spec(text)), weights), tmp_path / "second")
    assert_the_same("MaskedLM", loaded("MaskedLM", tmp_path / "second"), made)


def test_what_trained_models_differ_in_is_free(checkpoint: Path, tmp_path: Path) -> None:
    first = import_checkpoint(checkpoint)
    changed = ["process.dropout=0.2", "latents.init_scale=1", "name=other", "decode.chunks=1"]
    lowered = lower(parse_spec(first.spec_text, "spec.yaml", changed))
    found = to_transformers(lowered, first.weights)
    assert found.config["attention_probs_dropout_prob"] == 0.2
    write(found, tmp_path / "second")
    assert same(import_checkpoint(tmp_path / "second"), first)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("encode.heads=3", ""),
        ("decode.heads=2", "`decode.heads`: `2` here, `1` in transformers"),
        ("process.norm=rms_norm", "`process.norm`: `rms_norm` here, `layer_norm` in transformers"),
        ("process.gated=true", "`process.gated`"),
        ("dialect=deepmind", ""),
    ],
)
def test_what_transformers_cannot_say(override: str, words: str, checkpoint: Path) -> None:
    first = import_checkpoint(checkpoint)
    lowered = lower(parse_spec(first.spec_text, "spec.yaml", [override]))
    if not words:  # another configuration says it
        assert to_transformers(lowered, {}).model_class.endswith("Fourier")
        return
    with pytest.raises(DiagnosticError) as caught:
        to_transformers(lowered, {})
    text = render(caught.value.diagnostics)
    assert "PG317" in text
    assert "the nearest is PerceiverForImageClassificationFourier" in text
    assert words in text


# From the command line


@pytest.fixture
def imported(checkpoint: Path, tmp_path: Path, command: Command) -> Path:
    assert command("import", checkpoint, "-o", tmp_path / "imported").code == 0
    return tmp_path / "imported"


def test_from_folders_and_from_trained_weights(
    imported: Path, tmp_path: Path, command: Command
) -> None:
    spec, weights = imported / "spec.yaml", imported / "weights.safetensors"
    artifact = tmp_path / "artifact"
    arguments = ["--weights", weights, "-o", artifact, "--backend", "all"]
    assert command("compile", spec, *arguments).code == 0
    sources: list[list[object]] = [[imported], [artifact], [spec], [spec, "--weights", weights]]
    for number, source in enumerate(sources):
        target = tmp_path / str(number)
        done = command("export", *source, "--to", "transformers", "-o", target)
        assert done.code == 0, done.err
        assert done.err == ""
        assert "PerceiverForImageClassificationFourier of transformers" in done.out
        assert same(import_checkpoint(target), import_checkpoint(tmp_path / "a checkpoint"))
    module = compiled(spec).to_torch(weights)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1.0)
    from safetensors.torch import save_file

    save_file(module.state_dict(), tmp_path / "trained.safetensors")
    words = ["--to", "transformers", "-o", tmp_path / "trained"]
    done = command("export", spec, "--weights", tmp_path / "trained.safetensors", *words)
    assert done.code == 0, done.err
    ours = import_checkpoint(tmp_path / "trained").weights
    theirs = import_checkpoint(tmp_path / "a checkpoint").weights
    assert all(np.array_equal(value, theirs[name] + 1) for name, value in ours.items())


def test_without_weights(imported: Path, tmp_path: Path, command: Command) -> None:
    (imported / "weights.safetensors").unlink()
    for source in (imported, imported / "spec.yaml", "kinetics", tmp_path / "absent"):
        done = command("export", source, "--to", "transformers", "-o", tmp_path / "x")
        assert done.code == 1
        assert "--weights PATH" in done.err
        assert not (tmp_path / "x").exists()
    done = command("export", imported, "--to", "keras")
    assert done.code == 2
    assert "transformers" in done.err


def test_what_was_written_here_is_replaced_and_nothing_else(
    imported: Path, tmp_path: Path, command: Command
) -> None:
    target = tmp_path / "new"
    words = ["export", imported, "--to", "transformers", "-o", target]
    assert command(*words).code == 0
    (target / "notes.md").write_text("mine")
    first = {path.name: path.read_bytes() for path in target.iterdir()}
    assert command(*words).code == 0
    assert {path.name: path.read_bytes() for path in target.iterdir()} == first
    for name in ("config.json", "model.safetensors", "perceiver-graph.json"):
        (target / name).write_bytes(first[name] + b" ")
        done = command(*words)
        assert (done.code, "PG407" in done.err) == (1, True), name
        assert (target / name).read_bytes() == first[name] + b" "
        (target / name).write_bytes(first[name])
    assert command("export", imported, "--to", "transformers", "-o", imported).code == 1
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "config.json").write_text("{}")
    assert command(*words[:-1], tmp_path / "theirs").code == 1
