"""`import`: what a configuration says that is not followed is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from perceiver_graph.compiler import driver
from perceiver_graph.compiler.importing import import_checkpoint, save
from perceiver_graph.diagnostics import Report
from tests.import_checks import configure


def test_settings_that_are_not_known_are_told(checkpoint: Path) -> None:
    assert import_checkpoint(checkpoint).notes == []
    configure(checkpoint, rope_theta=10000, is_decoder=True, use_cache=True, layer_norm_eps=1e-3)
    notes = import_checkpoint(checkpoint).notes
    assert len(notes) == 2
    assert "`rope_theta` of the configuration, `10000`, is not known here" in notes[0]
    assert "`is_decoder`" in notes[1]


def test_compile_tells_the_same_of_a_folder(checkpoint: Path, tmp_path: Path) -> None:
    save(import_checkpoint(checkpoint), tmp_path / "imported")
    compiled = driver.compile(tmp_path / "imported" / "spec.yaml")
    for more in ({}, {"rope_theta": 10000, "is_decoder": True, "layer_norm_eps": 1e-3}):
        configure(checkpoint, **more)
        report = Report()
        compiled.save(tmp_path / "out", weights=checkpoint, report=report)
        notes = [one for one in report.diagnostics if one.severity == "note"]
        assert [one.message for one in notes] == [*import_checkpoint(checkpoint).notes]
    assert len(notes) == 2


def test_names_of_classes_that_cannot_be_taken_are_told(checkpoints: Any) -> None:
    path = checkpoints["SequenceClassification"]
    settings = json.loads((path / "config.json").read_text())
    for names in ({str(i + 1): f"class {i}" for i in range(5)}, "cats"):
        found = import_checkpoint(path, config=settings | {"id2label": names})
        assert any("`id2label`" in note for note in found.notes), names
        assert "names:" not in found.spec_text
    for order, taken in ((range(5), False), ([1, 0, 2, 3, 4], True)):
        names = {str(i): f"LABEL_{other}" for i, other in enumerate(order)}
        found = import_checkpoint(path, config=settings | {"id2label": names})
        assert ("names: [LABEL_1, LABEL_0," in found.spec_text) == taken
