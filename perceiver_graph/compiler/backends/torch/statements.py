"""The statements of a function: one a step, with names as one would choose them.

A name may be used again once nothing needs what it stood for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from perceiver_graph.compiler.backends.torch import text as py
from perceiver_graph.compiler.ir.graph import Value


@dataclass(frozen=True)
class Loop:
    """A call whose result goes into the next one: `count` times, or for each item of a list of modules,
    of which `first` is called where there is no loop."""

    carried: Value
    """What the first call starts from."""
    count: int
    items: str = ""
    first: str = ""
    index: str = ""
    """The variable that counts the calls, if each is told which one it is."""


@dataclass(frozen=True, eq=False)
class Step:
    """Something a function computes, as an expression of what it reads."""

    reads: tuple[Value, ...]
    writes: tuple[Value, ...]
    expression: Callable[..., str]
    names: tuple[str, ...]
    """What the written values are called if nothing is in the way."""
    other: str = ""
    """What a value is called otherwise."""
    shape: str = ""
    origin: str = ""
    loop: Loop | None = None


@dataclass
class Body:
    """Writes steps one after the other.

    `atom` is the text of a value that needs no name (a parameter, a buffer), `names` has those that
    have one at the start. `kept` are needed after the last statement. A comment tells a line of the
    spec where it is another one than before.
    """

    steps: Sequence[Step]
    atom: Callable[[Value], str]
    names: dict[Value, str]
    reserved: frozenset[str]
    kept: tuple[Value, ...] = ()
    origin: str = ""
    done: int = 0
    holders: dict[str, Value] = field(init=False)
    last: Mapping[Value, int] = field(init=False)

    def __post_init__(self) -> None:
        self.holders = {name: value for value, name in self.names.items()}
        self.last = {value: i for i, step in enumerate(self.steps) for value in step.reads}
        self.last |= dict.fromkeys(self.kept, len(self.steps))

    def text(self, value: Value) -> str:
        """How a value is written that is at hand."""
        return self.names[value] if value in self.names else self.atom(value)

    def write(self, count: int | None = None, *, returned: bool = False) -> Iterator[py.Statement]:
        """The next statements, by default all; the last is a return where `returned`."""
        stop = len(self.steps) if count is None else self.done + count
        while self.done < stop:
            step = self.steps[self.done]
            if step.origin and step.origin != self.origin:
                self.origin = step.origin
                yield f"# {step.origin}"
            if step.loop is not None:
                yield from self._loop(step, step.loop)
            elif returned and self.done == stop - 1:
                yield f"return {self._expression(step)}"
            elif not step.writes:
                yield self._expression(step)
            else:
                expression = self._expression(step)
                targets = [self._name(step, i) for i in range(len(step.writes))]
                yield self._set(", ".join(targets), expression, step)
            self.done += 1

    def _set(self, target: str, expression: str, step: Step) -> py.Statement:
        text = f"{target} = {expression}"
        return py.Commented(text, step.shape) if step.shape else text

    def _expression(self, step: Step) -> str:
        return step.expression(*map(self.text, step.reads))

    def _loop(self, step: Step, loop: Loop) -> Iterator[py.Statement]:
        """The carried value has the name of the result from the start, or else what is there is used."""
        (result,), start = step.writes, self.text(loop.carried)
        free = loop.carried in self.names and self.last[loop.carried] <= self.done
        if free and result not in self.names:
            self.names[result], self.holders[start] = start, result
        else:
            yield f"{self._name(step, 0)} = {start}"
        expression = step.expression(
            *(self.text(result if value == loop.carried else value) for value in step.reads)
        )
        header = f"for {loop.index or '_'} in range({loop.count}):"
        if loop.items:
            item = loop.items.rpartition(".")[2].strip('"]').rpartition('"')[2]
            item = item[:-1] if item.endswith("s") and item[:-1].isidentifier() else "item"
            while self._is_taken(item):
                item += "_"
            header = f"for {item} in {loop.items}:"
            if loop.index:
                header = f"for {loop.index}, {item} in enumerate({loop.items}):"
            expression = item + expression.removeprefix(loop.first)
        yield (header, self._set(self.text(result), expression, step))

    def _name(self, step: Step, index: int) -> str:
        """A name that nothing needs from here on; the statement itself may still read it."""
        value, wanted = step.writes[index], step.names[index]
        if value not in self.names:
            if step.other and self._is_taken(wanted):
                wanted = step.other
            name, count = wanted, 1
            while self._is_taken(name):
                count += 1
                name = f"{wanted}_{count}"
            self.names[value], self.holders[name] = name, value
        return self.names[value]

    def _is_taken(self, name: str) -> bool:
        held = self.holders.get(name)
        return name in self.reserved or (held is not None and self.last.get(held, -1) > self.done)
