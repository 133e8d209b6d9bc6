"""Variables of emitted files hide nothing of the file and nothing of Python, whatever a spec names."""

from __future__ import annotations

import ast
import builtins
import keyword

import perceiver_graph as pg
from perceiver_graph.compiler.backends.torch.copying import library
from perceiver_graph.spec.loader import parse_spec

SPEC = """
perceiver: 1
name: names
dims: {SYMBOL: {max: 9}, GIVEN: {max: 4}}
inputs:
  INPUT: {shape: {time: 2 * SYMBOL, channel: 2}, attention_mask: true, mask: optional,
          position: {given: [x], fourier: {bands: 1, max_resolution: 8}}}
  other: {shape: {time: SYMBOL, channel: 2}, position: {fourier: {bands: 2}}}
join: {padding: {min: 1}}
latents: {count: 2, width: 8}
process: {layers: 1, heads: 1}
decode: {padding: {min: 1}, chunks: 2}
outputs:
  OUTPUT: {query: {grid: {place: SYMBOL + GIVEN, step: GIVEN}, position: {fourier: {bands: 1}}},
           head: {linear: 2}}
  asked: {query: {points: [u], position: {fourier: {bands: 1, max_resolution: 4}}}}
  again: {query: {inputs: other}, head: {linear: 3}}
"""
PLAIN = {"SYMBOL": "n", "GIVEN": "k", "INPUT": "record", "OUTPUT": "answer"}
OF_PYTHON = {"class", "def", "lambda", "len", "map", "max", "print", "range", "super", "tuple"}


def text(*names: str) -> str:
    found = SPEC
    for word, name in zip(PLAIN, names or PLAIN.values(), strict=True):
        found = found.replace(word, name)
    return pg.compile(parse_spec(found)).torch_source()


def names() -> list[str]:
    """All that the class of the model names, and what the library has."""
    root = ast.parse(text()).body[-2]
    assert isinstance(root, ast.ClassDef)
    found = {node.id for node in ast.walk(root) if isinstance(node, ast.Name)}
    found |= {node.arg for node in ast.walk(root) if isinstance(node, ast.arg)}
    found |= library().names | OF_PYTHON
    return sorted(x for x in found if x.islower() and x[0].isalpha() and x not in TAKEN)


TAKEN = {"batch", "latents", "other", "asked", "again", "n", "k", "record", "answer"}


def hidden(code: str) -> set[str]:
    """Variables of methods that are called like something of the file, or of Python."""
    tree = ast.parse(code)
    outside = {*dir(builtins), *keyword.kwlist}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            outside.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            outside |= {found.asname or found.name for found in node.names}
    classes = (node for node in tree.body if isinstance(node, ast.ClassDef))
    inside = [node for found in classes for node in ast.walk(found)]
    own = {node.arg for node in inside if isinstance(node, ast.arg)}
    own |= {x.id for x in inside if isinstance(x, ast.Name) and isinstance(x.ctx, ast.Store)}
    return own & outside


def test_the_property_can_fail() -> None:
    assert hidden("import torch\nclass A:\n    def f(self, torch):\n        len = 1") == {
        "torch",
        "len",
    }


def test_no_variable_hides_what_a_file_uses() -> None:
    """With each name as a symbol, as one that is given, as an input and as an output."""
    every = names()
    assert {"fourier_at", "given_beside", "inputs", "len", "shared_size", "torch"} <= set(every)
    rows = (every[i:] + every[:i] for i in range(len(PLAIN)))
    assert {row: found for row in zip(*rows, strict=True) if (found := hidden(text(*row)))} == {}
