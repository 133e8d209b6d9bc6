"""What a manifest says of a model that writes is held against its programs before any runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import perceiver_graph as pg
from perceiver_graph.runtime.artifact import open_artifact
from perceiver_graph.spec.loader import parse_spec
from tests.test_generation import SPEC

Data = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written") / "out"
    pg.compile(parse_spec(SPEC, "writer.yaml")).save(folder)
    return folder


def port(data: Data, program: str, name: str, side: str = "inputs") -> Data:
    ports: list[Data] = data["programs"][program][side]
    return next(one for one in ports if one["of"].endswith(name))


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda m: m.pop("generation"), "`prefill` is there, and the model writes no text"),
        (lambda m: m["generation"].update(text="picture"), "for them, not `picture`"),
        (lambda m: m["generation"].update(output="other"), "for them, not `text`"),
        (lambda m: m["inputs"]["text"].update(vocabulary=12), "needs ids, and an output of scores"),
        (lambda m: m["generation"].update(longest=3), "has 4 latents of texts of at most 3 tokens"),
        (lambda m: m["programs"].pop("step"), "the program `step` is not"),
        (lambda m: port(m, "step", "key").update(role="queries"), "of role `queries`"),
        (lambda m: port(m, "prefill", "text").update(of="x"), "not among `inputs`"),
        (lambda m: port(m, "step", "position").update(dtype="bool"), "holds no places"),
        (lambda m: port(m, "step", "next", "outputs").update(of="x"), "gives no scores `next`"),
        (lambda m: port(m, "step", "key").update(of="x"), "`x` does not go from"),
        (
            lambda m: m["programs"]["step"]["outputs"].remove(port(m, "step", "value", "outputs")),
            "does not go from `prefill` to `step`, and on to itself",
        ),
        (lambda m: port(m, "step", "key")["shape"].__setitem__(2, 9), "has `cache/encode"),
        (lambda m: port(m, "step", "key")["shape"].__setitem__(1, "a*b"), "has the unknown symbol"),
    ],
)
def test_what_does_not_fit_is_found(
    folder: Path, spoil: Callable[[Data], object], what: str, tmp_path: Path
) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    manifest = tmp_path / "manifest.json"
    data = json.loads(manifest.read_text())
    spoil(data)
    manifest.write_text(json.dumps(data))
    with pytest.raises(pg.DiagnosticError) as raised:
        open_artifact(tmp_path)
    found = raised.value.diagnostics
    assert {one.code for one in found} == {"PG403"}
    assert any(what in one.message for one in found), found
