"""Sizes of tensors: integers, or polynomials over symbols that are declared once in a spec.

Nothing is rounded or guessed: an inexact division or an open comparison raises and says what helps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from math import gcd, inf, lcm, prod
from operator import index

from perceiver_graph import limits
from perceiver_graph.spec.arithmetic import calculate
from perceiver_graph.spec.symbols import Symbol, check_symbol

__all__ = [
    "Dim",
    "NotDivisible",
    "Shape",
    "Symbol",
    "Undecidable",
    "format_shape",
    "product",
    "shape_of",
    "total",
]


class NotDivisible(ValueError):  # noqa: N818 - read as "except NotDivisible"
    """A division that is not exact for every permitted size; `hint` says what would make it so, and
    `multiples` what symbols would have to be multiples of."""

    def __init__(
        self, dividend: Dim, divisor: Dim, hint: str, multiples: Mapping[Symbol, int] | None = None
    ) -> None:
        self.dividend, self.divisor, self.hint = dividend, divisor, hint
        self.multiples = multiples or {}
        super().__init__(f"`{dividend}` is not divisible by `{divisor}`: {hint}")


class Undecidable(ValueError):  # noqa: N818
    """A question whose answer depends on the symbols."""

    def __init__(self, problem: str, symbols: Iterable[Symbol]) -> None:
        names = ", ".join(f"`{symbol.name}`" for symbol in _sorted(symbols))
        super().__init__(f"{problem}: declare a narrower range for {names}")


# A symbol is its `multiple_of` times a hidden positive integer. Terms are kept over those integers,
# so that coefficients are plain ints (`time/16` too) and divisibility can be read off them.
_Monomial = tuple[Symbol, ...]  # a product, sorted by name, with repeats; () for the constant term


class Dim:
    """An immutable size: an integer or a polynomial over symbols in normal form."""

    __slots__ = ("_terms", "_value")

    def __init__(self, value: int | None, terms: dict[_Monomial, int] | None = None) -> None:
        """For this module: others use `Dim.of`, and arithmetic keeps `terms` in normal form."""
        self._value = value
        self._terms = terms or {(): value or 0}

    @staticmethod
    def of(value: int | Symbol | Dim) -> Dim:
        """The size that `value` stands for."""
        if isinstance(value, Symbol):
            return Dim(None, {(value,): value.multiple_of})
        return value if isinstance(value, Dim) else Dim(index(value))

    @staticmethod
    def parse(text: str, symbols: Mapping[str, Symbol] | Mapping[str, Symbol | int]) -> Dim:
        """Sums, products and quotients with brackets, as `str` writes them: `3*time/16 + 1`.

        `ValueError` for bad syntax or an undeclared name, `NotDivisible` for an inexact division.
        """

        def operand(word: str) -> Dim:
            if not word.isdecimal() and word not in symbols:
                known = ", ".join(sorted(symbols)) or "none"
                raise ValueError(f"`{word}` in `{text}` is not a declared dim (declared: {known})")
            return Dim.of(int(word) if word.isdecimal() else symbols[word])

        size: Dim = calculate(text, operand, Dim.exact_div)
        return size

    @property
    def value(self) -> int | None:
        """The integer, None for a symbolic size."""
        return self._value

    @property
    def plain(self) -> int | str:
        """As JSON has it: a number, or the expression of a symbolic size."""
        return str(self) if self._value is None else self._value

    @property
    def is_constant(self) -> bool:
        return self._value is not None

    @property
    def symbols(self) -> frozenset[Symbol]:
        return frozenset(symbol for monomial in self._terms for symbol in monomial)

    @property
    def symbol(self) -> Symbol | None:
        """The symbol that it is, if it is one and nothing else."""
        return next((symbol for symbol in self.symbols if self == Dim.of(symbol)), None)

    def exact_div(self, k: int | Dim) -> Dim:
        """The size q with q * k == self for all symbols; `NotDivisible` unless there is one.

        Looks at terms one by one, which is safe but not complete: `n*(n + 1) / 2` is refused.
        """
        divisor = Dim.of(k)
        if divisor._value == 0:
            raise NotDivisible(self, divisor, "the divisor is zero")
        if self._value is not None and divisor._value and self._value % divisor._value == 0:
            return Dim(self._value // divisor._value)
        lead = min(divisor._terms, key=_rank)
        quotient, rest = Dim(0), self
        while rest._value != 0:  # long division: leading terms must divide
            top = min(rest._terms, key=_rank)
            missing = Counter(lead) - Counter(top)
            c, inexact = divmod(rest._terms[top], divisor._terms[lead])
            if missing or inexact:
                raise NotDivisible(self, divisor, *_divisibility_hint(self, divisor))
            part = _collect([(_sorted((Counter(top) - Counter(lead)).elements()), c)])
            quotient, rest = quotient + part, rest - part * divisor
        return quotient

    def divide(self, k: int) -> tuple[Dim, int]:
        """Quotient and remainder; `NotDivisible` where the remainder is not the same at every size."""
        rest = self._terms.get((), 0) % k
        return (self - rest).exact_div(k), rest

    def evaluate(self, bindings: Mapping[str, int]) -> int:
        """The integer for these sizes by name; `ValueError` for a missing or forbidden size."""
        if self._value is not None:
            return self._value
        hidden = {}
        for symbol in self.symbols:
            if symbol.name not in bindings:
                raise ValueError(f"`{self}` needs a size for `{symbol.name}`")
            if problem := check_symbol(symbol, bindings[symbol.name]):
                raise ValueError(problem)
            hidden[symbol] = bindings[symbol.name] // symbol.multiple_of
        return sum(c * prod(hidden[s] for s in m) for m, c in self._terms.items())

    def bounds(self) -> tuple[int, int | None]:
        """Bounds of all evaluations, both included; None where nothing bounds it from above.

        The tightest where each symbol occurs once. `Undecidable` if nothing bounds it from below.
        """
        if self._value is not None:
            return self._value, self._value
        low, high = _lowest(self), -_lowest(-self)
        if low == -inf:
            raise Undecidable(f"`{self}` has no lower bound", self.symbols)
        return int(low), None if high == inf else int(high)

    def __add__(self, other: int | Dim) -> Dim:
        other = other if isinstance(other, Dim) else Dim.of(other)
        if self._value is not None and other._value is not None:
            return Dim(self._value + other._value)
        return _collect([*self._terms.items(), *other._terms.items()])

    def __mul__(self, other: int | Dim) -> Dim:
        other = other if isinstance(other, Dim) else Dim.of(other)
        if self._value is not None and other._value is not None:
            return Dim(self._value * other._value)
        if k := self._value or other._value:  # by a number: the monomials stay as they are
            terms = self._terms if other._value else other._terms
            return Dim(None, {m: c * k for m, c in terms.items()})
        pairs = [(a, b) for a in self._terms.items() for b in other._terms.items()]
        return _collect((_sorted(m + n), c * d) for (m, c), (n, d) in pairs)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Dim:
        return self * -1

    def __sub__(self, other: int | Dim) -> Dim:
        return self + -other

    def __rsub__(self, other: int) -> Dim:
        return -self + other

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Dim):
            return self._value == other._value and self._terms == other._terms
        return self._value == other if isinstance(other, int) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._value if self._value is not None else frozenset(self._terms.items()))

    def __lt__(self, other: int | Dim) -> bool:
        return _less(self, other, 1)

    def __le__(self, other: int | Dim) -> bool:
        return _less(self, other, 0)

    def __gt__(self, other: int | Dim) -> bool:
        return _less(other, self, 1)

    def __ge__(self, other: int | Dim) -> bool:
        return _less(other, self, 0)

    def __bool__(self) -> bool:
        return self._value != 0

    def __index__(self) -> int:
        if self._value is None:
            raise ValueError(f"`{self}` is symbolic: evaluate it with sizes first")
        return self._value

    @property
    def terms(self) -> list[tuple[int, tuple[Symbol, ...], int]]:
        """What it is the sum of: a number times symbols, divided by a number.

        `(3, (time,), 16)` for `3*time/16`, which is a whole number as the sum is.
        """
        found = []
        for monomial in sorted(self._terms, key=_rank):
            c, scale = self._terms[monomial], prod(symbol.multiple_of for symbol in monomial)
            shared = gcd(c, scale)
            found.append((c // shared, monomial, scale // shared))
        return found

    def __str__(self) -> str:
        text = "" if self._value is None else str(self._value)  # most are numbers, and soon written
        for c, monomial, over in self.terms if self._value is None else ():
            factors = [symbol.name for symbol in monomial]
            if abs(c) != 1 or not factors:
                factors.insert(0, str(abs(c)))
            text += (" - " if c < 0 else " + ") if text else "-" * (c < 0)
            text += "*".join(factors) + (f"/{over}" if over != 1 else "")
        return text

    def __repr__(self) -> str:
        return f"Dim({self})"


Shape = tuple[Dim, ...]


def shape_of(*sizes: int | Dim | Symbol) -> Shape:
    """The shape with these sizes."""
    return tuple(Dim.of(size) for size in sizes)


def format_shape(shape: Shape) -> str:
    """`[batch, 784, 512]`."""
    return f"[{', '.join(map(str, shape))}]"


def product(shape: Iterable[Dim]) -> Dim:
    """The number of elements."""
    return prod(shape, start=Dim(1))


def total(dims: Iterable[Dim]) -> Dim:
    """The sum of some sizes."""
    return sum(dims, start=Dim(0))


def _collect(terms: Iterable[tuple[_Monomial, int]]) -> Dim:
    """The sum of terms in normal form; `ValueError` if a name stands for two symbols."""
    total: dict[_Monomial, int] = {}
    for monomial, c in terms:
        total[monomial] = total.get(monomial, 0) + c
    total = {monomial: c for monomial, c in total.items() if c}
    dim = Dim(None, total) if any(total) else Dim(total.get((), 0))
    if len({symbol.name for symbol in dim.symbols}) < len(dim.symbols):
        raise ValueError(f"`{dim}` mixes different declarations of one dim")
    return dim


def _sorted(symbols: Iterable[Symbol]) -> _Monomial:
    return tuple(sorted(symbols, key=lambda symbol: symbol.name))


def _rank(monomial: _Monomial) -> tuple[int, list[str]]:
    """A sort key: higher degree first, then alphabetical (a monomial order, for division)."""
    return -len(monomial), [symbol.name for symbol in monomial]


def _lowest(dim: Dim) -> float:
    """An int that no evaluation is below, or -inf.

    Interval arithmetic from where every symbol is lowest: there no product is negative, and `n*n - n`
    has no negative term left. Where terms of one symbol have either sign, each of its values is tried.
    """
    if dim._value is not None:
        return dim._value
    moved = Dim(0)
    for monomial, c in dim._terms.items():
        from_lowest = [{(s,): 1, (): s.lowest // s.multiple_of} for s in monomial]
        moved += prod((Dim(None, terms) for terms in from_lowest), start=Dim(c))
    low = moved._terms.get((), 0)
    if len(moved.symbols) == 1 and len({c > 0 for m, c in moved._terms.items() if m}) > 1:
        (symbol,) = moved.symbols
        most = ((symbol.highest or inf) - symbol.lowest) / symbol.multiple_of
        if most <= limits.SYMBOL_VALUES:
            powers = [(len(m), c) for m, c in moved._terms.items()]
            values: list[int] = [sum(c * at**k for k, c in powers) for at in range(int(most) + 1)]
            return min(values)
    for monomial, c in moved._terms.items():
        if monomial and c < 0:
            tops = [(s.highest - s.lowest) // s.multiple_of for s in monomial if s.highest]
            if len(tops) < len(monomial):
                return -inf
            low += c * prod(tops)
    return low


def _less(left: int | Dim, right: int | Dim, gap: int) -> bool:
    """Whether left + gap <= right."""
    margin = Dim.of(right) - left
    if _lowest(margin) >= gap:
        return True
    if _lowest(-margin) > -gap:
        return False
    sign = "<" if gap else "<="
    raise Undecidable(f"`{left} {sign} {right}` holds only for some sizes", margin.symbols)


def declare(multiples: Mapping[Symbol, int]) -> str:
    """What to declare of symbols that have to be multiples of these."""
    return "declare " + " and ".join(
        f"`{symbol.declaration(multiple_of=step)}`" for symbol, step in multiples.items()
    )


def _divisibility_hint(dividend: Dim, divisor: Dim) -> tuple[str, dict[Symbol, int]]:
    """What to declare, or to change, so that the division becomes exact; the multiples to declare."""
    if divisor._value is None:
        return f"`{divisor}` is not a factor of it", {}
    k = abs(divisor._value)
    wanted: dict[Symbol, int] = {}
    for monomial, c in dividend._terms.items():
        missing = k // gcd(c, k)
        if missing > 1 and not monomial:
            near = f"{c // k * k} and {c // k * k + k} are"
            return f"{c} is not a multiple of {k}, but {near}", {}
        if missing > 1:
            symbol = max(monomial, key=lambda s: (s in wanted, s.min, s.name))
            wanted[symbol] = lcm(wanted.get(symbol, 1), symbol.multiple_of * missing)
    return declare(wanted), wanted
