"""Changes that any file can suffer, and those of text and of JSON."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Sequence
from typing import Any

from tests.test_hostile_artifacts import mutate

_NUMBERS = (0, 1, 2, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1)


def damaged(content: bytes, chance: random.Random) -> bytes:
    """A change of some bytes: turned, cut, repeated, moved, or an extreme number in their place."""
    if not content:
        return bytes(chance.randrange(256) for _ in range(chance.randrange(1, 20)))
    data = bytearray(content)
    at = min(int(len(data) * chance.random() ** 2), len(data) - 1)  # headers come first
    length = chance.choice((1, 1, 2, 4, 8, 64, len(data) // 3))
    match chance.randrange(8):
        case 0:
            del data[chance.randrange(len(data)) :]
        case 1:
            del data[at : at + length]
        case 2:
            data[at:at] = data[at : at + length]
        case 3:
            other = chance.randrange(len(data))
            data[at : at + length] = data[other : other + length]
        case 4:
            data[at] ^= 1 << chance.randrange(8)
        case 5:
            form = chance.choice(("<I", ">I", "<H", ">H"))
            number = chance.choice(_NUMBERS) & (0xFFFF if "H" in form else 0xFFFFFFFF)
            data[at : at + struct.calcsize(form)] = struct.pack(form, number)
        case 6:
            data[at : at + length] = bytes(chance.randrange(256) for _ in range(min(length, 64)))
        case _:
            data += bytes(chance.randrange(256) for _ in range(length))
    return bytes(data)


def scrambled(content: bytes, scraps: Sequence[str], chance: random.Random) -> bytes:
    """A change of text: a scrap in the place of some characters, or a line that is gone or doubled."""
    text = content.decode("utf-8", "surrogateescape")
    if chance.random() < 0.4 and "\n" in text:
        lines = text.splitlines(keepends=True)
        at = chance.randrange(len(lines))
        match chance.randrange(4):
            case 0:
                del lines[at]
            case 1:
                lines.insert(chance.randrange(len(lines)), lines[at])
            case 2:
                lines[at] = "  " + lines[at]
            case _:
                lines[at] = lines[at].lstrip(" ")
        text = "".join(lines)
    else:
        start = chance.randrange(len(text) + 1)
        end = start + chance.choice((0, 0, 1, 2, 5, 30))
        text = text[:start] + chance.choice(scraps) + text[end:]
    return b"".join(
        char.encode("utf-8", "surrogateescape" if "\udc80" <= char <= "\udcff" else "surrogatepass")
        for char in text
    )


def json_changed(content: bytes, chance: random.Random) -> bytes:
    """A change of what JSON says; what is no JSON any more suffers as bytes do."""
    try:
        data: Any = json.loads(content)
        return json.dumps(mutate(data, chance)).encode("utf-8", "surrogatepass")
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        return damaged(content, chance)
