from __future__ import annotations

import json
import pickle
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import perceiver_graph
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.diagnostics import (
    CATALOG,
    FORMATS,
    RANGES,
    Diagnostic,
    DiagnosticError,
    Entry,
    Label,
    Report,
    Source,
    Span,
    explain,
    make,
    quote,
    render,
)
from perceiver_graph.spec import parse_spec

SPEC = (
    "name: k\n\nlatents: {count: 512, width: 1023}\n" + "# filler\n" * 7 + "process:\n  heads: 8\n"
)
BASE = {
    "perceiver": "perceiver: 1",
    "name": "name: example",
    "inputs": "inputs:\n  image:\n    shape: {height: 224, width: 224, channel: 3}\n"
    "    position: {fourier: {bands: 64}}",
    "latents": "latents: {count: 512, width: 1024}",
    "process": "process: {layers: 6, heads: 8}",
    "outputs": "outputs:\n  label: {query: {learned: {count: 1, width: 1024}}, head: {linear: 1000}}",
}


def span(source: Source, word: str) -> Span:
    start = source.text.index(word)
    return source.span(start, start + len(word))


def heads_error() -> Diagnostic:
    source = Source("specs/k.yaml", SPEC)
    return make(
        "PG204",
        "attention width is not divisible by the number of heads",
        span(source, "1023"),
        label="latents have width 1023",
        secondary=[Label(span(source, "8\n"), "split into 8 heads here")],
        notes=["width = 1023\nheads = 8"],
        help="use a width that is a multiple of 8, for example 1024",
    )


# Rendering


def test_full_format_shows_both_places_and_help() -> None:
    assert render([heads_error()]) == (
        "error[PG204]: attention width is not divisible by the number of heads\n"
        "  --> specs/k.yaml:3:30\n"
        "   |\n"
        " 3 | latents: {count: 512, width: 1023}\n"
        "   |                              ^^^^ latents have width 1023\n"
        "   ...\n"
        "12 |   heads: 8\n"
        "   |          - split into 8 heads here\n"
        "   = help: use a width that is a multiple of 8, for example 1024\n"
        "   = note: width = 1023\n"
        "           heads = 8\n"
        "\n"
        "1 error\n"
    )


def test_full_format_of_a_diagnostic_without_place_and_the_count() -> None:
    warning = make("PG210", "symbol `n` is not used", severity="warning")
    text = render([make("PG001", "no spec", help="look"), warning, make("PG001", "no other")])
    assert text == (
        "error[PG001]: no spec\n  = help: look\n\nwarning[PG210]: symbol `n` is not used\n\n"
        "error[PG001]: no other\n\n2 errors, 1 warning\n"
    )


def test_concise_format_takes_one_line_each() -> None:
    found = [heads_error(), make("PG001", "no\nspec")]
    assert render(found, "concise") == (
        "specs/k.yaml:3:30: error[PG204]: attention width is not divisible by the number of heads\n"
        "error[PG001]: no spec\n"
    )


def test_json_format_has_every_field() -> None:
    first, second = json.loads(render([heads_error(), make("PG001", "no spec")], "json"))
    assert first["location"] == {
        "path": "specs/k.yaml",
        "start": {"line": 3, "column": 30},
        "end": {"line": 3, "column": 34},
    }
    assert first["secondary"][0]["label"] == "split into 8 heads here"
    assert first["notes"] == ["width = 1023\nheads = 8"]
    assert set(first) == {
        "code", "severity", "message", "location", "label", "secondary", "notes", "help",
    }  # fmt: skip
    assert (second["location"], second["help"], second["severity"]) == (None, None, "error")


