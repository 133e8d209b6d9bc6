"""Attributes that others have, and ours have not: what is told exists, and what exists is not told of."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import perceiver_graph as pg
from perceiver_graph.compiler import foreign as compiling
from perceiver_graph.runtime import foreign as running
from perceiver_graph.spec import foreign as describing
from tests.cli.test_called_otherwise import SPEC, said

X = {"image": np.zeros((1, 4, 6, 3), np.float32)}
TABLES = {
    "compiled": compiling.OF_COMPILED,
    "program": running.OF_PROGRAMS,
    "state": running.OF_STATES,
    "manifest": describing.OF_MANIFESTS,
    "input": describing.OF_INPUTS,
    "output": describing.OF_OUTPUTS,
}
NAMES = [
    (kind, name) for kind, table in TABLES.items() for names in table for name in names.split()
]


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("told") / "artifact"
    compiled = pg.compile(SPEC)
    compiled.save(folder)
    program = pg.load(folder, device="cpu")
    manifest = program.manifest
    return {
        "compiled": compiled,
        "program": program,
        "state": program.encode(X),
        "manifest": manifest,
        "input": manifest.inputs["text"],
        "output": manifest.outputs["label"],
    }


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_what_is_not_there_is_told_of(kind: str, name: str, things: Mapping[str, Any]) -> None:
    assert f"no attribute {name!r}: " in said(lambda: getattr(things[kind], name))


@pytest.mark.parametrize("kind", TABLES)
def test_a_name_is_told_one_thing(kind: str) -> None:
    names = [name for one, name in NAMES if one == kind]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("kind", "text"),
    sorted({(kind, text) for kind, table in TABLES.items() for text in table.values()}),
)
def test_what_is_told_is_there(kind: str, text: str, things: Mapping[str, Any]) -> None:
    for path in re.findall(r"`([a-z_.]+)(?:\(|`)", text):
        if path in ("load", "compile", "perceiver-graph"):
            assert path in pg.__all__
            continue
        found = print if path == "print" else things[kind]
        if path.startswith("program."):
            found, path = things["program"], path.removeprefix("program.")
        for part in path.split(".") if path != "print" else []:
            found = getattr(found, part)
        assert found is not None or kind in ("input", "output")  # which that one has not


def test_what_goes_by_name_tells_the_names(things: Mapping[str, Any]) -> None:
    manifest = things["manifest"]
    for key in (0, "images"):
        with pytest.raises(KeyError, match="they go by name, `image` and `text`"):
            manifest.inputs[key]
    assert "write ['image']" in said(lambda: manifest.inputs.image)
    assert "they go by name, `label`" in said(lambda: manifest.outputs.logits)
    again = pickle.loads(pickle.dumps(manifest))
    assert again == manifest == type(manifest).model_validate_json(manifest.model_dump_json())
    assert copy.deepcopy(manifest.inputs) == manifest.inputs


def test_what_load_is_given_that_run_takes_is_told() -> None:
    load: Any = pg.load
    assert "the first axis of what it runs on" in said(lambda: load("a", batch=2))
    assert "load(PATH).run({NAME: ARRAY}, ...)" in said(lambda: load("a", memory=2**30))
    assert "it is called `threads`" in said(lambda: load("a", num_threads=2))
