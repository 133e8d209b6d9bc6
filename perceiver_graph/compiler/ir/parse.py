"""IR text back to the graph that it is of."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from typing import Any, cast, get_args

import numpy as np

from perceiver_graph.compiler.ir.dims import Dim, Symbol
from perceiver_graph.compiler.ir.graph import (
    Block,
    Constant,
    Graph,
    Initializer,
    Input,
    Node,
    Parameter,
    Scope,
    Value,
)
from perceiver_graph.compiler.ir.op import PRIMITIVES, Array, DType, Op, TensorType
from perceiver_graph.compiler.ir.text import NAME, digest
from perceiver_graph.diagnostics.words import did_you_mean


def parse_graph(text: str, constants: Mapping[str, Array] | None = None) -> Graph:
    """The graph of a text, without the spec lines of its nodes.

    `constants` supplies by name the arrays that are not written out. `ValueError` with the line
    number for a text that is not a graph or an array that does not have the digest.
    """
    parser = _Parser(constants or {})
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            parser.line(line)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
    if not parser.name:
        raise ValueError("line 1: a graph starts with `graph <name>`")
    return parser.graph()


_STRING = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_FLAT = rf"""\((?:[^'"()]|{_STRING})*\)"""
_NESTED = rf"""\((?:[^'"()]|{_STRING}|{_FLAT})*\)"""
_SETTINGS = rf"""\((?:[^'"()]|{_STRING}|{_NESTED})*\)"""  # settings, a tuple, a tuple in that

_ITEM = re.compile(
    rf"(?P<name>%?{NAME}) = (?P<what>\w+)(?P<settings>{_SETTINGS})?"
    rf"(?P<operands> %{NAME}(?:, %{NAME})*)?(?: : (?P<type>\w+\[[^\]]*\]))?"
)
_OUTPUT = re.compile(rf"({NAME}) = %({NAME})")
_HEADER = re.compile(rf"({NAME}):")
_COMMENT = re.compile(rf"((?:[^'\"#]|{_STRING})*?)(?:\s*#.*)?")


class _Parser:
    """The graph read so far, one line after the other."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self.arrays = arrays
        self.name = ""
        self.section = ""
        self.scope: Scope = ()
        self.symbols: dict[str, Symbol] = {}
        self.values: dict[str, Value] = {}
        self.inputs: list[Input] = []
        self.parameters: list[Parameter] = []
        self.constants: list[Constant] = []
        self.blocks: dict[Scope, Block] = {}
        self.nodes: list[Node] = []
        self.outputs: dict[str, Value] = {}

    def graph(self) -> Graph:
        return Graph(
            self.name,
            self.symbols,
            tuple(self.inputs),
            tuple(self.parameters),
            tuple(self.constants),
            tuple(self.nodes),
            self.outputs,
            self.blocks,
        )

    def line(self, line: str) -> None:
        found = _COMMENT.fullmatch(line)
        content = found[1].rstrip() if found else line.rstrip()
        text = content.lstrip()
        depth = len(content) - len(text)
        if not text:
            return
        if depth == 0:
            self._heading(text)
        elif self.section == "nodes" and (header := _HEADER.fullmatch(text)):
            self.scope = tuple(header[1].split("/"))
        elif self.section == "outputs":
            self._output(text)
        elif self.section:
            if depth < 4:
                self.scope = ()
            self._item(text)
        else:
            raise ValueError(f"`{text}` belongs to no section")

    def _heading(self, text: str) -> None:
        if not self.name:
            found = re.fullmatch(rf"graph ({NAME})", text)
            if not found:
                raise ValueError(f"a graph starts with `graph <name>`, got `{text}`")
            self.name = found[1]
        elif text.removesuffix(":") in _READERS or text == "outputs:":
            self.section = text.removesuffix(":")
        else:
            sections = ", ".join((*_READERS, "outputs"))
            raise ValueError(f"`{text}` is not a section: expected one of {sections}, and a colon")

    def _output(self, text: str) -> None:
        found = _OUTPUT.fullmatch(text)
        if not found:
            raise ValueError(f"expected `name = %value`, got `{text}`")
        self.outputs[found[1]] = self._value(found[2])

    def _item(self, text: str) -> None:
        found = _ITEM.fullmatch(text)
        if not found:
            raise ValueError(f"expected `name = what(settings) operands : type`, got `{text}`")
        try:
            _READERS[self.section](self, found, _settings(found["settings"] or "()"))
        except (KeyError, TypeError) as error:
            raise ValueError(f"wrong settings of `{found['what']}`: {error}") from error

    def _symbol(self, item: re.Match[str], settings: dict[str, Any]) -> None:
        self.symbols[item["name"]] = Symbol(item["name"], **settings)

    def _input(self, item: re.Match[str], settings: dict[str, Any]) -> None:
        self.inputs.append(Input(self._define(item), **settings))

    def _parameter(self, item: re.Match[str], settings: dict[str, Any]) -> None:
        init = Initializer(settings.pop("init"), settings.pop("scale", 1.0))
        self.parameters.append(Parameter(self._define(item), init, **settings))

    def _constant(self, item: re.Match[str], settings: dict[str, Any]) -> None:
        value = self._define(item)
        shape = tuple(int(dim) for dim in value.shape)
        if "values" in settings:
            words = settings["values"].split()
            plain = [word == "True" for word in words] if value.dtype == "bool" else words
            data = np.array(plain, dtype=value.dtype).reshape(shape)
        elif value.name not in self.arrays:
            raise ValueError(f"constant `{value.name}` is not written out: supply its array")
        else:
            data = self.arrays[value.name]
            if digest(data) != settings["sha256"]:
                raise ValueError(f"the array for constant `{value.name}` has another digest")
        self.constants.append(Constant(value, data))

    def _block(self, item: re.Match[str], settings: dict[str, Any]) -> None:
        self.blocks[tuple(item["name"].split("/"))] = Block(item["what"], **settings)

    def _node(self, item: re.Match[str], settings: dict[str, Any]) -> None:
        operands = re.findall(rf"%({NAME})", item["operands"] or "")
        inputs = tuple(self._value(name) for name in operands)
        primitive = _primitive(item["what"])
        for name in primitive.sized:
            settings[name] = self._sizes(settings[name])
        op = primitive(**settings)
        self.nodes.append(Node(op, inputs, self._define(item), self.scope))

    def _define(self, item: re.Match[str]) -> Value:
        name = item["name"]
        if not name.startswith("%") or item["type"] is None:
            raise ValueError(f"expected `%{name.lstrip('%')} = ... : type`")
        name = name[1:]
        if name in self.values:
            raise ValueError(f"%{name} is defined twice")
        self.values[name] = Value(name, self._type(item["type"]))
        return self.values[name]

    def _type(self, text: str) -> TensorType:
        dtype, _, sizes = text.removesuffix("]").partition("[")
        if dtype not in get_args(DType):
            raise ValueError(f"`{dtype}` is not one of {', '.join(get_args(DType))}")
        shape = tuple(Dim.parse(size, self.symbols) for size in sizes.split(",") if sizes)
        return TensorType(shape, cast(DType, dtype))

    def _sizes(self, given: Any) -> Any:
        """Sizes of a primitive as it holds them: numbers, and what `Dim.parse` reads."""
        if isinstance(given, tuple):
            return tuple(map(self._sizes, given))
        return given if given is None else Dim.parse(str(given), self.symbols)

    def _value(self, name: str) -> Value:
        if name not in self.values:
            raise ValueError(
                f"%{name} is not defined before this line{_suggest(name, self.values)}"
            )
        return self.values[name]


_READERS = {
    "symbols": _Parser._symbol,
    "inputs": _Parser._input,
    "parameters": _Parser._parameter,
    "constants": _Parser._constant,
    "blocks": _Parser._block,
    "nodes": _Parser._node,
}


def _settings(text: str) -> dict[str, Any]:
    """`(axis=1, sizes=(2, None))` as a mapping."""
    try:
        call = ast.parse(f"_{text}", mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"`{text}` cannot be read: {error.msg}") from error
    if not isinstance(call, ast.Call) or call.args:
        raise ValueError(f"settings are written `key=value`, got `{text}`")
    return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}


def _primitive(name: str) -> type[Op]:
    if name not in PRIMITIVES:
        raise ValueError(f"`{name}` is not a primitive{_suggest(name, PRIMITIVES)}")
    return PRIMITIVES[name]


def _suggest(name: str, known: Iterable[str]) -> str:
    help = did_you_mean(name, known)
    return f": {help}" if help else ""
