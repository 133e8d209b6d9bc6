"""Every shipped system, small: the numpy oracle, onnxruntime and PyTorch give the same answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

import perceiver_graph as pg
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ir.text import print_graph
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.spec.loader import load_spec, parse_spec
from perceiver_graph.spec.render import render_yaml, resolved_data
from tests.figures import difference
from tests.small import SMALL, SPECS
from tests.support import random_inputs
from tests.test_differential import agree, agree_with_torch, given_inputs, onnx_program, randomised
from tests.test_lower import without_origins

LENGTH = 12
"""Of texts, sets of entities and point clouds."""


def test_every_spec_has_a_small_variant() -> None:
    assert SMALL.keys() == {path.stem for path in SPECS.glob("*.yaml")}


@pytest.mark.parametrize("name", SMALL)
def test_a_small_variant_keeps_the_structure(name: str) -> None:
    """Keys come from the shipped spec; only numbers change."""
    shipped = yaml.safe_load((SPECS / f"{name}.yaml").read_text())
    small = load_spec(name, overrides=list(SMALL[name])).spec.model_dump(exclude_unset=True)
    assert small["inputs"].keys() == shipped["inputs"].keys()
    assert small["outputs"].keys() == shipped["outputs"].keys()
    for part, given in shipped["inputs"].items():
        kept = [next(iter(step)) for step in small["inputs"][part].get("steps", [])]
        assert kept == [next(iter(step)) for step in given.get("steps", [])]


@pytest.mark.parametrize("name", SMALL)
def test_backends_agree(
    name: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    compiled = pg.compile(load_spec(name, overrides=list(SMALL[name])), verify=True)
    weights = randomised(compiled, seed=3)
    symbols = {
        s: LENGTH for s in compiled.graph.symbols if s in compiled.lowered.document.spec.dims
    }
    arrays = random_inputs(compiled.lowered, batch=2, seed=5, lengths=symbols)
    for array in arrays.values():
        if array.dtype == np.bool_ and array.ndim == 1:  # every modality is there
            array[:] = True
        elif array.dtype == np.bool_:  # one sequence is whole, the other shorter
            there = np.arange(array.shape[-1]) < np.array([[array.shape[-1]], [7]])
            array[:] = there.reshape(2, *[1] * (array.ndim - 2), -1)
    inputs = given_inputs(compiled, arrays)
    expected = evaluate(compiled.graph, arrays, weights)
    program = onnx_program(compiled, weights, tmp_path)
    results = program.decode(program.encode(inputs))
    shares = [agree(result, expected[output]) for output, result in results.items()]
    points = {leaf.of for leaf in compiled.graph.inputs if leaf.role == "points"}
    shapes = {name: result.shape for name, result in results.items() if name not in points}
    shares.append(agree_with_torch(compiled, weights, arrays, inputs, expected, shapes))
    record_property("difference", difference("backends", name, max(shares)))


@pytest.mark.parametrize("name", SMALL)
def test_the_resolved_spec_is_sound_and_resolves_to_itself(name: str) -> None:
    lowered = lower(load_spec(name))
    text = render_yaml(resolved_data(lowered.document.spec, lowered.derived))
    again = lower(parse_spec(text))
    assert render_yaml(resolved_data(again.document.spec, again.derived)) == text
    assert without_origins(print_graph(again.graph)) == without_origins(print_graph(lowered.graph))
