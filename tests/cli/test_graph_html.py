"""`graph --format html`: one page that holds together, shows what the tree shows, and does no harm."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from perceiver_graph.cli.inspection import Inspection
from perceiver_graph.cli.page import page
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.spec.loader import load_spec, parse_spec
from tests.cli.support import ROOT, TINY, Command, process

SPECS = sorted((ROOT / "specs").glob("*.yaml"))
HOSTILE = "<script>alert(1)</script> & \"'><img src=x onerror=alert(2)>"
VOID = {"meta"}
TREE = re.compile(r"((?:│   |    )*)(?:├── |└── )(.*?)  +")


@dataclass
class Shown:
    """A box of the page."""

    id: str
    kind: str
    level: int
    is_open: bool
    label: str = ""
    text: str = ""
    flow: dict[str, list[str]] = field(default_factory=dict)
    links: dict[str, list[str]] = field(default_factory=dict)


class Reader(HTMLParser):
    """Reads a page and asserts that every element is closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.path: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text: dict[str, str] = {}
        self.boxes: list[Shown] = []
        self.around: list[Shown] = []
        self.term = ""
        self.feed(text)
        self.close()
        assert not self.path

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.add(tag)
        self.attributes.update(given)
        if tag in VOID:
            return
        self.path.append(tag)
        if "id" in given:
            self.ids.append(str(given["id"]))
        if tag == "a":
            self.links.append(str(given["href"]))
            self.around[-1].links.setdefault(self.term, []).append(str(given["href"]))
        if tag == "details":
            level = self.path.count("details")
            box = Shown(str(given["id"]), str(given["class"]), level, "open" in given)
            self.boxes.append(box)
            self.around.append(box)
        if tag == "dd" and self.around:
            self.around[-1].flow.setdefault(self.term, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.path.pop() == tag
        if tag == "details":
            self.around.pop()

    def handle_data(self, data: str) -> None:
        if not self.path:
            assert not data.strip()
            return
        self.text[self.path[-1]] = self.text.get(self.path[-1], "") + data
        if not self.around:
            return
        box = self.around[-1]
        if self.path[-1] == "b":
            box.label += data
        if "summary" in self.path:
            box.text += data
        if self.path[-1] == "dt":
            self.term = data
        if "dd" in self.path:
            box.flow[self.term][-1] += data

    def box(self, id: str) -> Shown:
        (found,) = [box for box in self.boxes if box.id == id]
        return found


def _inspection(text: str) -> Inspection:
    """The inspection about a spec."""
    return Inspection.of(lower(parse_spec(text)), 0)


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
    assert [(box.level, box.label) for box in shown.boxes] == expected
    assert len(shown.ids) == len(set(shown.ids))
    assert all(id and not re.search(r"\s", id) for id in shown.ids)
    assert shown.links
    assert set(shown.links) <= {f"#{id}" for id in shown.ids}
    assert shown.text["title"] == shown.text["h1"] == path.stem
    summary = load_spec(path).spec.summary
    assert summary in shown.text["p"]


def test_the_page_needs_nothing_else(command: Command) -> None:
    text = command("graph", "kinetics", "--format", "html").out
    shown = Reader(text)
    assert text.isascii()
    assert not shown.tags & {"script", "link", "img", "iframe", "object", "base"}
    assert not {name for name in shown.attributes if name.startswith("on")}
    assert "src" not in shown.attributes
    for way_out in ("url(", "@import", "http:", "https:"):
        assert way_out not in text
    assert "prefers-color-scheme: dark" in text


def test_the_sizes_of_kinetics(command: Command) -> None:
    shown = _page_of(command, "kinetics")
    sizes = "audio 1,920 x 16, image 802,816 x 3, label 1 x 700"
    for size in ("52,097 x 704", "784 x 512", "804,737 x 1026", sizes, "19,858,855", "7.47 T"):
        assert size in shown.text["dd"]
    kinds = {box.id: box.kind for box in shown.boxes}
    assert kinds["input:image"] == "input"
    assert kinds["parameter:latents"] == "parameter"
    assert kinds["output:image"] == "output"
    assert kinds["inputs/image"] == "block"
    assert kinds["inputs/joined"] == "op"
    assert set(kinds.values()) == {"input", "parameter", "group", "block", "op", "output"}
    assert shown.box("output:image").flow["axes"] == ["batch x time x height x width x channel"]


def test_equal_layers_share_a_box(command: Command) -> None:
    shown = _page_of(command, "kinetics")
    layers = shown.box("process/layers.0")
    assert layers.label == "layers.0 .. 7"
    for part in ("[batch, 784, 512]", "1,577,984 parameters", "3.73 G FLOPs", "each, 8 times"):
        assert part in layers.text
    assert "29.8 G FLOPs" in shown.box("process").text
    assert layers.links["reads"] == ["#encode/cross_attend"]
    assert layers.flow["reads"][1:] == ["then each what the one before gives"]
    assert "#decode/image" in layers.links["gives"]
    assert "#output:latents" in layers.links["gives"]
    attention = shown.box("process/layers.0/attention")
    assert attention.links["reads"] == ["#encode/cross_attend/output", "#process/layers.0/output"]


def test_a_box_reads_and_gives_at_its_own_level(command: Command) -> None:
    shown = _page_of(command, "kinetics")
    assert shown.box("encode").links["reads"] == ["#parameter:latents", "#inputs"]
    block = shown.box("encode/cross_attend")
    assert block.links["reads"] == ["#parameter:latents", "#inputs/joined"]
    assert block.flow["reads"] == [
        "[784, 512] from latents (parameter)",
        "[batch, 52097, 704] from inputs/joined",
    ]
    assert shown.box("encode/cross_attend/mlp").flow == {
        "reads": ["[batch, 784, 512] from residual"],
        "gives": ["[batch, 784, 512] to output"],
    }


def test_what_one_box_reads_another_gives(command: Command) -> None:
    shown = _page_of(command, "imagenet_perceiver")
    read = {(link, f"#{box.id}") for box in shown.boxes for link in box.links.get("reads", [])}
    given = {(f"#{box.id}", link) for box in shown.boxes for link in box.links.get("gives", [])}
    levels = {f"#{box.id}": box.level for box in shown.boxes}
    of_one_level = {(a, b) for a, b in read if levels[a] == levels[b]}
    assert of_one_level == {(a, b) for a, b in given if levels[a] == levels[b]}
    assert ("#encode/cross_attends.1", "#process/blocks.0") in of_one_level
    assert ("#process/blocks.0", "#encode/cross_attends.1") in of_one_level


@pytest.mark.parametrize("depth", [1, 2, 3, 99])
def test_the_depth_is_what_is_open_at_the_start(depth: int, command: Command, tiny: Path) -> None:
    shown = _page_of(command, tiny, "--depth", depth)
    inner = {box.id.rpartition("/")[0] for box in shown.boxes}
    for box in shown.boxes:
        assert box.is_open == (box.level < depth and box.id in inner)
    assert any(box.id.endswith("/attention/attended") for box in shown.boxes)  # all are there


def test_texts_of_a_spec_are_shown_and_not_obeyed() -> None:
    quoted = HOSTILE.replace('"', '\\"')
    written = page(_inspection(f'{TINY}summary: "{quoted} $name \\e[2J \\u202e é"\n'), 2)
    shown = Reader(written)
    assert not shown.tags & {"script", "img"}
    assert shown.text["p"].startswith(f"{HOSTILE} $name \\x1b[2J \\u202e é")
    assert "<script" not in written
    assert written.isascii()


def test_names_in_a_graph_are_escaped_too() -> None:
    lowered = lower(parse_spec(TINY))
    graph = lowered.graph
    inputs = tuple(replace(leaf, axes=(HOSTILE, *leaf.axes[1:])) for leaf in graph.inputs)
    blocks = {
        scope: replace(block, kind=HOSTILE, summary=HOSTILE)
        for scope, block in graph.blocks.items()
    }
    outputs = {HOSTILE: graph.outputs["y"]}
    changed = replace(graph, inputs=inputs, blocks=blocks, outputs=outputs)
    shown = Reader(page(Inspection.of(replace(lowered, graph=changed), 0), 2))
    assert not shown.tags & {"script", "img"}
    assert HOSTILE in shown.box("inputs/x").text
    assert shown.box("input:x").flow["axes"] == [f"{HOSTILE} x time x channel"]
    assert [box.label for box in shown.boxes if box.kind == "output"] == [HOSTILE]
    assert set(shown.links) <= {f"#{id}" for id in shown.ids}


def test_a_spec_cannot_name_an_axis_so() -> None:
    with pytest.raises(DiagnosticError) as caught:
        parse_spec(TINY.replace("time: length", '"<script>": length'))
    assert "PG109" in {found.code for found in caught.value.diagnostics}


def test_sizes_that_are_free_are_named_in_the_footer(command: Command, tiny: Path) -> None:
    shown = _page_of(command, tiny)
    assert shown.text["footer"].endswith("at batch 1, length = 32.")
    assert "length/2 x " in shown.text["dd"]
    assert "length" not in _page_of(command, "kinetics").text["footer"]
    mean = _page_of(command, "modelnet40")
    assert "the mean over the latents" in mean.text["dd"]


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
