"""What the symbols of a model stand for in a call: told by the shapes of arrays, or given with it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics import Report, quote
from perceiver_graph.diagnostics.commands import setting
from perceiver_graph.diagnostics.words import did_you_mean
from perceiver_graph.runtime.sizes import evaluate, symbols
from perceiver_graph.spec.arithmetic import solve, words
from perceiver_graph.spec.manifest import Dimension, Manifest

_COLON = re.compile(r"([A-Za-z_]\w*)[:\s]\s*([0-9]{1,15})", re.A)

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class _Axis:
    """An axis of an array that was given, whose size the spec gives as an expression."""

    size: str
    actual: int
    input: str
    number: int
    name: str

    @property
    def place(self) -> str:
        return f"axis `{self.name}` of input {quote(self.input)}"

    def unknown(self, sizes: Mapping[str, int]) -> list[str]:
        return [word for word in words(self.size) if word not in sizes]


def parse_sizes(texts: Iterable[str]) -> dict[str, int]:
    """`NAME=NUMBER` texts as a mapping. Raises DiagnosticError (PG516)."""
    found: dict[str, int] = {}
    report = Report()
    for text in texts:
        name, equals, number = (part.strip() for part in text.partition("="))
        if not (name and equals and number.isascii() and number.isdecimal() and len(number) < 16):
            told = _COLON.fullmatch(text.strip())
            form = f"{told[1]}={told[2]}" if told else f"{name or 'n'}=NUMBER"
            how = "write it with `=`" if told else "write the number after it"
            help = f"{how}: {setting('--size', form, f'sizes=[{form!r}]')}"
            report.error("PG516", f"{quote(text)} is not NAME=NUMBER", help=help)
        elif name in found:
            report.error("PG516", f"the size {quote(name)} is given twice", help="give it once")
        else:
            found[name] = int(number)
    report.raise_if_errors()
    return found


def free_sizes(manifest: Manifest) -> dict[str, Dimension]:
    """The symbols that no input says, with what values each may take."""
    inputs = {word for entry in manifest.inputs.values() for word in symbols(entry.shape)}
    asked = {name for entry in manifest.inputs.values() for name in entry.points_of}
    grids = (entry.shape for name, entry in manifest.outputs.items() if name not in asked)
    outputs = {word for shape in grids for word in symbols(shape)}
    return {name: d for name, d in manifest.dims.items() if name in outputs - inputs}


def bind(
    manifest: Manifest, arrays: Arrays, given: Mapping[str, int] | None, report: Report
) -> dict[str, int]:
    """The values of the symbols that arrays or `given` say: one each, and one that is permitted.

    Symbols that no input has are the largest where `given` leaves them out. What is wrong is
    reported (PG503 for arrays, PG516 for `given`).
    """
    axes = list(_symbolic(manifest, arrays))
    sizes: dict[str, int] = {}
    by: dict[str, _Axis] = {}
    faulty: set[str] = set()
    # Bare names first: they say more plainly than `5*length` what was meant.
    for axis in (axis for axis in axes if axis.size.isidentifier()):
        if axis.size not in sizes:
            sizes[axis.size], by[axis.size] = axis.actual, axis
            if not _check_permitted(manifest, axis, report):
                faulty.add(axis.size)
    _take_given(manifest, sizes, given or {}, _said(manifest, arrays), report)
    axes = [axis for axis in axes if not faulty.intersection(words(axis.size))]
    while found := [axis for axis in axes if len(axis.unknown(sizes)) == 1]:
        axis = found[0]
        (symbol,) = axis.unknown(sizes)
        value = _solved(manifest, axis, symbol, sizes)
        if value is None:
            _report_no_value(manifest, axis, symbol, sizes, report)
            axes = [other for other in axes if symbol not in words(other.size)]
            continue
        sizes[symbol], by[symbol] = value, axis
    for axis in axes:
        if axis.unknown(sizes):
            names = " and ".join(map(quote, axis.unknown(sizes)))
            message = f"the {axis.place} is {axis.actual}, which does not say what {names} are"
            report.error(
                "PG503", message, help=f"give them: sizes={{{axis.unknown(sizes)[0]!r}: 1}}"
            )
        elif evaluate(axis.size, sizes) != axis.actual:
            _report_disagreement(axis, sizes, by, report)
    return sizes


def check_permitted(manifest: Manifest, arrays: Arrays, report: Report) -> None:
    """Report (PG503) axes whose size is a symbol that may not be so large, or so small."""
    for axis in _symbolic(manifest, arrays):
        if axis.size.isidentifier():
            _check_permitted(manifest, axis, report)


def _said(manifest: Manifest, names: Iterable[str]) -> set[str]:
    """The symbols that the shapes of these inputs tell."""
    return {word for name in names for word in symbols(manifest.inputs[name].shape)}


def _symbolic(manifest: Manifest, arrays: Arrays) -> Iterable[_Axis]:
    for name, array in arrays.items():
        entry = manifest.inputs[name]
        each = enumerate(zip(entry.axes, entry.shape, array.shape, strict=True))
        for number, (axis, size, actual) in each:
            if isinstance(size, str):
                yield _Axis(size, actual, name, number, axis)


def _check_permitted(manifest: Manifest, axis: _Axis, report: Report) -> bool:
    dimension = manifest.dims.get(axis.size, Dimension())
    if dimension.permits(axis.actual):
        return True
    takes = dimension.in_words
    message = f"the {axis.place} has size {axis.actual}, and `{axis.size}` is {takes}"
    report.error("PG503", message, help=_fitted(manifest, axis, dimension))
    return False


def _fitted(manifest: Manifest, axis: _Axis, dimension: Dimension) -> str:
    """What makes an array so large as a symbol may be: the beginning of a longer one, or more."""
    entry = manifest.inputs[axis.input]
    if axis.size == "batch" and not axis.actual:
        return f"give one batch element at least, {[1, *entry.shape[1:]]}".replace("'", "")
    most = min(axis.actual, dimension.max or axis.actual)
    most = most // dimension.multiple_of * dimension.multiple_of
    in_front = entry.padding == "front"  # the last tokens are the latents
    if most >= dimension.lowest:
        part, which = (f"-{most}:", "last") if in_front else (f":{most}", "first")
        return f"split it, or take the {which} {most}: {axis.input}[{':, ' * axis.number}{part}]"
    more = dimension.lowest - axis.actual
    added = [more, 0] if in_front else [0, more]
    widths = [added if i == axis.number else [0, 0] for i in range(len(entry.shape))]
    masked = f", and pass `{axis.input}.attention_mask`, false for what was added"
    return f"fill it up: numpy.pad({axis.input}, {widths})" + masked * bool(entry.attention_mask)


def _take_given(
    manifest: Manifest,
    sizes: dict[str, int],
    given: Mapping[str, int],
    said: Collection[str],
    report: Report,
) -> None:
    """Add what was given to `sizes`, and the largest for what could have been given.

    `said` are the symbols that inputs tell, which cannot be given too.
    """
    free = free_sizes(manifest)
    points = {str(entry.shape[1]) for entry in manifest.inputs.values() if entry.points_of}
    for name, value in given.items():
        dimension = manifest.dims.get(name)
        if dimension is not None and name in points:  # there may be none
            dimension = dimension.model_copy(update={"min": 0})
        known = [
            one
            for one in manifest.dims
            if one in free or (one not in said and _of_an_input(manifest, one))
        ]
        if name in said:
            message = f"{quote(name)} is what the shapes of the inputs say, and cannot be given too"
            report.error("PG516", message, help="leave it out")
        elif dimension is None or (name not in free and not _of_an_input(manifest, name)):
            sizes_known = f"the sizes that can be given: {', '.join(known) or 'none'}"
            help = did_you_mean(name, known) or sizes_known
            report.error("PG516", f"the model has no size {quote(name)} to give", help=help)
        elif not _is_whole(value):
            message = f"the size {quote(name)} is {value!r}, which is no whole number"
            report.error("PG516", message, help=f"give an int: it is {dimension.in_words}")
        elif not dimension.permits(value):
            message = f"the size {quote(name)} cannot be {value!r}"
            report.error("PG516", message, help=f"it is {dimension.in_words}")
        else:
            sizes[name] = int(value)
    for name, dimension in free.items():
        largest = dimension.default or dimension.max or dimension.lowest
        sizes.setdefault(name, largest // dimension.multiple_of * dimension.multiple_of)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _of_an_input(manifest: Manifest, name: str) -> bool:
    """Whether it can be given where the input is left out that says it otherwise."""
    return any(name in symbols(entry.shape) for entry in manifest.inputs.values())


def _solved(manifest: Manifest, axis: _Axis, symbol: str, sizes: Mapping[str, int]) -> int | None:
    dimension = manifest.dims.get(symbol, Dimension())

    def size(value: int) -> int:
        return evaluate(axis.size, {**sizes, symbol: value})

    low, step = dimension.lowest, dimension.multiple_of
    return solve(size, axis.actual, low, dimension.max, step)


def _report_no_value(
    manifest: Manifest, axis: _Axis, symbol: str, sizes: Mapping[str, int], report: Report
) -> None:
    dimension = manifest.dims.get(symbol, Dimension())
    low = dimension.lowest
    values = [v for v in (low, low + dimension.multiple_of) if dimension.permits(v)]
    nearest = [evaluate(axis.size, {**sizes, symbol: value}) for value in values]
    report.error(
        "PG503",
        f"the {axis.place} has size {axis.actual}, and is `{axis.size}`",
        notes=[f"`{symbol}` is {dimension.in_words}"],
        help=f"sizes that it may have: {', '.join(map(str, nearest))}"
        + (" and so on" if len(nearest) > 1 else ""),
    )


def _report_disagreement(
    axis: _Axis, sizes: Mapping[str, int], by: Mapping[str, _Axis], report: Report
) -> None:
    used = words(axis.size)
    others = [by[s] for s in used if s in by]
    said = ", the ".join(dict.fromkeys(f"{other.actual} is the {other.place}" for other in others))
    symbol = used[0]
    if axis.size.isidentifier():
        message = f"{said}; {axis.actual} is the {axis.place}"
        message = f"`{symbol}` cannot be several sizes in one call: {message}"
    else:
        values = ", ".join(f"`{s}` is {sizes[s]}" for s in used)
        message = (
            f"the {axis.place} has size {axis.actual}, and `{axis.size}` is "
            f"{evaluate(axis.size, sizes)}: {values}" + (f" ({said})" if said else "")
        )
    report.error("PG503", message, help=f"pass arrays that agree on `{symbol}`")


def refuse_unknown_sizes(
    manifest: Manifest, given: Mapping[str, int] | None, arrays: Collection[str] | None = None
) -> None:
    """Refuse, before files are read, sizes that no call could have. Raises DiagnosticError (PG516).

    `arrays` are the inputs that come as arrays where the others are files; None if nothing is there.
    """
    report, said = Report(), set[str]()
    if arrays is not None:
        inputs = manifest.inputs.items()
        there = [name for name, entry in inputs if name in arrays or entry.mask == "never"]
        said = {"batch", *_said(manifest, there)}
    _take_given(manifest, {}, given or {}, said, report)
    report.raise_if_errors()
