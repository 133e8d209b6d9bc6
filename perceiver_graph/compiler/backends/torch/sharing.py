"""Decides which modules share a class: those that are written alike up to what their blocks declare.

Innermost modules first, so that a class knows the classes it is made of; then names from outside in,
so that arguments are called what callers call them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from perceiver_graph.compiler.backends.torch.calls import Call
from perceiver_graph.compiler.backends.torch.class_text import ClassText
from perceiver_graph.compiler.backends.torch.modules import Method, Model, ModuleClass, Number, Slot
from perceiver_graph.compiler.backends.torch.names import argument_names, parts_of, pascal, unique
from perceiver_graph.compiler.ir.graph import Value


def find_classes(model: Model, reserved: frozenset[str]) -> list[ModuleClass]:
    """The classes of all modules but the root, each after those it is made of.

    `reserved` are names that no class may have.
    """
    slots = [slot for slot in model.tree.walk() if slot.kind == "class" and slot.path]
    levels: dict[int, list[Slot]] = {}
    for slot in slots:
        levels.setdefault(slot.height, []).append(slot)
    found = [made for _, level in sorted(levels.items()) for made in _of_level(model, level)]
    _name(found, reserved)
    return sorted(found, key=lambda made: slots.index(made.slot))


def _of_level(model: Model, slots: Sequence[Slot]) -> Iterator[ModuleClass]:
    """The classes of modules of which none is inside another."""
    groups: dict[tuple[object, ...], list[Slot]] = {}
    methods: dict[str, dict[object, list[Call]]] = {}
    for slot in slots:
        names = {f"<{name}>": number for name, number in _declared(slot).items()}
        text = ClassText(model, slot, names, frozenset())
        for call in slot.calls:
            given = {value: f"x{i}" for i, value in enumerate(call.inputs)}
            # A linear map is written alike for one token and for many: their shapes are not.
            ranks = tuple(len(value.shape) for value in (*call.inputs, *call.outputs))
            written = (ranks, *text.body(Method("", [call]), given))
            methods.setdefault(slot.path, {}).setdefault(written, []).append(call)
        key = (_kind(slot), *text.members(), *methods.get(slot.path, ()))
        groups.setdefault(key, []).append(slot)
    for key, alike in groups.items():
        every = {slot.path: _declared(slot) for slot in alike}
        used = [name for name in _declared(alike[0]) if f"<{name}>" in str(key)]
        differing = [name for name in used if len({of[name] for of in every.values()}) > 1]
        arguments = {path: {name: of[name] for name in differing} for path, of in every.items()}
        calls = [
            [call for slot in alike for call in methods[slot.path][method]]
            for method in methods.get(alike[0].path, ())
        ]
        name = f"class_{len(model.classes)}"  # until all are known
        written_as = _methods(model, calls, arguments)
        made = ModuleClass(_kind(alike[0]), alike, written_as, arguments, name)
        model.classes |= dict.fromkeys((slot.path for slot in alike), made)
        model.methods |= {call: method for method in made.methods for call in method.calls}
        yield made


def _declared(slot: Slot) -> dict[str, Number]:
    """The numbers that the block of a module declares, under names that its members leave."""
    arguments = slot.calls[0].block.arguments if slot.calls else ()
    return {unique(name, slot.children): number for name, number in arguments}


def _kind(slot: Slot) -> str:
    return slot.calls[0].block.kind if slot.calls else pascal(parts_of(slot.path)[-1])


def _methods(
    model: Model, groups: Sequence[list[Call]], arguments: Mapping[str, Mapping[str, Number]]
) -> list[Method]:
    """The most extensive is `forward`; others prepare it or take up its results. What only the programs
    that write call has the name of the program."""

    def writes(calls: Sequence[Call]) -> str:
        found = [model.going_on.get(call, "") for call in calls]
        return found[0] if all(found) else ""

    whole = [calls for calls in groups if not writes(calls)]
    main = max(whole, key=lambda calls: len(list(calls[0].nodes)), default=None)
    found: dict[str, Method] = {}
    for calls in groups:
        word = "forward" if calls is main else "resume" if "forward" in found else "prepare"
        taken = [arguments[call.module] for call in calls]
        sizes = {tuple(str(of[name]) for of in taken): name for name in taken[0]}
        name = unique(writes(calls) or word, found)
        found[name] = Method(name, calls, sizes)
    return [*found.values()]


def _name(classes: Sequence[ModuleClass], reserved: frozenset[str]) -> None:
    """A kind alone where it is enough, else with the part of the path that tells it apart."""
    kinds: dict[str, list[ModuleClass]] = {}
    for found in classes:
        kinds.setdefault(pascal(found.kind), []).append(found)
    taken = set(reserved)
    for kind, members in kinds.items():
        for found in members:
            part = _telling_part(found, members) if len(members) > 1 else None
            found.name = unique(f"{pascal(part)}{kind}" if part else kind, taken, "")
            taken.add(found.name)


def _telling_part(found: ModuleClass, members: Sequence[ModuleClass]) -> str | None:
    """The first part of the paths that all modules of a class share and no other class has."""
    others = {
        p for other in members if other is not found for s in other.slots for p in parts_of(s.path)
    }
    shared = set.intersection(*(set(parts_of(slot.path)) for slot in found.slots))
    return next((part for part in parts_of(found.slot.path) if part in shared - others), None)


def name_arguments(
    model: Model, classes: Sequence[ModuleClass], roots: Mapping[Call, Mapping[Value, str]]
) -> None:
    """Name the arguments of all methods, after what the programs call their inputs."""
    callers: dict[Method, list[list[str]]] = {}

    def visit(text: ClassText, call: Call, names: Mapping[Value, str]) -> None:
        labels = text.labels(call, names)
        for item in call.items:
            if isinstance(item, Call):
                given = [labels.get(value) or text.leaf_name(value) for value in item.inputs]
                callers.setdefault(model.methods[item], []).append(given)

    root = ClassText(model, model.tree, {}, frozenset())
    for call, names in roots.items():
        visit(root, call, names)
    for found in reversed(classes):
        text = ClassText(model, found.slot, {}, frozenset())
        for method in found.methods:
            method.arguments = argument_names(method.call, callers[method])
            visit(text, method.call, dict(zip(method.call.inputs, method.arguments, strict=True)))
