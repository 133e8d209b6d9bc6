"""What libraries say while they read a file. Warnings are kept from the screen: what a file holds is
checked afterwards, and reported in our words."""

from __future__ import annotations

import codecs
import shlex
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

DAMAGED = (
    *(ValueError, TypeError, SyntaxError, EOFError, OverflowError, KeyError, RuntimeError),
    *(NotImplementedError, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)
"""What reading .npy and .npz files raises besides OSError and MemoryError: numpy parses headers as
Python literals, and zipfile knows of encryption, hence the variety."""


@contextmanager
def quiet() -> Iterator[None]:
    """Print no warnings: of headers by Python 2, or damaged to look like code; of odd pictures."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def holds_objects(error: Exception) -> bool:
    """Whether numpy refused an array because it would have to unpickle it."""
    said = ("Object arrays cannot", "pickled data", "Python objects")
    return isinstance(error, ValueError) and any(part in str(error) for part in said)


def reason(error: Exception) -> str:
    """What an error says, without the advice that numpy adds in further lines."""
    return next(iter(str(error).splitlines()), "")


def other_unicode(head: bytes) -> str | None:
    """The encoding of a text that is Unicode but not UTF-8, as its first bytes say."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    pairs = head[: len(head) // 2 * 2]
    low, high = pairs[0::2].count(0), pairs[1::2].count(0)
    return "UTF-16" if max(low, high) * 4 > len(pairs) and min(low, high) == 0 else None


_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def as_utf8(encoding: str, path: object) -> str:
    """The command that makes UTF-8 of a text in another encoding."""
    return f"iconv -f {encoding} -t UTF-8 {shlex.quote(str(path))} > utf8.txt"
