"""`compile` and `run`: from a spec to results on disk."""

from __future__ import annotations

import json
import os
import pty
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import perceiver_graph
from perceiver_graph.runtime.inputs import write_arrays
from tests.cli.support import ROOT, Command
from tests.test_writing import WRITER


def test_compile_says_what_it_wrote(
    command: Command, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = command("compile", tiny)
    assert done.code == 0, done.err
    assert done.err == ""
    assert "\x1b" not in done.out
    target = Path("build") / "tiny"
    manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    for name in manifest["files"]:
        assert name in done.out
    assert "float32 [batch, time length, channel 3]" in done.out
    assert done.out.splitlines()[-1] == (
        f"next: perceiver-graph run {target} --inputs IN.npz -o OUT.npz"
    )
    assert manifest["parameters"] == perceiver_graph.compile(tiny).graph.parameter_count


def test_compile_writes_the_ir(command: Command, tiny: Path, tmp_path: Path) -> None:
    ir = tmp_path / "ir"
    done = command("compile", tiny, "-o", tmp_path / "t", "--dump-ir", ir, "--verify", "-O", "1")
    assert done.code == 0, done.err
    assert (ir / "00-lowered.ir.txt").read_text().startswith("graph tiny")


def test_no_ir_is_written_into_the_artifact_or_without_passes(
    command: Command, tiny: Path, tmp_path: Path
) -> None:
    done = command("compile", tiny, "-o", tmp_path / "t", "--dump-ir", tmp_path / "t" / "ir")
    assert (done.code, "lies in the folder of the artifact" in done.err) == (1, True)
    assert not (tmp_path / "t").exists()
    ir = tmp_path / "ir"
    done = command("compile", tiny, "-o", tmp_path / "t", "--dump-ir", ir, "--backend", "torch")
    assert (done.code, "nothing is written to" in done.err, ir.exists()) == (0, True, False)


def test_compile_does_not_touch_what_is_no_artifact(
    command: Command, tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "thesis.tex").write_text("precious", encoding="utf-8")
    done = command("compile", tiny, "-o", tmp_path)
    assert done.code == 1
    assert "PG407" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def _arrays(tmp_path: Path, batch: int = 2, length: int = 6) -> Path:
    path = tmp_path / "in.npz"
    rng = np.random.default_rng(0)
    np.savez(path, x=rng.standard_normal((batch, length, 3), dtype=np.float32))
    return path


def test_run_on_arrays(command: Command, artifact: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.npz"
    done = command("run", artifact, "--inputs", _arrays(tmp_path), "-o", out)
    assert done.code == 0, done.err
    assert done.out.splitlines() == [
        str(out),
        "  y      float32 [2, 8, 2]",
        "  label  float32 [2, 4]",
    ]
    with np.load(out) as results:
        assert results["y"].shape == (2, 8, 2)
        assert results["label"].shape == (2, 4)
        assert np.isfinite(results["y"]).all()


def test_run_replaces_only_arrays_of_a_run(
    command: Command, artifact: Path, tmp_path: Path
) -> None:
    inputs, out = _arrays(tmp_path), tmp_path / "out.npz"
    run = ("run", artifact, "--inputs", inputs, "-o")
    assert command(*run, out).code == 0
    ours = out.read_bytes()
    assert command(*run, out).code == 0
    assert out.read_bytes() == ours
    np.savez(tmp_path / "measured.npz", y=np.ones(3))
    changed = bytearray(ours)
    changed[len(ours) // 2] ^= 1
    for theirs in ((tmp_path / "measured.npz").read_bytes(), bytes(changed), b"short", b""):
        out.write_bytes(theirs)
        done = command(*run, out)
        assert (done.code, "error[PG511]" in done.err) == (1, True)
        assert out.read_bytes() == theirs
    assert "the inputs are read from it" in command(*run, inputs).err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.npz", "measured.npz", "out.npz"]


def test_run_decodes_only_what_is_asked_for(
    command: Command, artifact: Path, tmp_path: Path
) -> None:
    inputs = _arrays(tmp_path)
    whole, part = tmp_path / "whole.npz", tmp_path / "part.npz"
    assert command("run", artifact, "--inputs", inputs, "-o", whole).code == 0
    options = ["--decode", "y=2:5", "--decode", "label", "--memory", "1GiB", "--device", "cpu"]
    assert command("run", artifact, "--inputs", inputs, "-o", part, *options).code == 0
    with np.load(whole) as all_results, np.load(part) as results:
        assert set(results.files) == {"y", "label"}
        np.testing.assert_allclose(results["y"], all_results["y"][:, 2:5], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(results["label"], all_results["label"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--decode", "y=5:2"], "PG506"),
        (["--decode", "y=0:9"], "PG506"),
        (["--decode", "y=a:b"], "PG506"),
        (["--decode", "yy"], "PG506"),
        (["--decode", "label=0:1"], "PG506"),
        (["--memory", "1B"], "PG510"),
        (["-o", "no/such/folder/out.npz"], "PG511"),
        (["-o", "."], "PG511"),
    ],
)
def test_run_refuses_what_cannot_be(
    options: Sequence[str],
    code: str,
    command: Command,
    artifact: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inputs = _arrays(tmp_path)
    monkeypatch.chdir(tmp_path)
    done = command("run", artifact, "--inputs", inputs, *options)
    assert done.code == 1
    assert f"error[{code}]" in done.err
    assert [*tmp_path.iterdir()] == [inputs]


def test_run_names_what_is_wrong_with_arrays(
    command: Command, artifact: Path, tmp_path: Path
) -> None:
    assert "PG513" in command("run", artifact, "--inputs", tmp_path / "missing.npz").err
    done = command("run", artifact, "--inputs", _arrays(tmp_path, length=5))
    assert done.code == 1
    assert "PG503" in done.err


def test_run_on_files_needs_an_input_for_files(
    command: Command, artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    done = command("run", artifact, "clip.mp4")
    assert done.code == 1
    assert "error[PG5" in done.err
    assert "Traceback" not in done.err


TEXT = """\
perceiver: 1
name: speaker
dims: {length: {max: 40}}
inputs:
  text:
    shape: {length: length}
    steps: [{embedding: {vocabulary: 262, width: 8}}]
    attention_mask: true
    media: {text: {}}
latents: {count: 4, width: 8}
process: {layers: 1, heads: 2}
outputs:
  text:
    query: {grid: {length: length}, position: {learned: {width: 8}}}
    head: {tied_embedding: text}
    media: {text: {}}
  label: {query: {learned: {}}, head: {linear: 3}, media: {classes: {}}}
"""


@pytest.fixture(scope="module")
def speaker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("speaker")
    (folder / "speaker.yaml").write_text(TEXT, encoding="utf-8")
    perceiver_graph.compile(folder / "speaker.yaml").save(folder / "artifact")
    return folder / "artifact"


SEVERAL = """\
perceiver: 1
name: several
inputs:
  left: {shape: {height: 4, width: 4, channel: 3}, media: {image: {}}}
  right: {shape: {time: 2, height: 4, width: 4, channel: 3}, media: {video: {}}}
latents: {count: 2, width: 3}
encode: {heads: 1}
process: {layers: 0, heads: 1}
join: {padding: {min: 1}}
outputs:
  label: {query: {mean: latents}}
"""


def test_compile_names_inputs_that_files_could_be_confused_for(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "several.yaml").write_text(SEVERAL, encoding="utf-8")
    out = command("compile", tmp_path / "several.yaml", "-o", tmp_path / "out").out
    assert out.endswith("out right=CLIP.mp4 left=PICTURE.jpg -o out\n"), out


def test_compile_names_the_arrays_that_come_beside_files(command: Command, tmp_path: Path) -> None:
    """Those that are needed: not those that may be left out, nor what is always masked."""
    for mask, name, beside in (
        ("never", "state", " state=FILE.npy"),
        ("never", "state_of_motors", " --inputs REST.npz"),
        ("optional", "state", ""),
        ("always", "state", ""),
    ):
        more = f"  {name}: {{shape: {{channel: 3}}, mask: {mask}}}\nlatents:"
        spec = SEVERAL.replace("latents:", more, 1)
        (tmp_path / "robot.yaml").write_text(spec, encoding="utf-8")
        out = command("compile", tmp_path / "robot.yaml", "-o", tmp_path / mask).out
        assert out.endswith(f" left=PICTURE.jpg{beside} -o out\n"), out


def test_a_missing_folder_is_named_with_what_makes_it(
    command: Command, artifact: Path, tmp_path: Path
) -> None:
    done = command("run", artifact, "--random", "-o", tmp_path / "no folder" / "out.npz")
    assert done.code == 1
    assert f"make it: `mkdir -p '{tmp_path / 'no folder'}'`; or choose" in done.err


def test_compile_says_how_to_run_on_a_text(command: Command, speaker: Path, tmp_path: Path) -> None:
    done = command("compile", speaker / "spec.yaml", "-o", tmp_path / "again")
    assert done.out.splitlines()[-1] == (
        f'next: perceiver-graph run {tmp_path / "again"} "A TEXT" -o out'
    )


def test_compile_says_how_a_causal_model_goes_on(command: Command, tmp_path: Path) -> None:
    for name, spec in (("text", WRITER), ("ids", WRITER.replace("    media: {text: {}}\n", ""))):
        (tmp_path / f"{name}.yaml").write_text(spec, encoding="utf-8")
        done = command("compile", tmp_path / f"{name}.yaml", "-o", tmp_path / name)
        last = done.out.splitlines()[-1]
        assert last.endswith("--generate 100"), last
        words = shlex.split(last.removeprefix("next: perceiver-graph "))
        np.savez(tmp_path / "IN.npz", text=np.array([[4, 85, 116]]))
        words = [str(tmp_path / "IN.npz") if word == "IN.npz" else word for word in words]
        again = command(*words)
        assert (again.code, bool(again.out)) == (0, True), again.err


def test_run_on_a_text(
    command: Command, speaker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "names.txt").write_text("good\nbad\nugly\n\n", encoding="utf-8")
    done = command("run", speaker, "Some [MASK*4] are missing.", "--names", "names.txt")
    assert done.code == 0, done.err
    data = json.loads(Path("out/text.json").read_text(encoding="utf-8"))
    path, text, label = done.out.splitlines()
    assert path == "out/text.json"
    assert text.startswith("  text: Some ")
    assert {one["name"] for one in data["outputs"]["label"]} == {"good", "bad", "ugly"}
    assert label.startswith(f"  label: {data['outputs']['label'][0]['name']} ")


def test_what_a_model_says_does_not_steer_the_terminal(
    command: Command, speaker: Path, tmp_path: Path
) -> None:
    done = command("run", speaker, "red \x1b[31m[MASK]", "-o", tmp_path)
    assert "red \\x1b[31m" in done.out
    assert "\x1b" not in done.out


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["missing.txt"], "PG512", "looks like a file"),
        (["x" * 50], "PG514", "52 ids"),
        (["fine", "--names", "two.txt"], "PG515", "`label` has 3"),
        (["fine", "--names", "label=two.txt"], "PG515", "2 names are given for the 3 classes"),
        (["fine", "--names", "none.txt"], "PG515", "none.txt does not exist"),
        (["fine", "--names", "text=two.txt"], "PG515", "these are: `label`"),
    ],
)
def test_run_names_what_is_wrong_with_texts(
    command: Command,
    speaker: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: Sequence[str],
    code: str,
    text: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.txt").write_text("good\nbad\n", encoding="utf-8")
    done = command("run", speaker, *arguments)
    assert done.code == 1
    assert f"error[{code}]" in done.err
    assert text in done.err
    assert not Path("out").exists()


def test_run_on_ids_with_a_mask(command: Command, speaker: Path, tmp_path: Path) -> None:
    ids = np.arange(20).reshape(2, 10)
    mask = np.arange(10)[None] < np.array([[10], [4]])
    found = []
    for name, other in (("a", 0), ("b", 9)):
        changed = np.where(mask, ids, other)
        write_arrays(tmp_path / f"{name}.npz", {"text": changed, "text.attention_mask": mask})
        out = tmp_path / f"{name}-out.npz"
        done = command("run", speaker, "--inputs", tmp_path / f"{name}.npz", "-o", out)
        assert done.code == 0, done.err
        with np.load(out) as results:
            found.append(results["label"])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)


def test_names_are_for_files(command: Command, artifact: Path, tmp_path: Path) -> None:
    done = command("run", artifact, "--inputs", _arrays(tmp_path), "--names", "names.txt")
    assert done.code == 2
    assert "--names" in done.err


def test_on_a_terminal(artifact: Path, tiny: Path, tmp_path: Path) -> None:
    """Progress and colour come and go; the results and what to do next stay."""
    inputs = _arrays(tmp_path)
    told = _on_terminal("compile", tiny, "-o", tmp_path / "again", cwd=tmp_path)
    assert "next: perceiver-graph run" in told
    told = _on_terminal("run", artifact, "--inputs", inputs, cwd=tmp_path)
    assert "[2, 8, 2]" in told
    told = _on_terminal("inspect", tiny, cwd=tmp_path)
    assert "\x1b[1m" in told
    assert "next: perceiver-graph compile" in told


def _on_terminal(*arguments: object, cwd: Path) -> str:
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "perceiver_graph", *map(str, arguments)],
        stdout=theirs,
        stderr=theirs,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"},
    )
    os.close(theirs)
    told = b""
    try:
        while part := os.read(ours, 65536):
            told += part
    except OSError:  # what Linux raises where a terminal ends
        pass
    os.close(ours)
    assert running.wait(timeout=120) == 0, told.decode()
    return told.decode().replace("\r\n", "\n")
