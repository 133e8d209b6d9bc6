"""`run` with files and arrays in one call, and with random inputs."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image

from tests.cli.support import TINY, Command

ROBOT = """
perceiver: 1
name: robot
dims: {steps: {max: 40, multiple_of: 4}}
inputs:
  front:
    shape: {height: 8, width: 8, channel: 3}
    steps: [{patch: {height: 4, width: 4}}]
    position: {fourier: {bands: 2}}
    media: {image: {}}
  wrist:
    shape: {height: 8, width: 8, channel: 3}
    steps: [{patch: {height: 4, width: 4}}]
    position: {fourier: {bands: 2}}
    media: {image: {}}
  joints:
    shape: {time: steps, channel: 7}
    steps: [{linear: 16}]
    mask: never
  word: {shape: {time: 3}, steps: [{embedding: {vocabulary: 9, width: 8}}], mask: optional}
join: {padding: {min: 1}}
latents: {count: 4, width: 16}
process: {layers: 1, heads: 2}
outputs:
  label: {query: {learned: {}}, head: {linear: 4}, media: {classes: {}}}
  joints: {query: {inputs: joints}, head: {linear: 2}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("robot")


@pytest.fixture
def robot(folder: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    if not (folder / "robot").exists():
        (folder / "robot.yaml").write_text(ROBOT, encoding="utf-8")
        assert command("compile", "robot.yaml", "-o", "robot").code == 0
        rng = np.random.default_rng(0)
        for name in ("a", "b"):
            pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(folder / f"{name}.png")
        np.savez("rest.npz", joints=rng.standard_normal((1, 8, 7), np.float32))
    return folder / "robot"


def test_files_and_arrays_in_one_call(robot: Path, command: Command) -> None:
    done = command("run", robot, "front=a.png", "wrist=b.png", "--inputs", "rest.npz", "-o", "out")
    assert done.code == 0, done.err
    written = [str(Path("out") / f"a.{kind}") for kind in ("png", "json", "npz")]
    assert done.out.splitlines()[:3] == written
    with np.load("out/a.npz") as found:
        mixed = found["joints"]
    assert mixed.shape == (1, 8, 2)
    said = json.loads(Path("out/a.json").read_text())
    assert said["source"] == ["a.png", "b.png"]
    # The same with all of it as arrays.
    rest = dict(np.load("rest.npz"))
    from perceiver_graph.runtime import load
    from perceiver_graph.runtime.sources import file_readers, find_subjects

    program = load(robot, device="cpu")
    readers = file_readers(program.manifest, given=["joints"])
    (subject,) = find_subjects(["front=a.png", "wrist=b.png"], readers)
    (piece,) = subject.pieces()
    wanted = program.run({**piece.arrays, **rest})
    np.testing.assert_allclose(mixed, wanted["joints"], rtol=1e-5, atol=1e-6)
    best = max(said["outputs"]["label"], key=lambda one: one["probability"])
    assert best["index"] == wanted["label"].argmax()


def test_one_input_is_given_once(robot: Path, command: Command) -> None:
    np.savez("front.npz", front=np.zeros((1, 8, 8, 3)), joints=np.zeros((1, 8, 7)))
    done = command("run", robot, "front=a.png", "wrist=b.png", "--inputs", "front.npz")
    assert (done.code, "input `front` is given as a file and as an array" in done.err) == (1, True)
    done = command("run", robot, "b.png", "--inputs", "front.npz", "-o", "one")
    assert done.code == 0, done.err  # what is left is for `wrist`
    pixels = np.zeros((1, 8, 8, 3))
    np.savez("all.npz", front=pixels, wrist=pixels, joints=np.zeros((1, 8, 7)))
    done = command("run", robot, "a.png", "--inputs", "all.npz")
    assert (done.code, "for files: `front` and `wrist` came as an array" in done.err) == (1, True)
    done = command("run", robot, "front=a.png", "wrist=b.png")
    assert (done.code, "error[PG501]" in done.err) == (1, True)
    assert "`--inputs IN.npz` with `joints` in it" in done.err


def test_sizes_that_files_and_arrays_say_are_not_offered(robot: Path, command: Command) -> None:
    call = ("run", robot, "a.png", "--inputs", "rest.npz", "--size")
    done = command(*call, "n=3")
    assert (done.code, "= help: the sizes that can be given: none" in done.err) == (1, True)
    for size in ("batch=2", "steps=8"):
        done = command(*call, size)
        assert (done.code, "is what the shapes of the inputs say" in done.err) == (1, True)
    assert command("run", robot, "--random", "--size", "batch=2", "-o", "b.npz").code == 0


def test_random_inputs(robot: Path, command: Command) -> None:
    done = command("run", robot, "--random", "-o", "random.npz")
    assert done.code == 0, done.err
    assert done.out.splitlines() == [
        "random.npz",
        "  label   float32 [1, 4]",
        "  joints  float32 [1, 16, 2]",
        "of random inputs (seed 0, batch = 1, steps = 16)",
        "  front   float32 [1, 8, 8, 3]",
        "  wrist   float32 [1, 8, 8, 3]",
        "  joints  float32 [1, 16, 7]",
        "  word    int64 [1, 3]",
    ]
    sized = command("run", robot, "--random", "--size", "steps=8", "--seed", "3", "-o", "3.npz")
    assert "seed 3, batch = 1, steps = 8" in sized.out
    assert command("run", robot, "--random", "--seed", "0", "-o", "again.npz").code == 0
    with np.load("random.npz") as one, np.load("again.npz") as two, np.load("3.npz") as other:
        for name in one.files:
            assert np.array_equal(one[name], two[name])
        assert other["joints"].shape == (1, 8, 2)
        assert not np.array_equal(one["label"], other["label"])


SENSORS = """\
perceiver: 1
name: sensors
inputs:
  scan:
    shape: {point: 40, channel: 1}
    position:
      given: [x, y, height]
      range: {x: [-50, 50], y: [-50, 50], height: [0, 3]}
      fourier: {bands: 2, max_resolution: 8, periodic: [y]}
  label: {shape: {channel: 4}, mask: always}
join: {padding: {min: 1}}
latents: {count: 4, width: 8}
process: {layers: 1, heads: 2}
decode: {padding: {min: 0}}
outputs:
  label: {query: {learned: {}}, head: {linear: 4}}
  inside:
    query: {points: [x], position: {range: [5, 6], fourier: {bands: 2, max_resolution: 8}}}
    head: {linear: 1}
  near:
    query: {points: 2, position: {fourier: {bands: 2, max_resolution: 8}}}
    head: {linear: 1}
"""


def test_random_coordinates_lie_in_their_range(command: Command, tmp_path: Path) -> None:
    (tmp_path / "sensors.yaml").write_text(SENSORS, encoding="utf-8")
    done = command("compile", tmp_path / "sensors.yaml", "-o", tmp_path / "sensors")
    told = dict(line.split(maxsplit=1) for line in done.out.splitlines() if line[:2] == "  ")
    assert told["scan.position"] == "float32 [batch, point 40, channel 3: x, y, height]"
    assert "float32 [batch, channel 4], always masked" in done.out
    done = command("run", tmp_path / "sensors", "--random", "-o", tmp_path / "out.npz")
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize("file", ["rest.npz", "front=rest.npz", "other = 1.npz"])
def test_an_archive_among_the_files_is_told_by_its_name(
    file: str, robot: Path, command: Command, tmp_path: Path
) -> None:
    """Of a model with files, and of one without, whose inputs are all arrays."""
    Path("other = 1.npz").write_bytes(Path("rest.npz").read_bytes())
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    assert command("compile", tmp_path / "tiny.yaml", "-o", tmp_path / "tiny").code == 0
    option = shlex.join(["--inputs", file.removeprefix("front=")])
    for artifact in (robot, tmp_path / "tiny"):
        done = command("run", artifact, file)
        assert done.code == 1
        assert f"`{option}`" in done.err
    done = command("run", robot, file, "--inputs", "rest.npz")
    assert "is an archive of arrays, and no input is read from one" in done.err
    assert f"`{option}`" in done.err
    done = command("run", tmp_path / "tiny", "--inputs", tmp_path / "tiny.yaml")
    assert f"numpy.savez({str(tmp_path / 'tiny.npz')!r}, x=ARRAY)" in done.err
    np.save("one.npy", np.zeros((1, 4, 3), np.float32))
    told = command("run", tmp_path / "tiny", "--inputs", "one.npy").err
    (code,) = re.findall(r"help: (numpy.*) writes one", told)
    exec(code, {"numpy": np})
    assert command("run", tmp_path / "tiny", "--inputs", "one.npz").code == 0


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ([], 2, "`--random` to try it without data"),
        (["--random", "a.png"], 2, "leave out `--random`"),
        (["--random", "--inputs", "rest.npz"], 2, "leave out `--random`"),
        (["--seed", "1", "--inputs", "rest.npz"], 2, "add `--random`"),
        (["--random", "--size", "steps=7"], 1, "error[PG516]"),
        (["--random", "--size", "stepz=8"], 1, "error[PG516]"),
        (["--random", "--names", "a.txt"], 2, "give files, or leave it out"),
    ],
)
def test_what_does_not_go_together(
    options: list[str], code: int, words: str, robot: Path, command: Command
) -> None:
    done = command("run", robot, *options)
    assert done.code == code
    assert words in done.err


