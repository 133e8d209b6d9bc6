"""Pictures, pairs of pictures, points and tables through small compiled models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import perceiver_graph as pg
from perceiver_graph.diagnostics.commands import typed
from perceiver_graph.media.boxes.model import BoxesParameters
from perceiver_graph.media.boxes.writer import BoxesWriter
from perceiver_graph.media.flow.frames import fitted, flow_inputs, read_frames, restored
from perceiver_graph.media.flow.tiles import Blend
from perceiver_graph.media.image.model import ImageParameters
from perceiver_graph.media.image.reader import Picture
from perceiver_graph.media.image.resizing import Region, centred, normalised, resized
from perceiver_graph.media.io import Piece
from perceiver_graph.media.points.cloud import points_input
from perceiver_graph.media.table.reader import TableReader
from perceiver_graph.runtime import Program, load
from perceiver_graph.runtime.run import FileResult, run_files
from perceiver_graph.spec.loader import parse_spec
from tests.media_support import encode as encode_clip
from tests.media_support import read_flo, tone
from tests.tiny import fault
from tests.unfit_media import refusal, unchecked

HEAD = """
perceiver: 1
latents: {count: 4, width: 16}
process: {layers: 1, heads: 2}
"""
IMAGE = f"""{HEAD}
name: pictures
inputs:
  image:
    shape: {{height: 16, width: 16, channel: 3}}
    steps: [{{patch: {{height: 4, width: 4}}}}]
    position: {{fourier: {{bands: 3}}}}
    media: {{image: {{}}}}
outputs:
  label: {{query: {{learned: {{}}}}, head: {{linear: 4}}, media: {{classes: {{top: 2}}}}}}
"""
BOXES = f"""{HEAD}
name: finder
inputs:
  image:
    shape: {{height: 16, width: 32, channel: 3}}
    steps: [{{patch: {{height: 4, width: 4}}}}]
    position: {{fourier: {{bands: 3}}}}
    media: {{image: {{stretch: true, mean: [0, 0, 0], std: [1, 1, 1]}}}}
outputs:
  classes: {{query: {{learned: {{count: 5}}}}, head: {{linear: 3}}}}
  boxes:
    query: {{output: classes}}
    head: {{linear: 4, activation: sigmoid}}
    media: {{boxes: {{classes: classes, names: [cat, dog], threshold: 0.2}}}}
"""
FLOW = f"""{HEAD}
name: mover
inputs:
  frames:
    shape: {{time: 2, height: 16, width: 24, channel: 27}}
    steps: [{{patch: {{time: 2}}}}, {{squeeze: time}}, {{linear: 8}}]
    position: {{fourier: {{bands: 3}}}}
    media: {{flow: {{overlap: 4}}}}
outputs:
  flow: {{query: {{inputs: frames}}, head: {{linear: 2}}, media: {{flow: {{scale: 20}}}}}}
"""
POINTS = f"""{HEAD}
name: cloud
dims: {{points: {{max: 32}}}}
inputs:
  points:
    shape: {{point: points, channel: 3}}
    steps: [{{fourier: {{bands: 3, max_resolution: 10}}}}]
    media: {{points: {{}}}}
outputs:
  label: {{query: {{mean: latents}}, head: {{linear: 4}}, media: {{classes: {{}}}}}}
"""
TABLE = f"""{HEAD}
name: units
dims: {{units: {{max: 12, multiple_of: 4}}}}
inputs:
  entities:
    shape: {{entity: units, channel: 5}}
    attention_mask: true
    media: {{table: {{}}}}
outputs:
  entities: {{query: {{inputs: entities}}, query_mask: entities, head: {{linear: 2}}}}
"""
SOUND = f"""{HEAD}
name: listener
inputs:
  audio:
    shape: {{time: 800, channel: 1}}
    steps: [{{patch: {{time: 16}}}}]
    position: {{fourier: {{bands: 3}}}}
    media: {{audio: {{rate: 8000}}}}
outputs:
  label: {{query: {{learned: {{}}}}, head: {{linear: 4}}, media: {{classes: {{}}}}}}
"""
BOTH = f"""{HEAD}
name: both
join: {{padding: {{min: 2}}}}
inputs:
  image:
    shape: {{height: 8, width: 8, channel: 3}}
    media: {{image: {{}}}}
  caption:
    shape: {{length: 24}}
    steps: [{{embedding: {{vocabulary: 262, width: 8}}}}]
    attention_mask: true
    media: {{text: {{}}}}