def test_github_format_escapes_what_would_end_the_command() -> None:
    source = Source("a,b:c.yaml", "x: 1\ny: 2\n")
    found = [
        make("PG101", "50% of `x`\nis bad", source.span(3, 4), help="try y"),
        make("PG101", "two lines", source.span(0, 9), severity="warning"),
        make("PG001", "nowhere", severity="note"),
    ]
    assert render(found, "github").splitlines() == [
        (
            "::error title=PG101,file=a%2Cb%3Ac.yaml,line=1,endLine=1,col=4,endColumn=4"
            "::50%25 of `x`%0Ais bad%0Atry y"
        ),
        "::warning title=PG101,file=a%2Cb%3Ac.yaml,line=1,endLine=2::two lines",
        "::notice title=PG001::nowhere",
    ]


def test_nothing_renders_as_nothing() -> None:
    assert [render([], format) for format in FORMATS] == ["", "", "[]\n", ""]


def test_colour_adds_escapes_and_changes_nothing_else() -> None:
    plain, colored = render([heads_error()]), render([heads_error()], color=True)
    assert "\x1b[1;31merror[PG204]\x1b[0m" in colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == plain
    assert plain.isascii()


def excerpt(text: str, start: int, end: int) -> list[str]:
    """The source line and the underline of a span of a one-line source, without the gutter."""
    shown = render([make("PG101", "m", Source("s", text).span(start, end))]).splitlines()
    assert shown[3].startswith("1 | ")
    return [shown[3][4:], shown[4][4:]]


def test_underline_after_tabs_wide_combining_and_control_characters() -> None:
    assert excerpt("\ta: b", 1, 2) == ["    a: b", "    ^"]
    assert excerpt("\ta", 0, 1) == ["    a", "^^^^"]
    assert excerpt("日本: x", 4, 5) == ["日本: x", "      ^"]
    assert excerpt("日本: x", 0, 2) == ["日本: x", "^^^^"]
    assert excerpt("e\u0301: x", 4, 5) == ["e\u0301: x", "   ^"]
    assert excerpt("a\x07\u202eb", 3, 4) == ["a\\x07\\u202eb", " " * 11 + "^"]


def test_long_lines_are_cut_around_the_span() -> None:
    text = "x" * 300 + "HERE" + "y" * 300
    line, marks = excerpt(text, 300, 304)
    assert line.startswith("...x")
    assert line.endswith("y...")
    assert len(line) <= 126
    assert line[marks.index("^") : marks.rindex("^") + 1] == "HERE"
    line, marks = excerpt(text, 600, 604)
    assert line.startswith("...")
    assert line.endswith("yyyy")
    assert marks == " " * (len(line) - 4) + "^^^^"
    line, marks = excerpt(text, 0, 604)
    assert (line[-3:], marks) == ("...", "^" * 120)
    assert excerpt("y" * 120, 120, 120) == ["y" * 120, " " * 120 + "^"]


def test_distant_labels_on_one_long_line_are_both_shown() -> None:
    source = Source("s", "FIRST" + "x" * 500 + "SECOND")
    text = render(
        [make("PG101", "m", span(source, "SECOND"), secondary=[Label(span(source, "FIRST"))])]
    )
    assert text.count("1 | ") == 2
    assert "^^^^^^" in text
    assert "-----" in text.replace("-->", "")


def test_spans_over_several_lines_underline_the_first() -> None:
    source = Source("s", "ab: [1,\n  2]\n")
    text = render([make("PG101", "m", source.span(4, 12), label="this")])
    assert "1 | ab: [1,\n  |     ^^^ this\n\n" in text


def test_one_line_between_labels_is_shown_and_more_are_not() -> None:
    source = Source("s", "a\nb\nc\nd\ne\nf\n")
    text = render(
        [
            make(
                "PG101",
                "m",
                span(source, "a"),
                secondary=[Label(span(source, "c")), Label(span(source, "f"))],
            )
        ]
    )
    assert "1 | a\n  | ^\n2 | b\n3 | c\n  | -\n  ...\n6 | f\n  | -\n" in text


