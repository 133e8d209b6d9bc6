"""Decides which modules share a class: those that are equal up to sizes and names from outside.

Innermost modules first, so that a class knows the classes it is made of. Sizes in which its modules
differ become arguments of the class.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby

from perceiver_graph.compiler.backends.torch.expressions import op_key, sizes_of
from perceiver_graph.compiler.backends.torch.extents import Extent, Reading, text_of
from perceiver_graph.compiler.backends.torch.names import MODULE_ATTRIBUTES, pascal, unique
from perceiver_graph.compiler.backends.torch.printer import Expr
from perceiver_graph.compiler.backends.torch.regions import (
    ROOT,
    Program,
    Region,
    relative,
)
from perceiver_graph.compiler.backends.torch.tree import Size, Slot
from perceiver_graph.compiler.ir import Constant, Input, Node, Parameter, Value

MOST_ARGUMENTS = 6
"""A class with more arguments than this is harder to read than several classes."""

Place = tuple[Hashable, ...]
"""Where in a class a size stands, the same for all modules of the class."""


@dataclass(eq=False)
class Method:
    """Regions of one structure at the modules of a class, and the method they become."""

    name: str
    regions: list[Region]

    @property
    def region(self) -> Region:
        """The one whose names the method has."""
        return self.regions[0]


@dataclass(eq=False)
class ClassDef:
    """A class: the modules it stands for, the first of which lends its names, and its arguments."""

    name: str
    slots: list[Slot]
    methods: list[Method]
    arguments: dict[str, list[int | float]]
    """The value of each argument for each of the modules."""
    texts: Mapping[Place, str]
    """What is written at each size: a number or the name of an argument."""

    @property
    def slot(self) -> Slot:
        return self.slots[0]

    @property
    def kind(self) -> str:
        return _kind(self.slot)

    def arguments_at(self, slot: Slot) -> dict[str, int | float]:
        index = self.slots.index(slot)
        return {name: values[index] for name, values in self.arguments.items()}


@dataclass
class Structure:
    """All classes of a file; `programs` in the order in which their regions name methods."""

    tree: Slot
    programs: Sequence[Program]
    reserved: frozenset[str] = frozenset()
    """Names that no class may have."""
    classes: dict[str, ClassDef] = field(default_factory=dict)
    """By the path of each module that is of a class."""

    _keys: dict[Region, Hashable] = field(default_factory=dict)
    _lists: dict[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        slots = [slot for slot in self.tree.walk() if slot.kind == "class" and slot.path]
        height: dict[str, int] = {}
        for slot in reversed(list(self.tree.walk())):  # children before parents
            inner = max((height[child.path] for child in slot.children.values()), default=0)
            height[slot.path] = inner + (slot.kind == "class")
        for _, level in groupby(
            sorted(slots, key=lambda s: height[s.path]), lambda s: height[s.path]
        ):
            groups: dict[Hashable, list[Slot]] = {}
            for slot in level:
                groups.setdefault(self._key(slot), []).append(slot)
            for group in groups.values():
                self._define(group)
        self.root = self._single([self.tree], self._sizes(self.tree))
        self._name_classes()

    @cached_property
    def program_of(self) -> Mapping[Region, Program]:
        return {region: p for p in self.programs for region in p.root.regions}

    @cached_property
    def leaves(self) -> Mapping[Value, Input | Parameter | Constant]:
        return {value: leaf for p in self.programs for value, leaf in p.graph.leaves.items()}

    def method_of(self, region: Region) -> str:
        """The method that a region has become."""
        for method in self.classes[region.module].methods:
            if region in method.regions:
                return method.name
        raise KeyError(region.module)

    def is_uniform(self, items: Slot) -> bool:
        """Whether a list is of modules of one class."""
        if items.path not in self._lists:
            classes = {id(self.classes.get(child.path)) for child in items.children.values()}
            same = all(child.kind == "class" for child in items.children.values())
            self._lists[items.path] = items.kind == "list" and len(classes) == 1 and same
        return self._lists[items.path]

    def known_nodes(self, slot: Slot) -> list[Node]:
        """What a module computes when it is made, in order."""
        needed: dict[Node, None] = {}
        for region in slot.regions:
            program = self.program_of[region]
            if values := program.known_values(region):
                wanted = program.graph.ancestors(values)
                needed |= dict.fromkeys(n for n in program.graph.nodes if n.output in wanted)
        return list({node.output: node for node in needed}.values())

    def known_values(self, slot: Slot) -> list[Value]:
        """The results of that which its methods read: its buffers."""
        found = (self.program_of[region].known_values(region) for region in slot.regions)
        return list(dict.fromkeys(value for values in found for value in values))

    def _define(self, slots: list[Slot]) -> None:
        sizes = [self._sizes(slot) for slot in slots]
        found = self._single(slots, *sizes)
        if len(found.arguments) <= MOST_ARGUMENTS:
            for slot in slots:
                self.classes[slot.path] = found
            return
        alike: dict[Hashable, list[int]] = {}
        for i, places in enumerate(sizes):
            alike.setdefault(tuple((p, size.value) for p, size in places.items()), []).append(i)
        for members in alike.values():
            single = self._single([slots[i] for i in members], *(sizes[i] for i in members))
            for i in members:
                self.classes[slots[i].path] = single

    def _single(self, slots: list[Slot], *sizes: dict[Place, Size]) -> ClassDef:
        """One class for all the slots."""
        arguments: dict[str, list[int | float]] = {}
        texts: dict[Place, str] = {}
        taken = {*MODULE_ATTRIBUTES, *slots[0].children}
        for place, size in sizes[0].items():
            values = [other[place].value for other in sizes]
            if len(set(values)) == 1:
                texts[place] = repr(values[0])
                continue
            name = next((n for n, known in arguments.items() if known == values), None)
            if name is None:
                name = unique(size.hint, taken | set(arguments))
                arguments[name] = values
            texts[place] = f"self.{name}" if place[0] == "op" else name
        return ClassDef("", slots, self._methods(slots), arguments, texts)

    def _methods(self, slots: list[Slot]) -> list[Method]:
        """The most extensive structure is `forward`; others prepare it or take up its results."""
        found: dict[Hashable, list[Region]] = {}
        for slot in slots:
            for region in slot.regions:
                found.setdefault(self._region_key(region), []).append(region)
        groups = list(found.values())
        if not groups or not slots[0].path:
            return []
        main = max(groups, key=lambda group: len(list(group[0].nodes)))
        methods, taken, word = [], {"forward", *slots[0].children}, "prepare"
        for group in groups:
            if group is main:
                name, word = "forward", "resume"
            else:
                name = unique(word, taken)
            taken.add(name)
            methods.append(Method(name, group))
        return methods

    def _key(self, slot: Slot) -> Hashable:
        """What the modules of a class have in common."""
        methods = tuple(dict.fromkeys(map(self._region_key, slot.regions)))
        members = tuple(self._member_key(child) for child in slot.children.values())
        return _kind(slot), methods, members, self._known_key(slot)

    def _member_key(self, slot: Slot) -> Hashable:
        match slot.kind:
            case "parameter":
                assert slot.parameter is not None
                leaf = slot.parameter
                start = leaf.init if not leaf.trainable else None
                return slot.name, leaf.value.type.rank, leaf.value.dtype, start, slot.unread
            case "layer":
                assert slot.layer is not None
                layer = slot.layer
                return slot.name, layer.head, layer.options, op_key(layer.op)
            case "class":
                return slot.name, id(self.classes[slot.path])
            case _:
                return slot.name, tuple(map(self._member_key, slot.children.values()))

    def _region_key(self, region: Region) -> Hashable:
        if region not in self._keys:
            self._keys[region] = self._new_region_key(region)
        return self._keys[region]

    def _new_region_key(self, region: Region) -> Hashable:
        """The items of a region, values by the order in which they come up."""
        numbers = {value: i for i, value in enumerate(region.inputs)}
        program = self.program_of[region]

        def reference(value: Value) -> Hashable:
            if value in numbers:
                return numbers[value]
            if value in program.known:
                return "known", known.setdefault(value, len(known))
            return "parameter", relative(value.name, region.module)

        def number(extent: Extent) -> Expr:
            return Expr(f"size_{numbers[extent]}")

        known: dict[Value, int] = {}
        items: list[Hashable] = []
        for item in region.items:
            read = tuple(map(reference, item.inputs))
            if isinstance(item, Node):
                ranks = tuple(value.type.rank for value in item.inputs)
                extents = region.extents[item.output]
                key = op_key(item.op, lambda dim, own=extents: text_of(dim, own, number))  # type: ignore[misc]
                items.append((key, read, ranks))
                numbers[item.output] = len(numbers)
            elif isinstance(item, Reading):
                items.append((replace(item.place, of=""), read))
                numbers[item.output] = len(numbers)
            else:
                name = self.method_of(item)
                items.append((relative(item.module, region.module), name, read, len(item.outputs)))
                numbers |= {value: len(numbers) + i for i, value in enumerate(item.outputs)}
        types = tuple((value.type.rank, value.dtype) for value in region.inputs)
        return types, tuple(items), tuple(map(reference, region.outputs))

    def _known_key(self, slot: Slot) -> Hashable:
        """What is computed when the module is made; constants by their bytes."""
        nodes = self.known_nodes(slot)
        numbers = {node.output: i for i, node in enumerate(nodes)}

        def reference(value: Value) -> Hashable:
            leaf = self.leaves.get(value)
            if isinstance(leaf, Constant):
                return leaf.data.dtype.name, leaf.data.shape, leaf.data.tobytes()
            return numbers[value]

        items = tuple((op_key(node.op), tuple(map(reference, node.inputs))) for node in nodes)
        return items, tuple(map(reference, self.known_values(slot)))

    def _sizes(self, slot: Slot) -> dict[Place, Size]:
        """Every size in the text of a module's class, by where it stands."""
        found: dict[Place, Size] = {}
        for child in slot.children.values():
            found |= self._member_sizes(slot, child)
        for m, region in enumerate(self._distinct(slot)):
            for i, item in enumerate(region.items):
                if isinstance(item, Node):
                    found |= {("op", m, i, key): s for key, s in sizes_of(item.op).items()}
        for k, node in enumerate(self.known_nodes(slot)):
            found |= {("known", k, key): size for key, size in sizes_of(node.op).items()}
        return found

    def _distinct(self, slot: Slot) -> Iterator[Region]:
        """The first region of each method, in the order of the methods."""
        found: dict[Hashable, Region] = {}
        for region in slot.regions:
            found.setdefault(self._region_key(region), region)
        yield from found.values()

    def _member_sizes(self, owner: Slot, slot: Slot) -> dict[Place, Size]:
        path = relative(slot.path, owner.path)
        match slot.kind:
            case "parameter":
                assert slot.parameter is not None
                return {
                    ("parameter", path, axis): Size(int(dim), _axis_hint(slot.parameter, axis))
                    for axis, dim in enumerate(slot.parameter.value.shape)
                }
            case "layer":
                assert slot.layer is not None
                return {("layer", path, i): size for i, size in enumerate(slot.layer.sizes)}
            case "class":
                arguments = self.classes[slot.path].arguments_at(slot)
                return {("child", path, name): Size(v, name) for name, v in arguments.items()}
            case _:
                found: dict[Place, Size] = {}
                for child in slot.children.values():
                    found |= self._member_sizes(owner, child)
                return found

    def _name_classes(self) -> None:
        """A kind alone where it is enough, else with the part of the path that tells it apart."""
        self.root.name = ROOT
        definitions = list({id(found): found for found in self.classes.values()}.values())
        kinds: dict[str, list[ClassDef]] = {}
        for found in definitions:
            kinds.setdefault(pascal(found.kind), []).append(found)
        taken = set(self.reserved)
        for kind, members in kinds.items():
            for found in members:
                part = _telling_part(found, members) if len(members) > 1 else None
                found.name = unique(f"{pascal(part)}{kind}" if part else kind, taken, "")
                taken.add(found.name)


def _axis_hint(parameter: Parameter, axis: int) -> str:
    name = parameter.value.name.rpartition(".")[2]
    is_last = axis == parameter.value.type.rank - 1
    return f"{name}_width" if is_last else f"{name}_count"


def _telling_part(found: ClassDef, members: Sequence[ClassDef]) -> str | None:
    """The first part of the paths that all modules of a class share and no other class has."""
    others = {p for other in members if other is not found for s in other.slots for p in _parts(s)}
    shared = set.intersection(*(set(_parts(slot)) for slot in found.slots))
    return next((part for part in _parts(found.slot) if part in shared - others), None)


def _kind(slot: Slot) -> str:
    return slot.regions[0].block.kind if slot.regions else pascal(_parts(slot)[-1])


def _parts(slot: Slot) -> list[str]:
    return [part for part in slot.path.split(".") if not part.isdigit()]
