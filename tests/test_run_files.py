"""Clips through a small compiled model: what is written, what is said, and what is never left."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import perceiver_graph as pg
from perceiver_graph.media.clip.encode import ClipWriter
from perceiver_graph.media.clip.formats import VideoFormat, media_formats, to_arrays
from perceiver_graph.media.clip.reader import ClipReader
from perceiver_graph.media.clip.windows import probe_clip, read_clip
from perceiver_graph.runtime import Program, load
from perceiver_graph.runtime.run import run_files
from perceiver_graph.runtime.sources import file_readers
from perceiver_graph.runtime.written import of_other_runs
from perceiver_graph.spec.loader import parse_spec
from tests.faults import tree
from tests.tiny import fault, faults, write_artifact

CLASSES = ["ant", "bee", "cat", "dog", "eel", "fox", "gnu"]
SPEC = """
perceiver: 1
name: watcher
inputs:
  sound:
    shape: {time: 7680, channel: 1}
    steps: [{patch: {time: 16}}]
    position: {fourier: {bands: 4}}
    media: {audio: {rate: 48000}}
  picture:
    shape: {time: 4, height: 16, width: 16, channel: 3}
    steps: [{patch: {height: 4, width: 4}}]
    position: {fourier: {bands: 3}}
    media: {video: {rate: 25}}
    mask: never
join: {padding: {min: 2}}
latents: {count: 8, width: 16}
process: {layers: 1, heads: 2}
decode: {padding: {min: 2}, chunks: 4}
outputs:
  sound:
    query: {grid: {time: 480}, position: {fourier: {bands: 4}}}
    head: {linear: 16}
    media: {audio: {rate: 48000}}
  picture:
    query: {grid: {time: 4, height: 16, width: 16}, position: {fourier: {bands: 3}}}
    head: {linear: 3}
    media: {video: {rate: 25}}
  label:
    query: {learned: {count: 1, width: 12}}
    head: {linear: 7}
    media: {classes: {top: 3, names: [ant, bee, cat, dog, eel, fox, gnu]}}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder = tmp_path_factory.mktemp("compiled") / "watcher"
    pg.compile(parse_spec(SPEC)).save(folder)
    return load(folder, device="cpu")


def make_clip(path: Path, frames: int = 10, *, pictures: bool = True, sound: bool = True) -> Path:
    rng = np.random.default_rng(frames)
    rate = 48_000 if sound else None
    with ClipWriter(path, rate=25 if pictures else None, sample_rate=rate) as clip:
        images = rng.integers(0, 255, (frames, 32, 32, 3), np.uint8)
        samples = rng.uniform(-0.5, 0.5, (frames * 1920, 1)).astype(np.float32)
        clip.add(images if pictures else None, samples if sound else None)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def summary(folder: Path, stem: str = "clip") -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder / f"{stem}.json").read_text(encoding="utf-8"))
    return data


def window_results(program: Program, clip: Path) -> list[dict[str, NDArray[np.float32]]]:
    """The outputs of each window, without the code that is tested here."""
    reader = clip_reader(program)
    cut = read_clip(clip, video=reader.video, audio=reader.audio, allow_missing=["audio"])
    return [program.run(to_arrays(window, reader.formats)) for window in cut]


def clip_reader(program: Program) -> ClipReader:
    (reader,) = file_readers(program.manifest)
    assert isinstance(reader, ClipReader)
    return reader


