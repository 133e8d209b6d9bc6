"""Drops the bias of keys, which softmax cannot see."""

from __future__ import annotations

from perceiver_graph.compiler.ir.graph import Node, Value
from perceiver_graph.compiler.ops import Add, Attention, Linear
from perceiver_graph.compiler.passes.rewriter import Rewrite, Rewriter

_SAME_FOR_ALL_KEYS = ("heads", "key_heads", "scale", "causal", "mask", "masked_rows")
"""What of an attention leaves a number that is added to all scores of a query the same for all keys."""


class DropKeyBias(Rewrite):
    """Removes what is added to all keys alike: q (k + b) is q k and a number that no key changes.

    Softmax takes such a number out again, for any number of heads, also where several read the same
    keys, at any scale and under any mask, that of causality included: masked scores are one number
    with and without it. Keys that are normed or turned by their places after the bias keep it.

    1. Keys that are a linear map with a bias become the map without it.
    2. Keys to which a row is added, the same for every key, become what it was added to.
    3. Keys that anything reads as something else than keys, or that are an output, stay: both would
       have to be computed.
    """

    name = "drop-key-bias"
    what = "drops biases softmax cancels"
    after = "fold-norm-affine"
    done = ("key bias", "key biases", "dropped")
    nothing = "nothing dropped: no bias is added to keys alone"

    def apply(self, rewriter: Rewriter, node: Node) -> bool:
        if not _has_bias(node) or not _only_keys(rewriter, node):
            return False
        plain = _summand(node) or rewriter.add(Linear(), node["x"], node["weight"])
        rewriter.substitute(node.output, plain)
        return True


def _has_bias(node: Node) -> bool:
    return "bias" in node if isinstance(node.op, Linear) else _summand(node) is not None


def _summand(node: Node) -> Value | None:
    """What a row is added to, the same for all keys, if a node does so."""
    if not isinstance(node.op, Add):
        return None
    for x, row in ((node["a"], node["b"]), (node["b"], node["a"])):
        same_for_all = row.type.rank == 1 or row.shape[-2] == 1 if row.type.rank else False
        if same_for_all and x.type == node.output.type:
            return x
    return None


def _only_keys(rewriter: Rewriter, node: Node) -> bool:
    """Whether attentions alone read what a node gives, as keys alone."""
    keys = node.output
    readers = rewriter.readers(keys)
    as_keys = [
        reader
        for reader in readers
        if reader.only(Attention, *_SAME_FOR_ALL_KEYS) and reader["keys"] == keys
    ]
    if not as_keys:
        return False
    if rewriter.is_output(keys):
        return rewriter.stays(node, "it is an output too")
    for reader in readers:
        if reader not in as_keys or reader.inputs.count(keys) > 1:
            return rewriter.stays(node, "{} reads it too", reader)
    return True
