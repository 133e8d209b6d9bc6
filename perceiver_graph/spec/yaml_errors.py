"""The parser's complaints in the words of somebody who writes a spec."""

from __future__ import annotations

import re
from functools import cache

import yaml

from perceiver_graph.diagnostics.model import Diagnostic, Label, Source, Span, make
from perceiver_graph.diagnostics.text import quote
from perceiver_graph.spec.models.base import Model, all_models

# (what PyYAML says, what we say, what helps); the first that is found in "context: problem" counts.
_WORDS = (
    (r"character '\\t'", "tab used for indentation", "indent with spaces"),
    (
        r"character '(?P<char>[@`%])' that cannot start",
        "text cannot begin with `{char}`",
        "put the text in quotes",
    ),
    (
        r"mapping values are not allowed",
        "a colon is not expected here",
        "put text that contains `: ` in quotes, or check the indentation",
    ),
    (r"expected ',' or '(?P<char>[\]}])'", "`{char}` or `,` is missing", None),
    (r"quoted scalar: found unexpected end of stream", "quote is never closed", None),
    (r"flow node: expected the node content", "a value or a closing bracket is missing", None),
    (
        r"expected the node content, but found '(?P<char>[^<].*)'",
        "a value is missing before `{char}`",
        None,
    ),
    (r"could not find expected ':'", "a key without a colon", "write `key: value`"),
    (
        r"expected <block end>",
        "this line does not fit the lines around it",
        "indent the keys of one mapping, and the items of one list, equally",
    ),
    (
        r"(sequence entries|mapping keys) are not allowed",
        "a list or a key cannot begin here",
        "begin it on a line of its own",
    ),
    (
        r"unknown escape character (?P<char>'.+')",
        "unknown escape {char} in quotes",
        "write `\\\\` for a backslash",
    ),
    (r"undefined tag handle", "tags are not allowed", "put text that begins with `!` in quotes"),
    (r"incompatible YAML document", "this version of YAML is not known", "remove the line `%YAML`"),
    (r"expected '<document start>'", "nothing more can follow here", None),
)

_CONTEXTS = {
    "while parsing a flow mapping": "the mapping begins here",
    "while parsing a flow sequence": "the list begins here",
    "while parsing a block mapping": "the mapping begins here",
    "while parsing a block collection": "the list begins here",
    "while scanning a quoted scalar": "the quote is opened here",
    "while scanning a double-quoted scalar": "the quote is opened here",
    "while scanning a simple key": "this line",
}


def syntax_error(source: Source, error: yaml.MarkedYAMLError) -> Diagnostic:
    """PG006 for what the scanner or parser raised: where it stumbled and, if elsewhere, what it was
    reading."""
    for slip in (_glued, _no_colon, _after_quote, _ended):
        if plain := slip(source, error):
            return plain
    context = (error.context or "").strip()
    problem = (error.problem or error.context or "the text is not valid YAML").strip()
    mark = error.problem_mark or error.context_mark
    primary = _place(source, mark.index if mark else 0)
    message, help = problem, None
    for pattern, words, hint in _WORDS:
        if found := re.search(pattern, f"{context}: {problem}"):
            message, help = words.format(**found.groupdict()), hint
            break
    secondary = []
    help = help or _closed(source, error)
    if error.context_mark and error.problem_mark:
        began = _place(source, error.context_mark.index)
        if began.start_line != primary.start_line or began.start_col != primary.start_col:
            secondary.append(Label(began, _CONTEXTS.get(context, context)))
    return make("PG006", message, primary, secondary=secondary, help=help)


_GLUED = re.compile(r"\s*(?:- +)*(?P<key>[A-Za-z_][\w.-]*):(?P<value>[^\s:/\\].*)")
_SPACED = re.compile(
    r"\s*(?:- +)*(?P<key>[A-Za-z_][\w.-]*) +(?P<value>[{\[].*|[^\s:#{\[\"'][^\s:#]*)"
)
_BRACKETS = {"{": "}", "[": "]"}
_LONGEST = 100  # characters of a line that is repeated
_QUOTES = {"'": "''", '"': '\\"'}


def _glued(source: Source, error: yaml.MarkedYAMLError) -> Diagnostic | None:
    """`count:32`, which is a word of YAML and no key with a value: the next line is stumbled over."""
    marks = [mark for mark in (error.context_mark, error.problem_mark) if mark]
    last = max((mark.line for mark in marks), default=0)
    for number in range(max(0, last - 2), last + 1):
        line = source.lines[number] if number < len(source.lines) else ""
        if match := _GLUED.fullmatch(line):
            at = match.end("key")
            key, value = match["key"], match["value"].split("#")[0].strip()
            return make(
                "PG006",
                "there is no space after the colon",
                Span(source, number + 1, at + 1, number + 1, at + 2),
                help=f"write `{key}: {value}`" if len(value) <= 60 else "write `key: value`",
            )
    return None


