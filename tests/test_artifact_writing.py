"""An artifact appears whole or not at all, whatever ends the writing."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from perceiver_graph.compiler.artifact import staged
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.spec.manifest import MANIFEST_NAME


def former(folder: Path) -> Path:
    """An artifact that stands where another is to be written."""
    folder.mkdir()
    (folder / MANIFEST_NAME).write_text("{}", encoding="utf-8")
    (folder / "old").write_text("old", encoding="utf-8")
    return folder


def write_half(folder: Path, error: BaseException) -> None:
    with staged(folder) as stage:
        (stage / "half").write_text("half", encoding="utf-8")
        raise error


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_was_written_takes_the_place_of_a_former_artifact(tmp_path: Path) -> None:
    folder = former(tmp_path / "artifact")
    with staged(folder) as stage:
        (stage / "new").write_text("new", encoding="utf-8")
        assert names(folder) == {MANIFEST_NAME, "old"}  # until the end, it is there as it was
    assert names(folder) == {"new"}
    assert names(tmp_path) == {"artifact"}


@pytest.mark.parametrize("there_before", [False, True])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("a defect")], ids=repr)
def test_an_interruption_leaves_no_trace(
    tmp_path: Path, error: BaseException, there_before: bool
) -> None:
    folder = tmp_path / "artifact"
    if there_before:
        former(folder)
    with pytest.raises(type(error)):
        write_half(folder, error)
    assert names(tmp_path) == ({"artifact"} if there_before else set())
    assert not there_before or names(folder) == {MANIFEST_NAME, "old"}


def test_a_full_disk_is_a_diagnostic_and_leaves_no_trace(tmp_path: Path) -> None:
    with pytest.raises(DiagnosticError) as caught:
        write_half(tmp_path / "artifact", OSError(errno.ENOSPC, "No space left on device"))
    (found,) = caught.value.diagnostics
    assert found.code == "PG407"
    assert "No space left on device" in found.message
    assert names(tmp_path) == set()


def test_what_is_no_artifact_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(DiagnosticError) as caught, staged(tmp_path):
        pytest.fail("nothing may be written")
    assert [d.code for d in caught.value.diagnostics] == ["PG407"]
    assert names(tmp_path) == {"notes.txt"}
