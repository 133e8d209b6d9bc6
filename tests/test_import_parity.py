"""Every class of transformers: saved, imported, compiled and run, against the model itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import perceiver_graph as pg
from perceiver_graph.compiler.importing import import_checkpoint
from perceiver_graph.compiler.importing import save as save_imported
from tests.import_support import CLASSES, IMAGE, SIDE, answer, inputs_of, model, save
from tests.parity.harness import agree

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "other": {
        "num_blocks": 2,
        "num_cross_attention_heads": 2,
        "qk_channels": 8,
        "v_channels": 16,
        "cross_attention_widening_factor": 2,
        "self_attention_widening_factor": 3,
        "use_query_residual": False,
        "hidden_act": "gelu_new",
        "cross_attention_shape_for_attention": "q",
        "vocab_size": 262,
        "num_labels": 3,
    },
    "by_query": {"cross_attention_shape_for_attention": "q", "hidden_act": "silu"},
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("short_class", CLASSES)
def test_an_imported_model_answers_as_the_original(
    short_class: str, variant: str, tmp_path: Path
) -> None:
    made = model(short_class, **VARIANTS[variant])
    checkpoint = save(made, tmp_path / "checkpoint")
    size = (SIDE, SIDE) if short_class in IMAGE[1:] else None
    save_imported(import_checkpoint(checkpoint, image_size=size), tmp_path / "imported")
    compiled = pg.compile(tmp_path / "imported" / "spec.yaml")
    compiled.save(tmp_path / "artifact", weights=tmp_path / "imported" / "weights.safetensors")
    inputs = inputs_of(made, short_class)
    expected = answer(made, short_class, inputs)
    found = pg.load(tmp_path / "artifact", device="cpu").run(inputs)
    assert found.keys() == expected.keys()
    for name, theirs in expected.items():
        scale = 100 if name == "flow" else 1  # flow comes divided by 100
        ours = found[name].reshape(theirs.shape)
        agree(f"{short_class}, {variant}, {name}", scale * ours, scale * theirs)
