"""Following advice to the letter, as a person does who knows nothing else: the spec that comes of it."""

from __future__ import annotations

import re
from typing import Any

import yaml

from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.diagnostics import Diagnostic, DiagnosticError
from perceiver_graph.spec.loader import parse_spec

_LINE = re.compile(r"`([A-Za-z_]\w*): ([^`]*)`")
_UNDER = re.compile(r"under `([^`]+)`")
_ROUNDS = 6


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
    path, unknown = _place(told.message)
    if "..." in help.partition(";")[0]:
        raise StuckError("something is to be filled in")
    if match := re.search("did you mean `([^`]+)`", help):
        _instead(data, path, unknown, match[1])
    elif help.startswith("leave it out"):
        _left_out(data, [*path, *unknown])
    elif match := re.search("leave `([^`]+)` out", help):
        _left_out(data, [*path[:-1], match[1]] if path[-1:] == [match[1]] else [*path, match[1]])
    elif lines := _LINE.findall(help):
        under = _UNDER.search(help)
        if unknown:
            _left_out(data, [*path, *unknown])
        for key, value in lines if "lacks" in told.message else lines[:1]:
            base = [_part(one) for one in under[1].split(".")] if under else path
            if path[-1:] == [key] and not under:
                base = path[:-1]
            base = [] if under is None and "not indented" in help else base
            _set(data, [*base, key], yaml.safe_load(value))
    elif match := re.search("(?:write|for example|remove the quotes:) `([^`]+)`", help):
        _set(data, path, yaml.safe_load(match[1]))
    else:
        raise StuckError("there is nothing to write")
    return yaml.safe_dump(data, sort_keys=False)


def _place(message: str) -> tuple[list[Any], list[str]]:
    """The path that a message is about, and the key in there that is unknown."""
    if match := re.match(r"unknown key `([^`]+)` in (?:`([^`]+)`|the spec)", message):
        return [_part(one) for one in (match[2] or "").split(".") if one], [match[1]]
    match = re.match("`([^`]+)`", message)
    return [_part(one) for one in match[1].split(".")] if match else [], []


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
