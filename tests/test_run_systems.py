"""Every shipped system, small, from the command line: compiled, then run on a file of its kind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from perceiver_graph.cli import main
from tests.media_support import encode, grey, tone
from tests.small import SMALL


def clip(folder: Path) -> list[str]:
    path = folder / "clip.mp4"
    encode(path, [grey(i, 32, 32) for i in range(9)], tone(0.36))
    return [str(path)]


def sound(folder: Path) -> list[str]:
    path = folder / "sound.wav"
    encode(path, samples=tone(0.1, rate=16_000), sample_rate=16_000, codecs=("", "pcm_s16le"))
    return [str(path)]


def picture(folder: Path, name: str = "cat.png", seed: int = 0) -> list[str]:
    pixels = np.random.default_rng(seed).integers(0, 256, (30, 40, 3), np.uint8)
    Image.fromarray(pixels).save(folder / name)
    return [str(folder / name)]


def two_pictures(folder: Path) -> list[str]:
    return [*picture(folder, "first.png"), *picture(folder, "second.png", 1)]


def points(folder: Path) -> list[str]:
    rows = "".join(f"{i} {i % 3} {i % 5}\n" for i in range(20))
    header = "ply\nformat ascii 1.0\nelement vertex 20\n"
    header += "".join(f"property float {axis}\n" for axis in "xyz") + "end_header\n"
    (folder / "chair.ply").write_text(header + rows)
    return [str(folder / "chair.ply")]


def units(folder: Path) -> list[str]:
    rows = np.random.default_rng(0).standard_normal((9, 12))
    np.savez(folder / "units.npz", entities=rows)
    return [str(folder / "units.npz")]


def tokens(channels: int, name: str = "image") -> Callable[[Path], list[str]]:
    """What a tower of another model has seen."""

    def make(folder: Path) -> list[str]:
        seen: dict[str, Any] = {name: np.random.default_rng(0).standard_normal((7, channels))}
        np.savez(folder / "seen.npz", **seen)
        return [str(folder / "seen.npz")]

    return make


def shape(folder: Path) -> list[str]:
    """What a diffusion model has made, and points to ask at."""
    rng = np.random.default_rng(0)
    np.savez(folder / "shape.npz", shape=rng.standard_normal((9, 64)))
    at: dict[str, Any] = {"inside.points": rng.uniform(-1, 1, (1, 5, 3))}
    np.savez(folder / "points.npz", **at)
    return [str(folder / "shape.npz"), "--inputs", str(folder / "points.npz")]


def text(*texts: str) -> Callable[[Path], list[str]]:
    return lambda folder: list(texts)


# What each is run on, the files that come of it, and the outputs that say something.
RUNS: dict[str, tuple[Callable[[Path], list[str]], list[str], list[str]]] = {
    "kinetics": (clip, ["clip.mp4", "clip.png", "clip.json"], ["label"]),
    "language": (text("some [MASK*3] here"), ["text.json"], ["text"]),
    "language_plus": (text("some [MASK*3] here"), ["text.json"], ["text"]),
    "text_classification": (text("wonderful"), ["text.json"], ["label"]),
    "glue_multitask": (
        text("it rains", "it pours"),
        ["text.json"],
        ["cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte"],
    ),
    "token_classification": (text("Merkel in Berlin"), ["text.json"], ["entities"]),
    "question_answering": (text("who?", "Bob did it"), ["text.json"], ["span"]),
    "imagenet_fourier": (picture, ["cat.png", "cat.json"], ["label"]),
    "imagenet_learned": (picture, ["cat.png", "cat.json"], ["label"]),
    "imagenet_conv": (picture, ["cat.png", "cat.json"], ["label"]),
    "imagenet_large": (picture, ["cat.png", "cat.json"], ["label"]),
    "imagenet_perceiver": (picture, ["cat.png", "cat.json"], ["label"]),
    "object_detection": (picture, ["cat.png", "cat.json"], ["boxes"]),
    "optical_flow": (two_pictures, ["first.flo", "first.png", "first.json"], ["flow"]),
    "audioset": (clip, ["clip.png", "clip.json"], ["label"]),
    "audioset_mel": (clip, ["clip.png", "clip.json"], ["label"]),
    "audio_classification": (sound, ["sound.png", "sound.json"], ["label"]),
    "modelnet40": (points, ["chair.json"], ["label"]),
    "ip_adapter_plus": (tokens(20), ["seen.json", "seen.npz"], []),
    "ip_adapter_plus_sdxl": (tokens(20), ["seen.json", "seen.npz"], []),
    "openflamingo_resampler": (tokens(16), ["seen.json", "seen.npz"], []),
    "idefics_resampler": (tokens(20), ["seen.json", "seen.npz"], []),
    "idefics2_connector": (tokens(16), ["seen.json", "seen.npz"], []),
    "xtts_conditioner": (tokens(16, "speech"), ["seen.json", "seen.npz"], []),
    "chatterbox_conditioner": (tokens(16, "speech"), ["seen.json", "seen.npz"], []),
    "lucidrains_perceiver": (picture, ["cat.png", "cat.json"], ["label"]),
    "hunyuan3d_decoder": (shape, ["shape.json", "shape.npz"], []),
    "starcraft": (units, ["units.json", "units.npz"], []),
}
WITHOUT_FILES = {
    "language_sentencepiece": (text("some text"), "PG512"),
    "perceiver_ar": (text("some text"), "PG512"),
    "aurora_level_encoder": (text("some text"), "PG512"),
    "aurora_level_decoder": (text("some text"), "PG512"),
    "aria_projector": (text("some text"), "PG512"),
    "perceiver_actor": (text("some text"), "PG512"),
    "tabicl_columns": (text("some text"), "PG512"),
    "lucidrains_perceiver_io": (text("some text"), "PG512"),
    "poyo": (text("some text"), "PG512"),
    "luna": (text("some text"), "PG512"),
}


def compiled(name: str, folder: Path) -> Path:
    options = [part for setting in SMALL[name] for part in ("--set", setting)]
    assert main(["compile", name, "-o", str(folder / "artifact"), *options]) == 0
    return folder / "artifact"


def test_every_system_is_run() -> None:
    assert RUNS.keys() | WITHOUT_FILES.keys() == SMALL.keys()


@pytest.mark.parametrize("name", RUNS)
def test_a_system_runs_on_a_file_of_its_kind(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, files, outputs = RUNS[name]
    artifact, out = compiled(name, tmp_path), tmp_path / "out"
    hint = capsys.readouterr().out.splitlines()[-1]
    given = make(tmp_path)
    assert ("--inputs" in hint) == ("--inputs" in given)
    arguments = ["run", str(artifact), *given, "-o", str(out), "--device", "cpu"]
    assert main(arguments) == 0, capsys.readouterr().err
    said = capsys.readouterr()
    assert [path.name for path in out.iterdir() if path.name not in files] == []
    assert said.out.splitlines()[: len(files)] == [str(out / file) for file in files]
    (summary,) = (file for file in files if file.endswith(".json"))
    data = json.loads((out / summary).read_text(encoding="utf-8"))
    assert list(data["outputs"]) == outputs
    assert said.err == ""


@pytest.mark.parametrize("name", WITHOUT_FILES)
def test_what_reads_no_files_says_how_it_is_run(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, code = WITHOUT_FILES[name]
    artifact = compiled(name, tmp_path)
    assert "--inputs" in capsys.readouterr().out.splitlines()[-1]
    assert main(["run", str(artifact), *make(tmp_path), "-o", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert f"error[{code}]" in said
    assert "--inputs IN.npz" in said
