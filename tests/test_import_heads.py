"""`import --replace-head`: the body of a checkpoint under a head for other classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import perceiver_graph as pg
from perceiver_graph.compiler.importing import import_checkpoint
from perceiver_graph.compiler.weights import initialize
from tests.import_checks import CONV, FOURIER, configure, problems, spec_of, tensors_of
from tests.import_support import BASE, inputs_of, model, save


@pytest.mark.parametrize("short_class", ["SequenceClassification", CONV, "MultimodalAutoencoding"])
def test_a_new_head_on_the_same_body(short_class: str, checkpoints: Any) -> None:
    before = import_checkpoint(checkpoints[short_class])
    found = import_checkpoint(checkpoints[short_class], replace_heads={"label": 3}, seed=7)
    head = {n for n in before.weights if n.startswith("heads.label.")}
    for name, value in before.weights.items():
        assert name in head or np.array_equal(found.weights[name], value)
    initial = initialize(found.graph, 7)
    for name in head:
        assert found.weights[name].shape[0] == 3
        assert np.array_equal(found.weights[name], initial[name])
    other = import_checkpoint(checkpoints[short_class], replace_heads={"label": 3}, seed=8)
    weight = "heads.label.linear.weight"
    assert not np.array_equal(other.weights[weight], found.weights[weight])
    assert found.notes == ["the head of `label` is new, for 3 classes (seed 7)"]
    assert spec_of(found).outputs["label"].head is not None
    assert spec_of(found).inputs == spec_of(before).inputs


def test_names_of_the_former_classes_go(checkpoint: Path) -> None:
    configure(checkpoint, id2label={str(i): f"class {i}" for i in range(5)})
    found = import_checkpoint(checkpoint, replace_heads={"label": 5})
    assert "class 1" in import_checkpoint(checkpoint).spec_text
    assert "class 1" not in found.spec_text


def test_a_head_that_is_not_in_the_checkpoint(checkpoint: Path) -> None:
    tensors = {n: v for n, v in tensors_of(checkpoint).items() if "final_layer" not in n}
    save_file(tensors, checkpoint / "model.safetensors")
    assert problems(checkpoint)[0] == ["PG302"]
    assert import_checkpoint(checkpoint, replace_heads={"label": 2}).weights


def test_heads_that_cannot_be_replaced(checkpoints: Any) -> None:
    codes, text = problems(checkpoints["MaskedLM"], replace_heads={"text": 3, "labels": 3})
    assert codes == ["PG313", "PG313"]
    assert "the size of its" in text or "that of the vocabulary" in text
    codes, text = problems(checkpoints[FOURIER], replace_heads={"lable": 3})
    assert "did you mean `label`?" in text
    assert problems(checkpoints[FOURIER], replace_heads={"label": 0})[0] == ["PG313"]


def test_a_new_head_answers(checkpoints: Any, tmp_path: Path) -> None:
    found = import_checkpoint(checkpoints["OpticalFlow"], replace_heads={"flow": 4})
    inputs = inputs_of(model("OpticalFlow"), "OpticalFlow")
    (tmp_path / "spec.yaml").write_text(found.spec_text)
    compiled = pg.compile(tmp_path / "spec.yaml")
    save_file(dict(found.weights), tmp_path / "weights.safetensors")
    compiled.save(tmp_path / "artifact", weights=tmp_path / "weights.safetensors")
    answer = pg.load(tmp_path / "artifact", device="cpu").run(inputs)["flow"]
    assert answer.shape == (2, *BASE["train_size"], 4)
    assert spec_of(found).outputs["flow"].media is None, "no flow has 4 channels"
    same = import_checkpoint(checkpoints["OpticalFlow"], replace_heads={"flow": 2})
    assert spec_of(same).outputs["flow"].media is not None


def test_a_body_alone_is_no_model_and_how_it_becomes_one(tmp_path: Path) -> None:
    whole = model("MaskedLM")
    whole.perceiver.decoder = whole.perceiver.input_preprocessor = None
    body = save(whole.perceiver, tmp_path / "body")
    for named in (None, "MaskedLM"):
        codes, text = problems(body, model_class=named)
        assert codes == ["PG311"]
        assert "PerceiverForMaskedLM.from_pretrained(FOLDER)" in text
    again = type(whole).from_pretrained(body)
    # The one parameter that transformers leaves as memory was: it may be NaN, which import refuses.
    again.embedding_decoder.bias.data.zero_()
    found = import_checkpoint(save(again, tmp_path / "whole"))
    body_latents = whole.perceiver.embeddings.latents.detach().numpy()
    assert any(np.array_equal(value, body_latents) for value in found.weights.values())
