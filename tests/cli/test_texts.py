"""`explain`, `schema` and `new`: what is printed from the catalogue, the models and the specs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from perceiver_graph.diagnostics import CATALOG
from perceiver_graph.spec import load_spec
from tests.cli.support import Command


def test_explain(command: Command) -> None:
    done = command("explain", "pg204")
    assert done.code == 0
    assert done.out.startswith("PG204: ")
    listed = re.findall(r"PG\d{3}", command("explain").out)
    assert listed == [*CATALOG]


def test_schema(command: Command, tmp_path: Path) -> None:
    done = command("schema")
    assert json.loads(done.out)["title"] == "perceiver-graph spec"
    path = tmp_path / "schema.json"
    assert command("schema", "-o", path).code == 0
    written = json.loads(path.read_text(encoding="utf-8"))
    assert written.pop("$comment").startswith("perceiver-graph wrote this, sha256 ")
    assert written == json.loads(done.out)
    assert command("schema", "-o", path).code == 0
    path.write_text(path.read_text().replace("perceiver-graph spec", "mine"))
    refused = command("schema", "-o", path).err
    assert "PG511" in refused
    assert "`make schema` renews `specs/schema.json`" in refused


@pytest.mark.parametrize("name", ["mine", "Mine-2", "1e3", "null", "0x10", "a.b"])
@pytest.mark.parametrize("source", [[], ["--from", "kinetics"]], ids=["starter", "copy"])
def test_new(
    name: str,
    source: Sequence[str],
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(f"{name}.yaml")
    assert command("new", name, *source) == (0, f"{path}\n", "")
    assert load_spec(path).spec.name == name
    assert "#" in path.read_text(encoding="utf-8")
    assert command("check", path).code == 0
    path.write_text("mine", encoding="utf-8")
    again = command("new", name, *source)
    assert again.code == 1
    assert "PG511" in again.err
    assert path.read_text(encoding="utf-8") == "mine"


def test_new_copies_all_but_the_name(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command("new", "mine", "--from", "kinetics")
    copy, original = load_spec("mine.yaml").spec, load_spec("kinetics").spec
    assert copy == original.model_copy(update={"name": "mine"})
