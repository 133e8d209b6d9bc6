"""A program that is given all its inputs need not be told so for each of them."""

from __future__ import annotations

from typing import Any

from perceiver_graph.spec.manifest import ProgramEntry


def without_present(model: Any, entry: ProgramEntry) -> None:
    """Answer in the program, an `onnx.ModelProto` that is changed, that every input is there.

    What was read from an input `X.present`, bool [batch], is true for each element of the batch of X.
    """
    import numpy as np
    from onnx import helper, numpy_helper

    ports = {port.name: port for port in entry.inputs}
    graph, nodes = model.graph, []
    left = [value for value in graph.input if ports[value.name].role != "present"]
    gone = [ports[value.name] for value in graph.input if ports[value.name].role == "present"]
    data = {port.of: port.name for port in entry.inputs if port.role == "data"}
    for port in gone:
        true, batch = f"{port.name}.true", f"{port.name}.batch"
        graph.initializer.append(numpy_helper.from_array(np.array([True]), true))
        # Where the input itself is not read, any other has the same batch.
        source = data.get(port.of) or left[0].name
        nodes.append(helper.make_node("Shape", [source], [batch], name=batch, start=0, end=1))
        nodes.append(helper.make_node("Expand", [true, batch], [port.name], name=port.name))
    others = [*graph.node]
    del graph.node[:], graph.input[:]
    graph.node.extend([*nodes, *others])
    graph.input.extend(left)