def test_labels_in_another_source_get_an_excerpt_of_their_own() -> None:
    file, option = Source("a.yaml", "width: 7\n"), Source("--set heads=2", "heads=2")
    text = render(
        [make("PG204", "m", span(file, "7"), secondary=[Label(span(option, "2"), "here")])]
    )
    assert " --> a.yaml:1:8\n" in text
    assert " ::: --set heads=2:1:7\n  |\n1 | heads=2\n  |       - here\n" in text


def test_user_text_cannot_steer_the_terminal() -> None:
    evil = "\x1b[31m\u202e\ud800"
    source = Source(evil, f"a: {evil}")
    for format in FORMATS:
        text = render(
            [make("PG101", evil, source.span(0, 1), label=evil, notes=[evil], help=evil)], format
        )
        assert text.encode("utf-8")
        assert "\x1b" not in text
        assert "\u202e" not in text


@given(st.text(), st.integers(0, 50), st.integers(0, 50), st.sampled_from(FORMATS))
def test_any_span_of_any_text_renders(text: str, start: int, length: int, format: object) -> None:
    source = Source("s", text)
    place = source.span(start, start + length)
    assert 1 <= place.start_line <= place.end_line <= len(source.lines)
    assert 1 <= place.start_col <= len(source.lines[place.start_line - 1]) + 1
    assert 1 <= place.end_col <= len(source.lines[place.end_line - 1]) + 1
    shown = render(
        [make("PG101", text, place, label=text)], next(f for f in FORMATS if f == format)
    )
    assert shown.endswith("\n")


# The model


def test_sources_count_lines_as_editors_do() -> None:
    source = Source("s", "a\r\nbc\rd\n")
    assert source.lines == ("a", "bc", "d", "")
    assert [source.position(i) for i in (0, 1, 2, 3, 4, 6, 8, 99, -1)] == [
        (1, 1), (1, 2), (1, 2), (2, 1), (2, 2), (3, 1), (4, 1), (4, 1), (1, 1),
    ]  # fmt: skip
    assert str(source.span(4, 5)) == "s:2:2"
    assert source.span(4, 5).text == "c"
    assert source.span(3, 7).text == "bc"
    assert source.span(4, 4).is_empty


def test_diagnostics_need_a_code_of_the_catalogue() -> None:
    with pytest.raises(KeyError, match="PG999"):
        Diagnostic("PG999", "nobody could explain this")


def test_report_sorts_keeps_each_problem_once_and_raises_only_for_errors() -> None:
    source = Source("s", "a\nb\n")
    report = Report()
    report.warning("PG210", "unused", source.span(2, 3))
    report.raise_if_errors()
    assert not report.has_errors
    for _ in range(2):
        report.error("PG101", "unknown", source.span(0, 1))
        report.extend([make("PG001", "nowhere")])
    with pytest.raises(DiagnosticError) as caught:
        report.raise_if_errors()
    assert [d.message for d in caught.value.diagnostics] == ["nowhere", "unknown", "unused"]
    assert str(caught.value) == (
        "error[PG001]: nowhere\n\n"
        "error[PG101]: unknown\n --> s:1:1\n  |\n1 | a\n  | ^\n\n"
        "warning[PG210]: unused\n --> s:2:1\n  |\n2 | b\n  | ^\n\n"
        "2 errors, 1 warning"
    )


def test_errors_survive_pickling_so_that_worker_processes_can_raise_them() -> None:
    error = DiagnosticError(heads_error())
    assert pickle.loads(pickle.dumps(error)).diagnostics == error.diagnostics


def test_quote_keeps_to_one_short_line() -> None:
    assert quote("width") == "`width`"
    assert quote("a\nb\\n") == "`a\\nb\\\\n`"
    assert quote("x" * 100) == f"`{'x' * 57}...`"


# The catalogue


def test_codes_lie_in_the_range_of_their_file() -> None:
    firsts = ["PG0", "PG1", "PG2", "PG3", "PG4", "PG5", "PG6", "PG7", "PG9"]
    for first, entries in zip(firsts, RANGES.values(), strict=True):
        assert entries
        assert all(re.fullmatch(rf"{first}\d\d", entry.code) for entry in entries)
        assert [e.code for e in entries] == sorted({e.code for e in entries})
    assert len(CATALOG) == sum(map(len, RANGES.values()))


