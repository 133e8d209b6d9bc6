"""What kind of file a name says that it is."""

from __future__ import annotations

from mimetypes import guess_type
from pathlib import PurePath

_TYPES = {
    **dict.fromkeys((".webp", ".jp2", ".tga"), "image"),
    **dict.fromkeys((".mkv", ".ogv", ".wmv", ".flv", ".ts", ".mts", ".m2ts", ".mxf"), "video"),
    **dict.fromkeys((".flac", ".m4a", ".ogg", ".oga", ".opus"), "audio"),
}
"""Kinds of files whose types Python knows only from a table of the system, which a small one has not, or
by which they are something else: `.ts` is a translation of Qt there."""


def type_of(name: str) -> str:
    """The MIME type of a file of that name; empty where it says nothing."""
    suffix = PurePath(name).suffix.casefold()
    known = _TYPES.get(suffix)
    return f"{known}/{suffix[1:]}" if known else guess_type(name)[0] or ""
