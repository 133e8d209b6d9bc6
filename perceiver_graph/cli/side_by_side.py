"""What `diff` prints for people: what follows from the differences, then each of them, cause first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from perceiver_graph.cli import screen
from perceiver_graph.cli.comparison import Comparison, Figure
from perceiver_graph.cli.costs import RUN, sizes, title
from perceiver_graph.cli.screen import count, scaled, size
from perceiver_graph.cli.tables import NO_BREAK, Column, Table
from perceiver_graph.cli.tensors import Tensors, numbers
from perceiver_graph.compiler.ir.dims import Shape, format_shape
from perceiver_graph.compiler.ir.graph import Parameter
from perceiver_graph.compiler.ir.names import collapse
from perceiver_graph.compiler.ir.op import TensorType
from perceiver_graph.diagnostics import escape
from perceiver_graph.diagnostics.text import cut
from perceiver_graph.spec.changes import Change
from perceiver_graph.spec.loader import STANDARD_INPUT
from perceiver_graph.spec.render import inline

MOST = 8
"""Rows of a table that are printed."""
_MOST_KEYS = 14
LEFT_OUT = "left out"
_ABOUT = ("name", "summary")  # what the model is not made of comes last
_WIDEST = 28  # characters of a value
_LONGEST_KEY = 64

_FIGURES: Mapping[str, tuple[str, Callable[[int], str]]] = {
    "flops": ("FLOPs", scaled),
    "weight_bytes": ("weights read", size),
    "peak_bytes": ("peak memory", size),
    "bytes": ("float32", size),
}
_SHOWN = {("parameters", "bytes"), ("encode", "flops"), ("decode", "flops")}


def print_comparison(comparison: Comparison, a: str, b: str, overrides: Sequence[str]) -> None:
    """Print all differences; `a` and `b` are what the user called the specs."""
    words = [b, *(word for override in overrides for word in ("--set", override))]
    if comparison.is_equal:
        screen.say(f"no difference between {escape.shell(a)} and {escape.shell(*words)}")
        return
    screen.say(f"A  {escape.shell(a)}")
    screen.say(f"B  {escape.shell(*words)}")
    _verdict(comparison, words)
    found = (one for one in comparison.settings if one.is_of_a_position)
    of_positions = [leaf for one in found for leaf in one.leaves()]
    others = [one for one in comparison.settings if not one.is_of_a_position]
    others.sort(key=lambda one: one.path[0] in _ABOUT)
    _settings("positions", comparison, of_positions)
    _settings("settings", comparison, others)
    _operations(comparison)
    _table(
        [Column("shapes"), Column("A"), Column("B")],
        [[one.of, one.a or LEFT_OUT, one.b or LEFT_OUT] for one in comparison.shapes],
    )
    _tensors(comparison.tensors)
    _costs(comparison)


def _verdict(comparison: Comparison, words: Sequence[str]) -> None:
    """What follows for results, and for weights that there are."""
    tensors = comparison.tensors
    if comparison.same_results:
        screen.paragraph("From the same arrays and weights, A and B compute the same.")
    elif tensors.are_the_same:
        screen.paragraph(
            f"All {len(tensors.a)} tensors have the same names and shapes: weights of A load into B, "
            "which computes something else with them."
        )
    else:
        some = (
            " `compile --weights` takes all of B's or none; in Python, `weights()` of B gives arrays "
            "by name, to be replaced by those of A."
        )
        screen.paragraph(
            f"Of the {len(tensors.a)} tensors of A and {len(tensors.b)} of B, {len(tensors.kept)} have "
            f"the same name and shape.{some if tensors.kept else ''}"
        )
    if tensors.are_the_same and words[0] != STANDARD_INPUT:
        given = escape.shell_path(words[0]), escape.shell(*words[1:])
        spec = " ".join(filter(None, given))
        screen.say(f"next: perceiver-graph compile {spec} --weights WEIGHTS_OF_A")


def _settings(what: str, comparison: Comparison, found: Sequence[Change]) -> None:
    rows = [
        [
            f"{one.key} (order)" if one.is_order else one.key,
            _value(one.a),
            _value(one.b),
            "follows" if comparison.is_derived(one) else "",
        ]
        for one in found
    ]
    columns = [Column(what, _LONGEST_KEY), Column("A"), Column("B")]
    if any(row[-1] for row in rows):
        _table([*columns, Column("")], rows, _MOST_KEYS)
    else:
        _table(columns, [row[:-1] for row in rows], _MOST_KEYS)


def _value(value: Any) -> str:
    return LEFT_OUT if value is None else cut(inline(value), _WIDEST)


def _operations(comparison: Comparison) -> None:
    _table(
        [Column("operations"), Column("nodes", right=True), Column("A"), Column("B")],
        [
            [f"{one.op} {one.attribute}".rstrip(), count(len(one.nodes)), one.a, one.b]
            for one in comparison.operations
        ],
    )


def _tensors(tensors: Tensors) -> None:
    if tensors.are_the_same:
        return
    groups = {
        "carry over": tensors.kept,
        "change shape": tensors.reshaped,
        "only in A": tensors.only_a,
        "only in B": tensors.only_b,
    }
    rows = [
        [
            what,
            count(len(names)),
            *(_number(of, names) for of in (tensors.a, tensors.b)),
        ]
        for what, names in groups.items()
        if names
    ]
    totals = [count(numbers(of.values())) for of in (tensors.a, tensors.b)]
    rows.append(["all", "", *totals])
    columns = [Column(title, right=True) for title in ("number", "parameters of A", "of B")]
    _table([Column("tensors"), *columns], rows)
    _table([Column("tensor", 56), Column("shape in A"), Column("in B")], _not_kept(tensors))


def _number(of: Mapping[str, Parameter], names: Sequence[str]) -> str:
    return count(numbers(of[name] for name in names)) if names[0] in of else ""


def _not_kept(tensors: Tensors) -> list[list[str]]:
    """A row for each pattern of names and the shapes that it has."""
    groups: dict[tuple[TensorType | None, TensorType | None], list[str]] = {}
    for name in (*tensors.reshaped, *tensors.only_a, *tensors.only_b):
        groups.setdefault(tensors.types(name), []).append(name)
    return [
        [pattern, *("" if kind is None else _whole(kind.shape) for kind in kinds)]
        for kinds, names in groups.items()
        for pattern in collapse(names)
    ]


def _whole(shape: Shape) -> str:
    """A shape that is not parted between its sizes."""
    return format_shape(shape).replace(" ", NO_BREAK)


def _costs(comparison: Comparison) -> None:
    found = [one for one in comparison.costs if one.of == "run" or (one.of, one.figure) in _SHOWN]
    rows = []
    for one in found:
        name, text = _FIGURES[one.figure]
        of = {"run": RUN, "parameters": "parameters"}.get(one.of) or title(one.of)
        texts = ["" if value is None else text(value) for value in (one.a, one.b)]
        if texts[0] != texts[1]:
            rows.append([of, name, *texts, _change(one)])
    columns = [Column(title, right=True) for title in ("A", "B", "change")]
    _table([Column("batch 1"), Column(""), *columns], rows)
    at = {"A": sizes(comparison.a), "B": sizes(comparison.b)}
    if rows and any(at.values()):
        same = len({*at.values()}) == 1
        texts = [at["A"]] if same else [f"{text} in {name}" for name, text in at.items() if text]
        screen.paragraph(f"at {', '.join(texts)}")


def _change(figure: Figure) -> str:
    """`-21.5 %`, `x 12.3`."""
    if not figure.a or figure.b is None:
        return ""
    ratio = figure.b / figure.a
    return f"x {ratio:.3g}" if ratio >= 10 else f"{100 * (ratio - 1):+.3g} %"


def _table(columns: Sequence[Column], rows: Iterable[Sequence[str]], most: int = MOST) -> None:
    """Print the first rows under titles, behind an empty line; nothing where there are none."""
    rows = [*rows]
    if not rows:
        return
    screen.say()
    shown = rows if len(rows) <= most + 1 else rows[:most]
    Table(columns, shown).print()
    if len(shown) < len(rows):
        screen.say(f"and {len(rows) - len(shown)} more: --format json has all")
