from __future__ import annotations

import json
import math

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from perceiver_graph import limits
from perceiver_graph.diagnostics import Diagnostic, DiagnosticError, Source, Span
from perceiver_graph.spec.scalars import resolve
from perceiver_graph.spec.spans import SpanTree
from perceiver_graph.spec.yaml12 import parse_yaml
from tests.support import spans_of


def load(text: str) -> object:
    return parse_yaml(Source("t.yaml", text))[0]


def spans(text: str) -> SpanTree:
    return parse_yaml(Source("t.yaml", text))[1]


def errors(text: str) -> list[Diagnostic]:
    with pytest.raises(DiagnosticError) as caught:
        load(text)
    return list(caught.value.diagnostics)


def the_error(text: str) -> tuple[str, str]:
    """The code of the only error, and the text that it points at."""
    (found,) = errors(text)
    return found.code, found.primary.span.text if found.primary else ""


def where(span: Span) -> tuple[int, int, int, int]:
    return span.start_line, span.start_col, span.end_line, span.end_col


# Scalars


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("1e-3", 0.001), ("1.", 1.0), (".5", 0.5), ("-2.5E+3", -2500.0), ("12e03", 12000.0),
        ("010", 10), ("-0", 0), ("+7", 7), ("0o17", 15), ("0x1F", 31), (".inf", math.inf),
        ("-.INF", -math.inf), ("+.Inf", math.inf), ("true", True), ("False", False), ("TRUE", True),
        ("null", None), ("~", None), ("Null", None), ("", None),
    ],
)  # fmt: skip
def test_words_with_a_meaning_in_yaml_1_2(word: str, value: object) -> None:
    result = load(f"key: {word}")
    assert result == {"key": value}
    assert type(resolve(word)) is type(value)


@pytest.mark.parametrize(
    "word",
    ["on", "off", "yes", "No", "y", "12:30", "1_000", "2001-01-01", "0b11", "0o8", "0xG", "1e", "e3",
     "nan", "inf", "-0o7", ".", "+", "tRue", "nULL", "1.2.3", "=", "0.0.0", "--1"],
)  # fmt: skip
def test_words_that_are_text_in_yaml_1_2(word: str) -> None:
    assert load(f"key: {word}") == {"key": word}
    assert load(f"{word}: 1") == {word: 1}


def test_json_escapes_of_characters_beyond_the_basic_plane() -> None:
    assert load('a: "\\ud83d\\ude00"') == {"a": "\U0001f600"}


def test_not_a_number_and_quoted_numbers() -> None:
    assert math.isnan(float(str(resolve(".nan"))))
    assert load("{a: '1', b: \"true\"}") == {"a": "1", "b": "true"}


@pytest.mark.parametrize(
    "word", ["9" * 101, "-1e400", "0x" + "f" * 99, "9" * 5000, "1e" + "9" * 5000]
)
def test_numbers_too_large_to_be_represented(word: str) -> None:
    assert the_error(f"key: {word}") == ("PG105", word)


# Everything else against PyYAML and JSON

# Short: keys of more than 1024 characters need a `?` in YAML, and JSON may write one as twelve.
TEXT = st.text(st.characters(exclude_characters="\x7f", exclude_categories=["Cs"]), max_size=80)


def nested(leaves: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
        max_leaves=20,
    )


NUMBERS = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)


@given(nested(st.none() | st.booleans() | NUMBERS | TEXT))
def test_json_reads_as_the_same_data(data: object) -> None:
    assert load(json.dumps(data)) == data


@given(nested(TEXT), st.booleans(), st.booleans(), st.sampled_from("\"'|>"))
def test_quoted_text_reads_as_pyyaml_writes_it(
    data: object, flow: bool, allow_unicode: bool, style: str
) -> None:
    text = yaml.safe_dump(
        data, default_flow_style=flow, default_style=style, allow_unicode=allow_unicode
    )
    assume("\x85" not in text)  # a line break in YAML 1.1, a character in 1.2: refused
    assert load(text) == data


# Spans


