"""What a legal graph is, as a table of named rules.

Run between passes under tests and with `--verify`: a pass that breaks a graph is then found at once
and by name, not three steps later in a backend.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from perceiver_graph.compiler.ir.dims import Dim, shape_of
from perceiver_graph.compiler.ir.graph import Graph, Value
from perceiver_graph.compiler.ir.op import PRIMITIVES
from perceiver_graph.compiler.ir.sizes import inputs_for, symbols_of
from perceiver_graph.compiler.ir.text import NAME

Form = Literal["lowered", "rewriting", "optimized", "program"]
"""As it comes from a spec; between passes; after all of them; a program."""

FORMS: frozenset[Form] = frozenset(get_args(Form))


class VerificationError(ValueError):
    """A graph that breaks rules; `broken` holds the rule's name and what breaks it, in order."""

    def __init__(self, graph: Graph, form: Form, broken: list[tuple[str, str]]) -> None:
        self.broken = broken
        lines = (f"  {rule}: {problem}" for rule, problem in broken)
        super().__init__("\n".join((f"graph `{graph.name}` is not legal ({form}):", *lines)))


def verify(graph: Graph, form: Form) -> None:
    """Raise VerificationError, listing everything that breaks a rule of the form."""
    broken = [
        (rule.name, problem)
        for rule in RULES
        if form in rule.forms
        for problem in rule.problems(graph)
    ]
    if broken:
        raise VerificationError(graph, form, broken)


@dataclass(frozen=True)
class Rule:
    """A property of legal graphs. `problems` yields a sentence for each place that breaks it."""

    name: str
    problems: Callable[[Graph], Iterator[str]]
    forms: frozenset[Form] = FORMS


def _defined(graph: Graph) -> Iterator[Value]:
    yield from (leaf.value for leaf in graph.inputs)
    yield from (leaf.value for leaf in graph.parameters)
    yield from (leaf.value for leaf in graph.constants)
    yield from (node.output for node in graph.nodes)


def _unique_names(graph: Graph) -> Iterator[str]:
    counts = Counter(value.name for value in _defined(graph))
    yield from (f"%{name} is defined {count} times" for name, count in counts.items() if count > 1)


def _plain_names(graph: Graph) -> Iterator[str]:
    names = [graph.name, *(value.name for value in _defined(graph)), *graph.outputs]
    names += ["/".join(scope) for scope in graph.blocks]
    yield from (f"`{name}` does not match {NAME}" for name in names if not re.fullmatch(NAME, name))


def _inputs_defined(graph: Graph) -> Iterator[str]:
    known = {value.name for value in _defined(graph)}
    for node in graph.nodes:
        for value in node.inputs:
            if value.name not in known:
                yield f"%{node.name} reads %{value.name}, which nothing defines"


def _topological_order(graph: Graph) -> Iterator[str]:
    position = {node.name: index for index, node in enumerate(graph.nodes)}
    for index, node in enumerate(graph.nodes):
        for value in node.inputs:
            if position.get(value.name, -1) >= index:
                yield f"%{node.name} comes before %{value.name}, which it reads"


def _same_value(graph: Graph) -> Iterator[str]:
    defined = {value.name: value for value in _defined(graph)}
    reads = [(f"%{node.name}", value) for node in graph.nodes for value in node.inputs]
    reads += [(f"output `{name}`", value) for name, value in graph.outputs.items()]
    for reader, value in reads:
        same = defined.get(value.name, value)
        if same.type != value.type:
            yield f"{reader} takes {value} but it is defined as {same.type}"
        elif same != value:
            yield f"{reader} takes a copy of {value}, not the value itself"