def test_a_clip_becomes_a_video_a_sheet_and_labels(program: Program, tmp_path: Path) -> None:
    clip, out = make_clip(tmp_path / "clip.mp4"), tmp_path / "new" / "out"
    steps: list[tuple[str, float, int | None]] = []
    (found,) = run_files(program, [str(clip)], out, progress=lambda *step: steps.append(step))
    assert found.source == str(clip)
    assert found.files == tuple(out / f"clip.{kind}" for kind in ("mp4", "png", "json"))
    assert names(out) == ["clip.json", "clip.mp4", "clip.png"]
    assert (found.pieces, found.notes) == (3, ())

    info = probe_clip(out / "clip.mp4")
    assert (info.frames, info.fps, info.width, info.height) == (10, 25.0, 16, 16)
    assert (info.has_audio, info.sample_rate) == (True, 48_000)
    with Image.open(out / "clip.png") as sheet:
        assert sheet.width > 8 * 96

    windows = window_results(program, clip)
    data = summary(out)
    assert [(w["start"], w["stop"]) for w in data["windows"]] == [
        (0.0, 0.16),
        (0.16, 0.32),
        (0.32, 0.4),
    ]
    scores = [np.exp(r["label"][0]) / np.exp(r["label"][0]).sum() for r in windows]
    for entry, score in zip(data["windows"], scores, strict=True):
        best = [one["index"] for one in entry["label"]]
        assert best == np.argsort(-score, kind="stable")[:3].tolist()
        assert entry["label"][0]["name"] == CLASSES[best[0]]
    mean = (scores[0] + scores[1] + scores[2] / 2) / 2.5  # of the last window, half is padding
    assert data["outputs"]["label"] == found.answers["label"].data
    assert found.answers["label"].data[0]["index"] == int(mean.argmax())
    assert found.answers["label"].data[0]["probability"] == pytest.approx(
        float(mean.max()), rel=1e-4
    )

    assert [label for label, _, _ in steps] == [str(clip)] * len(steps)
    done = [value for _, value, _ in steps]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0.25, 3.0)  # a chunk of four, then all windows
    assert {total for _, _, total in steps} == {3}


def test_the_video_is_what_the_model_reconstructs(program: Program, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 8)
    run_files(program, [clip], tmp_path / "out")
    wanted = np.concatenate([r["picture"][0] for r in window_results(program, clip)])
    back = read_clip(tmp_path / "out" / "clip.mp4", video=VideoFormat(8, 16, 16), audio=None)
    frames = next(back).frames
    assert frames is not None
    shown = np.clip(wanted, 0, 1) * 255
    assert np.abs(frames.astype(float) - shown).mean() < 16  # H.264 is lossy
    assert np.abs(frames[0].astype(float) - shown[0]).mean() < 16


