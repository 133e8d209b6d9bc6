"""From the graph to the text of a Python file."""

from __future__ import annotations

from perceiver_graph.compiler.backends.torch.classes import ClassWriter
from perceiver_graph.compiler.backends.torch.copying import import_statements, library, needed
from perceiver_graph.compiler.backends.torch.interface import Interface
from perceiver_graph.compiler.backends.torch.names import RESERVED, pascal, unique
from perceiver_graph.compiler.backends.torch.printer import Group, docstring, lay_out
from perceiver_graph.compiler.backends.torch.regions import cut
from perceiver_graph.compiler.backends.torch.root import METHODS, RootWriter
from perceiver_graph.compiler.backends.torch.simplify import simplify
from perceiver_graph.compiler.backends.torch.structure import ClassDef, Structure
from perceiver_graph.compiler.backends.torch.tree import Slot, build
from perceiver_graph.compiler.ir import Graph, Value
from perceiver_graph.compiler.phases import split

_LOAD = '''
    """The model with {weights} from a folder, by default the one this file lies in."""
    folder = Path(__file__).parent if directory is None else Path(directory)
    model = {name}()
    model.load_state_dict(read_safetensors(folder / "{weights}"))
    return model if device is None else model.to(device)
'''


WEIGHTS = "weights.safetensors"


def source(
    graph: Graph,
    *,
    name: str,
    chunks: int = 1,
    header: str = "",
    weights: str = WEIGHTS,
    interface: Interface = Interface(),  # noqa: B008 - it is frozen
) -> str:
    """The text of model.py for a lowered graph.

    `name` becomes the name of the root class, `header` the first line of the file, and `weights` is
    the file that lies beside it. All positions are decoded in `chunks` parts, and put on the axes
    that the `interface` has for the output. The same graph gives the same text.
    """
    graph = simplify(graph)
    programs = split(graph)
    names = [parameter.value.name for parameter in graph.parameters]
    encode, decode = (cut(programs[name], names) for name in ("encode", "decode"))
    tree = build(graph.parameters, (encode, decode), METHODS)
    names_of_file = library().names | {"load"}
    root_name = unique(pascal(name), RESERVED | names_of_file, "")
    structure = Structure(tree, (encode, decode), names_of_file | {root_name})
    classes = _in_order(structure, tree)
    reserved = RESERVED | names_of_file | {root_name} | {found.name for found in classes}
    parts = ["\n".join(ClassWriter(structure, graph, found, reserved).lines()) for found in classes]
    members = ClassWriter(structure, graph, structure.root, reserved)
    root = RootWriter(root_name, graph, encode, decode, members, chunks, interface)
    parts.append("\n".join(root.lines()))
    parts.append("\n".join(_load(root_name, weights)))
    code = "\n\n\n".join(parts)
    code = "\n\n\n".join([*needed(code), code])
    head = "\n".join(docstring(_file_summary(root_name, header, graph), 0))
    exports = f'__all__ = ["{root_name}", "load"]'
    return f"{head}\n\n{import_statements(code)}\n\n{exports}\n\n\n{code}\n"


def _load(name: str, weights: str) -> list[str]:
    """The function that reads the weights."""
    arguments = ("directory: str | Path | None = None", "device: str | torch.device | None = None")
    signature = lay_out(Group("def load", arguments), 0, suffix=f" -> {name}:")
    return [*signature, *_LOAD.format(name=name, weights=weights).strip("\n").split("\n")]


def _in_order(structure: Structure, slot: Slot) -> list[ClassDef]:
    """Every class once, after the classes it is made of."""
    found: dict[int, ClassDef] = {}
    for child in slot.children.values():
        found |= {id(made): made for made in _in_order(structure, child)}
    if slot.path in structure.classes:
        made = structure.classes[slot.path]
        found.setdefault(id(made), made)
    return list(found.values())


def _file_summary(name: str, header: str, graph: Graph) -> str:
    title = header or graph.name
    lines = [
        title if title.endswith(".") else f"{title}.",
        "",
        "Written by perceiver-graph; it needs nothing but torch. `load()` reads the weights that lie",
        "beside this file:",
        "",
        "    model = load()",
        f"    outputs = model({{{', '.join(_example(graph))}}})",
        "",
        f"`{name}()` starts from random weights, ready to be trained.",
    ]
    return "\n".join(lines)


def _example(graph: Graph) -> list[str]:
    inputs = split(graph)["encode"].inputs
    return [f'"{leaf.of}": {_variable(leaf.value)}' for leaf in inputs if leaf.role == "data"]


def _variable(value: Value) -> str:
    return value.name.replace(".", "_")
