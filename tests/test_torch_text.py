"""Statements of emitted files: a formatter leaves them as they are, whatever the names in them."""

from __future__ import annotations

import ast

from hypothesis import given, settings
from hypothesis import strategies as st

from perceiver_graph.compiler.backends.torch.text import (
    Commented,
    call,
    docstring,
    entries,
    method,
    printed,
    quoted,
    several,
    statement,
    strings,
)
from tests.torch_support import assert_formatted

LONG = "a" * 40


def test_a_statement_that_fits_is_one_line() -> None:
    assert statement("x = f(y)", 2) == ["        x = f(y)"]
    assert statement("x = f(y)", 1, "[batch, 3]") == ["    x = f(y)  # [batch, 3]"]


def test_a_call_that_is_too_long_has_its_arguments_on_a_line_or_one_a_line() -> None:
    assert statement(f"x = f({LONG}, {LONG}, {LONG[:11]})", 0, "[3]") == [
        "# [3]",
        "x = f(",
        f"    {LONG}, {LONG}, {LONG[:11]}",
        ")",
    ]
    assert statement(f"def f({LONG}, {LONG}, {LONG}) -> dict[str, Tensor]:", 0) == [
        "def f(",
        f"    {LONG},",
        f"    {LONG},",
        f"    {LONG},",
        ") -> dict[str, Tensor]:",
    ]


def test_a_comment_that_does_not_fit_stands_before() -> None:
    text = f"x = f({LONG}, {LONG})"
    assert statement(text, 0, LONG) == [f"# {LONG}", text]


def test_a_list_is_split_one_item_a_line() -> None:
    assert statement(f"x = [{LONG}, {LONG}, {LONG[:20]}]", 0) == [
        "x = [",
        f"    {LONG},",
        f"    {LONG},",
        f"    {LONG[:20]},",
        "]",
    ]


def test_what_cannot_be_split_stays() -> None:
    text = f"{LONG} = {LONG}.{LONG}"
    assert statement(text, 0) == [text]
    assert statement(f"{text}()", 0) == [f"{text}()"]


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> str:
    """Calls, dicts, lists and tuples of each other, with names and strings of many lengths."""
    name = draw(st.sampled_from("xyz")) * draw(st.integers(1, 30))
    kinds = ["name", "string"]
    kind = draw(st.sampled_from([*kinds, *(["call", "dict", "list", "tuple"] if depth else [])]))
    if kind in kinds:
        return name if kind == "name" else quoted(draw(st.sampled_from(["", "a, b", "(", name])))
    inner = draw(st.lists(expressions(depth - 1), min_size=1, max_size=5))
    match kind:
        case "call":
            return call(name, *inner, **({"key": inner[0]} if draw(st.booleans()) else {}))
        case "dict":
            return entries({f"{name}{i}": value for i, value in enumerate(inner)})
        case "list":
            return f"[{', '.join(inner)}]"
    return several(inner)


@settings(max_examples=40, deadline=None)
@given(st.lists(expressions(), min_size=1, max_size=8), st.integers(1, 3))
def test_a_formatter_has_nothing_to_do(found: list[str], depth: int) -> None:
    texts = [f"{'value' * (i + 1)} = {text}" for i, text in enumerate(found)]
    lines = [line for text in texts for line in statement(text, depth, "[batch, 784, 512]")]
    for level in reversed(range(depth)):
        lines = [f"{'    ' * level}if {'x' * (level + 1)}:", *lines]
    written = "\n".join(lines) + "\n"
    body = ast.parse(written)
    for _ in range(depth):
        (outer,) = body.body
        assert isinstance(outer, ast.If)
        body = ast.Module(outer.body, [])
    assert ast.unparse(body) == ast.unparse(ast.parse("\n".join(texts)))
    assert_formatted(written)


def test_comprehensions_stay_ones() -> None:
    lines = statement(f"x = nn.ModuleList({LONG}{LONG}({LONG}=1) for _ in range(3))", 0)
    ast.parse("\n".join(lines))
    assert len(lines) > 1


@given(st.text("ab \n", max_size=300), st.integers(0, 3))
def test_docstrings_hold_what_they_are_given(text: str, depth: int) -> None:
    lines = docstring(f"x{text}x", depth)
    assert all(len(line) <= 100 for line in lines if " " in line.strip())
    found = ast.literal_eval("\n".join(lines).strip())
    assert found.split() == f"x{text}x".split()


def test_small_pieces() -> None:
    assert (several([1]), several([1, 2]), several([])) == ("(1,)", "(1, 2)", "()")
    assert strings(["a"]) == '("a",)'


def test_statements_stand_under_their_headers() -> None:
    loop = (f"for x in {LONG}:", "# specs/a(1).yaml:4", Commented("y = f(x)", "[3]"), "", "g(y)")
    lines = list(printed([method("run", ["x: int"], "None", "Runs.", loop)], 1))
    assert lines == [
        "    def run(self, x: int) -> None:",
        '        """Runs."""',
        f"        for x in {LONG}:",
        "            # specs/a(1).yaml:4",
        "            y = f(x)  # [3]",
        "",
        "            g(y)",
    ]
    comment = f"# {LONG}({LONG}, {LONG})"
    assert list(printed([comment])) == [comment]
