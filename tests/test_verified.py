"""`load(PATH, verify="once")`: files are read in full when they are new, and not again until they change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from perceiver_graph.choices import Verify
from perceiver_graph.runtime import load, open_artifact
from tests.tiny import fault, write_artifact


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PERCEIVER_GRAPH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "verified"


def read(folder: Path, verify: Verify) -> int:
    """How many bytes were read to compare digests."""
    seen = [0]
    open_artifact(folder, verify=verify, progress=lambda done, total: seen.append(done))
    return seen[-1]


def test_what_was_read_is_not_read_again(tmp_path: Path, kept: Path) -> None:
    folder = write_artifact(tmp_path / "tiny")
    whole = read(folder, "always")
    assert whole > 0
    assert not kept.exists(), "nothing is kept that nobody asked for"
    assert read(folder, "once") == whole
    assert read(folder, "once") == 0
    assert read(folder, "always") == whole
    other = write_artifact(tmp_path / "other")
    assert read(other, "once") == whole, "another folder is another"


def test_what_has_changed_is_read(tmp_path: Path) -> None:
    folder = write_artifact(tmp_path / "tiny")
    read(folder, "once")
    file = folder / "decode.onnx"
    before = file.stat()
    content = bytearray(file.read_bytes())
    content[40] ^= 1
    file.write_bytes(content)  # the same inode and size
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert fault(lambda: open_artifact(folder, verify="once")).code == "PG402"
    content[40] ^= 1
    file.write_bytes(content)
    assert read(folder, "once") == file.stat().st_size


def test_what_was_wrong_is_not_taken_for_right(tmp_path: Path) -> None:
    folder = write_artifact(tmp_path / "tiny")
    (folder / "decode.onnx").write_bytes(b"short")
    for _ in range(2):
        assert fault(lambda: open_artifact(folder, verify="once")).code == "PG402"


def test_another_digest_in_the_manifest_is_compared(tmp_path: Path) -> None:
    folder = write_artifact(tmp_path / "tiny")
    read(folder, "once")
    manifest = folder / "manifest.json"
    entry = open_artifact(folder).manifest.files["decode.onnx"]
    manifest.write_text(manifest.read_text().replace(entry.sha256, "0" * 64))
    assert fault(lambda: open_artifact(folder, verify="once")).code == "PG402"


@pytest.mark.parametrize("content", [b"", b"[]", b'{"decode.onnx": 1}', b"\xff"])
def test_what_is_kept_may_be_damaged(tmp_path: Path, kept: Path, content: bytes) -> None:
    folder = write_artifact(tmp_path / "tiny")
    whole = read(folder, "once")
    (file,) = kept.iterdir()
    from perceiver_graph.runtime import verified

    verified._CACHE.keep(file.name, content)
    assert read(folder, "once") == whole
    file.write_bytes(content)
    assert read(folder, "once") == whole


def test_a_word_that_is_none(tmp_path: Path) -> None:
    folder = write_artifact(tmp_path / "tiny")
    with pytest.raises(ValueError, match=r"verify .*always, once"):
        load(folder, verify="never")  # type: ignore[arg-type]
