"""What a name stands for is opened once: nothing of a pipe is lost, and nothing is waited for in vain."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.media.files.numbers import sheet as number_rows
from perceiver_graph.media.points.cloud import read_points
from perceiver_graph.media.table.rows import read_table
from perceiver_graph.runtime import opening
from perceiver_graph.runtime.opening import Source, stream_key
from tests.media_support import code_of

ROWS = np.arange(6000, dtype=np.float64).reshape(2000, 3) / 8
CSV = "".join(",".join(map(str, row)) + "\n" for row in ROWS.tolist()).encode()


@contextmanager
def piped(content: bytes) -> Iterator[str]:
    """The path of a pipe that somebody writes to, as `<(...)` makes one."""
    read, write = os.pipe()

    def fill() -> None:
        with os.fdopen(write, "wb") as stream, _unread_is_fine():
            stream.write(content)

    writer = threading.Thread(daemon=True, target=fill)
    writer.start()
    try:
        yield f"/dev/fd/{read}"
    finally:
        os.close(read)
        writer.join()


def _unread_is_fine() -> AbstractContextManager[object]:
    return suppress(BrokenPipeError)


@pytest.fixture
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_PATIENCE", 0.05)
    monkeypatch.setattr(opening, "_NOBODY", 0.3)


def test_a_source_is_read_as_often_as_one_likes(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(CSV)
    with piped(CSV) as pipe:
        for name in (str(tmp_path / "rows.csv"), pipe):
            source = Source.of(name)
            assert source.peek(5) == CSV[:5]
            first, second = source.open(), source.open()
            assert first.read(10) == second.read(10) == CSV[:10]
            assert first.seek(-7, os.SEEK_END) == len(CSV) - 7
            assert (first.read(), first.tell()) == (CSV[-7:], len(CSV))
            assert second.read(10) == CSV[10:20]
            assert second.seek(5) == 5
            assert second.seek(5, os.SEEK_CUR) == 10
            assert second.readline() == CSV[10:].split(b"\n")[0] + b"\n"
            assert (source.read(), source.read(9), source.size()) == (CSV, CSV[:9], len(CSV))
            assert Source.of(source) is source
            first.close()
            second.close()


def test_files_and_pipes_say_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(CSV)
    source = Source.of(tmp_path / "rows.csv")
    assert (source.path, source.stem, source.is_file) == (tmp_path / "rows.csv", "rows", True)
    with piped(CSV) as pipe:
        source = Source.of(pipe)
        assert (str(source), source.stem, source.is_file) == (pipe, "pipe", False)
        assert stream_key(pipe) == stream_key(pipe) is not None
    assert (str(Source.of("-")), Source.of("-").stem) == ("standard input", "stdin")
    assert stream_key("-") == stream_key("/dev/stdin") is not None
    assert stream_key(str(tmp_path)) is stream_key("no such file") is stream_key("\0") is None


def _archive() -> bytes:
    file = io.BytesIO()
    np.savez(file, rows=ROWS)
    return file.getvalue()


def _array() -> bytes:
    file = io.BytesIO()
    np.save(file, ROWS)
    return file.getvalue()


def _ply() -> bytes:
    head = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(ROWS)}\n"
    head += "".join(f"property double {axis}\n" for axis in "xyz") + "end_header\n"
    return head.encode() + ROWS.tobytes()


@pytest.mark.parametrize("content", [lambda: CSV, _archive, _array, _ply])
def test_a_pipe_gives_all_that_the_file_gives(content: Callable[[], bytes]) -> None:
    with piped(content()) as pipe:
        assert np.array_equal(read_points(pipe), ROWS)


def test_a_named_pipe_is_opened_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rows.csv")
    writer = threading.Thread(daemon=True, target=(tmp_path / "rows.csv").write_bytes, args=[CSV])
    writer.start()
    table = read_table(tmp_path / "rows.csv")
    writer.join()
    assert np.array_equal(table.values, ROWS)


@pytest.mark.usefixtures("_hasty")
def test_a_slow_writer_is_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "slow")

    def write() -> None:
        with (tmp_path / "slow").open("wb", buffering=0) as stream:
            for part in (CSV[:100], CSV[100:]):
                event.wait(0.5)  # longer than for a pipe that nobody has opened
                stream.write(part)

    event = threading.Event()
    writer = threading.Thread(daemon=True, target=write)
    writer.start()
    assert Source.of(tmp_path / "slow").read() == CSV
    writer.join()
    assert capsys.readouterr().err == f"waiting for {tmp_path / 'slow'}\n"


@pytest.mark.usefixtures("_hasty")
def test_a_pipe_that_nobody_writes_to_is_given_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rows.csv")
    code, text = code_of(lambda: read_table(tmp_path / "rows.csv"))
    assert code == "PG507"
    assert "nobody writes to it" in text


def test_an_empty_pipe_is_empty(tmp_path: Path) -> None:
    with piped(b"") as pipe:
        assert Source.of(pipe).read() == b""
        assert "empty" in code_of(lambda: read_table(pipe))[1]
    os.mkfifo(tmp_path / "none")
    writer = threading.Thread(daemon=True, target=(tmp_path / "none").write_bytes, args=[b""])
    writer.start()
    assert Source.of(tmp_path / "none").read() == b""
    writer.join()


def test_a_pipe_without_an_end_is_read_as_far_as_it_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with subprocess.Popen(["yes", "1,2,3"], stdout=subprocess.PIPE) as endless:
        assert endless.stdout is not None
        name = f"/dev/fd/{endless.stdout.fileno()}"
        code, text = code_of(lambda: read_table(name, most=20_000))
        assert (code, "more than 20000 rows" in text) == ("PG514", True)
        monkeypatch.setattr(number_rows, "MOST_VALUES", 30_000)
        code, text = code_of(lambda: read_points(name))
        assert (code, "more than 30,000 numbers" in text) == ("PG514", True)
        code, text = code_of(lambda: Source.of(name, most=5_000_000).read())
        assert (code, "more than 5,000,000 bytes" in text) == ("PG514", True)
        endless.kill()


def test_what_is_no_file_is_told_by_name(tmp_path: Path) -> None:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "socket"))
    for name, words in (
        (tmp_path, "is a folder"),
        (tmp_path / "socket", "is a socket"),
        (Path("/dev/zero"), "is a device"),
        (tmp_path / "none", "does not exist"),
        (tmp_path / "socket" / "below", "does not exist"),
        (tmp_path / ("x" * 300), "cannot be found"),
        (Path("/dev/fd/987"), "does not exist"),
    ):
        code, text = code_of(lambda: Source.of(name))  # noqa: B023
        assert code == "PG512"
        assert words in text
        assert str(name) in text
    listening.close()
    assert code_of(lambda: Source.of(""))[0] == code_of(lambda: Source.of("a\0b"))[0] == "PG512"


def test_an_address_is_no_file() -> None:
    code, text = code_of(lambda: Source.of("https://example.org/a b.png"))
    assert (code, "`curl -LO 'https://example.org/a b.png'`" in text) == ("PG512", True)


def test_standard_input_of_any_kind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(CSV)))
    assert np.array_equal(read_points("-"), ROWS)
    (tmp_path / "rows.csv").write_bytes(CSV)
    with (tmp_path / "rows.csv").open() as file:
        monkeypatch.setattr("sys.stdin", file)
        assert np.array_equal(read_points("-"), ROWS)
    monkeypatch.setattr("sys.stdin", None)
    assert "standard input is closed" in code_of(lambda: Source.of("-").peek(1))[1]


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def seek(self, place: int) -> None: ...
        def close(self) -> None: ...
        def write(self, block: bytes) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(opening, "_store", Full)
    with piped(CSV) as pipe:
        code, text = code_of(lambda: Source.of(pipe).read())
    assert (code, "No space left" in text) == ("PG507", True)


def test_faults_pass_through_libraries_unchanged(tmp_path: Path) -> None:
    """An archive in a pipe that is too long: what is reported is that, and no damaged archive."""
    with piped(_archive()) as pipe:
        source = Source.of(pipe, most=20_000)
        with pytest.raises(DiagnosticError) as caught, source.open() as stream:
            zipfile.ZipFile(stream)
    assert caught.value.diagnostics[0].code == "PG514"
