"""The body of a function: steps become statements, with names, nesting and loops as one would write.

Steps that are read once are written where they are read, as long as the line stays short. A name
may be used again once nothing needs what it stood for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from perceiver_graph.compiler.backends.torch.names import identifier
from perceiver_graph.compiler.backends.torch.printer import INDENT, WIDTH, Expr, Piece, lay_out
from perceiver_graph.compiler.ir import Value

DEEPEST = 3
"""How many calls may stand in one another."""

Lookup = Callable[[Value], Expr]


@dataclass(frozen=True, eq=False)
class Step:
    """Something a function computes, or (where it writes nothing) does: a return, an assignment."""

    reads: tuple[Value, ...]
    writes: tuple[Value, ...]
    render: Callable[[Lookup], Expr]
    names: tuple[str, ...] = ()
    """What the written values are called if nothing is in the way."""
    prefix: str = ""
    """What stands before the expression of a step that writes nothing."""
    condition: str = ""
    """The step is done only if this holds; consecutive steps share one `if`."""
    comment: str = ""
    call: str = ""
    """For a call: what is called, equal for equal calls."""
    sequence: tuple[str, int, int] | None = None
    """For a call of an item of a list: the list, which item, how many there are."""
    alone: bool = False
    """Whether the step has a line of its own, unless all that is left to do is to assign it."""
    method: str = ""
    """For a call of another method than `forward`: `.prepare`."""


@dataclass(frozen=True, eq=False)
class Loop:
    """A call whose result goes into the next one, `count` times or for each item of a list."""

    step: Step
    carried: Value
    """What the first call starts from."""
    result: Value
    count: int
    items: str = ""
    """The list; empty where the call is always the same."""


def fold_loops(steps: Sequence[Step]) -> list[Step | Loop]:
    """Turn runs of calls that hand one value on into loops."""
    reads = Counter(value for step in steps for value in step.reads)
    found: list[Step | Loop] = []
    start = 0
    while start < len(steps):
        run = _run(steps, start, reads)
        if len(run) > 1:
            first, last = run[0], run[-1]
            carried = first.reads[run[1].reads.index(first.writes[0])]
            items = first.sequence[0] if first.sequence and first.call != run[1].call else ""
            found.append(Loop(first, carried, last.writes[0], len(run), items))
        else:
            found.append(steps[start])
        start += len(run)
    return found


def _run(steps: Sequence[Step], start: int, reads: Counter[Value]) -> list[Step]:
    """Steps from `start` that could be one loop."""
    run = [steps[start]]
    for step in steps[start + 1 :]:
        before = run[-1]
        if not (before.call and step.call and len(before.writes) == 1 == len(step.writes)):
            break
        value = before.writes[0]
        if reads[value] != 1 or value not in step.reads or step.condition != before.condition:
            break
        slot = step.reads.index(value)
        first = run[0]
        if len(run) > 1 and first.reads[slot] in step.reads:
            break
        same = all(
            a == b
            for i, (a, b) in enumerate(zip(first.reads, step.reads, strict=False))
            if i != slot
        )
        if not same or len(first.reads) != len(step.reads) or not _follows(run, step):
            break
        if first.reads[slot].type != step.writes[0].type:
            break
        run.append(step)
    first = run[0]
    is_list = len(run) > 1 and first.call != run[1].call
    if is_list and first.sequence and len(run) != first.sequence[2]:
        return run[:1]
    return run


def _follows(run: list[Step], step: Step) -> bool:
    """Whether a call is the same one again, or that of the next item of a list."""
    first = run[0]
    if step.call == first.call:
        return run[-1].call == first.call
    if not (first.sequence and step.sequence) or first.method != step.method:
        return False
    return (
        first.sequence[1] == 0
        and step.sequence[0] == first.sequence[0]
        and step.sequence[1] == len(run)
    )


def _item_name(sequence: str) -> str:
    name = sequence.rpartition(".")[2].strip('"]').rpartition('"')[2]
    return identifier(name[:-1] if name.endswith("s") else "item")


class Body:
    """Writes the statements of a function.

    `atoms` are values that need no name (parameters, buffers); `arguments` have one already.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        atoms: Callable[[Value], Expr | None],
        arguments: Mapping[Value, str],
        reserved: frozenset[str] = frozenset(),
        comment: str = "",
    ) -> None:
        self.steps = fold_loops(steps)
        self.atoms = atoms
        self.arguments = arguments
        self.reserved = reserved
        self.comment = comment
        """The comment that the function as a whole has."""
        self.maker = {
            value: step for step in self.steps if isinstance(step, Step) for value in step.writes
        }
        self.inlined = self._inline(frozenset())

    def lines(self, depth: int) -> list[str]:
        """The statements, `depth` levels in."""
        refused: set[Value] = set()
        while True:
            names, lines, full = self._write(depth)
            inside = [v for step in full for v in self._parts(step)]
            if not inside:
                return lines
            # a line that is full hands its longest part to a line of its own
            refused.add(max(inside, key=lambda v: len(self.expr(v, names).text)))
            self.inlined = self._inline(refused)

    def _inline(self, refused: AbstractSet[Value]) -> set[Value]:
        """Values that are written where they are read."""
        reads = Counter(value for step in self.steps for value in _reads(step))
        carried = {step.carried for step in self.steps if isinstance(step, Loop)}
        reader = {value: step for step in self.steps for value in _reads(step)}
        depth: dict[Value, int] = {}
        found: set[Value] = set()
        for step in self.steps:
            if isinstance(step, Loop) or len(step.writes) != 1:
                continue
            value = step.writes[0]
            depth[value] = 1 + max((depth[v] for v in step.reads if v in found), default=0)
            user = reader.get(value)
            if value in refused or value in carried or reads[value] != 1:
                continue
            if isinstance(user, Step) and _fits(step, user, depth[value]):
                found.add(value)
        return found

    def nested(self, step: Step) -> list[Value]:
        """The values written inside a statement."""
        found = [value for value in step.reads if value in self.inlined]
        return found + [v for value in found for v in self.nested(self.maker[value])]

    def _parts(self, step: Step) -> list[Value]:
        """What of a statement may get a line of its own: not all that there is, where it helps."""
        found = self.nested(step)
        whole = step.reads if not step.writes and len(step.reads) == 1 else ()
        return [value for value in found if value not in whole] or found

    def _all_reads(self, step: Step | Loop) -> list[Value]:
        """What a statement reads once nested steps are part of it."""
        found: list[Value] = []
        for value in _reads(step):
            found += self._all_reads(self.maker[value]) if value in self.inlined else [value]
        return found

    def expr(self, value: Value, names: Mapping[Value, str]) -> Expr:
        if value in self.inlined:
            return self.maker[value].render(lambda v: self.expr(v, names))
        if value in names:
            return Expr(names[value])
        atom = self.atoms(value)
        if atom is None:
            raise KeyError(f"`{value.name}` is not at hand")
        return atom

    def _write(self, depth: int) -> tuple[dict[Value, str], list[str], list[Step]]:
        """The names, the lines, and the statements that are too long."""
        statements = [s for s in self.steps if isinstance(s, Loop) or not self._is_inlined(s)]
        last = {v: i for i, s in enumerate(statements) for v in self._all_reads(s)}
        writer = _Writer(self, depth, last)
        for i, statement in enumerate(statements):
            writer.statement(i, statement)
        return writer.names, writer.lines, writer.full

    def _is_inlined(self, step: Step) -> bool:
        return len(step.writes) == 1 and step.writes[0] in self.inlined