outputs:
  match: {{query: {{learned: {{}}}}, head: {{linear: 1}}, media: {{scores: {{}}}}}}
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Program]:
    made: dict[str, Program] = {}

    def get(spec: str) -> Program:
        if spec not in made:
            folder = tmp_path_factory.mktemp("model") / "artifact"
            pg.compile(parse_spec(spec)).save(folder)
            made[spec] = load(folder, device="cpu")
        return made[spec]

    return get


def picture(path: Path, height: int = 40, width: int = 60, seed: int = 0) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def ran(program: Program, folder: Path, *values: object) -> tuple[FileResult, dict[str, Any]]:
    """The only result, and its summary."""
    (found,) = run_files(program, list(map(str, values)), folder)
    (path,) = (path for path in found.files if path.suffix == ".json")
    return found, json.loads(path.read_text(encoding="utf-8"))


def softmax(values: NDArray[Any]) -> NDArray[Any]:
    weights = np.exp(values.astype(float))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


Model = Callable[[str], Program]


def test_a_picture_is_classified(model: Model, tmp_path: Path) -> None:
    program, path = model(IMAGE), picture(tmp_path / "cat.png")
    found, data = ran(program, tmp_path / "out", path)
    assert [one.name for one in found.files] == ["cat.png", "cat.json"]
    form = ImageParameters()
    region = centred(40, 60, (16, 16), form.crop)
    small = resized(np.asarray(Image.open(path)), region, (16, 16))
    wanted = softmax(program.run({"image": normalised(small, form.mean, form.std)[None]})["label"])
    best = data["outputs"]["label"]
    assert [one["index"] for one in best] == np.argsort(-wanted[0])[:2].tolist()
    assert best[0]["probability"] == pytest.approx(wanted.max(), rel=1e-4)
    assert data["source"] == [str(path)]


