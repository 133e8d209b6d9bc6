"""`graph --format html`: one page that holds together, has what the tree shows, and does no harm.

What the script makes of it is tested in a browser: `tests/browser`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from perceiver_graph.cli.page import SCRIPTS, page
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.spec.loader import load_spec, parse_spec
from tests.cli.support import ROOT, TINY, Command, process

SPECS = sorted((ROOT / "specs").glob("*.yaml"))
HOSTILE = "</script><!--<script>alert(1)</script> & \"'><img src=x onerror=alert(2)>"
VOID = {"meta", "input"}
TREE = re.compile(r"((?:│   |    )*)(?:├── |└── )(.*?)  +")


class Reader(HTMLParser):
    """Reads a page and asserts that every element is closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.path: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: dict[str, str] = {}
        self.scripts: list[str] = []
        self.feed(text)
        self.close()
        assert not self.path
        self.data = json.loads(self.scripts[0])
        self.levels = [list(walk(level["boxes"])) for level in self.data["levels"]]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, str(value)) for name, value in attrs]
        if tag == "script":
            self.scripts.append("")
        if tag not in VOID:
            self.path.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.path.pop() == tag

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_data(self, data: str) -> None:
        if not self.path:
            assert not data.strip()
            return
        if self.path[-1] == "script":
            self.scripts[-1] += data
        self.text[self.path[-1]] = self.text.get(self.path[-1], "") + data

    def box(self, id: str, level: int = 0) -> Any:
        (found,) = [box for _, box in self.levels[level] if box["id"] == id]
        return found


def walk(boxes: list[Any], depth: int = 1) -> Iterator[tuple[int, Any]]:
    """All boxes with their depth, in the order of their numbers."""
    for box in boxes:
        yield depth, box
        yield from walk(box.get("inside", []), depth + 1)


def _page_of(command: Command, *arguments: object) -> Reader:
    done = command("graph", *arguments, "--format", "html")
    assert (done.code, done.err) == (0, "")
    return Reader(done.out)