def test_spans_of_values_and_keys() -> None:
    text = "name: k\n\nlatents:\n  count: 512  # many\n  sizes:\n  - 1\n  - {a: x}\n"
    text += "last: |\n  text\n\n\n# end\n"
    tree = spans(text)
    assert where(tree.value(())) == (1, 1, 9, 7)
    assert where(tree.key(())) == (1, 1, 1, 5)
    assert where(tree.value(("latents", "count"))) == (4, 10, 4, 13)
    assert where(tree.key(("latents", "count"))) == (4, 3, 4, 8)
    assert where(tree.value(("latents",))) == (4, 3, 7, 11)
    assert where(tree.value(("latents", "sizes", 1))) == (7, 5, 7, 11)
    assert where(tree.key(("latents", "sizes", 1))) == (7, 6, 7, 7)
    assert where(tree.key(("latents", "sizes", 0))) == (6, 5, 6, 6)
    assert where(tree.value(("last",))) == (8, 7, 9, 7)


def test_absent_paths_get_their_nearest_ancestor_and_empty_values_their_key() -> None:
    tree = spans("a: {b: 1}\nc:\n")
    assert tree.value(("a", "x", "y")) == tree.value(("a",))
    assert tree.key(("a", "x")) == tree.key(("a",))
    assert where(tree.value(("c",))) == (2, 1, 2, 2)


def test_values_behind_anchors_and_aliases() -> None:
    tree = spans("a: &x {b: 1}\nc: *x\nd: &y 'text'\n")
    assert tree.value(("c",)).text == "*x"
    assert where(tree.value(("c", "b"))) == (1, 11, 1, 12)
    assert tree.value(("d",)).text == "'text'"
    assert load("a: &x {b: 1}\nc: *x\n") == {"a": {"b": 1}, "c": {"b": 1}}
    assert load("a: &x 1\nb: &x 2\nc: *x\n") == {"a": 1, "b": 2, "c": 2}


def test_positions_count_characters_whatever_the_line_ends() -> None:
    assert where(spans("日: 1\r\nb: xyz\r\n").value(("b",))) == (2, 4, 2, 7)
    assert where(spans("a: 1\rb: xyz\r").value(("b",))) == (2, 4, 2, 7)


# What is refused


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("", "PG004", ""),
        ("# comment\n\n", "PG004", ""),
        ("---\n", "PG004", ""),
        ("a: 1\na: 2\n", "PG007", "a"),
        ("{a: 1, 'a': 2}", "PG007", "'a'"),
        ("a: !!float 1", "PG008", "!!float"),
        ("a: !!python/object/apply:os.system [ls]", "PG008", "!!python/object/apply:os.system"),
        ("a: ! x", "PG008", "!"),
        ("a: &b !!str c", "PG008", "!!str"),
        ("!!map {a: 1}", "PG008", "!!map"),
        ("a: &b {c: 1}\nd: {<<: *b}", "PG009", "<<"),
        ("a: &b [*b]", "PG014", "*b"),
        ("a: 1\n---\nb: 2\n", "PG012", "---"),
        ("1: a", "PG013", "1"),
        ("null: a", "PG013", "null"),
        ("true: a", "PG013", "true"),
        ("? \n: a", "PG013", ""),
        ("? [x]\n: a", "PG013", "[x]"),
        ("a: &b c\n*b : d", "PG013", "*b"),
        ("a: \x07", "PG003", "\x07"),
        ("a: \ud800", "PG003", "\ud800"),
        ("a: \u2028", "PG003", "\u2028"),
        ("a: \0", "PG003", "\0"),
        ("a: *b", "PG006", "*b"),
        ('a: "\\ude00\\ud83d"', "PG006", '"\\ude00\\ud83d"'),
        ('a: "\\UFFFFFFFF"', "PG006", "F"),
        ("%YAML 3.0\n---\na: 1", "PG006", "%"),
        ("%YAML 1." + "9" * 5000 + "\n---\na: 1", "PG006", "9"),
    ],
)  # fmt: skip
def test_refusals(text: str, code: str, place: str) -> None:
    assert the_error(text) == (code, place)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1, 2\n", "`]` or `,` is missing"),
        ("a: {b: 1\nc: 2", "`}` or `,` is missing"),
        ("a: 'b\n", "quote is never closed"),
        ("a:\n\tb: 1", "tab used for indentation"),
        ("a: @b", "text cannot begin with `@`"),
        ("a: b: c", "a colon is not expected here"),
        ("a:\n    b: 1\n  c: 2", "this line does not fit"),
        ('a: "\\q"', "unknown escape 'q'"),
        ("a: 1\nb\nc: 2", "a key without a colon"),
        ("a: - b", "a list or a key cannot begin here"),
        ("a: !x!y z", "tags are not allowed"),
        ("a: ]", "a value is missing before `]`"),
        ("a: [", "a value or a closing bracket is missing"),
        ('"a" "b"', "nothing more can follow here"),
    ],
)
def test_syntax_errors_are_put_in_plain_words(text: str, words: str) -> None:
    (found,) = errors(text)
    assert found.code == "PG006"
    assert words in found.message
    assert found.primary
    assert "<" not in found.message


