"""Which input a file is for, where nobody says it."""

from __future__ import annotations

from pathlib import Path

import pytest

import perceiver_graph as pg
from perceiver_graph.media.clip.formats import AudioFormat, VideoFormat
from perceiver_graph.media.clip.reader import ClipReader
from perceiver_graph.runtime import load
from perceiver_graph.runtime.sources import file_readers, find_subjects
from perceiver_graph.spec.loader import parse_spec
from tests.test_run_pictures import BOTH
from tests.tiny import fault


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("a.png", "image"),
        ("a.wav", "sound"),
        ("a.mp4", "film"),
        ("a.txt", "caption"),
        ("a", "film"),
    ],
)
def test_the_input_of_a_file_is_guessed_by_its_name(
    name: str, wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pg.compile(parse_spec(BOTH)).save(tmp_path / "both")
    clip = ClipReader({"film": VideoFormat(4, 8, 8), "sound": AudioFormat(32)})
    readers = (clip, *file_readers(load(tmp_path / "both", device="cpu").manifest))
    monkeypatch.chdir(tmp_path)
    Path(name).touch()
    unsaid = fault(lambda: find_subjects([name], readers))
    assert unsaid.help == f"say it: `{wanted}={name}`"
