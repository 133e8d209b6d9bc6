"""Media files in and out: real clips are encoded with PyAV, read, written and compared."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from perceiver_graph.media.clip.formats import (
    AudioFormat,
    MelFormat,
    VideoFormat,
    Window,
    media_formats,
    to_arrays,
    to_frames,
    to_pixels,
    to_samples,
)
from perceiver_graph.media.clip.mel import log_mel
from perceiver_graph.media.clip.sheet import contact_sheet, evenly_spaced
from perceiver_graph.media.clip.windows import probe_clip
from perceiver_graph.media.scores.probabilities import best_classes, probabilities
from perceiver_graph.spec.manifest import InputEntry, OutputEntry
from tests.media_support import (
    RATE,
    tone,
)


def entry(axes: str, shape: list[Any], media: dict[str, Any] | None = None) -> InputEntry:
    given = {"dtype": "float32", "axes": ["batch", *axes.split()], "shape": ["batch", *shape]}
    return InputEntry.model_validate({**given, "mask": "never", "media": media})


def output(axes: str, shape: list[Any], media: dict[str, Any]) -> OutputEntry:
    given = {"dtype": "float32", "axes": ["batch", *axes.split()], "shape": ["batch", *shape]}
    return OutputEntry.model_validate({**given, "selectable": False, "media": media})


INPUTS = {
    "audio": entry("time channel", [30720, 1], {"audio": {"rate": 48000}}),
    "image": entry("time channel height width", [16, 3, 32, 48], {"video": {"rate": 29.97}}),
    "label": entry("channel", [700]),
}


def test_formats_follow_the_manifest() -> None:
    axes = ("time", "channel", "height", "width")
    assert media_formats(INPUTS) == {
        "audio": AudioFormat(30_720, 1, 48_000, ("time", "channel"), (30_720, 1)),
        "image": VideoFormat(16, 32, 48, 3, Fraction(2997, 100), axes),
    }
    outputs = {
        "audio": output("time channel", [1920, 16], {"audio": {}}),
        "label": output("channel", [3], {"classes": {"top": 2}}),
    }
    assert media_formats(outputs, channels=1) == {
        "audio": AudioFormat(30_720, 1, 48_000, ("time", "channel"), (1920, 16)),
    }


def test_arrays_have_the_axes_of_the_manifest_and_come_back() -> None:
    formats = media_formats(INPUTS)
    random = np.random.default_rng(3)
    frames = random.integers(0, 256, (16, 32, 48, 3)).astype(np.uint8)
    samples = random.uniform(-1, 1, (30_720, 1)).astype(np.float32)
    arrays = to_arrays(Window(0, 0.0, frames, samples, 0, 0), formats)
    assert {name: (a.shape, a.dtype.name) for name, a in arrays.items()} == {
        "audio": ((1, 30_720, 1), "float32"),
        "image": ((1, 16, 3, 32, 48), "float32"),
    }
    assert arrays["image"][0, 5, 2, 7, 9] == np.float32(frames[5, 7, 9, 2]) / np.float32(255)
    image, audio = formats["image"], formats["audio"]
    assert isinstance(image, VideoFormat)
    assert isinstance(audio, AudioFormat)
    np.testing.assert_array_equal(to_pixels(to_frames(arrays["image"], image)), frames)
    np.testing.assert_array_equal(to_samples(arrays["audio"], audio), samples)
    patches = AudioFormat(30_720, shape=(1920, 16))
    np.testing.assert_array_equal(to_samples(samples.reshape(1, 1920, 16), patches), samples)
    assert list(to_arrays(Window(0, 0.0, frames, None, 0, 0), formats)) == ["image"]


def test_sound_may_be_seen_as_a_mel_spectrogram() -> None:
    mel = {"mel": {"rate": 16_000, "window": 400, "hop": 160}}
    form = media_formats({"audio": entry("frequency time channel", [20, 5, 1], mel)})["audio"]
    assert isinstance(form, MelFormat)
    assert (form.samples, form.seconds) == (1040, Fraction(13, 200))
    samples = np.random.default_rng(1).uniform(-1, 1, (1040, 1)).astype(np.float32)
    found = to_arrays(Window(0, 0.0, None, samples, 0, 0), {"audio": form})["audio"]
    wanted = log_mel(samples[:, 0], rate=16_000, window=400, hop=160, bands=20)
    np.testing.assert_array_equal(found[0, :, :, 0], wanted.T, strict=True)


def test_the_best_classes_come_first_with_their_probabilities() -> None:
    logits = np.array([[0.0, 3.0, 1.0, 3.0]], np.float32)
    best = best_classes(probabilities(logits), top=3, names=["a", "b"])
    assert [(c["index"], c["name"]) for c in best] == [(1, "b"), (3, "class 3"), (2, "class 2")]
    total = np.exp([0.0, 3.0, 1.0, 3.0]).sum()
    assert best[2]["probability"] == pytest.approx(np.e / total)
    assert sum(
        c["probability"] for c in best_classes(probabilities([1e4, 0.0, -1e4]), top=9)
    ) == pytest.approx(1)
    with pytest.raises(ValueError, match="one vector"):
        probabilities(np.zeros((2, 3)))


def test_evenly_spaced_keeps_both_ends() -> None:
    assert evenly_spaced(3) == [0, 1, 2]
    assert evenly_spaced(16) == [0, 2, 4, 6, 9, 11, 13, 15]
    assert evenly_spaced(5, limit=1) == [0]


def test_a_contact_sheet_shows_inputs_above_reconstructions(tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    red, blue = np.zeros((100, 100, 3), np.uint8), np.zeros((100, 100, 3), np.float32)
    red[..., 0], blue[..., 2] = 255, 1.0
    sound = tone(0.64) / 2**15
    contact_sheet(
        path,
        [(red, blue)] * 16,
        title="a model",
        lines=["a clip"],
        times=[i / 25 for i in range(16)],
        sounds=(sound, sound[:, 0] / 2),
    )
    pixels = np.asarray(Image.open(path))
    reds = np.argwhere((pixels == (255, 0, 0)).all(axis=-1))
    blues = np.argwhere((pixels == (0, 0, 255)).all(axis=-1))
    assert len(reds) == len(blues) == 8 * 100 * 100
    assert reds[:, 0].max() < blues[:, 0].min()
    assert (reds[:, 1].min(), reds[:, 1].max()) == (blues[:, 1].min(), blues[:, 1].max())
    below = pixels[blues[:, 0].max() + 1 :]
    assert (below != 255).any()  # the strips of the sounds
    assert (pixels[:8] == 255).all()  # the margin
    assert list(tmp_path.iterdir()) == [path]


# The package and the example ---------------------------------------------------------------------


def test_the_package_imports_without_the_media_extra() -> None:
    program = (
        "import sys; sys.modules['av'] = sys.modules['PIL'] = None\n"
        "import perceiver_graph.media.clip.windows as p\n"
        "from perceiver_graph.diagnostics import DiagnosticError\n"
        "try: p.probe_clip('a.mp4')\n"
        "except DiagnosticError as e: print(e.diagnostics[0].code, e.diagnostics[0].help)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.stdout == "PG509 `pip install 'perceiver-graph[media]'`\n", done.stderr


def load_example() -> ModuleType:
    path = Path(__file__).parents[1] / "examples" / "make_clip.py"
    spec = importlib.util.spec_from_file_location("make_clip", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_clip_is_always_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_clip = load_example()
    paths = [tmp_path / f"{letter}.mp4" for letter in "abcdef"]
    for path in paths:
        assert make_clip.main(["-o", str(path), "--seconds", "0.8", "--size", "64x48"]) == 0
    assert len({path.read_bytes() for path in paths}) == 1
    info = probe_clip(paths[0])
    assert (info.frames, info.width, info.height, info.fps) == (20, 64, 48, 25.0)
    assert (info.sample_rate, info.channels) == (RATE, 2)
    capsys.readouterr()
    assert make_clip.main(["-o", str(tmp_path / "new" / "a.mp4"), "--seconds", "0.1"]) == 0
    assert (tmp_path / "new" / "a.mp4").is_file()
    assert make_clip.main(["-o", str(paths[0] / "a.mp4")]) == 1
    assert "PG511" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        make_clip.main(["--size", "huge"])