def _operands_named(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        if not node.op.accepts(node.inputs):
            named = ", ".join(node.op.operands) or "nothing"
            given = ", ".join(f"%{value.name}" for value in node.inputs) or "nothing"
            yield f"%{node.name} = {node.op} is given {given}, it reads {named}"


def _types_inferred(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        if not node.op.accepts(node.inputs):
            continue  # told by the rule of operands
        try:
            inferred = node.op.infer(*(value.type for value in node.inputs))
        except ValueError as error:
            yield f"%{node.name} = {node.op}: {error}"
            continue
        if inferred != node.output.type:
            yield f"%{node.name} = {node.op} gives {inferred}, recorded is {node.output.type}"


def _primitives_registered(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        if PRIMITIVES.get(node.op.name) is not type(node.op):
            yield f"%{node.name} is a `{node.op.name}`, which is not a primitive"


def _attributes_plain(graph: Graph) -> Iterator[str]:
    """IR text can write these and read them back, unlike subclasses such as np.float32."""

    def plain(attribute: object, kinds: tuple[type, ...]) -> bool:
        if type(attribute) is tuple:
            return all(plain(item, kinds) for item in attribute)
        return attribute is None or type(attribute) in kinds

    for node in graph.nodes:
        for key, attribute in node.op.attributes.items():
            kinds = (int, Dim) if key in node.op.sized else (bool, int, float, str)
            if not plain(attribute, kinds):
                yield f"%{node.name} has {key}={attribute!r} of {type(attribute).__name__}"


def _outputs_defined(graph: Graph) -> Iterator[str]:
    known = {value.name for value in _defined(graph)}
    if not graph.outputs:
        yield "the graph has no outputs"
    for name, value in graph.outputs.items():
        if value.name not in known:
            yield f"output `{name}` is %{value.name}, which nothing defines"


def _symbols_declared(graph: Graph) -> Iterator[str]:
    for name, symbol in graph.symbols.items():
        if name != symbol.name:
            yield f"symbol `{symbol.name}` is declared as `{name}`"
    used = [(f"{value}", value.shape) for value in _defined(graph)]
    used += [(f"%{node.name} = {node.op}", tuple(node.op.dims)) for node in graph.nodes]
    for user, dims in used:
        for symbol in symbols_of([dims]):
            if graph.symbols.get(symbol.name) != symbol:
                yield f"{user} uses {symbol}, which is not declared so"


def _constants_match(graph: Graph) -> Iterator[str]:
    for constant in graph.constants:
        data, value = constant.data, constant.value
        if str(data.dtype) != value.dtype or data.shape != value.shape:
            yield f"{value} holds {data.dtype}{list(data.shape)}"


def _parameters_fixed(graph: Graph) -> Iterator[str]:
    for leaf in graph.parameters:
        if not all(dim.is_constant for dim in leaf.value.shape):
            yield f"{leaf.value} has a size that is known only at run time"
        if leaf.value.dtype in ("int64", "bool"):
            yield f"{leaf.value} cannot be learned: it is not floating-point"


def _input_roles(graph: Graph) -> Iterator[str]:
    for leaf in graph.inputs:
        value, rank = leaf.value, leaf.value.type.rank
        if len(leaf.axes) != rank:
            yield f"{value} has {rank} axes but names {list(leaf.axes)}"
        if leaf.role == "present" and (value.dtype != "bool" or rank != 1):
            yield f"{value} should be bool[batch]: it says whether `{leaf.of}` is present"
        if leaf.role == "attention_mask" and (value.dtype != "bool" or rank < 1):
            yield f"{value} should be bool[batch, ...]: it says which tokens of `{leaf.of}` there are"
        if leaf.role == "queries" and (value.dtype != "int64" or rank != 1):
            yield f"{value} should be int64[count]: it holds positions of `{leaf.of}`"
        if leaf.role == "size" and (value.dtype != "int64" or value.shape != shape_of(1)):
            yield f"{value} should be int64[1]: it says what `{leaf.of}` stands for"
        if leaf.role in ("latents", "position") and (value.dtype != "int64" or rank != 1):
            yield f"{value} should be int64[count]: it holds places of `{leaf.of}`"
        if leaf.role == "points" and (value.dtype != "float32" or rank != 3):
            yield f"{value} should be float32[batch, count, channel]: points to ask `{leaf.of}` at"


def _blocks_exist(graph: Graph) -> Iterator[str]:
    """A scope of one word, such as `inputs`, may be a mere group of blocks."""
    for scope in dict.fromkeys(node.scope for node in graph.nodes):
        if len(scope) > 1 and scope not in graph.blocks:
            yield f"scope `{'/'.join(scope)}` has nodes but no block"


def _no_state(graph: Graph) -> Iterator[str]:
    for leaf in graph.inputs:
        if leaf.role == "state":
            yield f"{leaf.value} is a state, which only programs have"


def _nothing_dead(graph: Graph) -> Iterator[str]:
    needed = graph.ancestors(graph.outputs.values())
    computed = [leaf.value for leaf in graph.constants] + [node.output for node in graph.nodes]
    yield from (f"no output needs {value}" for value in computed if value not in needed)


def _no_unused_leaves(graph: Graph) -> Iterator[str]:
    needed = graph.ancestors(graph.outputs.values())
    inputs = inputs_for(graph.nodes, graph.inputs, needed)
    leaves = [leaf.value for leaf in graph.inputs if leaf not in inputs]
    leaves += [leaf.value for leaf in graph.parameters if leaf.value not in needed]
    yield from (f"no output needs {value}" for value in leaves)


def _sizes_said(graph: Graph) -> Iterator[str]:
    values = [leaf.value for leaf in graph.inputs]
    for leaf in inputs_for(graph.nodes, graph.inputs, values):
        if leaf.value not in values:
            yield f"no input says what `{leaf.of}` stands for: {leaf.value} is missing"


RULES: tuple[Rule, ...] = (
    # Structure
    Rule("names are unique", _unique_names),
    Rule("names are plain", _plain_names),
    Rule("inputs of nodes are defined", _inputs_defined),
    Rule("nodes are in topological order", _topological_order),
    Rule("outputs are defined", _outputs_defined),
    Rule("blocks exist for scopes", _blocks_exist),
    # Types
    Rule("a name stands for one value", _same_value),
    Rule("inferred types are the recorded ones", _types_inferred),
    Rule("symbols are declared", _symbols_declared),
    Rule("constants match their types", _constants_match),
    Rule("parameters have fixed sizes", _parameters_fixed),
    # Primitives
    Rule("primitives are registered", _primitives_registered),
    Rule("operands are those of the primitive", _operands_named),
    Rule("attributes are plain values", _attributes_plain),
    # Leaves
    Rule("inputs fit their roles", _input_roles),
    Rule("sizes are said", _sizes_said),
    # Forms
    Rule("there is no state before the split", _no_state, frozenset({"lowered"})),
    Rule("nothing is dead", _nothing_dead, frozenset({"optimized", "program"})),
    Rule("nothing is unused", _no_unused_leaves, frozenset({"program"})),
)
