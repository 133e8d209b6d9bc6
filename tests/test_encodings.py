"""Texts that are not UTF-8 are refused with a command that makes UTF-8 of them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from perceiver_graph.diagnostics.encodings import as_utf8, other_unicode
from perceiver_graph.media.points.cloud import read_points
from perceiver_graph.media.table.rows import read_table
from perceiver_graph.media.text import reader as texts
from perceiver_graph.runtime.naming import _lines
from perceiver_graph.runtime.opening import Source
from perceiver_graph.spec import load_spec
from tests.media_support import code_of

WORDS = "café, Größe 5 µm"
SPEC = f"""
perceiver: 1
name: tiny
summary: {WORDS}
inputs: {{points: {{shape: {{point: 4, channel: 3}}}}}}
latents: {{count: 3, width: 8}}
process: {{layers: 1, heads: 2}}
outputs: {{label: {{query: {{learned: {{}}}}, head: {{linear: 5}}}}}}
"""


def spec(path: Path) -> str | None:
    return load_spec(path).spec.summary


def names(path: Path) -> list[str]:
    return _lines(str(path))


def text(path: Path) -> str:
    return texts._decoded(path.read_bytes(), Source.of(path))


def points(path: Path) -> object:
    return read_points(path).tolist()


def table(path: Path) -> object:
    return read_table(path).values.tolist()


CASES: dict[str, tuple[Callable[[Path], object], str, object]] = {
    "spec.yaml": (spec, SPEC, WORDS),
    "names.txt": (names, f"{WORDS}\nother\n", [WORDS, "other"]),
    "text.txt": (text, f"{WORDS}\n", WORDS),
    "points.csv": (points, "# Größe\nx,y,z\n1,2,3\n4,5,6\n", [[1, 2, 3], [4, 5, 6]]),
    "table.csv": (table, "Größe,µ\n1,2\n4,5\n", [[1, 2], [4, 5]]),
}


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", CASES)
def test_the_command_of_the_help_makes_a_text_that_is_read(
    name: str, encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    read, content, value = CASES[name]
    path = Path(f"-a 'b' $(touch spoilt) {name}")
    path.write_text(content, encoding=encoding)
    _, said = code_of(lambda: read(path))
    (command,) = re.findall(r"`(iconv -f .*)`(?: \(|$)", said)
    subprocess.run(command, shell=True, check=True)
    made = path.with_name(f"{path.stem}.utf8{path.suffix}")
    assert read(made) == value
    assert sorted(tmp_path.iterdir()) == sorted(tmp_path / one for one in (path, made))


def test_what_came_through_a_pipe_has_no_name() -> None:
    assert "-t UTF-8 FILE > FILE.utf8" in as_utf8(b"caf\xe9", None)


def test_files_of_other_kinds_are_called_by_their_names(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    for head, what in (
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (b"\x80\x04\x95", "a Python pickle"),
    ):
        path.write_bytes(head + bytes(range(256)))
        code, said = code_of(lambda: names(path))
        assert code == "PG515"
        assert f"it is {what}" in said
        assert "a name on each line" in said
        assert "iconv" not in said


def test_bytes_that_windows_does_not_write_are_latin() -> None:
    assert "-f LATIN1" in as_utf8(b"caf\xe9\x81", Path("a.txt"))


@pytest.mark.parametrize("order", ["le", "be"])
def test_the_order_of_bytes_is_seen_without_a_mark(order: str) -> None:
    assert other_unicode("plain text".encode(f"utf-16-{order}")) == f"UTF-16{order.upper()}"
    assert other_unicode(WORDS.encode()) is None
    assert other_unicode(b"a\0b") is None
