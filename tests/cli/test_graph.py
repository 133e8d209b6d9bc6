"""`graph`: an outline that hangs together, in syntax that the tools read."""

from __future__ import annotations

import hashlib
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

import perceiver_graph
from perceiver_graph.cli import files, screen
from perceiver_graph.diagnostics import DiagnosticError
from tests.cli.support import Command


def _outline(command: Command, *options: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(command("graph", *options, "--format", "json").out)
    return found


def _boxes(boxes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [found for box in boxes for found in (box, *_boxes(box.get("inside", [])))]


def test_the_tree_of_kinetics(command: Command) -> None:
    lines = command("graph", "kinetics").out.splitlines()
    assert lines[0].split() == ["kinetics", "19,858,855", "parameters"]
    (layers,) = [line for line in lines if "layers.0 .. 7" in line]
    assert "SelfAttendLayer" in layers
    assert "[batch, 784, 512]" in layers
    assert "8 times" in layers


@pytest.mark.parametrize("depth", [1, 2, 3, 9])
def test_the_json_graph_hangs_together(depth: int, command: Command, tiny: Path) -> None:
    found = _outline(command, tiny, "--depth", depth)
    ids = [box["id"] for box in _boxes(found["boxes"])]
    assert len(ids) == len(set(ids))
    opened = {box["id"] for box in _boxes(found["boxes"]) if box.get("inside")}
    for edge in found["edges"]:
        assert edge["source"] in ids
        assert edge["target"] in ids
        assert not {edge["source"], edge["target"]} & opened
    reached = {"input:x"}
    for edge in found["edges"]:  # in order of the flow
        if edge["source"] in reached:
            reached.add(edge["target"])
    assert {"output:latents", "output:y", "output:label"} <= reached


def test_a_deeper_graph_opens_the_blocks(command: Command, tiny: Path) -> None:
    graph = perceiver_graph.compile(tiny).graph
    found = _outline(command, tiny, "--depth", 20)
    operations = [box for box in _boxes(found["boxes"]) if box["kind"] == "op"]
    assert {box["id"] for box in operations} == {node.name for node in graph.nodes}
    shallow = _outline(command, tiny, "--depth", 1)
    assert not [box for box in _boxes(shallow["boxes"]) if box.get("inside")]


SIZED = """
perceiver: 1
name: sized
dims: {n: {max: 6}, steps: {max: 4}}
inputs: {x: {shape: {time: n, channel: 3}}}
latents: {count: 2, width: 4}
process: {layers: 1, heads: 1}
outputs:
  y: {query: {grid: {step: steps}, position: {fourier: {bands: 2}}}, head: {linear: 1}}
"""


def test_a_size_that_is_given_goes_to_what_holds_it(command: Command, tmp_path: Path) -> None:
    (tmp_path / "sized.yaml").write_text(SIZED, encoding="utf-8")
    found = _outline(command, tmp_path / "sized.yaml", "--depth", 2)
    given = {(edge["target"], edge["value"]) for edge in found["edges"] if "size" in edge["value"]}
    assert given == {("queries/y", "steps.size")}
    assert "input:steps.size" in [box["id"] for box in found["boxes"]]


def test_mermaid(command: Command, tiny: Path) -> None:
    lines = command("graph", tiny, "--format", "mermaid").out.splitlines()
    assert lines[0] == "flowchart TB"
    box = re.compile(r'n\d+(\[|\(|\(\[|\[/)"[^"]*"(\]|\)|\]\)|/\])')
    edge = re.compile(r'n\d+ -->\|"[^"]+"\| n\d+')
    depth = 0
    for line in lines[1:]:
        text = line.strip()
        if re.fullmatch(r'subgraph n\d+\["[^"]*"\]', text):
            depth += 1
        elif text == "end":
            depth -= 1
        else:
            assert box.fullmatch(text) or edge.fullmatch(text), line
    assert depth == 0
    assert any('"batch x length/2 x 6"' in line for line in lines)


def test_dot(command: Command, tiny: Path) -> None:
    text = command("graph", tiny, "--format", "dot").out
    quoted = r'"(?:[^"\\]|\\.)*"'
    attribute = rf"\w+=(?:{quoted}|\w+)"
    statements = [
        rf"digraph {quoted} {{",
        r"subgraph cluster_n\d+ {",
        rf"label={quoted}",
        rf"(?:graph|node|edge|n\d+|n\d+ -> n\d+) \[{attribute}(?:, {attribute})*\]",
        r"}",
    ]
    for line in text.splitlines():
        assert any(re.fullmatch(pattern, line.strip()) for pattern in statements), line
    bare = re.sub(quoted, "", text)
    assert bare.count("{") == bare.count("}")


def test_a_graph_goes_to_a_file(command: Command, tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "graph.dot"
    assert command("graph", tiny, "--format", "dot", "-o", path) == (0, f"{path}\n", "")
    text, mark = path.read_text().split("// perceiver-graph wrote this, ")
    assert text == command("graph", tiny, "--format", "dot").out
    assert mark == f"sha256 {hashlib.sha256(text.encode()).hexdigest()}\n"
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("format", ["tree", "dot", "mermaid", "json", "html"])
def test_only_its_own_file_is_replaced(
    command: Command, tiny: Path, tmp_path: Path, format: str
) -> None:
    path = tmp_path / "graph"
    write = ("graph", tiny, "--format", format, "-o", path)
    assert command(*write).code == 0
    first = path.read_text()
    assert command(*write, "--set", "latents.count=6").code == 0
    assert path.read_text() != first
    if format == "json":
        assert json.loads(path.read_text())["name"] == "tiny"
    for theirs in (f"{first}more\n", f"a remark\n{first}", "mine", tiny.read_text(), "\ud800"):
        path.write_text(theirs, errors="surrogatepass")
        done = command(*write)
        assert done.code == 1
        assert "error[PG511]" in done.err
        assert path.read_text(errors="surrogatepass") == theirs
    path.write_text(command("graph", tiny, "--format", format).out)  # the same, from stdout
    assert command(*write).code == 0


def test_the_tree_on_a_terminal(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    assert "layers.0 .. 7" in command("graph", "kinetics").out


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("g.html", "<!doctype html"),
        ("g.DOT", "digraph"),
        ("g.mmd", "flowchart"),
        ("g.json", "{"),
        ("g.txt", "tiny"),
    ],
)
def test_a_file_is_written_in_the_format_that_its_name_says(
    name: str, begins: str, command: Command, tiny: Path, tmp_path: Path
) -> None:
    assert command("graph", tiny, "-o", tmp_path / name).code == 0
    assert (tmp_path / name).read_text().lower().startswith(begins)


def test_a_file_with_a_long_line_is_soon_known_again(tmp_path: Path) -> None:
    path, text = tmp_path / "page.html", f"<p>{'x' * 300_000}</p>\n"
    files.write_text(path, text, "html")
    start = time.process_time()
    files.write_text(path, text, "html")
    assert time.process_time() - start < 1
    path.write_text(path.read_text().replace("x</p>", "y</p>"))
    with pytest.raises(DiagnosticError):
        files.write_text(path, text, "html")
