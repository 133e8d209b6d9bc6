"""Pixels and samples as files have them are no numbers that a model was trained on, and are told."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import perceiver_graph as pg
from perceiver_graph.diagnostics import Diagnostic
from perceiver_graph.runtime import Program
from perceiver_graph.spec.loader import parse_spec
from tests.tiny import fault, faults

SPEC = """
perceiver: 1
name: seen
dims: {length: {max: 12}}
inputs:
  image: {shape: {height: 4, width: 6, channel: 3}, media: {image: MEAN}}
  video: {shape: {time: 2, height: 4, width: 4, channel: 3}, media: {video: {}}}
  frames: {shape: {time: 2, height: 24, width: 24, channel: 3}, media: {flow: {}}}
  sound: {shape: {time: 3, channel: 1}, media: {audio: {}}}
  text:
    shape: {length: length}
    steps: [{embedding: {vocabulary: 262, width: 4}}]
    position: {learned: {}, combine: add}
    media: {text: {}}
join: {padding: {min: 0}}
latents: {count: 2, width: 4}
process: {layers: 1, heads: 1}
outputs:
  label: {query: {learned: {}}, head: {linear: 2}}
"""


def program(folder: Path, mean: str = "{}") -> Program:
    pg.compile(parse_spec(SPEC.replace("MEAN", mean))).save(folder / "artifact")
    return pg.load(folder / "artifact", device="cpu")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return program(tmp_path_factory.mktemp("seen"))


def refused(program: Program, name: str, array: NDArray[Any]) -> Diagnostic:
    return fault(lambda: program.run({name: array}))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("image", (1, 4, 6, 3)),
        ("video", (1, 2, 4, 4, 3)),
        ("frames", (1, 2, 24, 24, 3)),
    ],
)
def test_pixels_of_whole_numbers_are_scaled_by_the_advice(
    name: str, shape: tuple[int, ...], dtype: Any, seen: Program
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(dtype)
    found = refused(seen, name, pixels)
    assert found.code == "PG504"
    assert f"is of dtype {np.dtype(dtype)}: whole numbers, and files are read as" in found.message
    way, _, read = str(found.help).partition("; or ")
    made = eval(way.removeprefix("scale them: "), {name: pixels, "numpy": np})
    media = seen.manifest.inputs[name].media
    assert media is not None
    low, high = media.bounds() or (0.0, 0.0)
    assert low - 1e-6 <= made.min() < made.max() <= high + 1e-6
    assert read.startswith(f"`program.read({name}=")
    seen.run({name: made})


@pytest.mark.parametrize("mean", ["{}", "{mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]}"])
def test_the_advice_and_the_file_give_the_same_array(mean: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (4, 6, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    one = program(tmp_path, mean.replace("{", "{crop: 1.0, ", 1).replace(", }", "}"))
    found = refused(one, "image", pixels[None])
    way, _, read = str(found.help).partition("; or ")
    made = eval(way.removeprefix("scale them: "), {"image": pixels[None], "numpy": np})
    call = read.strip("`").replace("PICTURE.jpg", str(tmp_path / "a.png"))
    np.testing.assert_allclose(made, eval(call, {"program": one})["image"], atol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "most"), [(np.int16, 2**15), (np.int32, 2**31), (np.int64, 2**15), (np.uint8, 255)]
)
def test_samples_are_scaled_by_their_bits(dtype: Any, most: int, seen: Program) -> None:
    sound = np.array([0, most // 2, most - 1]).astype(dtype).reshape(1, 3, 1)
    way = str(refused(seen, "sound", sound).help).partition("; or ")[0]
    made = eval(way.removeprefix("scale them: "), {"sound": sound})
    wanted = [0.0, 0.5, 1.0] if dtype is not np.uint8 else [-1.0, 0.0, 1.0]
    np.testing.assert_allclose(made.ravel(), wanted, atol=2e-2)


@pytest.mark.parametrize("how", ["run", "encode", "__call__"])
def test_floats_as_large_as_pixels_are_a_warning(how: str, seen: Program) -> None:
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 4, 6, 3))
    with pytest.warns(
        UserWarning, match="input `image`: values of .* to 25.*, where files"
    ) as told:
        getattr(seen, how)({"image": pixels})
    assert [one.filename for one in told] == [__file__]
    notes = list[str]()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seen.run({"image": pixels}, note=notes.append)
        seen.encode({"image": pixels}, note=notes.append)
        for fine in (np.zeros((1, 4, 6, 3)), np.random.default_rng(0).normal(size=(1, 4, 6, 3))):
            seen.run({"image": fine})
    assert len([text for text in notes if "where files are read as" in text]) == 2


@pytest.mark.parametrize(
    ("shape", "way"),
    [
        ((1, 480, 640, 3), "`program.read(image="),
        ((480, 640, 3), "`program.read(image="),
        ((1, 4, 6, 4), "take red, green and blue alone: "),
        ((1, 4, 6, 1), "take its one channel for all: "),
        ((3, 4, 6), "put the axes in order, and add that of the batch: "),
        ((1, 3, 4, 6), ""),
    ],
)
def test_pictures_of_other_sizes_are_told_a_way(
    shape: tuple[int, ...], way: str, seen: Program
) -> None:
    image = np.zeros(shape)
    help = str(faults(lambda: seen.run({"image": image}))[0].help)
    assert help.startswith(way)
    if "`" not in way:
        seen.run({"image": eval(help.removeprefix(way), {"image": image})})


def test_a_text_is_read_by_the_call_that_is_told(seen: Program) -> None:
    found = refused(seen, "text", np.array('say "hi"'))
    call = str(found.help).partition(" makes")[0].strip("`")
    ids = eval(call, {"program": seen})["text"]
    seen.run({"text": ids})
    floats = refused(seen, "text", ids.astype(float))
    seen.run({"text": eval(str(floats.help).rpartition(": ")[2].partition(",")[2], {"text": ids})})


def test_what_is_not_named_is_not_read(seen: Program, tmp_path: Path) -> None:
    Image.new("RGB", (6, 4)).save(tmp_path / "a.png")
    assert [*seen.read(image=tmp_path / "a.png")] == ["image"]
    assert {*seen.read(text="hi", image=tmp_path / "a.png")} == {"text", "image"}


@pytest.mark.parametrize("wrong", [262, 30522, -1])
def test_ids_of_another_vocabulary_are_told_who_makes_them(wrong: int, seen: Program) -> None:
    found = refused(seen, "text", np.array([[5, wrong]]))
    assert found.code == "PG514"
    assert '`program.read(text="A TEXT")`' in str(found.help)
