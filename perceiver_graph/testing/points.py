"""Hypothesis strategies for what queries at points are made of, in a spec that is drawn already."""

from __future__ import annotations

from hypothesis import strategies as st

from perceiver_graph.testing.inputs import Data

VECTOR = "session"


def ask_with(draw: st.DrawFn, spec: Data) -> None:
    """Lets queries at points be made of a vector too, or where attention turns by them of it alone."""
    asked = [
        one["query"]
        for one in spec["outputs"].values()
        if isinstance(one["query"], dict) and "points" in one["query"]
    ]
    turned = spec["decode"].get("rotary") is not None and any(
        isinstance(one["query"], dict) and "inputs" in one["query"]
        for one in spec["outputs"].values()
    )  # tokens are told apart by their numbers where there is one input
    if not asked or turned or draw(st.booleans()):
        return
    width = draw(st.integers(1, 4))
    spec["inputs"][VECTOR] = draw(
        st.sampled_from(
            [
                {"shape": {}, "steps": [{"embedding": {"vocabulary": 5, "width": width}}]},
                {"shape": {"channel": 3}, "steps": [{"linear": width}]},
            ]
        )
    )
    for query in asked:
        query["vector"] = VECTOR
        if spec["decode"].get("rotary") and draw(st.booleans()):
            del query["position"]
        elif draw(st.booleans()):
            query["position"] |= {"combine": "add", "project": width}
