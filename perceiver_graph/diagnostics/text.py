"""How source text is laid out in terminal columns: tabs, wide and invisible characters, overlong lines."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

TAB = "    "
_HIDDEN = {"Cc", "Cf", "Cs", "Zs", "Zl", "Zp"}
LIMIT = 120  # a source line wider than this many columns is shown in part
NAME_LIMIT = 60  # characters of the user's text that a message repeats
LEAD = 40  # columns kept before the place in question when it is


def clean(text: str) -> str:
    """The text with control, format and surrogate characters escaped: user text must not steer the
    terminal."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(char) for char in text)


def quote(text: object, limit: int = NAME_LIMIT) -> str:
    """A name or a value from the user's input in backquotes, on one line and not overlong, for use
    in messages."""
    shown = str(text).replace("\\", "\\\\") if "\n" in str(text) else str(text)
    shown = shown.replace("\n", "\\n")
    return f"`{cut(shown, limit)}`"


def cut(text: str, limit: int) -> str:
    """The text, or where it is longer than so many characters its beginning."""
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def is_hidden(char: str) -> bool:
    """Whether a character cannot be seen, or not be told from a plain space."""
    return not char.isascii() and unicodedata.category(char) in _HIDDEN


def _visible(char: str) -> str:
    if char.isascii():
        return char if " " <= char <= "~" or char == "\n" else f"\\x{ord(char):02x}"
    if is_hidden(char):
        return f"\\u{ord(char):04x}" if ord(char) < 2**16 else f"\\U{ord(char):08x}"
    return char


def _width(text: str) -> int:
    return sum(_cell(char)[1] for char in text)


def _cell(char: str) -> tuple[str, int]:
    """What is printed for a character of a source line, and how many columns that takes."""
    if char == "\t":
        return TAB, len(TAB)
    if " " <= char <= "~":
        return char, 1
    shown = _visible(char)
    if shown != char:
        return shown, len(shown)
    if unicodedata.category(char) in {"Mn", "Me"}:
        return char, 0
    return char, 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


@dataclass(frozen=True)
class Window:
    """The characters `start` up to `end` (0-based) of a line, all of it unless the line is too wide."""

    line: str
    start: int
    end: int

    @classmethod
    def around(cls, line: str, index: int) -> Window:
        """The part of a line to show so that the character at `index` can be seen."""
        if len(line) <= LIMIT and _width(line) <= LIMIT:
            return cls(line, 0, len(line))
        index = min(index, len(line))
        start, room = index, LEAD
        while start > 0 and (room := room - _width(line[start - 1])) >= 0:
            start -= 1
        end, room = start, LIMIT
        while end < len(line) and (room := room - _width(line[end])) >= 0:
            end += 1
        while (
            start > 0 and (room := room - _width(line[start - 1])) >= 0
        ):  # near the end: fill up to the left
            start -= 1
        return cls(line, start, end)

    @property
    def text(self) -> str:
        shown = "".join(_cell(char)[0] for char in self.line[self.start : self.end])
        return f"{'...' if self.start else ''}{shown.rstrip()}{'...' if self.end < len(self.line) else ''}"

    def covers(self, index: int) -> bool:
        return self.start <= index < self.end or (index >= len(self.line) == self.end)

    def underline(self, start: int, end: int, mark: str) -> str:
        """Spaces up to character `start`, then marks up to `end`; at least one mark, so that a
        point shows."""
        before = _width(self.line[self.start : start]) + (3 if self.start else 0)
        marks = _width(self.line[start : min(end, self.end)])
        return " " * before + mark * max(marks, 1)


_WORD = re.compile(r"(?:`[^`]*`|[^\s`]|`)+")


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most so many columns, as far as it has places to be broken at: between words,
    but not in backquotes, so that a command can be copied."""
    lines: list[str] = []
    for word in _WORD.findall(text):
        if lines and _width(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines or [""]


_ONE = re.compile(
    r"(?<![\w.,*/-])(?<!x )1 (?:(token|channel|row|value|point|number|column|frame|sample|byte|character"
    r"|position|place|head|id)s|(quer)ies)(?![\w./-])"
)


def singular(text: str) -> str:
    """`1 channels` as `1 channel`, but in backquotes and in sizes, `4 x 1 channels`."""
    parts = text.split("`")
    parts[::2] = (_ONE.sub(_one, part) for part in parts[::2])
    return "`".join(parts)


def _one(match: re.Match[str]) -> str:
    return f"1 {match[1]}" if match[1] else f"1 {match[2]}y"
