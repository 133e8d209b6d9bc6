"""Following advice to the letter, as a person does who knows nothing else: the spec that comes of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.diagnostics import Diagnostic, DiagnosticError
from perceiver_graph.spec.loader import parse_spec

_LINE = re.compile(r"`([A-Za-z_]\w*): ([^`]*)`")
_UNDER = re.compile(r"under `([^`]+)`")
_ROUNDS = 6
_TOP = {"join", "latents", "layers", "encode", "process", "decode"}


class StuckError(AssertionError):
    """Advice that cannot be followed, or leads nowhere."""


def followed(text: str) -> tuple[str, list[str]]:
    """The spec that lowers, and what was advised on the way to it. Raises StuckError."""
    advice: list[str] = []
    for _ in range(_ROUNDS):
        try:
            lower(parse_spec(text))
        except DiagnosticError as error:
            first = next(one for one in error.diagnostics if one.severity == "error")
            advice.append(f"{first.code} {first.message}: {first.help}")
            try:
                text = _follow(yaml.safe_load(text), first)
            except StuckError as stuck:
                raise StuckError("\n".join([*advice, str(stuck)])) from None
        else:
            return text, advice
    raise StuckError("\n".join(["round and round:", *advice]))


def _follow(data: dict[str, Any], told: Diagnostic) -> str:
    help = told.help or ""
    path, unknown = _place(told, data)
    if "..." in help.partition(";")[0]:
        raise StuckError("something is to be filled in")
    if match := re.search("did you mean `([^`]+)` for `([^`]+)`", help):
        here = _at(data, path if isinstance(_at(data, path), dict) else path[:-1])
        here[match[1]] = here.pop(match[2])
    elif match := re.search("did you mean `([^`]+)`", help):
        _instead(data, path, unknown, match[1])
    elif match := re.match(r"sizes that divide it: (\d+)", help):
        _set(data, path, int(match[1]))
    elif help.startswith("leave it out") or "leave one of the two out" in help:
        _left_out(data, [*path, *unknown])
    elif match := re.match("leave `channel` out of the shape", help):
        _left_out(data, [*path[:2], "shape", "channel"])
    elif match := re.search("leave `([^`]+)` out", help):
        _left_out(data, [*path[:-1], match[1]] if path[-1:] == [match[1]] else [*path, match[1]])
    elif lines := _LINE.findall(help):
        _write(data, told, lines, path, unknown)
    elif match := re.search("(?:write|for example|remove the quotes:) `([^`]+)`", help):
        _set(data, path, yaml.safe_load(match[1]))
    else:
        raise StuckError("there is nothing to write")
    return yaml.safe_dump(data, sort_keys=False)


def _write(
    data: Any, told: Diagnostic, lines: list[Any], path: list[Any], unknown: list[str]
) -> None:
    """The lines that are told, at their places."""
    help = str(told.help)
    under = _UNDER.search(help)
    if unknown:
        _left_out(data, [*path, *unknown])
    for key, value in lines if "lacks" in told.message else lines[:1]:
        base = [_part(one) for one in under[1].split(".")] if under else path
        base = [] if under is None and "not indented" in help else base
        if not under and not unknown and "lacks" not in told.message:
            base = _around(data, path, key, help)
        _set(data, [*base, key], yaml.safe_load(value))


def _place(told: Diagnostic, data: Any) -> tuple[list[Any], list[str]]:
    """The path that a message is about, and the key in there that is unknown."""
    if match := re.match(r"unknown key `([^`]+)` in (?:`([^`]+)`|the spec)", told.message):
        return [_part(one) for one in (match[2] or "").split(".") if one], [match[1]]
    if match := re.match("`([^`]+)`(?:: | lacks | must )", told.message):
        return [_part(one) for one in match[1].split(".")], []
    if told.primary is None or "lacks" in told.message:
        return [], []
    start = told.primary.span.start_line - 1, told.primary.span.start_col - 1
    return _found(yaml.compose(told.primary.span.source.text), start, []) or [], []


def _found(node: Any, start: tuple[int, int], path: list[Any]) -> list[Any] | None:
    """The path of the key, or of the value, that begins at a place of the text."""
    if isinstance(node, yaml.MappingNode):
        parts = [(key.value, key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        parts = [(number, value, value) for number, value in enumerate(node.value)]
    else:
        return None
    for name, key, value in parts:
        if start in ((one.start_mark.line, one.start_mark.column) for one in (key, value)):
            return [*path, name]
        if (inner := _found(value, start, [*path, name])) is not None:
            return inner
    return None


def _around(data: Any, path: list[Any], key: str, help: str) -> list[Any]:
    """The mapping in which a key is to be written that is told at a path."""
    if "of the shape" in help:
        return [*path[:2], "shape"]
    if key in path:
        return path[: len(path) - 1 - path[::-1].index(key)]
    if key in _TOP:
        return []
    return path if isinstance(_at(data, path), dict) else path[:-1]


def _part(word: str) -> Any:
    return int(word) if word.isdecimal() else word


def _instead(data: Any, path: list[Any], unknown: list[str], word: str) -> None:
    """Another word for an unknown key, for the key of an alternative, or for a value."""
    here = _at(data, path)
    if unknown:
        here[word] = here.pop(unknown[0])
    elif isinstance(here, dict) and len(here) == 1:
        here[word] = here.pop(next(iter(here)))
    else:
        _set(data, path, word)


def _at(data: Any, path: list[Any]) -> Any:
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            raise StuckError(f"there is no {path}") from None
    return data


def _left_out(data: Any, path: list[Any]) -> None:
    del _at(data, path[:-1])[path[-1]]


def _set(data: Any, path: list[Any], value: Any) -> None:
    for part in path[:-1]:
        if isinstance(data, dict) and not isinstance(data.get(part), dict | list):
            data[part] = {}
        data = data[part]
    data[path[-1]] = value


def leads_to(spec: str, written: str, meant: Mapping[str, Any]) -> None:
    """Assert that what is told about a line in place of MORE ends in an input `image` with these keys."""
    better, advice = followed(spec.replace("MORE", written))
    assert advice, "it was no mistake"
    found = yaml.safe_load(better)["inputs"]["image"]
    assert {key: found.get(key) for key in meant} == meant, advice
