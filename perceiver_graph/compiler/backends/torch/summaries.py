"""What the docstrings of the root class say of its two phases: shapes, and what may be left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from perceiver_graph.compiler.backends.torch.inputs import Inputs
from perceiver_graph.compiler.backends.torch.interface import permitted
from perceiver_graph.compiler.backends.torch.modules import Model
from perceiver_graph.compiler.backends.torch.outputs import Outputs
from perceiver_graph.compiler.ir.dims import Symbol, format_shape
from perceiver_graph.compiler.ir.graph import Value


@dataclass(frozen=True)
class Summary:
    """`state` has the keys of what encode hands over."""

    model: Model
    inputs: Inputs
    state: Mapping[Value, str]
    outputs: Outputs

    def encode(self) -> str:
        """Of `encode`."""
        data, empty = self.inputs.data, self.outputs.sizes.empty
        made = [f"{key} {format_shape(value.shape)}" for value, key in self.state.items()]
        for of, key in empty.items():
            made.append(f"{key} [{', '.join(map(str, data[of].shape))}, 0]")
        given = (f"{name} {format_shape(value.shape)}" for name, value in data.items())
        lines = [f"{', '.join(given)} -> {', '.join(made)}."]
        if self.inputs.optional:
            lines.append(
                f"What may be left out ({', '.join(self.inputs.optional)}) is replaced by its mask "
                "token: everywhere if it is not given, or where `<name>.present`, bool [batch], is "
                "false."
            )
        for leaf in self.inputs.leaves:
            if leaf.role == "attention_mask":
                mask = f"`{leaf.of}.attention_mask`, bool {format_shape(leaf.value.shape)},"
                lines.append(f"{mask} says which tokens there are; without it, all.")
        if self.inputs.filled:
            sizes = _permitted(self.inputs.filled)
            lines.append(
                f"`sizes` are those of what is left out: {sizes}; the smallest if not given."
            )
        ignored = {leaf.of for leaf in self.model.graph.inputs if leaf.role == "data"} - data.keys()
        if ignored:
            lines.append(f"Always masked, so looked at by nothing: {', '.join(sorted(ignored))}.")
        return "\n\n".join(lines)

    def decode(self) -> str:
        """Of `decode`."""
        found = self.model.decode.graph.outputs.items()
        made = ", ".join(f"{name} {format_shape(value.shape)}" for name, value in found)
        lines = [f"The outputs: {made}."]
        names = ", ".join(self.outputs.positioned)
        wanted = [f"the flat positions (int64, first axis slowest) that are wanted of {names}"]
        wanted = wanted if names else []
        for leaf in self.outputs.asked:
            if leaf.role == "points":
                wanted.append(f"the points {format_shape(leaf.value.shape)} to ask {leaf.of} at")
        if wanted:
            text = f"`queries` holds {' and '.join(wanted)}; an output that it lacks is left out."
            if names:
                alone = f"Points alone stand for all positions of {names} as well"
                text += f" {alone if self.outputs.points else 'None stands for all positions'}"
                text += f", in {self.outputs.chunks} chunks" if self.outputs.chunks > 1 else ""
                text += ", on the axes of the output." if self._has_axes else "."
            lines.append(text)
        if free := self.outputs.sizes.free:
            sizes = _permitted(free)
            lines.append(f"`sizes` are those that no input says: {sizes}; the largest if left out.")
        return "\n\n".join(lines)

    def decode_all(self) -> str:
        """Of `decode_all`: `image [batch, height 224, width 224, 3]` of each output with positions."""
        shapes = []
        for output in self.outputs.positioned:
            axes = self.outputs.sizes.outputs[output]
            names = (axis if axis == str(dim) else f"{axis} {dim}" for axis, dim in axes)
            channels = self.model.decode.graph.outputs[output].shape[-1]
            shapes.append(f"{output} [batch, {', '.join(names)}, {channels}]")
        chunks = self.outputs.chunks
        in_chunks = f", in {chunks} chunks: memory for one is enough" if chunks > 1 else ""
        return f"Decode every position{in_chunks}. Shapes: {', '.join(shapes)}."

    @property
    def _has_axes(self) -> bool:
        return any(len(axes) > 1 for axes in self.outputs.sizes.outputs.values())


def _permitted(symbols: Mapping[str, Symbol]) -> str:
    return ", ".join(f"{name} ({permitted(symbol)})" for name, symbol in symbols.items())
