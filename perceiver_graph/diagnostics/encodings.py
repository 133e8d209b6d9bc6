"""Texts in other encodings than UTF-8: what they are called, and the command that makes UTF-8 of them."""

from __future__ import annotations

import codecs
from pathlib import Path

from perceiver_graph.diagnostics.escape import shell_path

_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def other_unicode(head: bytes) -> str | None:
    """The encoding of a text that is Unicode but not UTF-8, as its first bytes say: an even number."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    low, high = head[0::2].count(0), head[1::2].count(0)
    if len(head) % 2 or max(low, high) * 4 <= len(head) or min(low, high) > 0:
        return None
    return "UTF-16BE" if low else "UTF-16LE"


def as_utf8(content: bytes, path: Path | None) -> str:
    """The help for a text that is not UTF-8, of which `content` are bytes that are none.

    `path` is its file, None for what came through a pipe.
    """
    if encoding := other_unicode(content[:4096]):
        return f"make UTF-8 of it: {_command(encoding, path)}"
    try:
        content.decode("cp1252")
        encoding, called = "WINDOWS-1252", "as Windows writes it in western Europe"
    except UnicodeDecodeError:
        encoding, called = "LATIN1", "in Latin-1"
    return (
        f"make UTF-8 of it; if it is {called}: {_command(encoding, path)} (`iconv -l` has others)"
    )


def _command(encoding: str, path: Path | None) -> str:
    path = path or Path("FILE")
    target = path.with_name(f"{path.stem}.utf8{path.suffix}")
    return f"`iconv -f {encoding} -t UTF-8 {shell_path(path)} > {shell_path(target)}`"