def test_arrays_through_a_pipe(
    robot: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    front = np.zeros((1, 8, 8, 3), np.float32)
    np.savez("all.npz", **np.load("rest.npz"), front=front, wrist=front)
    assert command("run", robot, "--inputs", "all.npz", "-o", "file.npz").code == 0
    with Path("all.npz").open() as stream:
        monkeypatch.setattr("sys.stdin", stream)
        done = command("run", robot, "--inputs", "-", "-o", "stdin.npz")
    assert done.code == 0, done.err
    reading, writing = os.pipe()
    Thread(target=_pour, args=(Path("all.npz").read_bytes(), writing)).start()
    done = command("run", robot, "--inputs", f"/dev/fd/{reading}", "-o", "pipe.npz")
    os.close(reading)
    assert done.code == 0, done.err
    with np.load("file.npz") as wanted:
        for name in ("stdin.npz", "pipe.npz"):
            with np.load(name) as found:
                np.testing.assert_array_equal(found["joints"], wanted["joints"], strict=True)
    done = command("run", robot, "front=-", "wrist=b.png", "--inputs", "-")
    assert done.code == 2
    assert "can be read once only" in done.err


def _pour(data: bytes, descriptor: int) -> None:
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)


def test_a_pipe_without_an_archive_is_refused_at_once(robot: Path, command: Command) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"y\n" * 1000)  # and its end stays open, as of one that goes on for ever
    done = command("run", robot, "--inputs", f"/dev/fd/{reading}")
    os.close(reading)
    os.close(writing)
    assert "PG513" in done.err
    assert "not an .npz archive" in done.err


@pytest.mark.parametrize("how", [("--random",), ("--inputs", "whole.npz")])
def test_results_of_arrays_go_to_an_archive(
    how: tuple[str, ...], robot: Path, command: Command
) -> None:
    """`-o out`, as for files, would be an archive by a name that does not say so."""
    done = command("run", robot, *how, "-o", "of arrays")
    assert done.code == 2
    assert "`-o 'of arrays.npz'`" in done.err
    assert not Path("of arrays").exists()
    assert command("run", robot, "--random", "-o", "/dev/null").code == 0