class _Writer:
    """One attempt at the text: which names are taken changes from statement to statement."""

    def __init__(self, body: Body, depth: int, last: Mapping[Value, int]) -> None:
        self.body = body
        self.depth = depth
        self.last = last
        self.names: dict[Value, str] = dict(body.arguments)
        self.holder: dict[str, Value] = {name: value for value, name in body.arguments.items()}
        self.lines: list[str] = []
        self.full: list[Step] = []
        self.condition = ""
        self.comment = body.comment

    def statement(self, index: int, statement: Step | Loop) -> None:
        step = statement.step if isinstance(statement, Loop) else statement
        if step.condition and step.condition != self.condition:
            self.lines.append(f"{INDENT * self.depth}if {step.condition}:")
        self.condition = step.condition
        depth = self.depth + bool(step.condition)
        inside = [self.body.maker[value].comment for value in self.body.nested(step)]
        comment = next(filter(None, (step.comment, *inside)), "")
        if comment and comment != self.comment:
            self.lines.append(f"{INDENT * depth}# {comment}")
        self.comment = comment or self.comment
        if isinstance(statement, Loop):
            self._loop(index, statement, depth)
        else:
            self._step(index, statement, depth)

    def _step(self, index: int, step: Step, depth: int) -> None:
        piece = step.render(self._lookup).piece
        prefix = step.prefix
        if step.writes:
            prefix = f"{', '.join(self._name(index, v, n) for v, n in _wanted(step))} = "
        self._add(step, piece, depth, prefix)

    def _loop(self, index: int, loop: Loop, depth: int) -> None:
        step = loop.step
        held = self.names.get(loop.carried)
        if held is not None and self.last[loop.carried] <= index:
            name = held
        else:
            start = self._lookup(loop.carried).piece
            name = self._name(index, loop.result, step.names[0])
            self.lines += lay_out(start, depth, f"{name} = ")
        self.names[loop.result] = name
        self.holder[name] = loop.result
        names = {**self.names, loop.carried: name}
        expr = step.render(lambda value: self.body.expr(value, names))
        header = f"for _ in range({loop.count}):"
        if loop.items:
            item = _item_name(loop.items)
            while item in self.body.reserved or self._needed(item, index):
                item += "_"
            header = f"for {item} in {loop.items}:"
            assert not isinstance(expr.piece, str)
            expr = replace(expr, piece=replace(expr.piece, head=item + step.method))
        self.lines.append(f"{INDENT * depth}{header}")
        self._add(step, expr.piece, depth + 1, f"{name} = ")

    def _add(self, step: Step, piece: Piece, depth: int, prefix: str) -> None:
        lines = lay_out(piece, depth, prefix)
        if len(lines) > 1 or len(lines[0]) > WIDTH:
            self.full.append(step)
        self.lines += lines

    def _lookup(self, value: Value) -> Expr:
        return self.body.expr(value, self.names)

    def _name(self, index: int, value: Value, wanted: str) -> str:
        """A name that nothing needs from here on; the statement itself may still read it."""
        name, count = wanted, 1
        while name in self.body.reserved or self._needed(name, index):
            count += 1
            name = f"{wanted}_{count}"
        self.names[value] = name
        self.holder[name] = value
        return name

    def _needed(self, name: str, index: int) -> bool:
        held = self.holder.get(name)
        return held is not None and self.last.get(held, index + 1) > index


def _fits(step: Step, user: Step, depth: int) -> bool:
    """Whether a step of that depth may be written inside the step that reads it."""
    if step.condition != user.condition:
        return False
    if user.writes:
        return depth < DEEPEST and not step.alone
    return depth <= DEEPEST and (len(user.reads) == 1 or not step.alone)


def _reads(step: Step | Loop) -> tuple[Value, ...]:
    return step.step.reads if isinstance(step, Loop) else step.reads


def _wanted(step: Step) -> list[tuple[Value, str]]:
    return list(zip(step.writes, step.names, strict=True))
