"""What every block needs while a spec is lowered: the document, the builder, and a way to report errors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf, lcm
from typing import Any

from perceiver_graph import limits
from perceiver_graph.compiler.blocks.builder import GraphBuilder, TooLargeError
from perceiver_graph.compiler.ir.dims import (
    Dim,
    NotDivisible,
    Symbol,
    Undecidable,
    declare,
    product,
)
from perceiver_graph.compiler.ir.graph import Value
from perceiver_graph.compiler.ops import ShapeError
from perceiver_graph.diagnostics import Label, Report, Span
from perceiver_graph.diagnostics.words import did_you_mean
from perceiver_graph.spec.arithmetic import NotASize, words
from perceiver_graph.spec.elsewhere import axis_meant, of_each_axis
from perceiver_graph.spec.loader import Document
from perceiver_graph.spec.models import Input, LikeInput, Spec, like_chain
from perceiver_graph.spec.size_advice import is_unknown, size_help

Path = tuple[str | int, ...]


class PartError(Exception):
    """A part of the spec cannot be lowered further; what is wrong has been reported."""


@dataclass(frozen=True)
class Axis:
    """A named axis and its size."""

    name: str
    size: Dim

    def __str__(self) -> str:
        return f"{self.name}={self.size}"


@dataclass(frozen=True)
class Field:
    """An array with named axes in the middle of its preparation: [batch, *axes]."""

    value: Value
    axes: tuple[Axis, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(axis.name for axis in self.axes)

    @property
    def index(self) -> tuple[Axis, ...]:
        """The axes that count tokens: all but `channel`."""
        return tuple(axis for axis in self.axes if axis.name != CHANNEL)

    @property
    def tokens(self) -> Dim:
        return product(tuple(axis.size for axis in self.index))


@dataclass(frozen=True)
class Coordinates:
    """An array that the caller gives along with inputs or for an output: [batch, *axes], coordinates with
    the last axis for channels, or the numbers of tokens that are chosen."""

    data: Value
    axes: tuple[Axis, ...]
    beside: tuple[str, ...]
    """The inputs whose tokens lie there."""
    points_of: str = ""
    """The output that is asked there."""
    ranges: tuple[tuple[float, float] | None, ...] = ()
    """What the values of each must lie between, if that is said."""
    periods: tuple[tuple[float, float] | None, ...] = ()
    """Of those that are periodic for all that read them, two values that are the same place."""
    shortest: float | None = None
    """The shortest wave that is made of them, where none of its readers takes them to lie in -1 to 1."""
    names: tuple[str, ...] = ()
    """What each is called, if they have names."""
    among: Dim | None = None
    """Of numbers of tokens, how many there are to choose from."""


CHANNEL = "channel"
BATCH = "batch"

_INSTEAD = {"encode": "inputs", "decode": "outputs"}

_SMALLER = "use smaller counts and widths: `patch` makes fewer tokens, `linear` narrower ones"


@dataclass
class Context:
    """The state of one lowering. `derived` collects what the spec left open, for the resolved spec."""

    document: Document
    builder: GraphBuilder
    report: Report
    symbols: dict[str, Symbol]
    derived: dict[Path, Any] = field(default_factory=dict)
    embeddings: dict[str, Value] = field(default_factory=dict)
    """The embedding table of each modality that has one."""
    coordinates: dict[str, Coordinates] = field(default_factory=dict)
    """The arrays of coordinates by name."""
    waves: dict[Any, Value] = field(default_factory=dict)
    """Those of rotary positions, by what they are made of."""
    turned: dict[str, dict[tuple[str, str], None]] = field(default_factory=dict)
    """What the rows of a stage, and what they read, are turned by, in words: a set in its order."""
    latent_width: int | None = None
    """Channels of a latent as queries read it, once they are known."""
    places: tuple[Axis, ...] = ()
    """The axes of inputs each place of which is a problem of its own, once they are known."""
    asked_at: tuple[Axis, ...] = ()
    """Of these, the axes at each place of which outputs are asked: not that which `process` is over."""
    latent_axes: tuple[Axis, ...] = ()
    """The axes that count the latents which are read by queries at a place."""
    multiples: dict[Symbol, int] = field(default_factory=dict)
    """What symbols would have to be multiples of, for divisions that were not exact."""

    @property
    def spec(self) -> Spec:
        return self.document.spec

    @cached_property
    def inputs(self) -> dict[str, Input]:
        """The inputs, those that are like others written out."""
        return self.spec.modalities

    def origin(self, name: str) -> str:
        """The input whose steps and weights an input has: mostly its own."""
        return like_chain(self.spec.inputs, name)[-1]

    def place(self, path: Path) -> Path:
        """Where something of an input stands in the spec: for one that is `like` another, maybe there."""
        if len(path) < 3 or path[0] != "inputs":
            return path
        for name in like_chain(self.spec.inputs, str(path[1])):
            declared = self.spec.inputs.get(name)
            if (
                not isinstance(declared, LikeInput)
                or getattr(declared, str(path[2]), None) is not None
            ):
                return ("inputs", name, *path[2:])
        return path

    def error(
        self,
        code: str,
        message: str,
        path: Path,
        label: str = "",
        *,
        also: Sequence[tuple[Path, str]] = (),
        notes: Sequence[str] = (),
        help: str | None = None,
        at_key: bool = False,
    ) -> PartError:
        """Report an error at a place of the spec; `raise` what this returns to leave the part."""
        span = self.key_span(*path) if at_key else self.document.span(*self.place(path))
        secondary = [Label(self._label_span(other), text) for other, text in also]
        if (there := self.place(path)) != path:  # wrong here, where it is said of another input
            name, like = str(path[1]), self.document.span("inputs", path[1], "like")
            secondary.append(Label(like, f"`{name}` is like `{there[1]}`"))
        self.report.error(
            code, message, span, label=label, secondary=secondary, notes=notes, help=help
        )
        return PartError()

    def key_span(self, *path: str | int) -> Span:
        """Where a key stands. `encode` and `decode`, if left out, are blamed on what they read for."""
        path = self.place(path)
        if path[0] in _INSTEAD and path[0] not in self.document.spans.root.children:
            path = (_INSTEAD[str(path[0])],)
        return self.document.key_span(*path)

    def _label_span(self, path: Path) -> Span:
        """The value at a path, or its key where the value is a mapping or a list."""
        path = self.place(path)
        node = self.document.spans.root
        for part in path:
            node = node.children.get(part, node)
        return self.document.key_span(*path) if node.children else self.document.span(*path)

    @contextmanager
    def part(self, *path: str | int) -> Iterator[None]:
        """Nodes made inside stem from this place; an error ends this part and no other."""
        with self.builder.at(self.key_span(*path)):
            try:
                yield
            except PartError:
                pass
            except TooLargeError as error:
                span = error.origin or self.key_span(*path)
                self.report.error("PG213", str(error), span, help=_SMALLER)
            except ShapeError as error:  # a rule no block has words of its own for
                self.error("PG205", str(error), path, at_key=True)

    def derive(self, value: Any, *path: str | int) -> None:
        """Note what a key that was left out stands for, once for inputs that are alike."""
        if self.place(path)[:2] == path[:2] or path[2:] == ("mask",):
            self.derived[path] = value

    def size(self, size: int | str, *path: str | int) -> Dim:
        """The length of an axis as written: a number, a declared symbol, or arithmetic on them."""
        if isinstance(size, int):
            return Dim.of(size)
        for word in words(size):
            if word not in self.symbols:
                raise self._undeclared(word, size, path)
            if word == BATCH:
                raise self._sized_by_batch(path)
        if len(re.findall(r"\w+", size)) > limits.OPERANDS:
            text = f"a size of more than {limits.OPERANDS} numbers and symbols is not understood"
            raise self.error("PG216", text, path, help="declare a symbol for a part of it")
        try:
            found = Dim.parse(size, self._values)
            smallest = found.bounds()[0]
        except NotASize as error:
            raise self.error("PG216", str(error), path) from error
        except NotDivisible as error:
            raise self._inexact(error, size, path) from error
        except Undecidable:
            smallest = 0
        if smallest < 1:
            raise self._not_positive(found, size, path)
        if smallest > limits.SIZE:
            least = f"{smallest:,}{'' if found.is_constant else ' or more'}"
            text, help = (
                f"`{size}` is {least}, and sizes go up to {limits.SIZE:,}",
                "use smaller numbers",
            )
            raise self.error("PG213", text, path, also=self.declarations(found), help=help)
        return found

    @property
    def _values(self) -> dict[str, Symbol | int]:
        """What symbols stand for: those that can have one value only, for that number."""
        return {
            name: symbol.lowest if symbol.lowest == symbol.highest else symbol
            for name, symbol in self.symbols.items()
        }

    def _undeclared(self, word: str, size: str, path: Path) -> PartError:
        unknown = size_help(word, str(path[-1])) if word == size and is_unknown(word) else None
        return self.error(
            "PG207",
            f"`{word}` is not declared under `dims`",
            path,
            "not a number, not a symbol" if word == size else f"`{word}` is no symbol",
            help=unknown
            or did_you_mean(word, self.symbols)
            or f"declare it: `dims: {{{word}: {{min: 1, max: 2048}}}}`, or write a number",
        )

    def _sized_by_batch(self, path: Path) -> PartError:
        return self.error(
            "PG207",
            f"`{BATCH}` is how many examples a call has, and no axis of an example is as long",
            path,
            also=self.declarations(Dim.of(self.symbols[BATCH])),
            help="write a number, or a symbol of another name",
        )

    def _inexact(self, error: NotDivisible, size: str, path: Path) -> PartError:
        constant, help = error.dividend.is_constant, self.exact(error)
        always = "" if constant else " at every size that it may have"
        if constant and words(size) and re.search(rf"/\s*{error.divisor}\s*\*", size):
            help = f"multiply first and divide last, as in `{words(size)[0]} / {error.divisor}`"
        return self.error(
            "PG203",
            f"`{error.dividend}` is not divisible by {error.divisor}{always}",
            path,
            f"divided by {error.divisor} here",
            also=self.declarations(error.dividend),
            help=help,
        )

    def exact(self, error: NotDivisible) -> str:
        """What would make a division exact, and those before it that were not."""
        for symbol, step in error.multiples.items():
            self.multiples[symbol] = lcm(step, self.multiples.get(symbol, 1))
        wanted = {symbol: self.multiples[symbol] for symbol in error.multiples}
        for symbol, step in wanted.items():
            if symbol.max is not None and step > symbol.max:  # declared, it would lose every size
                none = f"no multiple of {step} is a size that `{symbol.name}` may have"
                return f"{none}: use another number, or raise its `max`"
        return declare(wanted) if wanted else error.hint

    def _not_positive(self, found: Dim, size: str, path: Path) -> PartError:
        help = None
        if len(found.symbols) == 1:
            (symbol,) = found.symbols
            step, first = symbol.multiple_of, symbol.lowest
            last = min(symbol.highest or inf, first + 2 * limits.SYMBOL_VALUES * step)
            tried = range(first, int(last) + 1, step)
            wrong = [found.evaluate({symbol.name: n}) < 1 for n in tried]
            if False in wrong:
                start = wrong.index(False)
                stop = wrong.index(True, start) if True in wrong[start:] else None
                if stop is None and not start:  # as far as can be seen, so that more can be
                    stop = limits.SYMBOL_VALUES
                limit = symbol if stop is None else replace(symbol, max=tried[stop - 1])
                help = f"declare `{limit.declaration(tried[start])}`"
        return self.error(
            "PG216",
            f"`{size}` is not always a positive number",
            path,
            also=self.declarations(found),
            help=help or "an axis has at least one position, at every size that is permitted",
        )

    def declarations(self, size: Dim) -> list[tuple[Path, str]]:
        """Where the symbols of a size are declared, as labels of a diagnostic."""
        names = sorted(symbol.name for symbol in size.symbols)
        return [(("dims", s), f"what `{s}` may be") for s in names if s in self.spec.dims]

    def axis_sizes(self, given: Iterable[str], axes: Sequence[Axis], what: str, path: Path) -> None:
        """Refuse names that are not among the axes."""
        names = [axis.name for axis in axes]
        for name in given:
            if name not in names:
                problem = "which is not there"
                if name == CHANNEL:
                    problem = "and works on the others"
                raise self.error(
                    "PG202",
                    f"{what} names the axis `{name}`, {problem}",
                    (*path, name),
                    f"the axes here are {', '.join(names) or 'none'}",
                    notes=[shape_note(axes)],
                    help=did_you_mean(axis_meant(name, names) or name, names)
                    or of_each_axis(what[1:-1], given, names),
                    at_key=True,
                )


def shape_note(axes: Sequence[Axis]) -> str:
    """The axes known so far, as a note of a diagnostic."""
    return f"the shape here is {', '.join(map(str, axes)) or 'empty'}"
