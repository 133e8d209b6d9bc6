"""Characters that look like others: spaces that are none for YAML, letters of other alphabets.

What is wrong with a line cannot be seen where it holds them, so every error about it names them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace

from perceiver_graph.diagnostics.errors import DiagnosticError
from perceiver_graph.diagnostics.model import Diagnostic, Source, Span
from perceiver_graph.diagnostics.text import is_hidden, quote

_MOST = 3  # characters that one error names
_BEFORE = 2  # lines above the place where the parser stumbled that may be to blame

_NAMES = {
    "\u00a0": "a no-break space",
    "\u202f": "a narrow no-break space",
    "\u2003": "an em space",
    "\u2009": "a thin space",
    "\u3000": "an ideographic space",
    "\u200b": "a zero-width space",
    "\ufeff": "a byte order mark",
    "\u00ad": "a soft hyphen",
}

_CYRILLIC = dict(
    zip("аВЕезіјКкМНоОрРсСТтуХхѕһԁԛԝАІЈЅ", "aBEe3ijKkMHoOpPcCTtyXxshdqwAIJS", strict=True)
)
_GREEK = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαγικνορτυχ", "ABEZHIKMNOPTYXayiKvoptux", strict=True))
_MARKS = {
    **dict.fromkeys("“”„‟″", '"'),
    **dict.fromkeys("‘’‚‛′", "'"),  # noqa: RUF001
    **dict.fromkeys("–—−‐‑‒", "-"),  # noqa: RUF001
}
_LIKE = {**_CYRILLIC, **_GREEK, **_MARKS}
_ODD = re.compile(r"[^\x21-\x7e\t \r\n]")


@dataclass(frozen=True)
class Odd:
    """A character that is not what it looks like."""

    char: str
    span: Span

    def __str__(self) -> str:
        code = f"U+{ord(self.char):04X}"
        if self.char in _NAMES:
            return f"{_NAMES[self.char]} ({code})"
        name = unicodedata.name(self.char, "a character").lower()
        if is_hidden(self.char):
            return f"a character that cannot be seen, {name} ({code})"
        return f"{quote(self.char)}, which is {name} ({code}) and not {quote(_like(self.char))}"

    @property
    def instead(self) -> str:
        if unicodedata.category(self.char) in {"Zs", "Zl", "Zp"}:
            return "type a plain space in its place"
        if is_hidden(self.char):
            return "delete it"
        return f"type a plain {quote(_like(self.char))} in its place"


def explained(error: DiagnosticError) -> DiagnosticError:
    """The error, saying of characters that are not what they look like where they are."""
    return DiagnosticError(map(_explained, error.diagnostics))


def _explained(diagnostic: Diagnostic) -> Diagnostic:
    by_char = {
        odd.char: odd for odd in reversed(list(_around(diagnostic)))
    }  # each one's first place
    found = sorted(by_char.values(), key=lambda odd: odd.span.order)[:_MOST]
    if not found:
        return diagnostic
    places = " and ".join(f"{odd} at {odd.span.start_line}:{odd.span.start_col}" for odd in found)
    instead = "; ".join(dict.fromkeys(odd.instead for odd in found))
    return replace(diagnostic, message=f"{diagnostic.message}; there is {places}", help=instead)


def _around(diagnostic: Diagnostic) -> Iterator[Odd]:
    """What is in the text that the error blames; for what the parser cannot read, in the lines, too."""
    if diagnostic.primary is None:
        return
    seen: set[Span] = set()
    blamed = [diagnostic.primary.span, *(label.span for label in diagnostic.secondary)]
    for span in blamed:
        for odd in _in(span.source, span.start_line, span.end_line):
            inside = span.start_line < span.end_line or _covers(span, odd.span)
            if (inside or diagnostic.code == "PG006") and odd.span not in seen:
                seen.add(odd.span)
                yield odd
    if diagnostic.code == "PG006" and not seen:
        span = diagnostic.primary.span
        near = list(_in(span.source, max(1, span.start_line - _BEFORE), span.start_line))
        yield from near or _in_keys(span.source, span.start_line)


def _in_keys(source: Source, last: int) -> Iterator[Odd]:
    """The nearest above a line that stands before, in or right after a key: there it changes how the
    lines belong together, which the parser notices later."""
    for odd in reversed(list(_in(source, 1, last))):
        before = odd.span.line_text[: odd.span.start_col - 1]
        if ":" not in before.rstrip().removesuffix(":"):
            yield odd
            return


def _in(source: Source, first: int, last: int) -> Iterator[Odd]:
    for number in range(first, min(last, len(source.lines)) + 1):
        line = source.lines[number - 1]
        for match in _ODD.finditer(line):
            if is_hidden(match[0]) or _like(match[0]):
                yield Odd(
                    match[0], Span(source, number, match.start() + 1, number, match.end() + 1)
                )


def _covers(span: Span, part: Span) -> bool:
    return span.start_col <= part.start_col < max(span.end_col, span.start_col + 1)


def _like(char: str) -> str:
    """The ASCII character that this one looks like; empty for one that is its own."""
    if char in _LIKE:
        return _LIKE[char]
    plain = unicodedata.normalize("NFKC", char)  # of full width, mathematical, in circles
    return plain if len(plain) == 1 and "!" <= plain <= "~" and plain != char else ""
