"""How many frames a GIF holds, and whether it is all there: its blocks end with a trailer.

Decoders take a missing end for the end, so a file that was cut off would be a shorter one.
"""

from __future__ import annotations

from typing import BinaryIO

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.runtime.opening import Source

_EXTENSION, _FRAME, _TRAILER = b"!", b",", b";"


def gif_frames(file: BinaryIO, source: Source) -> int:
    """The number of frames. Raises DiagnosticError (PG507) for a file without its end."""
    count = 0
    try:
        _skip(file, 10)
        _skip(file, 2 + _table(_byte(file)))
        while (block := file.read(1)) != _TRAILER:
            if block == _FRAME:
                count += 1
                _skip(file, 8)
                _skip(file, _table(_byte(file)) + 1)
            elif block == _EXTENSION:
                _skip(file, 1)
            elif block == b"\0":
                continue  # some programs write it between blocks
            else:  # decoders take it for the end, or look for the next block
                raise EOFError
            while size := _byte(file):
                _skip(file, size)
    except EOFError:
        raise DiagnosticError.of(
            "PG507",
            f"{source}: the file ends, or is damaged, within or after frame {count} of a GIF",
            help="copy the file again, completely",
        ) from None
    return count


def _table(flags: int) -> int:
    """The bytes of a table of colours."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _byte(file: BinaryIO) -> int:
    return _read(file, 1)[0]


def _skip(file: BinaryIO, count: int) -> None:
    _read(file, count)


def _read(file: BinaryIO, count: int) -> bytes:
    found = file.read(count)
    if len(found) < count:
        raise EOFError
    return found
