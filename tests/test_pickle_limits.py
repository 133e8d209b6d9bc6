"""Pickles that are damaged, endless or far too large: each is left with a word on what is wrong."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from perceiver_graph.compiler.importing import pickles
from perceiver_graph.compiler.importing.pickles import BrokenError, read_pickle
from perceiver_graph.diagnostics import DiagnosticError
from tests.test_pickles import _sample, read

HUGE: dict[str, bytes] = {
    "bytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b"x.",
    "bytes_4": b"\x80\x04B" + struct.pack("<I", 2**32 - 1) + b"x.",
    "bytearray": b"\x80\x05\x96" + struct.pack("<Q", 2**63) + b"x.",
    "text": b"\x80\x04\x8d" + struct.pack("<Q", 2**60) + b"x.",
    "text_4": b"\x80\x02X" + struct.pack("<I", 2**31 - 1) + b"x.",
    "string": b"T" + struct.pack("<i", 2**31 - 1) + b"x.",
    "negative_string": b"T" + struct.pack("<i", -5) + b"x.",
    "integer": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"x.",
    "negative_integer": b"\x80\x02\x8b" + struct.pack("<i", -1) + b"x.",
    "digits": b"L" + b"9" * 60_000 + b"L\n.",
    "line": b"V" + b"a" * 200_000 + b"\n.",
}
DISORDER: dict[str, bytes] = {
    "empty": b"",
    "no_stop": b"N",
    "nothing": b".",
    "no_mark": b"t.",
    "no_mark_for_items": b"}u.",
    "no_mark_to_pop": b"0.",
    "odd_items": b"}(S'a'\nu.",
    "append_to_tuple": b")I1\na.",
    "append_to_nothing": b"I1\na.",
    "items_of_list": b"](S'a'\nI1\nu.",
    "never_made": b"h\x05.",
    "memo_of_nothing": b"q\x00.",
    "tuple_of_nothing": b"\x80\x02\x87.",
    "call_of_nothing": b")R.",
    "name_of_numbers": b"\x80\x04K\x01K\x02\x93.",
    "protocol": b"\x80\x09N.",
    "unknown": b"\xff.",
    "bad_text": b"\x80\x04\x8c\x02\xff\xfe.",
    "bad_number": b"Ix\n.",
}


@pytest.mark.parametrize("name", [*HUGE, *DISORDER])
def test_lengths_and_orders_that_cannot_be(name: str) -> None:
    with pytest.raises(BrokenError):
        read((HUGE | DISORDER)[name])


def test_a_memo_has_no_holes_to_fill() -> None:
    assert (
        read(b"Nr" + struct.pack("<I", 2**32 - 1) + b"0j" + struct.pack("<I", 2**32 - 1) + b".")
        is None
    )


def test_frames_announce_nothing() -> None:
    assert read(b"\x80\x04\x95" + struct.pack("<Q", 2**63) + b"N.") is None


def test_text_is_not_unfolded_to_more_than_the_file() -> None:
    once = b"h\x00h\x01\x8c\x06latin1\x86R0"
    start = b"\x80\x02c_codecs\nencode\nq\x00X" + struct.pack("<I", 500) + b"a" * 500 + b"q\x01"
    assert read(start + once + b"N.") is None
    with pytest.raises(BrokenError, match="unfolds"):
        read(start + once * 100 + b"N.")


def test_depth_is_no_danger(tmp_path: Path) -> None:
    for one, start in ((b"\x85", b"N"), (b"l", b"N"), (b"\x8c\x01a\x86", b"N")):
        data = b"\x80\x04" + (b"(" * 100_000 if one == b"l" else b"") + start + one * 100_000 + b"."
        path = tmp_path / "deep.pickle"
        path.write_bytes(data)
        assert type(read_pickle(path)) in (list, tuple)


def test_endless_programs_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "_STEPS", 1000)
    assert read(b"N0" * 400 + b"N.") is None
    with pytest.raises(BrokenError, match="opcodes"):
        read(b"N0" * 1000 + b"N.")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.pickle"):
        with pytest.raises(DiagnosticError, match="PG301"):
            read_pickle(path)
    (tmp_path / "cut.pickle").write_bytes(_sample()[:50])
    with pytest.raises(DiagnosticError, match=r"PG301.*no complete pickle"):
        read_pickle(tmp_path / "cut.pickle")