def test_bad_pictures_are_explained(model: Model, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    for name, code in (("a.png", "PG507"), ("b.png", "PG512")):
        found = fault(lambda name=name: run_files(model(IMAGE), [tmp_path / name], tmp_path / "o"))  # type: ignore[misc]
        assert found.code == code
    spec = IMAGE.replace("channel: 3", "channel: 4")
    assert (refusal(spec).code, "4 channels" in refusal(spec).message) == ("PG215", True)
    program = unchecked(spec, tmp_path / "artifact")
    found = fault(lambda: run_files(program, [picture(tmp_path / "c.png")], tmp_path / "o"))
    assert (found.code, found.message) == ("PG403", refusal(spec).message)


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_where_one_of_several_is_damaged_it_is_told_what_is_written(
    bad: int, model: Model, tmp_path: Path
) -> None:
    paths = [picture(tmp_path / f"{name}.png", seed=i) for i, name in enumerate("abc")]
    data = paths[bad].read_bytes()
    paths[bad].write_bytes(data[: len(data) // 2])
    out = tmp_path / "out"
    found = fault(lambda: run_files(model(IMAGE), paths, out))
    written = [out / f"{path.stem}.{kind}" for path in paths[:bad] for kind in ("png", "json")]
    assert (found.code, paths[bad].name in found.message) == ("PG507", True)
    assert {*out.glob("*")} == {*written}
    expected = [f"already written: {', '.join(map(str, written))}"] * bool(written)
    expected += [f"not run any more: {', '.join(map(str, paths[bad + 1 :]))}"] * (bad < 2)
    assert [note for note in found.notes if "written" in note or "not run" in note] == expected


def test_boxes_are_drawn_on_the_picture(model: Model, tmp_path: Path) -> None:
    program, path = model(BOXES), picture(tmp_path / "street.png", 50, 70)
    found, data = ran(program, tmp_path / "out", path)
    assert [one.name for one in found.files] == ["street.png", "street.json"]
    pixels = np.asarray(Image.open(path))
    small = resized(pixels, Region(0, 0, 70, 50), (16, 32)).astype(np.float32) / 255
    wanted = program.run({"image": small[None]})
    sure = softmax(wanted["classes"][0])[:, :2].max(axis=-1)
    assert [one["probability"] for one in data["outputs"]["boxes"]] == pytest.approx(
        sorted(sure[sure >= 0.2], reverse=True), rel=1e-4
    )
    x, y, wide, high = wanted["boxes"][0][int(sure.argmax())]
    left, top, right, bottom = data["outputs"]["boxes"][0]["box"]
    assert (left, right) == pytest.approx(
        (70 * max(x - wide / 2, 0), 70 * min(x + wide / 2, 1)), abs=0.02
    )
    assert (top, bottom) == pytest.approx(
        (50 * max(y - high / 2, 0), 50 * min(y + high / 2, 1)), abs=0.02
    )
    with Image.open(tmp_path / "out" / "street.png") as drawn:
        assert drawn.size == (70, 50)
        assert (np.asarray(drawn) != pixels).any()
    alone = run_files(program, [str(path)], tmp_path / "alone", {"boxes": None})
    assert [one.suffix for one in alone[0].files] == [".json", ".npz"]


def test_boxes_lie_where_the_model_saw_them(tmp_path: Path) -> None:
    pixels = np.zeros((100, 200, 3), np.uint8)
    seen = Picture(pixels, Region(50, 0, 100, 100))
    writer = BoxesWriter("boxes", BoxesParameters(classes="classes", names=["cat", "dog"]))
    results = {
        "classes": np.array([[[0, 9, 0], [0, 0, 9], [5, 0, 0], [0.1, 0, 0]]], np.float32),
        "boxes": np.array([[[0.5, 0.5, 0.2, 0.4]] * 2 + [[0, 0, 1, 3]] * 2], np.float32),
    }
    with writer.begin(tmp_path, "street", ""):
        writer.add(Piece({}, (seen,)), results)
        answer = writer.finish({})["boxes"]
    assert [(one["label"], one["box"]) for one in answer.data] == [
        ("dog", [90.0, 30.0, 110.0, 70.0]),
        ("cat", [0.0, 0.0, 100.0, 100.0]),
    ]
    assert answer.line == "dog 100%, cat 99%"


def test_flow_between_two_pictures(model: Model, tmp_path: Path) -> None:
    program = model(FLOW)
    paths = [picture(tmp_path / "one.png", 21, 50), picture(tmp_path / "two.png", 21, 50, 1)]
    steps: list[tuple[float, int | None]] = []
    (found,) = run_files(
        program,
        paths,
        tmp_path / "out",
        progress=lambda _, done, total: steps.append((done, total)),
    )
    assert [one.name for one in found.files] == ["one.flo", "one.png", "one.json"]
    frames = fitted(read_frames(*paths)[0], 16, 24)
    blend = Blend(21, 50, 2)
    count = 0
    for tile, values in flow_inputs(frames, 16, 24, overlap=4):
        blend.add(tile, program.run({"frames": values})["flow"][0])
        count += 1
    np.testing.assert_allclose(
        read_flo(tmp_path / "out" / "one.flo"), restored(blend.result(), frames), rtol=1e-5
    )
    assert found.pieces == count == 6
    assert steps[-1] == (6, 6)
    assert Image.open(tmp_path / "out" / "one.png").width > 2 * 256  # beside both frames
    data = json.loads(found.files[-1].read_text())
    assert data["source"] == list(map(str, paths))
    assert data["outputs"]["flow"]["width"] == 50
    both = run_files(program, [*paths, *reversed(paths)], tmp_path / "both")
    assert [one.files[0].name for one in both] == ["one.flo", "two.flo"]


def test_flow_needs_two_pictures_of_one_size(model: Model, tmp_path: Path) -> None:
    program, one = model(FLOW), picture(tmp_path / "one.png")
    found = fault(lambda: run_files(program, [one], tmp_path / "out"))
    assert (found.code, "SECOND" in str(found.help)) == ("PG501", True)
    two = picture(tmp_path / "two.png", 41)
    assert fault(lambda: run_files(program, [one, two], tmp_path / "out")).code == "PG503"
    found = fault(lambda: run_files(program, [one, one], tmp_path))
    assert (found.code, "would overwrite" in found.message) == ("PG511", True)


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (
            "{inputs: frames}",
            "{grid: {height: 4, width: 4}, position: {fourier: {bands: 2}}}",
            "a flow of 4 x 4 pixels",
        ),
        ("overlap: 4", "overlap: 16", "cannot overlap by 16"),
        ("channel: 27", "channel: 12", "12 channels"),
        ("linear: 2", "linear: 3", "3 channels"),
    ],
)
def test_what_is_no_flow(before: str, after: str, text: str, tmp_path: Path) -> None:
    spec = FLOW.replace(before, after)
    refused = refusal(spec)
    assert (refused.code, text in refused.message) == ("PG215", True)
    program, one = unchecked(spec, tmp_path / "artifact"), picture(tmp_path / "one.png")
    found = fault(lambda: run_files(program, [one, one], tmp_path / "out"))
    assert (found.code, found.message) == ("PG403", refused.message)


@pytest.mark.parametrize("count", [1, 20, 100])
def test_points_are_classified(model: Model, tmp_path: Path, count: int) -> None:
    path = tmp_path / "chair.csv"
    np.savetxt(path, np.random.default_rng(count).normal(3, 2, (count, 3)), delimiter=",")
    found, data = ran(model(POINTS), tmp_path / "out", path)
    array, notes = points_input(path, limit=32)
    wanted = softmax(model(POINTS).run({"points": array})["label"])
    assert data["outputs"]["label"][0]["probability"] == pytest.approx(wanted.max(), rel=1e-4)
    assert found.notes == notes
    assert len(notes) == (count > 32)


@pytest.mark.parametrize("count", [3, 8])
def test_a_table_is_filled_up_and_masked(model: Model, tmp_path: Path, count: int) -> None:
    values = np.random.default_rng(count).standard_normal((count, 5)).astype(np.float32)
    np.savez(tmp_path / "units.npz", entities=values)
    run_files(model(TABLE), [tmp_path / "units.npz"], tmp_path / "out")
    wanted = model(TABLE).run(
        {
            "entities": np.pad(values, ((0, -count % 4), (0, 0)))[None],
            "entities.attention_mask": (np.arange(count + -count % 4) < count)[None],
        }
    )
    with np.load(tmp_path / "out" / "units.npz") as found:
        np.testing.assert_allclose(found["entities"], wanted["entities"], rtol=1e-5, atol=1e-6)


def test_tables_that_do_not_fit(model: Model, tmp_path: Path) -> None:
    for shape, code in (((13, 5), "PG514"), ((3, 4), "PG503")):
        np.save(tmp_path / "units.npy", np.zeros(shape, np.float32))
        found = fault(lambda: run_files(model(TABLE), [tmp_path / "units.npy"], tmp_path / "out"))
        assert found.code == code
    spec = TABLE.replace("    attention_mask: true\n", "").replace("query_mask: entities, ", "")
    np.save(tmp_path / "units.npy", np.zeros((3, 5), np.float32))
    found = fault(lambda: run_files(model(spec), [tmp_path / "units.npy"], tmp_path / "out"))
    assert (found.code, "has 3 rows" in found.message) == ("PG503", True)
    assert "attention_mask" in str(found.help)
    path, manifest = tmp_path / "units.npy", model(spec).manifest
    entry = manifest.inputs["entities"].model_copy(update={"beside": ["image"]})
    places = TableReader("entities", entry, manifest.dims)  # coordinates have no mask of their own
    assert fault(lambda: places.open([str(path)])).help == "give as many rows"
    spec = TABLE.replace("entity: units", "entity: units, part: 2")
    assert (refusal(spec).code, "needs 2 axes" in refusal(spec).message) == ("PG215", True)
    program = unchecked(spec, tmp_path / "artifact")
    found = fault(lambda: run_files(program, [tmp_path / "units.npy"], tmp_path / "out"))
    assert (found.code, found.message) == ("PG403", refusal(spec).message)


def test_sound_alone_is_classified_window_by_window(model: Model, tmp_path: Path) -> None:
    path = encode_clip(
        tmp_path / "sound.wav",
        samples=tone(0.25, rate=8000),
        sample_rate=8000,
        codecs=("", "pcm_s16le"),
    )
    found, data = ran(model(SOUND), tmp_path / "out", path)
    assert [one.name for one in found.files] == ["sound.png", "sound.json"]
    assert [(one["start"], one["stop"]) for one in data["windows"]] == [
        (0.0, 0.1),
        (0.1, 0.2),
        (0.2, 0.25),
    ]
    assert found.answers["label"].data == data["outputs"]["label"]


def test_a_model_may_read_files_of_several_kinds(model: Model, tmp_path: Path) -> None:
    program, path = model(BOTH), picture(tmp_path / "cat.png")
    _, data = ran(program, tmp_path / "out", "caption=a cat", f"image={path}")
    assert data["source"] == [str(path), "a cat"]
    other = ran(program, tmp_path / "out", "caption=a dog", f"image={path}")[1]
    assert other["outputs"] != data["outputs"]
    alone, _ = ran(program, tmp_path / "out", f"image={path}")
    assert alone.notes == ("input `caption` was not given: its mask token stands for it",)
    unsaid, same = ran(program, tmp_path / "out", path)  # its kind says what it is for
    assert unsaid.notes == alone.notes
    assert same["source"] == [str(path)]
    with typed():
        text = fault(lambda: run_files(program, ["a cat"], tmp_path / "out"))
        assert (text.code, text.help) == ("PG512", "say it: `'caption=a cat'`")
        assert (
            fault(lambda: run_files(program, [""], tmp_path / "out")).help == "say it: `caption=`"
        )
    for value, help in (
        ("capton=a cat", "did you mean `caption`?"),
        (f"photo={path}", "these are: `image`, `caption`"),
    ):
        wrong = fault(lambda value=value: run_files(program, [value], tmp_path / "out"))  # type: ignore[misc]
        name = value.partition("=")[0]
        assert wrong.message == f"`{name}` is no input that is read from a file"
        assert wrong.help == help