def test_a_duplicate_key_points_at_both_places() -> None:
    (found,) = errors("a: 1\nb: 2\na: 3\n")
    assert found.primary
    assert [where(label.span) for label in (found.primary, *found.secondary)] == [
        (3, 1, 3, 2),
        (1, 1, 1, 2),
    ]


def test_problems_that_leave_the_rest_readable_are_all_reported() -> None:
    found = errors("a: 1\na: 2\n<<: 3\n4: 5\nb: !t 6\nc: 1e999\nd: {")
    assert [d.code for d in found] == ["PG007", "PG009", "PG013", "PG008", "PG105", "PG006"]


def test_depth_is_limited_before_python_runs_out_of_stack() -> None:
    assert load("[" * limits.SPEC_DEPTH + "]" * limits.SPEC_DEPTH) is not None
    for text in ("[" * 100_000, "{a: " * 60 + "}" * 60, "- " * 100_000, "? " * 100_000):
        assert [d.code for d in errors(text)] == ["PG010"]
    blocks = "".join(f"{'  ' * level}a:\n" for level in range(60))
    assert [d.code for d in errors(blocks + "  " * 60 + "b")] == ["PG010"]


def test_values_are_counted_with_aliases_written_out() -> None:
    assert load("[" + "1, " * (limits.SPEC_VALUES - 2) + "1]") is not None
    assert [d.code for d in errors("[" + "1, " * limits.SPEC_VALUES + "1]")] == ["PG011"]
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 20)
    )
    assert [d.code for d in errors(bomb)] == ["PG011"]


def test_size_is_limited_in_bytes() -> None:
    assert [d.code for d in errors("# " + "x" * limits.SPEC_BYTES)] == ["PG005"]
    assert [d.code for d in errors("# " + "日" * (limits.SPEC_BYTES // 2))] == ["PG005"]
    assert load("a: 1 # " + "x" * (limits.SPEC_BYTES - 10)) == {"a": 1}


YAMLISH = st.lists(
    st.sampled_from([*"[]{}:,-?&*!|>'\"%@`#\n\t \\~<=.", ": ", "- ", "a", "b: ", "1", "\n  ", "&a ", "*a ",
                     "!!str ", "<<: ",
                     "---\n", "...\n", "%YAML 1.1\n", "\\ud800", "\\x", "|\n ", "é", "\r\n",
                     "\ufeff", "null", "1e999"])
    | st.characters(),
    max_size=40,
).map("".join)  # fmt: skip


@given(YAMLISH)
def test_any_text_gives_data_or_diagnostics_with_spans_in_the_file(text: str) -> None:
    source = Source("t.yaml", text)
    try:
        data, tree = parse_yaml(source)
    except DiagnosticError as error:
        found = [d.primary.span for d in error.diagnostics if d.primary]
        found += [label.span for d in error.diagnostics for label in d.secondary]
    else:
        assert data is not None or "~" in text or "null" in text
        found = list(spans_of(tree))
    for span in found:
        assert span.source is source
        start, end = (span.start_line, span.start_col), (span.end_line, span.end_col)
        assert (1, 1) <= start <= end
        assert span.end_line <= len(source.lines)
        assert span.start_col <= len(source.lines[span.start_line - 1]) + 1
        assert span.end_col <= len(source.lines[span.end_line - 1]) + 1
