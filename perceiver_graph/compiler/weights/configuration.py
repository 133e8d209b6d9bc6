"""What the shapes of a checkpoint cannot tell: heads, blocks that share weights, the activation.

With one of these wrong, every tensor would fit and every result would be wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from perceiver_graph.compiler.ir.graph import Graph, Node
from perceiver_graph.compiler.ops import Attention, Gelu
from perceiver_graph.diagnostics import Diagnostic, make

ACTIVATIONS: Mapping[str, str] = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_accurate": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_new": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "sigmoid": "sigmoid",
    "silu": "silu",
    "swish": "silu",
    "tanh": "tanh",
}
"""What the language of specs calls the activations of transformers."""


@dataclass(frozen=True)
class Setting:
    """A setting of a transformers configuration and the same thing in a graph."""

    key: str
    default: Any
    spec_key: str
    of_graph: Callable[[Graph], Any]
    """None where the graph does not say."""


def _heads(scope: str) -> Callable[[Graph], int | None]:
    def heads(graph: Graph) -> int | None:
        found = (n.op.heads for n in _nodes(graph, scope) if isinstance(n.op, Attention))
        return next(found, None)

    return heads


def _blocks(graph: Graph) -> int:
    return max(1, len({n.scope[1:2] for n in _nodes(graph, "process") if "blocks." in n.name}))


def _query_residual(graph: Graph) -> bool:
    return any(
        n.scope == ("encode", "cross_attend") for n in graph.nodes if n.name.endswith("/residual")
    )


def _activation(graph: Graph) -> str | None:
    """Both forms of GELU count as one: the published weights were trained with the other one."""
    ops = (n.op for n in _nodes(graph, "process") if n.name.endswith("/mlp/activated"))
    op = next(ops, None)
    return None if op is None else "gelu" if isinstance(op, Gelu) else op.name


def _nodes(graph: Graph, scope: str) -> list[Node]:
    return [node for node in graph.nodes if node.scope[:1] == (scope,)]


SETTINGS = (
    Setting("num_self_attention_heads", 8, "process.heads", _heads("process")),
    Setting("num_cross_attention_heads", 8, "encode.heads", _heads("encode")),
    Setting("num_blocks", 1, "process.blocks", _blocks),
    Setting("use_query_residual", True, "encode.query_residual", _query_residual),
    Setting("hidden_act", "gelu", "process.activation", _activation),
)


def differences(config: Mapping[str, Any], graph: Graph) -> list[Diagnostic]:
    """A diagnostic (PG309) for each setting in which configuration and graph differ."""
    found = []
    for setting in SETTINGS:
        theirs, ours = config.get(setting.key, setting.default), setting.of_graph(graph)
        if setting.key == "hidden_act":
            theirs = ACTIVATIONS.get(str(theirs), theirs)
            theirs = "gelu" if theirs == "gelu_tanh" else theirs
        if ours is not None and theirs != ours:
            message = (
                f"the checkpoint was made with `{setting.key}` = {theirs}, "
                f"and the spec has `{setting.spec_key}` = {ours}"
            )
            notes = ["the tensors may fit all the same, but the results would be wrong"]
            help = f"write {theirs} for `{setting.spec_key}` in the spec"
            known = setting.key != "hidden_act"
            found.append(make("PG309", message, notes=notes, help=help if known else None))
    return found
