"""What the cases of each folder of tests/cases show: one function a folder.

A case is a ```yaml block (a spec) or an ```ir block (a graph) and the ```text block after it. The
function registered for the folder turns the first into the second; what follows `yaml` on the line
of the fence comes as options (`set=a.b=1` is {"set": "a.b=1"}).
"""

from __future__ import annotations

import ast
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import unified_diff
from pathlib import Path
from textwrap import dedent
from typing import Any, get_args

import numpy as np

from perceiver_graph.compiler import driver
from perceiver_graph.compiler.driver import Compiled
from perceiver_graph.compiler.exporting import to_transformers
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.ir.parse import parse_graph
from perceiver_graph.compiler.ir.text import print_graph
from perceiver_graph.compiler.ir.verify import verify
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.compiler.passes import PASSES, PassResult
from perceiver_graph.compiler.weights import initialize
from perceiver_graph.compiler.weights.known_settings import DEFAULTS
from perceiver_graph.diagnostics import DiagnosticError, Format, render
from perceiver_graph.runtime.program import load
from perceiver_graph.spec import parse_spec
from tests.judge import judge
from tests.shape_table import parameter_list, shape_table

Options = Mapping[str, str]
Kind = Callable[[str, Options], str]

KINDS: dict[str, Kind] = {}


def kind(folder: str) -> Callable[[Kind], Kind]:
    """Register the function for the cases in `tests/cases/<folder>`."""

    def register(function: Kind) -> Kind:
        KINDS[folder] = function
        return function

    return register


@kind("diagnostics")
def diagnostics(yaml_text: str, options: Options) -> str:
    """What `check` prints. Options: `format`, and `set` for an override."""
    overrides = [options["set"]] if "set" in options else []
    format: Format = next(f for f in get_args(Format) if f == options.get("format", "full"))
    try:
        found = lower(parse_spec(yaml_text, "spec.yaml", overrides)).warnings
    except DiagnosticError as error:
        found = error.diagnostics
    return render(found, format) if found else "no errors\n"


@kind("generation")
def generation(yaml_text: str, options: Options) -> str:
    """How many tokens a model writes behind the ids 0, 1 and 2, of 3; or why it does not. Options:
    `text`, to go on with in their place; `scale`, what weights are multiplied by."""
    with tempfile.TemporaryDirectory() as folder:
        compiled = driver.compile(parse_spec(yaml_text, "spec.yaml"))
        drawn = initialize(compiled.graph, 0)
        weights = {name: x * np.float32(options.get("scale", 1)) for name, x in drawn.items()}
        compiled.save(Path(folder) / "out", weights=weights)
        program = load(Path(folder) / "out", device="cpu")
        begin: Any = options.get("text", [[0, 1, 2]])
        try:
            return f"{len(list(program.generate(begin, 3)))} tokens\n"
        except DiagnosticError as error:
            return render(error.diagnostics, "full")


@kind("shapes")
def shapes(yaml_text: str, options: Options) -> str:
    """Every shape of a spec; with the option `parameters`, a pattern, those parameters instead."""
    model = lower(parse_spec(yaml_text, "spec.yaml"))
    if "parameters" in options:
        return parameter_list(model, options["parameters"])
    return shape_table(model)


@kind("passes")
def passes(text: str, options: Options) -> str:
    """The notes of a pass, and the lines of the graph that it changed.

    `AssertionError` if the graph computes something else afterwards, whatever the text says. Options:
    `pass`; `cases=1,2` says which of the cases that the pass numbers are shown; `parameters=SEED`
    gives it values for the parameters; others are its settings.
    """
    graph = parse_graph(text)
    verify(graph, "rewriting")
    result, parameters = rewritten(graph, options)
    assert result.changed == (result.graph is not graph)
    judge(graph, result.graph, parameters)
    notes = (f"# {note}" for note in result.notes)
    return "\n".join((*notes, *difference(print_graph(graph), print_graph(result.graph))))


def rewritten(graph: Graph, options: Options) -> tuple[PassResult, Mapping[str, Array] | None]:
    """What the pass of a case makes of a graph, and the parameters that it was given."""
    settings = {key: ast.literal_eval(options[key]) for key in options if key not in OF_THE_CASE}
    if "parameters" in settings:
        settings["parameters"] = quarters(graph, settings["parameters"])
    return PASSES[options["pass"]](**settings).run(graph), settings.get("parameters")


OF_THE_CASE = ("pass", "cases")


def quarters(graph: Graph, seed: int) -> dict[str, Array]:
    """Values for parameters that can be read: -1.75, 0.5."""
    rng = np.random.default_rng(seed)
    values = np.array([n / 4 for n in range(-8, 9) if n], np.float32)
    return {
        leaf.value.name: rng.choice(values, [int(dim) for dim in leaf.value.shape])
        for leaf in graph.parameters
    }


def difference(before: str, after: str) -> Iterator[str]:
    """Lines that went or came, each stretch with the line before and after it, by section."""
    old, new = (
        {heading: lines for heading, *lines in (part.splitlines() for part in text.split("\n\n"))}
        for text in (before, after)
    )
    for heading in new | old:
        lines = unified_diff(old.get(heading, []), new.get(heading, []), n=1, lineterm="")
        for line in list(lines)[2:]:  # which name the files that there are not
            yield f"@@ {heading}" if line.startswith("@@") else line


@kind("exports")
def exports(yaml_text: str, options: Options) -> str:
    """The settings of transformers that say the same as a spec and are not their defaults, or why there
    are none. Options: `set` for an override."""
    overrides = [options["set"]] if "set" in options else []
    try:
        found = to_transformers(lower(parse_spec(yaml_text, "spec.yaml", overrides)), {})
    except DiagnosticError as error:
        return render(error.diagnostics)
    told = {k: v for k, v in found.config.items() if k not in DEFAULTS or DEFAULTS[k] != v}
    return "".join(f"{key} = {told[key]}\n" for key in told)


@kind("emit")
def emit(yaml_text: str, options: Options) -> str:
    """What a backend makes of a spec. Options: `torch=NAME,CLASS.METHOD` for these parts of its
    source; `onnx=encode` or `onnx=decode` for that program, `under=SCOPE` for the nodes of a scope."""
    compiled = Compiled(lower(parse_spec(yaml_text, "spec.yaml")))
    if "torch" in options:
        source = compiled.torch_source()
        found = definitions(source, ast.parse(source).body)
        return "\n\n\n".join(found[name] for name in options["torch"].split(",")) + "\n"
    from perceiver_graph.compiler.backends.onnx.emit import emit
    from perceiver_graph.compiler.backends.onnx.tensors import TensorStore
    from tests.onnx_listing import listing

    parameters = compiled.weights(seed=0)
    programs = compiled.programs(parameters)
    graph = programs["encode"] if options["onnx"] == "encode" else programs["decode"]
    return listing(emit(graph, parameters, TensorStore()), options.get("under"))


def definitions(source: str, body: Sequence[ast.stmt], prefix: str = "") -> dict[str, str]:
    """The text of every class, function and method by name, without the common indent."""
    found: dict[str, str] = {}
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            segment = ast.get_source_segment(source, node, padded=True) or ""
            found[prefix + node.name] = dedent(segment)
            if isinstance(node, ast.ClassDef):
                found |= definitions(source, node.body, f"{node.name}.")
    return found
