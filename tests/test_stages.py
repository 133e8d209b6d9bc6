"""Stages: what the list of a spec is, and that lowering follows it, whatever stands there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from perceiver_graph.compiler.blocks import reading
from perceiver_graph.compiler.blocks.stages import (
    Answer,
    Stage,
    answers_of,
    latent_stages,
    stages_of,
)
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.compiler.ops import Attention
from perceiver_graph.compiler.weights import initialize
from perceiver_graph.spec import load_spec, parse_spec
from perceiver_graph.spec.loader import Document
from perceiver_graph.testing.specs import render, specs
from tests.support import random_inputs

SMALL = """
perceiver: 1
name: small
inputs: {x: {shape: {n: 5, channel: 6}}}
latents: {count: 3, width: 6}
process: {layers: 2, heads: 2}
outputs: {y: {query: {mean: latents}, head: {linear: 2}}}
"""


def _listed(document: Document) -> list[tuple[str, str, str, str]]:
    found = stages_of(document.spec)
    return [(s.rows, s.read, "/".join(s.scope), f"{s.module} x {s.layers}") for s in found]


def _attentions(graph: Graph) -> list[str]:
    return [node.name for node in graph.nodes if isinstance(node.op, Attention)]


def test_the_usual_list() -> None:
    assert _listed(load_spec("kinetics")) == [
        ("latents", "inputs", "encode/cross_attend", "encoder.cross_attend x 1"),
        ("latents", "latents", "process", "process x 8"),
        ("queries.audio", "latents", "decode/audio", "decoder x 1"),
        ("queries.image", "latents", "decode/image", "decoder x 1"),
        ("queries.label", "latents", "decode/label", "decoder x 1"),
    ]


def test_reading_again_and_again() -> None:
    overrides = ["process.blocks=3", "encode={cross_attends: 2, share: all_but_first}"]
    document = parse_spec(SMALL, overrides=overrides)
    assert _listed(document) == [
        ("latents", "inputs", "encode/cross_attends.0", "encoder.cross_attends.0 x 1"),
        ("latents", "latents", "process/blocks.0", "process x 2"),
        ("latents", "inputs", "encode/cross_attends.1", "encoder.cross_attends.1 x 1"),
        ("latents", "latents", "process/blocks.1", "process x 2"),
        ("latents", "latents", "process/blocks.2", "process x 2"),
    ]
    assert answers_of(document.spec) == {"y": Answer("latents")}


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(specs())
def test_every_stage_is_lowered_in_its_place(data: dict[str, Any]) -> None:
    document = parse_spec(render(data))
    graph = lower(document).graph
    stages = stages_of(document.spec)
    for stage in stages:
        block = graph.blocks[stage.scope]
        assert (block.kind, block.module, block.summary) == (
            stage.kind,
            stage.module,
            stage.summary,
        )
    scopes = ["/".join(stage.scope) for stage in stages for _ in range(stage.layers)]
    found = _attentions(graph)
    assert len(found) == len(scopes)
    assert all(name.startswith(f"{scope}/") for name, scope in zip(found, scopes, strict=True))


def _lowered(
    monkeypatch: pytest.MonkeyPatch, text: str, change: Callable[[list[Stage]], list[Stage]]
) -> Graph:
    """The graph of a spec with other stages than its own."""
    monkeypatch.setattr(reading, "latent_stages", lambda spec: change([*latent_stages(spec)]))
    return lower(parse_spec(text)).graph


def test_lowering_follows_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both stages once more, with the same weights: as `blocks: 2` and `cross_attends: 2` have it."""
    overrides = ["process.blocks=2", "encode={cross_attends: 2, share: all}"]
    usual = lower(parse_spec(SMALL, overrides=overrides))
    weights = initialize(usual.graph, 0)
    inputs = random_inputs(usual, batch=2)
    wanted = evaluate(usual.graph, inputs, weights)

    def twice(stages: list[Stage]) -> list[Stage]:
        return [
            *stages,
            *(replace(s, scope=(*s.scope[:-1], f"again_{s.scope[-1]}")) for s in stages),
        ]

    graph = _lowered(monkeypatch, SMALL, twice)
    renamed = {name.replace("cross_attends.0", "cross_attend"): x for name, x in weights.items()}
    found = evaluate(graph, inputs, renamed)
    np.testing.assert_array_equal(found["y"], wanted["y"])


def test_one_block_as_cross_and_as_self_attend(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row each, with one module: the latents read the inputs, then themselves."""

    def shared(stages: list[Stage]) -> list[Stage]:
        reads, _ = stages
        return [reads, replace(reads, read="latents", scope=("encode", "self_attend"))]

    graph = _lowered(monkeypatch, SMALL, shared)
    assert _attentions(graph) == [
        "encode/cross_attend/attention/attended",
        "encode/self_attend/attention/attended",
    ]
    modules = {".".join(p.value.name.split(".")[:2]) for p in graph.parameters}
    assert modules == {"latents", "encoder.cross_attend", "heads.y"}
