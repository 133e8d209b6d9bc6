"""What `diff` shows, as data: in what two specs differ, from their keys to their costs.

It knows no key, no operator and no input by name: what is new in any of them is compared as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, reduce
from typing import Any, TypeVar

from perceiver_graph.cli.inspection import Inspection
from perceiver_graph.cli.tensors import Tensors
from perceiver_graph.compiler.artifact import describe
from perceiver_graph.compiler.ir.graph import Graph, Value
from perceiver_graph.compiler.ir.op import Op, TensorType, written
from perceiver_graph.compiler.ir.text import same_structure, without_starts
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.compiler.lowering.lowered import Lowered
from perceiver_graph.compiler.ops import Dropout
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.spec.changes import Change, changes
from perceiver_graph.spec.loader import load_spec
from perceiver_graph.spec.programs import ASKED
from perceiver_graph.spec.render import resolved_data

K = TypeVar("K")
V = TypeVar("V")

TRIES = 6
"""How many keys that one spec leaves out are tried one by one."""


@dataclass(frozen=True)
class Shape:
    """What an array is in both specs; None where one has no such array."""

    of: str
    a: str | None
    b: str | None


@dataclass(frozen=True)
class Figure:
    """A cost of both specs; None where one has nothing that costs it."""

    of: str
    """A phase, `run` for a run that answers every query, `parameters`."""
    figure: str
    a: int | None
    b: int | None


@dataclass(frozen=True)
class Reading:
    """An attribute that operators of one kind, at the same places of both graphs, have otherwise."""

    op: str
    attribute: str
    """Empty where it is another operator."""
    a: str
    b: str
    nodes: tuple[str, ...]
    """Their names: of parameters, where it is how these start."""


@dataclass(frozen=True)
class Comparison:
    """Two lowered specs, each with what `inspect` says of it."""

    a: Inspection
    b: Inspection

    @classmethod
    def of(cls, a: Lowered, b: Lowered) -> Comparison:
        """The comparison of two specs."""
        return cls(Inspection(a, a.graph), Inspection(b, b.graph))

    @property
    def is_equal(self) -> bool:
        """Whether there is no difference of any kind."""
        return not self.settings and _are_equal(self.a.graph, self.b.graph)

    @cached_property
    def same_results(self) -> bool:
        """Whether both compute the same from the same weights, however these start and are trained."""
        return _are_equal(*(_as_run(one.graph) for one in self._both))

    @cached_property
    def settings(self) -> tuple[Change, ...]:
        """Keys that do not resolve to the same value. What the spec leaves out has the value that it
        stands for; where that is nothing, it is no difference to say what does nothing."""
        a, b = (resolved_data(one.document.spec, one.derived) for one in self._both)
        found = list(changes(a, b))
        tried = [one for one in found if _may_be_idle(one)]
        idle = _idle(self.a.lowered, a, tried)
        back = _idle(self.b.lowered, b, [one.back for one in idle])
        return tuple(one for one in found if one not in idle or one.back not in back)

    @property
    def _both(self) -> tuple[Lowered, Lowered]:
        return self.a.lowered, self.b.lowered

    def is_derived(self, change: Change) -> bool:
        """Whether both specs leave it open, so that it follows from other keys."""
        declared = (one.document.spec.model_dump(exclude_none=True) for one in self._both)
        return None not in (change.a, change.b) and not any(
            _says(data, change.path) for data in declared
        )

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """Arrays of other shapes or types, from what a caller gives to what comes out."""
        return tuple(Shape(*one) for one in _pairs(*(dict(_shapes(one)) for one in self._both)))

    @cached_property
    def operations(self) -> tuple[Reading, ...]:
        """Attributes of operators, and how parameters start, that no key says in these words: what a
        `dialect` stands for."""
        found: dict[tuple[str, str, str, str], list[str]] = {}
        for name, op, attribute, a, b in _readings(self.a.graph, self.b.graph):
            if not self._is_said(attribute, a, b):
                found.setdefault((op, attribute, _text(a), _text(b)), []).append(name)
        return tuple(Reading(*key, tuple(names)) for key, names in found.items())

    def _is_said(self, attribute: str, a: Any, b: Any) -> bool:
        """Whether a key of the same name says it: `norm_epsilon` for `epsilon`."""
        return any(
            attribute and attribute in one.key and (one.a, one.b) == (a, b) for one in self.settings
        )

    @cached_property
    def tensors(self) -> Tensors:
        """Which parameters carry over."""
        return Tensors(*({p.value.name: p for p in one.graph.parameters} for one in self._both))

    @cached_property
    def costs(self) -> tuple[Figure, ...]:
        """FLOPs and bytes of the graphs as lowered that differ."""
        found = _pairs(_costs(self.a), _costs(self.b))
        return tuple(Figure(*of, a, b) for of, a, b in found)

    def as_json(self) -> dict[str, Any]:
        """Everything as plain data, `null` where one of them has nothing of the kind."""
        return {
            "equal": self.is_equal,
            "same_results": self.same_results,
            "same_tensors": self.tensors.are_the_same,
            "settings": [
                {
                    "key": one.key,
                    "a": one.a,
                    "b": one.b,
                    "order": one.is_order,
                    "derived": self.is_derived(one),
                }
                for one in self.settings
            ],
            "shapes": [asdict(one) for one in self.shapes],
            "operations": [asdict(one) for one in self.operations],
            "parameters": self.tensors.as_json(),
            "costs": [asdict(one) for one in self.costs],
        }


def _are_equal(a: Graph, b: Graph) -> bool:
    """Whether graphs are the same but for what the model is called and where the spec says it."""
    return same_structure(replace(a, name="a"), replace(b, name="a"))


def _are_the_same(a: Lowered, b: Lowered) -> bool:
    """Whether models compute the same, and ask for and give the same: names and media too."""
    entries = ([describe.input_entries(one), describe.output_entries(one)] for one in (a, b))
    return _are_equal(a.graph, b.graph) and next(entries) == next(entries)


def _idle(lowered: Lowered, data: Any, tried: Sequence[Change]) -> Sequence[Change]:
    """Those of some changes of a resolved spec that make no other model of it."""

    def are_idle(some: Iterable[Change]) -> bool:
        try:
            other = lower(load_spec(reduce(lambda made, one: one.made(made), some, data)))
        except DiagnosticError:
            return False
        return _are_the_same(other, lowered)

    if not tried or are_idle(tried):
        return tried
    return [one for one in tried if are_idle([one])] if 1 < len(tried) <= TRIES else ()


def _may_be_idle(change: Change) -> bool:
    """Whether it may say what holds anyway: a default that has no value of its own, or an order of
    keys that means nothing."""
    return change.is_order or None in (change.a, change.b)


def _says(data: Any, path: Sequence[str | int]) -> bool:
    """Whether there is a value at a path, or one that stands for all that is below it."""
    for key in path:
        if isinstance(data, Mapping):
            if key not in data:
                return False
            data = data[key]
        elif isinstance(data, list):
            data = data[int(key)]
    return True


def _as_run(graph: Graph) -> Graph:
    """The graph as a program computes it, from whatever weights: no dropout, which is for training."""
    kept: dict[Value, Value] = {}
    nodes = []
    for node in graph.nodes:
        inputs = tuple(kept.get(value, value) for value in node.inputs)
        if isinstance(node.op, Dropout):
            (kept[node.output],) = inputs
        else:
            nodes.append(replace(node, inputs=inputs))
    outputs = {name: kept.get(value, value) for name, value in graph.outputs.items()}
    return without_starts(replace(graph, nodes=tuple(nodes), outputs=outputs))


def _pairs(a: Mapping[K, V], b: Mapping[K, V]) -> Iterator[tuple[K, V | None, V | None]]:
    """What has not the same value in both, None where it has none."""
    for key in dict.fromkeys((*a, *b)):
        if a.get(key) != b.get(key):
            yield key, a.get(key), b.get(key)


def _shapes(lowered: Lowered) -> Iterator[tuple[str, str]]:
    for leaf in lowered.graph.inputs:
        if leaf.role not in ASKED:
            yield f"input {leaf.value.name}", str(leaf.value.type)
    for name, modality in lowered.modalities.items():
        yield f"tokens of {name}", _array(modality.count, modality.channels)
    yield "tokens joined", _array(*lowered.input_array)
    yield "latents", _array(*lowered.latents)
    yield "places", ", ".join(f"{axis.name} {axis.size}" for axis in lowered.places) or "none"
    for name, output in lowered.outputs.items():
        yield f"queries of {name}", str(output.queries)
    yield "queries in a chunk", _array(*lowered.query_array)
    for name, output in lowered.outputs.items():
        sizes = ", ".join(str(size) for size in (*(a.size for a in output.axes), output.channels))
        yield f"output {name}", f"float32[batch, {sizes}]"


def _array(count: object, width: int) -> str:
    return f"{count} x {width}"


def _readings(a: Graph, b: Graph) -> Iterator[tuple[str, str, str, Any, Any]]:
    """What nodes and parameters of the same name are otherwise: name, operator, attribute, values.
    Sizes are left out: shapes say them."""
    others = {node.name: node for node in b.nodes}
    for node in a.nodes:
        other = others.get(node.name)
        if other is None or other.output.type.rank != node.output.type.rank:
            continue
        if type(other.op) is not type(node.op):
            yield node.name, "operator", "", node.op, other.op
            continue
        for attribute, value in node.op.attributes.items():
            theirs = getattr(other.op, attribute)
            sizes = _is_a_size(value, node.output.type) and _is_a_size(theirs, other.output.type)
            if value != theirs and attribute not in node.op.sized and not sizes:
                yield node.name, node.op.name, attribute, value, theirs
    starts = {leaf.value.name: leaf.init for leaf in b.parameters}
    for leaf in a.parameters:
        init = starts.get(leaf.value.name, leaf.init)
        for attribute, value in asdict(leaf.init).items():
            if value != (theirs := getattr(init, attribute)):
                yield leaf.value.name, "initial value", attribute, value, theirs


def _text(attribute: Any) -> str:
    return str(attribute) if isinstance(attribute, Op | str) else written(attribute)


def _is_a_size(value: Any, of: TensorType) -> bool:
    return type(value) is int and value in of.shape


def _costs(inspection: Inspection) -> dict[tuple[str, str], int]:
    costs, graph = inspection.after, inspection.graph
    found = {("parameters", "bytes"): 4 * graph.parameter_count}
    for phase, cost in costs.phases.items():
        found[phase, "flops"] = cost.flops
        found[phase, "weight_bytes"] = cost.weight_bytes
        found[phase, "peak_bytes_with_scores"] = cost.peak_bytes_with_scores
    found["run", "flops"] = costs.flops
    found["run", "weight_bytes"] = costs.read
    found["run", "peak_bytes"] = inspection.plan.peak
    return found