@pytest.mark.parametrize("entry", CATALOG.values(), ids=CATALOG)
def test_entries_are_worth_reading(entry: Entry) -> None:
    assert (
        entry.title[0].islower()
        or entry.title.split()[0].isupper()
        or entry.title.startswith("YAML")
    )
    assert not entry.title.endswith(".")
    assert len(entry.explanation.split()) >= 15
    assert entry.explanation.endswith(".")
    text = explain(entry.code.lower())
    assert text.startswith(f"{entry.code}: {entry.title}\n")
    assert "\nWrong:\n    " in text
    assert "\nRight:\n    " in text
    assert entry.example_bad != entry.example_good


def example_spec(example: str) -> str:
    """The example's top-level keys, and for the others those of a small spec that is right."""
    given_keys = set(re.findall(r"^(\w+):", example, re.M))
    return "\n".join([*(text for key, text in BASE.items() if key not in given_keys), example, ""])


def codes_of(text: str) -> set[str]:
    try:
        return {d.code for d in lower(parse_spec(text)).warnings}
    except DiagnosticError as error:
        return {d.code for d in error.diagnostics}


SOURCES = [
    *Path(perceiver_graph.__file__).parent.glob("spec/*.py"),
    *Path(perceiver_graph.__file__).parent.glob("compiler/**/*.py"),
]
REPORTED = {code for path in SOURCES for code in re.findall(r"PG\d{3}", path.read_text("utf-8"))}
SPEC_ENTRIES = [e for e in CATALOG.values() if e.code < "PG3" and e.code in REPORTED]
BAD = [
    e
    for e in SPEC_ENTRIES
    if not e.example_bad.startswith("$") and e.code not in {"PG004", "PG012"}
]
GOOD = [e for e in SPEC_ENTRIES if not e.example_good.startswith("$")]


def test_most_spec_codes_have_examples_that_are_run() -> None:
    assert len(BAD) > 25
    assert len(GOOD) > 25
    assert codes_of(example_spec("")) == set()


@pytest.mark.parametrize("entry", BAD, ids=[e.code for e in BAD])
def test_wrong_examples_are_wrong_for_that_reason(entry: Entry) -> None:
    assert codes_of(example_spec(entry.example_bad)) == {entry.code}


@pytest.mark.parametrize("code", ["PG004", "PG012"])
def test_wrong_examples_that_are_whole_files(code: str) -> None:
    assert codes_of(CATALOG[code].example_bad) == {code}


@pytest.mark.parametrize("entry", GOOD, ids=[e.code for e in GOOD])
def test_right_examples_are_right(entry: Entry) -> None:
    assert codes_of(example_spec(entry.example_good)) == set()


ONE = (
    "token channel row value point number column frame sample byte character position place head id"
)


@pytest.mark.parametrize("word", ONE.split())
def test_one_of_a_kind_is_told_in_the_singular(word: str) -> None:
    (found,) = DiagnosticError.of(
        "PG103", f"1 {word}s of 21 {word}s, not 4 x 1 {word}s"
    ).diagnostics
    assert found.message == f"1 {word} of 21 {word}s, not 4 x 1 {word}s"
    (quoted,) = DiagnosticError.of("PG103", f"`1 {word}s`", help="1 queries").diagnostics
    assert (quoted.message, quoted.help) == (f"`1 {word}s`", "1 query")


def test_every_code_is_reported_somewhere() -> None:
    """A code that nothing reports explains what cannot happen."""
    sources = Path(perceiver_graph.__file__).parent.rglob("*.py")
    text = "".join(p.read_text("utf-8") for p in sources if p.parent.name != "codes")
    assert [code for code in CATALOG if f'"{code}"' not in text] == []
