"""At the edges: files that are no specs, places where nothing can be written, words and numbers on screen."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import perceiver_graph
from perceiver_graph import DiagnosticError
from perceiver_graph.diagnostics.model import make
from tests.cli.support import ROOT, Command

SPEAKER = """\
perceiver: 1
name: speaker
dims: {length: {max: 32}}
inputs:
  text:
    shape: {length: length}
    steps: [{embedding: {vocabulary: 262, width: 8}}]
    attention_mask: true
    media: {text: {}}
latents: {count: 4, width: 8}
process: {layers: 1, heads: 2}
outputs:
  label: {query: {learned: {}}, head: {linear: 4}}
"""


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("README.md", "# A model\n\nIt reads: pictures\n- and more\n"),
        ("rows.csv", "x,y\n1,2\n"),
        ("settings.toml", "[tool]\na = 1\n"),
    ],
)
def test_a_file_that_is_no_spec_is_told_as_such(
    name: str, content: str, command: Command, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    done = command("check", tmp_path / name)
    assert done.code == 1
    assert f"a spec is a YAML file, and this one ends in `{Path(name).suffix}`" in done.err
    assert "perceiver-graph new NAME" in done.err
    assert "quotes" not in done.err
    (tmp_path / "a.yaml").write_text(content)
    assert "a spec is a YAML file" not in command("check", tmp_path / "a.yaml").err


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="there is no /proc")
@pytest.mark.parametrize(
    "place", ["/proc/x", "/proc/self/fd/x", "/dev/null", "/dev/null/x", "FILE"]
)
def test_where_nothing_can_be_written_it_is_said(
    place: str, command: Command, tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    place = place.replace("FILE", str(tmp_path / "file"))
    speaker = tmp_path / "speaker.yaml"
    speaker.write_text(SPEAKER)
    assert command("compile", speaker, "-o", tmp_path / "made").code == 0
    lines = [["compile", tiny], ["run", tmp_path / "made", "text=abc"]]
    for words in [*lines, ["graph", tiny]]:
        if words[0] == "graph" and place == "/dev/null":
            continue
        done = command(*words, "-o", place)
        assert done.code == 1, words
        assert re.match(r"error\[PG(407|511)\]: ", done.err), done.err
        assert "  = help: " in done.err
        assert "free" not in done.err.splitlines()[0]
    assert (tmp_path / "file").read_text() == "mine"


def test_too_little_memory_is_told_with_what_was_given(
    command: Command, tiny: Path, tmp_path: Path
) -> None:
    done = command("compile", tiny, "--memory", "1KB", "-o", tmp_path / "a")
    assert "1,000 bytes is too little for `tiny`: a run takes" in done.err
    least = re.search(r"`--memory (\w+)`", done.err)
    assert least
    assert command("compile", tiny, "--memory", least[1], "-o", tmp_path / "a").code == 0


def test_an_attention_mask_is_listed_with_the_inputs(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SPEAKER)
    done = command("compile", tmp_path / "a.yaml", "-o", tmp_path / "a")
    assert "\n  text.attention_mask  bool [batch, length], may be left out\n" in done.out


@pytest.mark.parametrize("columns", ["80", "60"])
@pytest.mark.parametrize(
    "spec", ["language", "modelnet40", "kinetics", "optical_flow", "starcraft"]
)
def test_no_word_is_broken(
    spec: str, columns: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = []
    for width in ("400", columns):
        monkeypatch.setenv("COLUMNS", width)
        drawn = re.sub("[█▉▊▋▌▍▎▏#]+", " ", command("inspect", spec).out)  # less its bars
        words.append(set(drawn.split()))
    assert words[1] <= words[0]


ALIKE = {"axis", "is", "has", "this", "was", "does", "less", "bias"}


def test_one_of_a_thing_is_no_plural() -> None:
    """In all that is known to be printed: "1 token", and not "1 tokens"."""
    wrong = []
    for path in sorted((ROOT / "tests" / "cases").rglob("*.md")):
        for text in re.findall(r"^```text$(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL):
            found = re.findall(r"(?<![\w.,*/-])1 ([a-z]+s)\b", text)
            wrong += [f"{path.name}: 1 {word}" for word in found if word not in ALIKE]
    assert not wrong


def test_messages_are_made_with_one_of_a_thing() -> None:
    found = make(
        "PG503", "has 1 channels", notes=["11 rows, 2.1 values, `1 rows`"], help="1 queries"
    )
    assert (found.message, found.help) == ("has 1 channel", "1 query")
    assert found.notes == ("11 rows, 2.1 values, `1 rows`",)


def test_help_is_for_who_reads_it(command: Command, tiny: Path, tmp_path: Path) -> None:
    """Options for who typed a command, arguments for who called from Python."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    assert "choose another place with `-o`" in command("compile", tiny, "-o", tmp_path / "mine").err
    with pytest.raises(DiagnosticError) as refused:
        perceiver_graph.compile(tiny).save(tmp_path / "mine")
    assert "choose another place, or" in str(refused.value)
    assert "-o" not in str(refused.value).replace(str(tmp_path), "")
    perceiver_graph.compile(tiny).save(tmp_path / "made")
    program = perceiver_graph.load(tmp_path / "made")
    arrays = {"x": np.zeros((1, 4, 3), np.float32)}
    with pytest.raises(DiagnosticError) as little:
        program.run(arrays, memory=10)
    least = re.search(r"`memory=(\d+)`", str(little.value))
    assert least
    assert "--" not in str(little.value)
    assert program.run(arrays, memory=int(least[1]))


