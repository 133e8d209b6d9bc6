"""Writes a spec as a person would: a line for each thing, short mappings in braces, remarks behind."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from perceiver_graph.diagnostics import escape
from perceiver_graph.spec.render import one_line

WIDTH = 100
_SECTIONS = ("inputs", "outputs")
Path = tuple[str | int, ...]


def spec_text(data: Mapping[str, Any], remarks: Mapping[Path, str]) -> str:
    """YAML of a spec. `remarks` stand behind the line on which the value of their path begins."""
    lines: list[str] = []
    for key, value in data.items():
        if key in ("inputs", "latents", "outputs"):
            lines.append("")
        lines.extend(_entry((key,), key, value, remarks, 0))
    return "\n".join(lines) + "\n"


def _entry(
    path: Path, key: str, value: Any, remarks: Mapping[Path, str], depth: int
) -> Iterator[str]:
    """`key: value`, on one line where that fits and is not one of the sections that never are."""
    indent = "  " * depth
    spread = isinstance(value, dict) and (
        path[-1] in _SECTIONS or (len(path) == 2 and path[0] in _SECTIONS)
    )
    line = f"{indent}{_flow(key)}: {_flow(value)}"
    splits = isinstance(value, dict | list) and bool(value)
    inner_remarks = any(p[: len(path)] == path and len(p) > len(path) for p in remarks)
    if not spread and not inner_remarks and (len(line) <= WIDTH or not splits):
        yield _remarked(line, remarks.get(path))
        return
    yield _remarked(f"{indent}{_flow(key)}:", remarks.get(path))
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _entry((*path, name), name, inner, remarks, depth + 1)
    elif all(not isinstance(item, dict | list) for item in value):
        yield from _wrapped(value, depth + 1)
    else:
        for i, item in enumerate(value):
            single = isinstance(item, dict) and len(item) == 1  # `- patch: {time: 16}`
            line = f"{indent}  - {_flow(item)[1:-1] if single else _flow(item)}"
            yield _remarked(line, remarks.get((*path, i)))


def _wrapped(items: Sequence[Any], depth: int) -> Iterator[str]:
    """A list of scalars over several lines. Each stands on one line whole."""
    indent = "  " * depth
    line = indent + "["
    for i, item in enumerate(items):
        word = _flow(item) + ("]" if i == len(items) - 1 else ",")
        if len(line) + len(word) + 1 > WIDTH and line.strip() not in ("", "["):
            yield line.rstrip()
            line = indent + " "
        line += word + " "
    yield line.rstrip()


def _remarked(line: str, remark: str | None) -> str:
    return f"{line}  # {one_line(textwrap.shorten(remark, 80))}" if remark else line


def _flow(value: Any) -> str:
    """A value on one line."""
    match value:
        case dict():
            return "{" + ", ".join(f"{_flow(k)}: {_flow(v)}" for k, v in value.items()) + "}"
        case list():
            return "[" + ", ".join(_flow(item) for item in value) + "]"
        case bool():
            return "true" if value else "false"
        case str():
            return _string(value)
        case None:
            return "null"
        case _:
            return str(value)


_PLAIN = re.compile(r"[A-Za-z](?:[\w .'()/+-]*[\w.')+-])?", re.ASCII)
_RESERVED = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def _string(text: str) -> str:
    """Text without quotes where that cannot be mistaken for anything else."""
    if _PLAIN.fullmatch(text) and text.lower() not in _RESERVED:
        return text
    text = text.encode("utf-8", "replace").decode("utf-8")
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(char: str) -> str:
    """A character in double quotes; beyond the first 65,536, the escapes of JSON are none of YAML."""
    if char.isascii() or char.isprintable():
        return escape.json(char, as_it_is=True, end="")[1:-1]
    return f"\\U{ord(char):08X}"