@pytest.mark.parametrize("path", SPECS, ids=[path.stem for path in SPECS])
def test_every_spec_has_a_page_of_what_its_tree_shows(path: Path, command: Command) -> None:
    shown = _page_of(command, path)
    tree = command("graph", path, "--depth", 99).out.splitlines()[1:]
    rows = [TREE.match(f"{line}  ") for line in tree]
    expected = [(len(row[1]) // 4 + 1, row[2]) for row in rows if row]
    assert len(expected) == len(tree)
    assert [(depth, box["label"]) for depth, box in shown.levels[0]] == expected
    for boxes, level in zip(shown.levels, shown.data["levels"], strict=True):
        _hangs_together([box for _, box in boxes], level)
    assert shown.text["title"] == shown.text["h1"] == path.stem
    assert load_spec(path).spec.summary in shown.text["p"]


def _hangs_together(boxes: list[Any], level: Any) -> None:
    """Operations read boxes that are there, and from all that is read something leads to an output."""
    ids = [box["id"] for box in boxes]
    assert len(ids) == len(set(ids))
    for box in boxes:
        assert all(0 <= number < len(boxes) for number in box.get("reads", []))
        assert all(0 <= number < len(level["weights"]) for number in box.get("weights", []))
        assert not (box.get("inside") and box.get("reads"))
    sums = sum(box.get("flops", 0) for box in level["boxes"])
    assert sums == level["flops"]
    for box in boxes:
        if box.get("inside"):
            assert box.get("flops", 0) == sum(inner.get("flops", 0) for inner in box["inside"])
        if box["kind"] in ("block", "op"):
            assert "shape" in box or box["bytes"] <= 8


def test_the_page_needs_nothing_else(command: Command) -> None:
    text = command("graph", "kinetics", "--format", "html").out
    shown = Reader(text)
    assert text.isascii()
    assert shown.tags.count("script") == 2  # what it draws, and what draws it
    assert not {*shown.tags} & {"link", "img", "iframe", "object", "base", "a"}
    names = {name for name, _ in shown.attributes}
    assert not {name for name in names if name.startswith("on")} | names & {"src", "href", "style"}
    for way_out in ("url(", "@import", "https:", "fetch(", "XMLHttp", "innerHTML", "eval("):
        assert way_out not in text
    assert re.findall("http:[^\"']*", text) == ["http://www.w3.org/2000/svg"]  # a name, no address
    assert "prefers-color-scheme: dark" in text


def test_nothing_but_its_own_script_and_style_may_run(command: Command, tiny: Path) -> None:
    shown = _page_of(command, tiny)
    (allowed,) = [
        value for name, value in shown.attributes if name == "content" and "default" in value
    ]
    digests = [
        base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
        for part in (shown.text["style"], shown.scripts[1])
    ]
    assert allowed == (
        f"default-src 'none'; style-src 'sha256-{digests[0]}'; script-src 'sha256-{digests[1]}'"
    )
    folder = ROOT / "perceiver_graph" / "cli" / "page"
    assert {path.stem for path in folder.glob("*.js")} == {*SCRIPTS}
    for path in folder.iterdir():
        if path.is_file():
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 350


def test_the_sizes_of_kinetics(command: Command) -> None:
    shown = _page_of(command, "kinetics")
    sizes = "audio 1,920 x 16, image 802,816 x 3, label 1 x 700"
    for size in ("52,097 x 704", "784 x 512", "804,737 x 1026", sizes, "19,858,855", "7.47 T"):
        assert size in shown.text["dd"]
    image = shown.box("output:image")
    assert image["axes"] == ["time", "height", "width", "channel"]
    assert image["shape"] == [802816, 3]  # of all queries, however many are asked for at once
    assert shown.box("input:image")["shape"] == [16, 224, 224, 3]
    assert shown.box("inputs/joined")["shape"] == [52097, 704]
    assert "minor" not in shown.box("output:image")
    assert shown.box("output:latents")["minor"] is shown.box("input:image.present")["minor"] is True


def test_equal_layers_share_a_box_with_all_that_they_cost(command: Command) -> None:
    shown = _page_of(command, "kinetics")
    layers, process = shown.box("process/layers.0"), shown.box("process")
    assert layers["label"] == "layers.0 .. 7"
    assert layers["times"] == layers["sets"] == 8
    # 6 maps of 512 x 512, and scores and sums of 784 x 784, for 784 rows in 8 layers
    assert layers["flops"] == process["flops"] == 29_800_529_920
    numbers = [box["id"] for _, box in shown.levels[0]]
    first = shown.box("process/layers.0/attention/norm")
    read = [numbers[number] for number in first["reads"]]
    assert read == ["encode/cross_attend/output", "process/layers.0/output"]


def test_weights_that_are_shared_are_told(command: Command) -> None:
    shown = _page_of(command, "imagenet_perceiver")
    assert shown.box("process/blocks.0")["sets"] == 1
    again = shown.box("encode/cross_attends.1")
    assert (again["times"], again["sets"]) == (7, 1)
    shown = _page_of(command, "kinetics")
    weights, readers = shown.data["levels"][0]["weights"], dict[str, list[str]]()
    for _, box in shown.levels[0]:
        for number in box.get("weights", []):
            readers.setdefault(weights[number]["name"], []).append(box["id"].split("/")[1])
    assert readers["decoder.project.weight"] == ["audio", "image", "label"]


def test_the_passes_leave_less_to_do(command: Command) -> None:
    before, after = _page_of(command, "kinetics").data["levels"]
    assert (before["level"], after["level"]) == (0, 2)
    inspected = json.loads(command("inspect", "kinetics", "-O", "2", "--format", "json").out)
    assert before["flops"] == inspected["before"]["flops"]
    assert after["flops"] == inspected["after"]["flops"] < before["flops"] / 3


def test_what_is_computed_before_any_run_costs_none(command: Command) -> None:
    shown = _page_of(command, "kinetics")
    table = shown.box("inputs/image/fourier.time")
    assert table["once"] is table["table"] is True
    assert "flops" not in table
    query = shown.box("encode/cross_attend/attention/query")  # of latents, which are learned
    assert query["once"] is True
    assert "table" not in query


def test_places_in_the_spec(command: Command, tiny: Path) -> None:
    shown = _page_of(command, tiny)
    lines = shown.data["spec"]["lines"]
    assert lines == TINY.splitlines()
    line, column = shown.box("process/blocks.0")["line"]
    assert lines[line - 1][column - 1 :].startswith("process:")
    changed = _page_of(command, tiny, "--set", "process.layers=3")
    assert changed.data["spec"]["lines"] == lines
    assert all(0 < box.get("line", [1])[0] <= len(lines) for _, box in changed.levels[0])


def test_texts_of_a_spec_are_shown_and_not_obeyed() -> None:
    quoted = HOSTILE.replace('"', '\\"')
    text = f'{TINY}summary: "{quoted} $name \\e[2J \\u202e é"\n# {HOSTILE}\n'
    written = page(lower(parse_spec(text)))
    shown = Reader(written)
    assert shown.tags.count("script") == 2
    assert "img" not in shown.tags
    assert shown.text["p"].startswith(f"{HOSTILE} $name \\x1b[2J \\u202e é")
    assert shown.data["spec"]["lines"][-1] == f"# {HOSTILE}"
    assert written.isascii()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", written)


def test_names_in_a_graph_are_escaped_too() -> None:
    lowered = lower(parse_spec(TINY))
    graph = lowered.graph
    inputs = tuple(replace(leaf, axes=("batch", HOSTILE, "channel")) for leaf in graph.inputs)
    blocks = {
        scope: replace(block, kind=HOSTILE, summary=HOSTILE)
        for scope, block in graph.blocks.items()
    }
    outputs = {HOSTILE: graph.outputs["y"]}
    changed = replace(graph, inputs=inputs, blocks=blocks, outputs=outputs)
    shown = Reader(page(replace(lowered, graph=changed)))
    assert shown.tags.count("script") == 2
    assert shown.box("inputs/x")["what"] == HOSTILE
    assert shown.box("input:x")["axes"] == [HOSTILE, "channel"]
    assert [box["label"] for _, box in shown.levels[0] if box["kind"] == "output"] == [HOSTILE]


def test_a_spec_cannot_name_an_axis_so() -> None:
    with pytest.raises(DiagnosticError) as caught:
        parse_spec(TINY.replace("time: length", '"<script>": length'))
    assert "PG109" in {found.code for found in caught.value.diagnostics}


def test_sizes_that_are_free_are_named_in_the_footer(command: Command, tiny: Path) -> None:
    shown = _page_of(command, tiny)
    assert "at batch 1, length = 32." in shown.text["p"]
    assert "length/2 x " in shown.text["dd"]
    assert shown.box("inputs/x")["shape"] == ["length/2", 6]
    assert "the mean over the latents" in _page_of(command, "modelnet40").text["dd"]
    assert "next 1,024 x 20000" in _page_of(command, "perceiver_ar").text["dd"]


def test_the_page_goes_to_a_file(command: Command, tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "graph.html"
    assert command("graph", tiny, "--format", "html", "-o", path) == (0, f"{path}\n", "")
    assert path.read_text().startswith(command("graph", tiny, "--format", "html").out)
    assert [*tmp_path.iterdir()] == [path]


def test_the_same_spec_gives_the_same_bytes() -> None:
    written = set()
    for seed in "12":
        command = process("graph", "kinetics", "--format", "html", env={"PYTHONHASHSEED": seed})
        out, _ = command.communicate(timeout=120)
        assert command.returncode == 0
        written.add(out)
    assert len(written) == 1


def test_the_page_needs_no_backend(tmp_path: Path) -> None:
    path = tmp_path / "kinetics.html"
    code = (
        "import sys\nfrom perceiver_graph.cli import main\n"
        f"code = main(['graph', 'kinetics', '--format', 'html', '-o', {str(path)!r}])\n"
        "sys.exit(code or bool({'torch', 'onnx', 'onnx_ir', 'onnxruntime'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=120, check=False)
    assert done.returncode == 0
    assert path.is_file()