def test_a_silent_clip_runs_on_its_pictures_and_that_is_said(
    program: Program, tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", sound=False)
    (found,) = run_files(program, [clip], tmp_path / "out")
    assert found.notes == ("input `sound` was not given: its mask token stands for it",)
    assert summary(tmp_path / "out")["notes"] == list(found.notes)
    assert probe_clip(tmp_path / "out" / "clip.mp4").has_audio  # the model makes some up


def test_what_must_be_there_is_an_error(program: Program, tmp_path: Path) -> None:
    song = make_clip(tmp_path / "song.mp4", pictures=False)
    found = fault(lambda: run_files(program, [song], tmp_path / "out"))
    assert (found.code, "no video" in found.message) == ("PG508", True)
    assert found.help is not None
    assert 'a file for each: `program.read(sound="FILE", picture="FILE")`' in found.help
    assert names(tmp_path) == ["song.mp4"]


def test_pictures_and_sound_may_come_from_two_files(program: Program, tmp_path: Path) -> None:
    silent = make_clip(tmp_path / "silent.mp4", 10, sound=False)
    song = make_clip(tmp_path / "song.mp4", 6, pictures=False)
    (found,) = run_files(program, [f"picture={silent}", f"sound={song}"], tmp_path / "out")
    assert (found.pieces, found.notes) == (3, ())
    data = summary(tmp_path / "out", "silent")
    assert data["source"] == [str(silent), str(song)]
    alone = tmp_path / "alone"
    run_files(program, [silent], alone)
    assert summary(alone, "silent")["windows"][0]["label"] != data["windows"][0]["label"]


def test_several_clips_are_several_results(program: Program, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    clips = [make_clip(tmp_path / "clip.mp4", 4), make_clip(tmp_path / "a" / "clip.mp4", 5)]
    found = run_files(program, clips, tmp_path / "out", {"label": None})
    assert [result.pieces for result in found] == [1, 2]
    assert names(tmp_path / "out") == [f"{n}.{kind}" for n in ("clip-2", "clip") for kind in
                                       ("json", "png")]  # fmt: skip


def test_results_of_other_runs_are_known(program: Program, tmp_path: Path) -> None:
    clips = [make_clip(tmp_path / f"{name}.mp4", 4) for name in ("one", "two", "three")]
    out = tmp_path / "out"
    run_files(program, clips, out, {"label": None})
    (out / "mine.json").write_text("{}")
    (out / "three.json").write_text("{}")  # changed: not provably a run's
    assert of_other_runs(out, ["one"]) == [out / "two.json"]
    assert of_other_runs(out, ["one", "two"]) == []


def test_only_what_is_asked_for_is_written(program: Program, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 10)
    run_files(program, [clip], tmp_path / "sound", {"sound": None})
    info = probe_clip(tmp_path / "sound" / "clip.mp4")
    assert (info.has_video, info.has_audio) == (False, True)
    assert info.duration == pytest.approx(0.4, abs=0.05)
    (found,) = run_files(program, [clip], tmp_path / "part", {"picture": slice(5, 9)})
    assert names(tmp_path / "part") == ["clip.json", "clip.npz"]
    assert found.files == (tmp_path / "part" / "clip.json", tmp_path / "part" / "clip.npz")
    wanted = [r["picture"].reshape(1, -1, 3)[:, 5:9] for r in window_results(program, clip)]
    with np.load(tmp_path / "part" / "clip.npz") as archive:
        np.testing.assert_allclose(archive["picture"], np.concatenate(wanted), atol=1e-5)


def test_long_clips_are_thinned_out_on_the_sheet(program: Program, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 150)
    (found,) = run_files(program, [clip], tmp_path / "out")
    assert found.pieces == 38
    with Image.open(tmp_path / "out" / "clip.png") as sheet:
        assert sheet.width < 1400
    assert probe_clip(tmp_path / "out" / "clip.mp4").frames == 150


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ([], "PG501", "no file was given"),
        (["nothing.mp4"], "PG512", "nothing.mp4 does not exist"),
        (["label=clip.mp4"], "PG512", "`label` is no input that is read from a file"),
        (["sound=clip.mp4", "sound=clip.mp4"], "PG512", "`sound` is given twice"),
    ],
)
def test_bad_arguments_are_explained(
    program: Program,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: str,
    text: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(Path("clip.mp4"), 1)
    found = fault(lambda: run_files(program, arguments, "out"))
    assert found.code == code
    assert text in found.message
    assert names(tmp_path) == ["clip.mp4"]


def test_every_bad_file_is_named_before_any_work(program: Program, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a clip")
    files = [make_clip(tmp_path / "clip.mp4", 1), tmp_path / "text.mp4", tmp_path / "none.mp4"]
    found = faults(lambda: run_files(program, files, tmp_path / "out"))
    assert [d.code for d in found] == ["PG507", "PG512"]
    assert not (tmp_path / "out").exists()


def test_an_input_is_never_overwritten(program: Program, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    before = clip.read_bytes()
    found = fault(lambda: run_files(program, [clip], tmp_path))
    assert (found.code, "would overwrite" in found.message) == ("PG511", True)
    assert clip.read_bytes() == before


def test_a_place_that_cannot_be_written_to(program: Program, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 1)
    (tmp_path / "file").write_text("in the way")
    for place in (tmp_path / "file", tmp_path / "file" / "out"):
        found = fault(lambda place=place: run_files(program, [clip], place))  # type: ignore[misc]
        assert found.code == "PG511"


@pytest.mark.parametrize("existed", [False, True])
def test_an_interruption_leaves_nothing_half_written(
    program: Program, tmp_path: Path, existed: bool
) -> None:
    out, calls = tmp_path / "out", count()
    if existed:
        run_files(program, [make_clip(tmp_path / "clip.mp4", 4)], out)
    before = tree(out)

    def interrupt(clip: str, done: float, total: int | None) -> None:
        if next(calls) == 7:  # in the second window
            raise KeyboardInterrupt

    clip = make_clip(tmp_path / "clip.mp4")
    with pytest.raises(KeyboardInterrupt):
        run_files(program, [clip], out, progress=interrupt)
    assert next(calls) == 8
    assert tree(out) == before
    assert out.exists() == existed


def test_results_of_a_former_run_are_replaced_and_files_of_others_are_not(
    program: Program, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = make_clip(tmp_path / "clip.mp4", 4)
    run_files(program, [first], out)
    old = tree(out)
    (out / "notes.txt").write_text("mine")
    make_clip(first, 8)
    run_files(program, [first], out)
    new = tree(out)
    assert new.keys() == {*old, "notes.txt"}
    assert all(new[name] != old[name] for name in old)
    listed = summary(out)["files"]
    assert listed == {name: new[name] for name in ("clip.mp4", "clip.png")}
    for name in ("clip.mp4", "clip.png", "clip.json"):
        path, before = out / name, (out / name).read_bytes()
        path.write_bytes(before.replace(b"watcher", b"cropped") + b"\n")
        changed = tree(out)
        found = faults(lambda: run_files(program, [first], out))
        assert {d.code for d in found} == {"PG511"}
        assert any(f"{name}` cannot be written: there is a file that" in d.message for d in found)
        assert tree(out) == changed
        path.write_bytes(before)
    run_files(program, [first], out)


def test_a_file_that_comes_during_a_run_is_kept(program: Program, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def interfere(clip: str, done: float, total: int | None) -> None:
        (out / "clip.png").write_text("mine")

    clip = make_clip(tmp_path / "clip.mp4")
    found = fault(lambda: run_files(program, [clip], out, progress=interfere))
    assert found.code == "PG511"
    assert tree(out).keys() == {"clip.png"}
    assert (out / "clip.png").read_text() == "mine"


def test_damage_in_the_middle_leaves_nothing(program: Program, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 60)
    content = bytearray(clip.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = b"\xff" * 3000
    clip.write_bytes(content)
    assert fault(lambda: run_files(program, [clip], tmp_path / "out")).code == "PG507"
    assert names(tmp_path) == ["clip.mp4"]


def _with_media(*inputs: str) -> Callable[[dict[str, Any]], None]:
    sound = {"dtype": "float32", "shape": ["batch", 8, 2]}

    def change(manifest: dict[str, Any]) -> None:
        for name in inputs:
            manifest["inputs"][name]["media"] = {"audio": {"rate": 8000}}
            manifest["inputs"][name]["axes"] = ["batch", "time", "channel"]
            manifest["inputs"][name].update(sound)
        for port in manifest["programs"]["encode"]["inputs"]:
            if port["of"] in inputs and port["role"] == "data":
                port.update(sound)

    return change


@pytest.mark.parametrize(
    ("media", "code", "texts"),
    [
        ([], "PG512", ["no input of tiny is read from files", '`program.run({"points": ARRAY})`']),
        (["points"], "PG501", ["input `ids` is not read from files", '`arrays={"ids": ARRAY}`']),
        (["points", "ids", "extra"], "PG512", ["`points` and `extra` and `ids` are of the same"]),
    ],
)
def test_models_that_do_not_read_files_say_so(
    tmp_path: Path, media: list[str], code: str, texts: list[str]
) -> None:
    tiny = load(write_artifact(tmp_path / "tiny", _with_media(*media)), device="cpu")
    found = fault(lambda: run_files(tiny, ["clip.mp4"], tmp_path / "out"))
    assert found.code == code
    for text in texts:
        assert text in f"{found.message} {found.help}"


def test_the_formats_are_those_of_the_manifest(program: Program) -> None:
    reader = clip_reader(program)
    assert reader.optional == {"audio"}
    assert reader.formats == media_formats(program.manifest.inputs)
