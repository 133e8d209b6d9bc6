"""Maps of attention follow all that attention says: each attribute goes from the graph into the manifest,
and from there into the scores, where it changes the numbers."""

from __future__ import annotations

from dataclasses import fields
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.artifact import describe
from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.blocks.context import Axis
from perceiver_graph.compiler.ir.dims import Dim, shape_of
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.programs.attention import CrossAttend
from perceiver_graph.runtime import attention
from perceiver_graph.spec.manifest_attention import AttentionEntry, AttentionSettings

BATCH, N, M, WIDTH = 2, 3, 5, 8
PLAIN = {"heads": 2}
OTHERWISE: dict[str, Any] = {
    "heads": 4,
    "masked_rows": "zero",
    "key_heads": 1,
    "scale": 0.6,
    "causal": True,
}
"""Of each attribute a value that it does not have in `PLAIN`. A new one is added here."""
OF_SELF_ATTENDS: set[str] = set()
"""Attributes that no cross-attend has: there is nothing to tell, and a map that meets one is refused."""


def shown(op: ops.Attention, arrays: dict[str, Array]) -> Array:
    """What of the values each head finds by the scores that a map tells, as the primitive puts it."""
    b = GraphBuilder("case", {})
    inputs = [
        b.input(
            name, "data", name, (), shape_of(*x.shape), "bool" if x.dtype == bool else "float32"
        )
        for name, x in arrays.items()
    ]
    node = b.graph({"found": b(op, *inputs)}).nodes[-1]
    rows = [(name, (Axis("token", Dim.of(count)),)) for name, count in (("a", N), ("b", M))]
    cross = CrossAttend("encode_attention", node, op, rows[0], tuple(rows[1:]))
    (entry,) = (describe.attention({"encode": cross}) or {}).values()
    entry = AttentionEntry.model_validate_json(entry.model_dump_json())
    given = {
        getattr(entry, name): SimpleNamespace(numpy=lambda x=x: x)
        for name, x in arrays.items()
        if name != "values"
    }
    feeds = cast(Any, SimpleNamespace(sizes={}))
    made = attention._made("encode", entry, cast(Any, given), feeds, None, {})
    values = arrays["values"].reshape(BATCH, M, op.shared, -1).swapaxes(1, 2)
    values = np.repeat(values, op.heads // op.shared, axis=1)
    found: Array = made.weights(heads=True) @ values
    return found.swapaxes(1, 2).reshape(BATCH, N, -1)


@pytest.mark.parametrize("name", sorted(AttentionSettings.model_fields))
def test_each_attribute_goes_into_the_scores(name: str) -> None:
    rng = np.random.default_rng(7)
    found = []
    for said in (PLAIN, {**PLAIN, name: OTHERWISE[name]}):
        op = ops.Attention(**said)
        narrow = WIDTH // op.heads * op.shared
        shapes = {"queries": (N, WIDTH), "keys": (M, narrow), "values": (M, narrow)}
        rng = np.random.default_rng(7)
        arrays = {
            part: rng.standard_normal((BATCH, *shape)).astype(np.float32)
            for part, shape in shapes.items()
        }
        arrays["mask"] = np.array([[True, False, True, True, True], [False] * M])
        found.append(op.evaluate(*arrays.values()))
        np.testing.assert_allclose(shown(op, arrays), found[-1], atol=1e-5)
    assert np.abs(found[0] - found[1]).max() > 0.01


def test_each_attribute_is_a_setting() -> None:
    names = {one.name for one in fields(ops.Attention)} - OF_SELF_ATTENDS
    assert names == AttentionSettings.model_fields.keys() == OTHERWISE.keys()
