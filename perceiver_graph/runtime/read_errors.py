"""Warnings and errors of libraries that read files. Warnings are not printed: what a file holds is
checked afterwards, and reported in our words."""

from __future__ import annotations

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
