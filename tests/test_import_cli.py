"""`perceiver-graph import` from the command line, up to a program that answers."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

import perceiver_graph as pg
from tests.cli.support import ROOT, Command
from tests.deepmind_files import write
from tests.faults import imported, trials
from tests.import_support import answer, inputs_of, model, save
from tests.parity.harness import agree

FILES = ["spec.yaml", "weights.safetensors"]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(model("OpticalFlow"), tmp_path_factory.mktemp("import") / "optical-flow")


def test_from_a_checkpoint_to_an_answer(
    command: Command, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = command("import", checkpoint)
    assert done.code == 0, done.err
    assert done.err == ""
    folder = Path("imported") / "optical-flow"
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert "PerceiverForOpticalFlow of transformers" in done.out
    following = done.out.splitlines()[-1].removeprefix("next: perceiver-graph ").split()
    done = command(*following, "-o", "artifact")
    assert done.code == 0, done.err
    made = model("OpticalFlow")
    inputs = inputs_of(made, "OpticalFlow")
    expected = answer(made, "OpticalFlow", inputs)["flow"]
    found = pg.load("artifact", device="cpu").run(inputs)["flow"]
    agree("from the command line", 100 * found, 100 * expected)


def test_options(command: Command, checkpoint: Path, tmp_path: Path) -> None:
    target = tmp_path / "new"
    arguments = ["--replace-head", "flow=3", "--seed", "5", "--name", "mine"]
    done = command("import", checkpoint, "-o", target, *arguments, "--model-class", "OpticalFlow")
    assert done.code == 0, done.err
    assert "note: the head of `flow` is new, for 3 classes (seed 5)" in done.err
    text = (target / "spec.yaml").read_text()
    assert "name: mine" in text
    assert "linear: 3" in text
    assert load_file(target / "weights.safetensors")["heads.flow.linear.bias"].shape == (3,)


def test_a_folder_of_a_former_import_is_replaced(
    command: Command, checkpoint: Path, tmp_path: Path
) -> None:
    target = tmp_path / "new"
    assert command("import", checkpoint, "-o", target).code == 0
    assert command("import", checkpoint, "-o", target, "--name", "again").code == 0
    assert "name: again" in (target / "spec.yaml").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_other_folders_and_files_are_kept(
    command: Command, checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    for target in (tmp_path, tmp_path / "thesis.tex"):
        done = command("import", checkpoint, "-o", target)
        assert done.code == 1
        assert "PG407" in done.err
    assert (tmp_path / "thesis.tex").read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_nothing_is_half_written(
    command: Command, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "new"
    assert command("import", checkpoint, "-o", target, "--name", "before").code == 0

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.numpy.save_file", full)
    done = command("import", checkpoint, "-o", target)
    assert done.code == 1
    assert "No space left on device" in done.err
    assert "name: before" in (target / "spec.yaml").read_text()
    assert sorted(path.name for path in target.iterdir()) == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


@pytest.mark.parametrize("name", ["before", "after"])
def test_a_kill_without_exchange_leaves_the_old_the_new_or_no_spec(
    name: str, command: Command, checkpoint: Path, tmp_path: Path
) -> None:
    shutil.copytree(checkpoint, tmp_path / "c")
    words = ["import", "c", "-o", "new", "--replace-head", "flow=3"]
    target = tmp_path / "new"
    before = [str(tmp_path / word) if word in ("c", "new") else word for word in words]
    assert command(*before, "--name", "before").code == 0
    (target / "notes.md").write_text("mine")
    old = imported(tmp_path)
    found = trials(
        tmp_path,
        [*words, "--name", name, "--seed", "1"],
        [signal.SIGKILL],
        exchange=False,
        every=3,
        holds="tests.faults:imported",
    )
    (new,) = {trial.healed for trial in found}
    assert new.startswith(name)
    assert new != old
    held = {trial.holds for trial in found}
    if name == "before":  # the spec stays: there is no moment at which they do not fit
        assert held == {old, new}
    else:
        (between,) = held - {old, new}
        assert "an import was cut off here" in between
    for trial in found:
        assert not any(".perceiver-graph" in path for path in trial.after)
        assert trial.after["new/notes.md"] == trial.left["new/notes.md"]


def test_what_was_changed_since_the_import_is_kept(
    command: Command, checkpoint: Path, tmp_path: Path
) -> None:
    target = tmp_path / "new"
    assert command("import", checkpoint, "-o", target).code == 0
    (target / "notes.md").write_text("mine")
    again = command("import", checkpoint, "-o", target, "--name", "again")
    assert again.code == 0, again.err
    assert (target / "notes.md").read_text() == "mine"
    for name in FILES:
        path, before = target / name, (target / name).read_bytes()
        if name == "spec.yaml":
            path.write_bytes(before + b"# a remark\n")
        else:
            tensors = load_file(path)
            tensors[min(tensors)] += 1
            save_file(tensors, path)
        changed = path.read_bytes()
        done = command("import", checkpoint, "-o", target)
        assert done.code == 1
        assert "PG407" in done.err
        assert name in done.err
        assert path.read_bytes() == changed
        path.write_bytes(before)


def test_a_full_disk_is_a_diagnostic(
    command: Command, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.numpy.save_file", full)
    done = command("import", checkpoint, "-o", tmp_path / "new")
    assert done.code == 1
    assert "error[PG407]" in done.err
    assert "No space left on device" in done.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--replace-head", "flow"], "PG313"),
        (["--replace-head", "flow=x"], "PG313"),
        (["--replace-head", "label=3"], "PG313"),
        (["--image-size", "big"], "PG310"),
        (["--image-size", "0x3"], "PG310"),
        (["--model-class", "Bert"], "PG311"),
        (["--config", "absent.json"], "PG301"),
        (["--prefix", "nobody."], "PG306"),
        (["--name", "no name"], "PG109"),
    ],
)
def test_options_that_make_no_sense(
    arguments: list[str], code: str, command: Command, checkpoint: Path, tmp_path: Path
) -> None:
    done = command("import", checkpoint, "-o", tmp_path / "new", *arguments)
    assert done.code == 1
    assert code in done.err
    assert not (tmp_path / "new").exists()


def test_a_name_that_cannot_be_is_not_blamed_on_a_spec(command: Command, checkpoint: Path) -> None:
    done = command("import", checkpoint, "--name", "a b")
    assert (done.code, "spec.yaml" in done.err) == (1, False)
    assert "error[PG109]: `a b` is not a valid name" in done.err
    assert "= help: for example `a_b`" in done.err


def test_what_has_weights_of_this_package_is_compiled_not_imported(
    command: Command, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command("import", checkpoint, "-o", "imported").code == 0
    advised = ["compile", "imported/spec.yaml", "--weights", "imported"]
    assert command(*advised, "-o", "artifact", "--backend", "all").code == 0
    for folder in ("imported", "artifact"):
        done = command("import", folder)
        assert done.code == 1
        assert f"perceiver-graph compile {folder}/spec.yaml --weights {folder} -o DIR" in done.err


def test_a_file_of_deepmind(command: Command, tmp_path: Path) -> None:
    made = model("ImageClassificationFourier", num_blocks=8, num_self_attention_heads=8)
    path = write("ImageClassificationFourier", made, tmp_path)
    done = command("import", path, "-o", tmp_path / "new")
    assert done.code == 0, done.err
    assert "dialect: deepmind" in (tmp_path / "new" / "spec.yaml").read_text()
    assert "name: imagenet_fourier_position_encoding" in (tmp_path / "new/spec.yaml").read_text()


class _Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch PWNED",)


def test_no_code_of_a_pickle_runs(tmp_path: Path) -> None:
    path = tmp_path / "hostile.pystate"
    path.write_bytes(pickle.dumps({"params": {"a": {"w": _Hostile()}}, "state": {}}))
    run = subprocess.run(
        [sys.executable, "-m", "perceiver_graph", "import", str(path), "-o", "new"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "PG312" in run.stderr
    assert "posix.system" in run.stderr
    assert "Traceback" not in run.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["hostile.pystate"]


def test_pickles_given_to_compile_are_sent_to_import(
    command: Command, checkpoint: Path, tmp_path: Path
) -> None:
    path = tmp_path / "a.pystate"
    path.write_bytes(pickle.dumps({"a": np.ones(2)}))
    done = command("compile", "kinetics", "--weights", path, "-o", tmp_path / "out")
    assert done.code == 1
    assert "perceiver-graph import" in done.err


def test_importing_needs_no_torch(checkpoint: Path, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from perceiver_graph.cli import main\n"
        f"assert main(['import', {str(checkpoint)!r}, '-o', {str(tmp_path / 'new')!r}]) == 0\n"
        "print([m for m in ('torch', 'onnx', 'onnx_ir', 'onnxruntime') if m in sys.modules])\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines()[-1] == "[]"
