"""`Program.read`: files and texts as the arrays that `run` on the command line makes of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import perceiver_graph as pg
from perceiver_graph.media.text.tokens import encode
from perceiver_graph.runtime import Program
from tests import test_run_files
from tests.test_writing import WRITER
from tests.tiny import fault

BOTH = """
perceiver: 1
name: both
dims: {length: {max: 24}}
inputs:
  text:
    shape: {byte: length}
    steps: [{embedding: {vocabulary: 262, width: 16}}]
    media: {text: {}}
  image: {shape: {height: 8, width: 8, channel: 3}, media: {image: {}}}
  joints: {shape: {joint: 7, channel: 1}, mask: never}
join: {padding: {min: 0}}
latents: {count: 4, width: 16}
process: {layers: 1, heads: 4}
outputs:
  label: {query: {learned: {}}, head: {linear: 3}}
"""

ALONE = """
perceiver: 1
name: alone
inputs: {image: {shape: {height: 8, width: 8, channel: 3}, media: {image: {}}}}
latents: {count: 4, width: 16}
process: {layers: 1, heads: 4}
outputs: {label: {query: {learned: {}}, head: {linear: 3}}}
"""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Program:
    pg.compile(BOTH).save(folder := tmp_path_factory.mktemp("compiled") / "both")
    return pg.load(folder, device="cpu")


def test_each_input_gets_its_file_and_arrays_are_added(both: Program, tmp_path: Path) -> None:
    Image.new("RGB", (16, 16), "red").save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("why?", encoding="utf-8")
    arrays = both.read(text="why?", image=tmp_path / "a.png")
    assert arrays.keys() == {"text", "image"}
    assert arrays["text"].tolist() == [[*encode("why?").ids]]
    assert arrays["image"].shape == (1, 8, 8, 3)
    others = both.read(f"text={tmp_path / 'a.txt'}", f"image={tmp_path / 'a.png'}")
    assert all(np.array_equal(arrays[name], others[name]) for name in arrays)
    assert both.run({**arrays, "joints": np.zeros((1, 7, 1))})["label"].shape == (1, 3)
    assert "`joints` is missing" in fault(lambda: both.run(arrays)).message


def test_texts_and_windows_follow_each_other_in_the_batch(tmp_path: Path) -> None:
    pg.compile(WRITER).save(tmp_path / "writer")
    writer = pg.load(tmp_path / "writer", device="cpu")
    one, other = writer.read("a text")["text"], writer.read("a tent")["text"]
    assert np.array_equal(writer.read("a text", "a tent")["text"], np.concatenate([one, other]))
    found = fault(lambda: writer.read("a text", "a text that is longer"))
    assert (found.code, found.help) == ("PG512", "read each by itself")
    pg.compile(test_run_files.SPEC).save(tmp_path / "watcher")
    clip = test_run_files.make_clip(tmp_path / "clip.mp4", 13)
    arrays = pg.load(tmp_path / "watcher", device="cpu").read(clip)
    assert {len(array) for array in arrays.values()} == {4}


def test_what_the_command_line_notes_is_a_warning(both: Program, tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    for name in ("a.gif", "b.gif"):
        pictures[0].save(tmp_path / name, save_all=True, append_images=pictures[1:])
    pg.compile(ALONE).save(tmp_path / "alone")
    alone = pg.load(tmp_path / "alone", device="cpu")
    with pytest.warns(UserWarning, match="the file holds 2 pictures, of which the first") as told:
        alone.read(tmp_path / "a.gif", tmp_path / "b.gif")
    assert [one.filename for one in told] == [__file__]  # of both files once, and of who reads them
    with pytest.warns(UserWarning, match="the file holds 2 pictures, of which the first"):
        both.read(text="a", image=tmp_path / "a.gif")
    pictures[0].save(tmp_path / "a.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        both.read(text="a", image=tmp_path / "a.png")


@pytest.mark.parametrize(
    ("call", "code", "told"),
    [
        (lambda p: p.read(txt="a"), "PG502", "did you mean `text`?"),
        (lambda p: p.read(joints="a.npy"), "PG502", "`text`, `image`"),
        (lambda p: p.read(), "PG501", "name"),
        (
            lambda p: p.run({"text": "why?", "joints": np.zeros((1, 7, 1))}),
            "PG504",
            '`program.read(text="why?")`',
        ),
    ],
)
def test_what_cannot_be_read_is_told(
    call: Callable[[Any], object], code: str, told: str, both: Program
) -> None:
    found = fault(lambda: call(both))
    assert (found.code, told in str(found.help)) == (code, True), found
    for wrong in (3, [3], b"a"):
        with pytest.raises(TypeError, match="text must be a"):
            both.read(text=wrong)  # type: ignore[arg-type]


def test_a_text_to_go_on_with_is_one_and_not_too_long(tmp_path: Path) -> None:
    pg.compile(WRITER).save(tmp_path / "writer")
    writer: Any = pg.load(tmp_path / "writer", device="cpu")
    for several in (["a", "b"], ("a",), np.array(["a", "b"])):
        with pytest.raises(TypeError, match="one text, not several: call generate for each"):
            writer.generate(several, 3)
    for begin in ("x" * 40, [[4] * 41], np.full((2, 41), 4)):
        found = fault(partial(writer.generate, begin, 3))
        assert (found.code, "41 ids" in found.message) == ("PG514", True)
        assert str(found.help).startswith("shorten the text")
    assert len([*writer.generate([[4] * 40], 3)]) == 3
