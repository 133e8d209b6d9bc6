"""Values that the shell has split at their spaces, put together again: `--set latents={count: 32}`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from perceiver_graph.cli.given import inputs_of
from perceiver_graph.storage.files import is_here

_NAME = re.compile(r"[A-Za-z_][\w.\[\]-]*")
_PAIR = re.compile(rf"({_NAME.pattern})=(.+)", re.S)
_BRACED = re.compile(r"([A-Za-z_][\w.]*)=([A-Za-z_]\w*):(\S+)")
_MAPPING = re.compile(r"([A-Za-z_][\w.]*)=\{(.*)\}")
_ENTRY = re.compile(r"([A-Za-z_]\w*): *([\w.+-]+)")
_NUMBER, _UNIT = re.compile(r"[0-9]+(?:\.[0-9]+)?"), re.compile(r"(?:[KMGT]i?)?B|[KMGT]i?", re.I)
_SUFFIX = re.compile(r"\.[A-Za-z]\w{0,11}$")
_BRACKETS = {"}": "{", "]": "[", ")": "("}
_MOST = 64  # words that are looked at


@dataclass(frozen=True)
class Split:
    """A value of which the shell made several words, and the words of the command that was meant."""

    value: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class _Part:
    """An option with its value, or a word that stands alone (no flag)."""

    flag: str
    value: str
    form: str = ""
    """What the help calls the value: `KEY=VALUE`."""

    @property
    def alone(self) -> bool:
        return not self.flag and self.value[:1] != "-"

    @property
    def words(self) -> list[str]:
        return [self.flag, self.value] if self.flag else [self.value]


def mended(ctx: Any, words: Sequence[str]) -> Split | None:
    """The command with the values in one piece that the shell has split; None if it has split none."""
    if "--" in words or len(words) > _MOST:
        return None
    parts, value = list(_parts(ctx, words)), ""
    while found := _once(ctx, parts):
        parts, made = found
        value = value or made
    return Split(value, tuple(word for part in parts for word in part.words)) if value else None


def one_by_one(value: str) -> list[str]:
    """`a={b: 1, c: 2}`, which replaces all of `a`, as `a.b=1` and `a.c=2`; empty for what is no such."""
    found = _MAPPING.fullmatch(value)
    entries = [_ENTRY.fullmatch(one.strip()) for one in found[2].split(",")] if found else []
    return [f"{found[1]}.{one[1]}={one[2]}" for one in entries if one and found] * all(entries)


def as_settings(ctx: Any, words: Sequence[str]) -> tuple[str, list[str]] | None:
    """The first word that is a setting without its `--set`, and the command with each of them there."""
    parts = list(_parts(ctx, words))
    if "--set" not in {flag for param in ctx.command.params for flag in param.opts}:
        return None
    bare = [part for part in parts if part.alone and _PAIR.fullmatch(part.value)]
    bare = [part for part in bare if not is_here(part.value)]
    if not bare:
        return None
    whole = [["--set", p.value] if p in bare else p.words for p in parts]
    return bare[0].value, [word for part in whole for word in part]


def _parts(ctx: Any, words: Sequence[str]) -> Iterator[_Part]:
    params = {flag: param for param in ctx.command.get_params(ctx) for flag in param.opts}
    rest = iter(words)
    for word in rest:
        flag, equals, value = word.partition("=") if word[:2] == "--" else (word, "", "")
        param = params.get(flag) if flag[:1] == "-" else None
        if param is None or getattr(param, "is_flag", False):
            yield _Part("", word)
        else:
            value = value if equals else next(rest, "")
            yield _Part(flag, value, str(param.metavar or ""))


def _once(ctx: Any, parts: list[_Part]) -> tuple[list[_Part], str] | None:
    """The parts with one value put together, and that value."""
    arguments = [one for one in ctx.command.params if one.param_type_name == "argument"]
    most = None if any(one.nargs == -1 for one in arguments) else len(arguments)
    given = [part.value for part in parts if part.alone]
    excess = 0 if most is None else max(len(given) - most, 0)
    inputs = inputs_of(given[0]) if ctx.info_name == "run" and given else []
    for place, part in enumerate(parts):
        tail: list[str] = []
        for after in parts[place + 1 :]:
            if not after.alone:
                break
            tail.append(after.value)
        if not tail or part.value[:1] == "-":
            continue
        found = _option(part, tail, excess) if part.flag else _argument(part, tail, excess, inputs)
        if found is not None:
            value, taken = found
            whole = _Part(part.flag, value, part.form)
            return [*parts[:place], whole, *parts[place + 1 + taken :]], value
    return None


def _option(part: _Part, tail: list[str], excess: int) -> tuple[str, int] | None:
    """The whole value of an option, and how many of the words after it are of it."""
    if "=" in part.form:
        return _pair(part, tail, excess)
    value, first = part.value, tail[0]
    if part.form == "SIZE" and _NUMBER.fullmatch(value) and _UNIT.fullmatch(first):
        return f"{value}{first}", 1
    if part.form == "HxW" and value.isdecimal():
        if first.casefold() in ("x", "*", "by", ",") and tail[1:] and tail[1].isdecimal():
            return f"{value}x{tail[1]}", 2
        return (f"{value}x{first}", 1) if first.isdecimal() else None
    return _path(value, tail, excess)


def _pair(part: _Part, tail: list[str], excess: int) -> tuple[str, int] | None:
    """NAME=VALUE, whose name, sign or value was a word of its own."""
    value, taken = _signed(part.value, tail)
    needed = part.form[0] != "[" and "[=" not in part.form and "=" not in value
    if not taken and needed and not (is_here(tail[0]) or _SUFFIX.search(tail[0])):
        value, taken = f"{value}={tail[0]}", 1
    if not taken and (braced := _braced(value, tail)):
        return braced
    if not taken and "START" in part.form and tail[0][:1] == ":":
        joined = f"{value}{tail[0]}{tail[1] if tail[0] == ':' and tail[1:] else ''}"
        return joined, 1 + (tail[0] == ":" and len(tail) > 1)
    for number in range(taken, len(tail) + 1):
        whole = " ".join([value, *tail[taken:number]])
        if _is_closed(whole):
            if number > taken or taken:
                return whole, number
            break
    if taken:
        return value, taken
    if excess and "=" in value and not any(_PAIR.fullmatch(one) for one in tail[:excess]):
        return " ".join([value, *tail[:excess]]), min(excess, len(tail))
    return _path(value, tail, 0)


def _signed(value: str, tail: list[str]) -> tuple[str, int]:
    """`a = 3`, `a =3`, `a= 3` and `a: 3` as `a=3`, and how many words after the first it took."""
    name, first = value.rstrip("=:"), tail[0]
    if not _NAME.fullmatch(name):
        return value, 0
    if name != value:
        return f"{name}={first}", 1
    if first in ("=", ":") and tail[1:]:
        return f"{name}={tail[1]}", 2
    return (f"{name}{first}", 1) if first[0] == "=" and first != "=" else (value, 0)


def _braced(value: str, tail: list[str]) -> tuple[str, int] | None:
    """`a={b:1,c:2}`, of which shells make `a=b:1 a=c:2`."""
    first = _BRACED.fullmatch(value)
    others = [_BRACED.fullmatch(one) for one in tail]
    same = [one for one in others if one and first and one[1] == first[1]]
    if first is None or not same:
        return None
    entries = ", ".join(f"{one[2]}: {one[3]}" for one in (first, *same))
    return f"{first[1]}={{{entries}}}", len(same)


def _argument(
    part: _Part, tail: list[str], excess: int, inputs: list[str]
) -> tuple[str, int] | None:
    name = part.value.rstrip("=")
    if name in inputs and (name != part.value or tail[0][:1] == "="):
        value, taken = _signed(part.value, tail)
        return (value, taken) if taken else None
    if name in inputs and not is_here(name) and is_here(tail[0]):
        return f"{name}={tail[0]}", 1
    return _path(part.value, tail, excess)


def _path(value: str, tail: list[str], excess: int) -> tuple[str, int] | None:
    """A path with spaces: one that is here, or of which too many words have an ending at last."""
    name, equals, path = value.rpartition("=")
    if not path or is_here(path) or _SUFFIX.search(path):
        return None
    for number in range(1, len(tail) + 1):
        if is_here(" ".join([path, *tail[:number]])):
            return f"{name}{equals}{' '.join([path, *tail[:number]])}", number
    for number in range(1, min(excess, len(tail)) + 1):
        if _SUFFIX.search(tail[number - 1]):
            return " ".join([value, *tail[:number]]), number
    return None


def _is_closed(text: str) -> bool:
    """Whether all brackets and quotes that are opened are closed again."""
    open_: list[str] = []
    quoted = ""
    for char in text:
        if quoted:
            quoted = "" if char == quoted else quoted
        elif char in "\"'":
            quoted = char
        elif char in _BRACKETS.values():
            open_.append(char)
        elif char in _BRACKETS and (not open_ or open_.pop() != _BRACKETS[char]):
            return False
    return not open_ and not quoted
