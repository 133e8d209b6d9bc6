"""What the docstrings of the root class say of its two phases: shapes, and what may be left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perceiver_graph.compiler.backends.torch.interface import Interface, permitted
from perceiver_graph.compiler.backends.torch.sizing import Sizes
from perceiver_graph.compiler.dims import Symbol
from perceiver_graph.compiler.ir import Graph, Input, Value


@dataclass(frozen=True)
class Summary:
    """`state` is what encode hands over, with its keys, `queries` what is asked of decode."""

    state: Mapping[Value, str]
    queries: Sequence[Input]
    sizes: Sizes

    def encode(self, graph: Graph, encode: Graph) -> str:
        """Of the encode program of a graph."""
        inputs = [leaf for leaf in encode.inputs if leaf.role == "data"]
        given = ", ".join(f"{leaf.of} {_shape(leaf.value)}" for leaf in inputs)
        made = [f"{name} {_shape(value)}" for value, name in self.state.items()]
        made += self.sizes.handed_over
        lines = [f"{given} -> {', '.join(made)}."]
        optional = [leaf.of for leaf in encode.inputs if leaf.role == "present"]
        if optional:
            names = ", ".join(optional)
            text = (
                f"What may be left out ({names}) is replaced by its mask token: everywhere if it "
            )
            text += "is not given, or where `<name>.present`, bool [batch], is false."
            lines += ["", text]
        masked = [leaf for leaf in encode.inputs if leaf.role == "attention_mask"]
        for leaf in masked:
            text = f"`{leaf.of}.attention_mask`, bool {_shape(leaf.value)}, says which tokens there are"
            lines += ["", f"{text}; without it, all."]
        if self.sizes.filled:
            text = f"`sizes` are those of what is left out: {_permitted(self.sizes.filled)}"
            lines += ["", f"{text}; the smallest if not given."]
        ignored = {leaf.of for leaf in graph.inputs if leaf.role == "data"}
        ignored -= {leaf.of for leaf in inputs}
        if ignored:
            lines += ["", f"Always masked, so looked at by nothing: {', '.join(sorted(ignored))}."]
        return "\n".join(lines)

    def decode(self, program: Graph, chunks: int) -> str:
        """Of the decode program."""
        made = ", ".join(f"{name} {_shape(value)}" for name, value in program.outputs.items())
        lines = [f"The outputs: {made}."]
        points = [leaf for leaf in self.queries if leaf.role == "points"]
        names = ", ".join(leaf.of for leaf in self._positioned)
        if self.queries:
            wanted = [
                f"the flat positions (int64, first axis slowest) that are wanted of {names}"
            ] * bool(names)
            wanted += [f"the points {_shape(x.value)} to ask {x.of} at" for x in points]
            text = f"`queries` holds {' and '.join(wanted)}; an output that it lacks is left out."
            if names:
                text += (
                    f" Points alone stand for all positions of {names} as well"
                    if points
                    else " None stands for all positions"
                )
                text += f", in {chunks} chunks" if chunks > 1 else ""
                text += ", on the axes of the output." if self.sizes.grids else "."
            lines += ["", text]
        if self.sizes.free:
            text = f"`sizes` are those that no input says: {_permitted(self.sizes.free)}"
            lines += ["", f"{text}; the largest if left out."]
        return "\n".join(lines)

    def decode_all(self, program: Graph, interface: Interface, chunks: int) -> str:
        """Of the method that decodes every position: `image [batch, height 224, width 224, 3]` of
        each output with positions."""
        shapes = []
        for leaf in self._positioned:
            axes = interface.outputs.get(leaf.of) or [("positions", leaf.value.shape[0])]
            names = (axis if axis == str(dim) else f"{axis} {dim}" for axis, dim in axes)
            channels = program.outputs[leaf.of].shape[-1]
            shapes.append(f"{leaf.of} [batch, {', '.join(names)}, {channels}]")
        in_chunks = f", in {chunks} chunks: memory for one is enough" if chunks > 1 else ""
        return f"Decode every position{in_chunks}. Shapes: {', '.join(shapes)}."

    @property
    def _positioned(self) -> list[Input]:
        return [leaf for leaf in self.queries if leaf.role != "points"]


def _shape(value: Value) -> str:
    return f"[{', '.join(map(str, value.shape))}]"


def _permitted(symbols: Mapping[str, Symbol]) -> str:
    return ", ".join(f"{name} ({permitted(symbol)})" for name, symbol in symbols.items())
