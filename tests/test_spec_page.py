"""Someone with docs/spec.md alone can write the shipped specs: it says every key and every word of theirs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/spec.md").read_text(encoding="utf-8")
SPECS = sorted((ROOT / "specs").glob("*.yaml"))
NAMED = {"inputs", "outputs", "dims", "shape", "vocabulary", "patch", "kernel", "stride", "window"}
NAMED |= {"grid", "per", "max_resolution", "wavelengths", "range", "padding", "of"}
"""Keys below which there may be names of the user's."""


def words(data: Any, names: frozenset[str]) -> Iterator[str]:
    """The keys of a spec, and the texts that are values, but for names of the user's."""
    if isinstance(data, dict):
        for key, value in data.items():
            if key not in names:
                yield key
            if key not in ("name", "summary", "names"):
                yield from words(value, names)
    elif isinstance(data, list):
        for one in data:
            yield from words(one, names)
    elif isinstance(data, str) and re.fullmatch(r"[a-z]\w*", data) and data not in names:
        yield data


def names_of(data: Any, under: str = "") -> Iterator[str]:
    """The names that a spec gives to what is its own: inputs, axes, symbols, coordinates."""
    if isinstance(data, dict):
        for key, value in data.items():
            if under in NAMED:
                yield key
            yield from names_of(value, key if not (under in NAMED and key in NAMED) else "")
    elif isinstance(data, list):
        for one in data:
            if under in ("given", "points", "coordinates", "periodic") and isinstance(one, str):
                yield one
            yield from names_of(one)


def said_by(page: str) -> set[str]:
    """The words in blocks of code and in code within texts."""
    fence = r"^```.*?^```$"
    blocks = re.findall(fence, page, re.S | re.M)
    return set(
        re.findall(
            r"\w+",
            " ".join(
                [*blocks, *re.findall(r"`[^`\n]+`", re.sub(fence, "", page, flags=re.S | re.M))]
            ),
        )
    )


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_the_page_says_all_that_a_shipped_spec_uses(path: Path) -> None:
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    names = frozenset(names_of(data))
    said = said_by(PAGE)
    used = set(words(data, names))
    assert len(used) > 10  # names are told from keys
    assert used <= said, f"docs/spec.md does not say {sorted(used - said)}"


@pytest.mark.parametrize("name", ["poyo", "aurora_level_encoder", "hunyuan3d_decoder"])
def test_what_is_hard_elsewhere_is_short(name: str) -> None:
    text = (ROOT / f"specs/{name}.yaml").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
