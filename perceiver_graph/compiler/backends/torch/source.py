"""From the graph to the text of a Python file."""

from __future__ import annotations

from collections.abc import Callable

from perceiver_graph.compiler.backends.decompose import decomposed
from perceiver_graph.compiler.backends.torch import cache, generation
from perceiver_graph.compiler.backends.torch import text as py
from perceiver_graph.compiler.backends.torch.calls import cut
from perceiver_graph.compiler.backends.torch.class_text import ClassText
from perceiver_graph.compiler.backends.torch.copying import import_statements, needed
from perceiver_graph.compiler.backends.torch.interface import Interface
from perceiver_graph.compiler.backends.torch.lowerings import known
from perceiver_graph.compiler.backends.torch.modules import Model, build
from perceiver_graph.compiler.backends.torch.names import RESERVED, pascal, unique
from perceiver_graph.compiler.backends.torch.root import METHODS, Root
from perceiver_graph.compiler.backends.torch.sharing import find_classes, name_arguments
from perceiver_graph.compiler.backends.torch.simplify import simplify
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.programs.generation import Writing
from perceiver_graph.compiler.programs.phases import split

WEIGHTS = "weights.safetensors"


def source(
    graph: Graph,
    *,
    name: str,
    chunks: int = 1,
    header: str = "",
    interface: Interface = Interface(),  # noqa: B008 - it is frozen
    writing: Callable[[Graph], Writing | None] = lambda _: None,
) -> str:
    """The text of model.py for a lowered graph.

    `name` becomes the name of the root class, `header` the first line of the file. All positions are
    decoded in `chunks` parts, and put on the axes that the `interface` has for the output. `writing`
    says how the model goes on with a text, given the graph as it is written. The same graph gives the
    same text. Raises DiagnosticError (PG703) for a primitive of which nothing is known.
    """
    graph = simplify(decomposed(graph, known(), "torch"))
    programs = split(graph)
    parameters = [parameter.value.name for parameter in graph.parameters]
    encode, decode = (cut(programs[name], parameters) for name in ("encode", "decode"))
    going_on = writing(graph) or Writing("")
    writes = {
        name: cut(program, parameters, cache.found(program), cache.kept(program, going_on.output))
        for name, program in cache.within_blocks(going_on.programs).items()
    }
    methods = METHODS | generation.METHODS if writes else METHODS
    tree = build(graph.parameters, (encode, decode, *writes.values()), methods)
    model = Model(graph, encode, decode, tree, writes)
    root_name = unique(pascal(name), RESERVED, "")
    classes = find_classes(model, RESERVED | {root_name})
    reserved = frozenset({*RESERVED, root_name, *(made.name for made in classes)})
    text = ClassText(model, model.tree, {}, reserved)
    root = Root(root_name, text, interface, chunks, going_on)
    name_arguments(model, classes, root.labels)
    parts = [
        *(ClassText(model, x.slot, x.arguments[x.slot.path], reserved).written(x) for x in classes),
        [root.written()],
        [_load(root_name)],
    ]
    code = "\n\n\n".join("\n".join(py.printed(part)) for part in parts)
    code = "\n\n\n".join([*needed(code), code])
    head = "\n".join(py.docstring(_file_summary(root_name, header, model), 0))
    exports = f'__all__ = ["{root_name}", "load"]'
    return f"{head}\n\n{import_statements(code)}\n\n{exports}\n\n\n{code}\n"


def _load(name: str) -> py.Statement:
    """The function that reads the weights."""
    arguments = "directory: str | Path | None = None, device: str | torch.device | None = None"
    return (
        f"def load({arguments}) -> {name}:",
        py.Docstring(
            f"The model with {WEIGHTS} from a folder, by default the one this file lies in, or with\n"
            "the weights of a file that ends in .safetensors.\n\n"
            "It is in eval mode: call `model.train()` before training."
        ),
        "folder = Path(__file__).parent if directory is None else Path(directory)",
        f"model = {name}().eval()",
        f'path = folder if folder.suffix == ".safetensors" else folder / "{WEIGHTS}"',
        "model.load_state_dict(read_safetensors(path))",
        "return model if device is None else model.to(device)",
    )


def _file_summary(name: str, header: str, model: Model) -> str:
    title = header or model.graph.name
    data = [leaf.of for leaf in model.encode.graph.inputs if leaf.role == "data"]
    inputs = py.entries({of: of.replace(".", "_") for of in data})
    return f"""{title if title.endswith(".") else f"{title}."}

Written by perceiver-graph; it needs nothing but torch. `load()` reads the weights that lie
beside this file:

    model = load()
    outputs = model({inputs})

`{name}()` starts from random weights, ready to be trained."""