def _no_colon(source: Source, error: yaml.MarkedYAMLError) -> Diagnostic | None:
    """`count 32`, which is text and no key with a value; the next line is stumbled over, or this one."""
    marks = [mark for mark in (error.context_mark, error.problem_mark) if mark]
    last = max((mark.line for mark in marks), default=0)
    for number in range(max(0, last - 2), last + 1):
        line = source.lines[number] if number < len(source.lines) else ""
        match = _SPACED.fullmatch(line)
        if match and (match["key"] in _known_keys() or match["value"][0].isdecimal()):
            start, end = match.start("key"), match.end("key")
            return make(
                "PG006",
                f"there is no colon after {quote(match['key'])}",
                Span(source, number + 1, start + 1, number + 1, end + 1),
                help=f"write `{match['key']}: {match['value'].strip()}`"
                if len(line) <= _LONGEST
                else "write `key: value`",
            )
    return None


@cache
def _known_keys() -> frozenset[str]:
    return frozenset(key for model in all_models(Model).values() for key in model.model_fields)


def _closed(source: Source, error: yaml.MarkedYAMLError) -> str | None:
    """The line in which a quote or a bracket is opened, with what closes it."""
    mark = error.context_mark
    if mark is None or mark.line >= len(source.lines):
        return None
    line = source.lines[mark.line].rstrip()
    opened = line[mark.column : mark.column + 1]
    if len(line) > _LONGEST:
        return None
    if opened in _QUOTES and line.count(opened) == 1:
        return f"write `{line.strip()}{opened}`"
    missing = _unclosed(line)
    if _TWO_VALUES.search(line):
        return _with_comma(line)
    if missing is None:
        return "each bracket is closed by the one of its kind, `{...}` and `[...]`"
    return f"write `{line.strip()}{missing}`" if missing else None


_TWO_VALUES = re.compile(r"([A-Za-z_]\w*): *([^\s:{}\[\],]+): *")


def _with_comma(line: str) -> str:
    """For `{heads: 5: {layers: 1}`, where a value is followed by another: both in one mapping, if that can
    be read."""
    key, value = _TWO_VALUES.search(line).groups()  # type: ignore[union-attr]
    apart = _TWO_VALUES.sub(r"\1: \2, ", line, count=1)
    flat = re.sub(r"(, )\{([^{}]*)\}", r"\1\2", apart, count=1)
    if len(re.findall(rf"\b{key}:", line)) > 1:  # it is said again behind it
        flat = flat.replace(f"{key}: {value}, ", "", 1)
    for written in (flat, apart):
        whole = written.strip() + (_unclosed(written) or "")
        try:
            yaml.safe_load(whole)
        except yaml.YAMLError:
            continue
        return f"a key has one value, and a comma behind it: write `{whole}`"
    return f"a key has one value, and a comma behind it: `{key}: {value},`"


def _unclosed(line: str) -> str | None:
    """What closes the brackets that a line leaves open; None where they do not match."""
    open: list[str] = []
    for char in re.sub(r"'[^']*'|\"[^\"]*\"|#.*", "", line):
        if char in _BRACKETS:
            open.append(_BRACKETS[char])
        elif char in _BRACKETS.values() and (not open or open.pop() != char):
            return None
    return "".join(reversed(open))


def _ended(source: Source, error: yaml.MarkedYAMLError) -> Diagnostic | None:
    """`{count: 3}, width: 4}`: the mapping has ended before, and something follows."""
    if error.problem_mark is None or "expected <block end>" not in (error.problem or ""):
        return None
    index = error.problem_mark.index
    before = source.text[:index].rstrip(" ")
    if before[-1:] not in _BRACKETS.values() or source.text[index : index + 1] not in (
        ",",
        "}",
        "]",
    ):
        return None
    return make(
        "PG006",
        f"what was opened has ended with {quote(before[-1])}, and more follows",
        _place(source, index),
        secondary=[Label(source.span(len(before) - 1, len(before)), "it ends here")],
        help=f"remove one {quote(before[-1])}, or open one bracket more before",
    )


def _after_quote(source: Source, error: yaml.MarkedYAMLError) -> Diagnostic | None:
    """Text that goes on behind a quoted one: the quote in it has ended it."""
    if error.problem_mark is None or "expected <block end>" not in (error.problem or ""):
        return None
    index = error.problem_mark.index
    before = source.text[:index].rstrip(" ")
    quote = before[-1:]
    if quote not in _QUOTES or source.text[index : index + 1] in ("", "\n"):
        return None
    return make(
        "PG006",
        "text goes on after the closing quote",
        _place(source, index),
        help=f"write `{_QUOTES[quote]}` for a quote inside of the text",
    )


def _place(source: Source, index: int) -> Span:
    """One character; at the end of the file, the last one that can be seen."""
    end = len(source.text.rstrip())
    if index >= end:
        return source.span(end, end)
    return source.span(index, index + 1)