def test_results_that_other_runs_have_left_are_told(command: Command, tmp_path: Path) -> None:
    perceiver_graph.compile(SPEAKER).save(tmp_path / "speaker")
    for name in ("one", "two", "three"):
        (tmp_path / f"{name}.txt").write_text(name)
    out = tmp_path / "out"

    def left(*names: str) -> str:
        done = command(
            "run", tmp_path / "speaker", *(tmp_path / f"{n}.txt" for n in names), "-o", out
        )
        assert done.code == 0, done.err
        return done.err

    assert "other runs" not in left("one")
    assert "other runs" not in left("one")  # it is the same subject
    assert f"{out} holds results of other runs, too: one.json" in left("two")
    assert "too: one.json, two.json" in left("three")
    assert "other runs" not in left("one", "two", "three")
    (out / "one.json").write_text("{}")  # no run wrote that
    (out / "notes.json").write_text("[]")
    assert "too: two.json\n" in left("three")


def test_what_a_killed_run_has_left_is_removed_and_no_result(
    command: Command, tmp_path: Path
) -> None:
    perceiver_graph.compile(SPEAKER).save(tmp_path / "speaker")
    (tmp_path / "kill.py").write_text(
        "import os, signal, sys\n"
        "from perceiver_graph.cli import main\n"
        "from perceiver_graph.runtime import results\n"
        "results.summary_bytes = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "main(sys.argv[1:])\n"
    )
    out = tmp_path / "out"
    words = ["run", str(tmp_path / "speaker"), "a text", "-o", str(out)]
    killed = [sys.executable, str(tmp_path / "kill.py"), *words]
    done = subprocess.run(killed, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")
    remains = [*out.iterdir()]
    assert remains
    said = command(*words).err
    assert f"{remains[0]}, which a run that was killed has left, was removed" in said
    assert "other runs" not in said
    assert {path.stem for path in out.iterdir()} == {"text"}
    assert "killed" not in command(*words).err


def test_the_manifest_of_an_artifact_is_told_from_its_spec(
    command: Command, tmp_path: Path
) -> None:
    folder = tmp_path / "art"
    assert command("compile", "specs/modelnet40.yaml", "-o", folder, "--backend", "torch").code == 0
    done = command("check", folder / "manifest.json")
    assert done.code == 1
    assert "manifest of an artifact" in done.err
    assert f"perceiver-graph check {folder / 'spec.yaml'}" in done.err
    assert command("check", folder / "spec.yaml").code == 0
