"""The pictures that `run` writes: what was classified beside its labels, and flow beside its frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw

import perceiver_graph as pg
from perceiver_graph.looking.choice import Column
from perceiver_graph.looking.grounds import SIDE, Ground
from perceiver_graph.looking.sheet import Section
from perceiver_graph.media import drawing
from perceiver_graph.media.classes.sheet import LabelSheet, labelled
from perceiver_graph.media.classes.subjects import Heard, Pictured, Seen
from perceiver_graph.media.clip.formats import AudioFormat, MelFormat, VideoFormat, Window
from perceiver_graph.media.clip.reader import Moment
from perceiver_graph.media.clip.sheet import contact_sheet
from perceiver_graph.media.drawing import GIVEN, LESS, MADE, Bars, fitting, length, wrapped
from perceiver_graph.media.flow.picture import flow_picture
from perceiver_graph.media.flow.sheet import flow_sheet, wheel
from perceiver_graph.media.image.reader import Picture
from perceiver_graph.media.image.resizing import Region
from perceiver_graph.media.io import Answer, Piece
from perceiver_graph.runtime import load
from perceiver_graph.runtime.run import run_files
from perceiver_graph.runtime.scores import Rows
from perceiver_graph.spec.loader import parse_spec
from tests.media_support import encode as encode_clip
from tests.media_support import tone
from tests.test_run_pictures import HEAD, IMAGE

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
TEXT = f"""{HEAD}
name: reader
inputs:
  text:
    shape: {{length: 24}}
    steps: [{{embedding: {{vocabulary: 262, width: 8}}}}]
    attention_mask: true
    media: {{text: {{}}}}
outputs:
  label: {{query: {{learned: {{}}}}, head: {{linear: 4}}, media: {{classes: {{}}}}}}
"""
LONG = "tench, Tinca tinca, " * 9
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


def pixels_of(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def runs(pixels: NDArray[np.uint8], colour: str, least: int = 1) -> list[int]:
    """How long the stretches of a colour are that are as high as a bar, from the top down."""
    found = (pixels == ImageColor.getrgb(colour)).all(axis=-1).sum(axis=1)
    starts = np.flatnonzero((found[1:] >= least) & (found[:-1] < least)) + 1
    return [int(found[start + 4]) for start in starts]


def drawn(bars: Mapping[str, Sequence[tuple[str, float]]], width: int = 400) -> NDArray[np.uint8]:
    charts = Bars(bars, width)
    paper = Image.new("RGB", (width + 100, charts.height + 20), "white")
    charts.draw(ImageDraw.Draw(paper), 50, 10)
    return np.asarray(paper)


def artifact(spec: str, folder: Path) -> Path:
    pg.compile(parse_spec(spec)).save(folder)
    return folder


def picture(path: Path, height: int = 40, width: int = 60) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(noise).save(path)
    return path


# Bars and words ----------------------------------------------------------------------------------


def test_bars_are_as_long_as_their_parts() -> None:
    """The best in a colour of its own, the others below it, on one scale from nothing to all."""
    pixels = drawn({"label": [("one", 0.5), ("two", 0.25), ("three", 0.125)]})
    (best,), others = runs(pixels, MADE, 8), runs(pixels, LESS, 8)
    whole = runs(drawn({"label": [("one", 1.0), ("two", 0.25), ("three", 0.125)]}), MADE, 8)[0]
    assert whole > 200
    for found, part in zip([best, *others], (0.5, 0.25, 0.125), strict=True):
        assert found == pytest.approx(whole * part, abs=2)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(NAMES, st.floats(0, 1)), min_size=1, max_size=6), st.text(max_size=90))
def test_no_name_leaves_its_place(bars: list[tuple[str, float]], output: str) -> None:
    """Nor runs into the bars: whatever classes are called, those begin in the same column."""
    pixels = drawn({output: bars})
    assert (pixels[:, :48] == 255).all()
    assert (pixels[:, 452:] == 255).all()
    tracks = (pixels == ImageColor.getrgb(drawing.TRACK)).all(axis=-1)
    if tracks.any() and all(part < 0.4 for _, part in bars):
        left = 450 - drawing._VALUE - 1
        rows = np.flatnonzero(tracks[:, left])
        assert tracks[rows, left - 60 : left].all()


@settings(max_examples=40, deadline=None)
@given(NAMES, st.integers(30, 300))
def test_texts_are_cut_to_a_width(text: str, width: int) -> None:
    found = fitting(text, 14, width)
    assert length(found, 14) <= width or found == "..."
    assert "\n" not in found


@settings(max_examples=40, deadline=None)
@given(st.lists(st.from_regex(r"[a-z]{1,9}", fullmatch=True), min_size=1), st.integers(120, 400))
def test_texts_are_wrapped_whole(words: list[str], width: int) -> None:
    lines = wrapped(" ".join(words), 14, width)
    assert " ".join(lines).split() == words
    assert all(length(line, 14) <= width for line in lines)


# What was classified -----------------------------------------------------------------------------


def test_a_picture_comes_with_its_labels(tmp_path: Path) -> None:
    program = load(artifact(IMAGE.replace("top: 2", "top: 3"), tmp_path / "a"), device="cpu")
    (found,) = run_files(program, [picture(tmp_path / "cat.png")], tmp_path / "out")
    assert [one.name for one in found.files] == ["cat.png", "cat.json"]
    pixels = pixels_of(tmp_path / "out" / "cat.png")
    best, *others = (one["probability"] for one in found.answers["label"].data)
    lengths = [*runs(pixels, MADE, 4), *runs(pixels, LESS, 4)]
    assert len(lengths) == 3
    for part, wide in zip(others, lengths[1:], strict=True):
        assert wide / lengths[0] == pytest.approx(part / best, abs=0.05)


def test_what_the_model_does_not_see_is_pale() -> None:
    pixels = np.full((160, 320, 3), (10, 20, 250), np.uint8)
    one = Pictured()
    one.add(Piece({}, (Picture(pixels, Region(80, 0, 160, 160)),)))
    shown = np.asarray(one.panel())
    assert (shown[80, 100] == (10, 20, 250)).all()
    assert (shown[80, 100:220] == (10, 20, 250)).all()
    assert shown[80, 40].min() > 150
    assert shown[80, 280].min() > 150


def test_a_sound_comes_with_its_labels(tmp_path: Path) -> None:
    path = encode_clip(tmp_path / "a.wav", samples=tone(0.25), codecs=("libx264", "pcm_s16le"))
    program = load(artifact(SOUND, tmp_path / "a"), device="cpu")
    (found,) = run_files(program, [path], tmp_path / "out")
    assert [one.name for one in found.files] == ["a.png", "a.json"]
    pixels = pixels_of(tmp_path / "out" / "a.png")
    assert (pixels == ImageColor.getrgb(GIVEN)).all(axis=-1).sum() > 1000  # its outline
    assert runs(pixels, MADE, 4)
    assert (pixels[:20] == 255).all()


def test_texts_and_chosen_outputs_have_no_picture(tmp_path: Path) -> None:
    program = load(artifact(TEXT, tmp_path / "a"), device="cpu")
    (found,) = run_files(program, ["Hello"], tmp_path / "out")
    assert [one.suffix for one in found.files] == [".json"]


def window(**streams: Any) -> Window:
    frames, samples = streams.get("frames"), streams.get("samples")
    shown, heard = (0 if one is None else len(one) for one in (frames, samples))
    return Window(0, 0.0, frames, samples, shown, heard)


def test_films_are_thinned_out() -> None:
    """Four frames of however many, the first and the last among them."""
    form = VideoFormat(10, 8, 8)
    one = Seen()
    for start in range(0, 300, 10):
        shades = np.arange(start, start + 10) * 255 // 299
        frames = np.broadcast_to(shades[:, None, None, None], (10, 8, 8, 3)).astype(np.uint8)
        one.add(Piece({}, (Moment(window(frames=frames), Fraction(1), form, None),)))
    assert len(one._frames) <= 64
    panel = np.asarray(one.panel())
    side = (panel.shape[1] - drawing.GAP) // 2
    assert panel[10, 10, 0] == 0
    assert panel[10, side + drawing.GAP + 10, 0] == pytest.approx(85, abs=12)
    assert panel[-10, -10, 0] == pytest.approx(255, abs=8)


def test_a_spectrogram_has_low_pitches_below() -> None:
    form = MelFormat(1000, 1, 8000, ("time", "frequency", "channel"), (4, 8, 1), 400, 200, 8)
    mel = np.zeros((1, 4, 8, 1), np.float32)
    mel[0, :, 0] = 1.0  # the lowest
    one = Heard()
    sound = window(samples=np.ones((1000, 1), np.float32) / 2)
    one.add(Piece({"audio": mel}, (Moment(sound, Fraction(1), None, form),)))
    panel = np.asarray(one.panel().convert("L"))
    body = panel[90:206, 100]
    assert body[-8:].mean() < 60 < 250 < body[:60].mean()
    plain = AudioFormat(1000, 1, 8000)
    other = Heard()
    other.add(Piece({}, (Moment(sound, Fraction(1), None, plain),)))
    assert other.panel().height < panel.shape[0]


def test_several_outputs_stand_below_each_other() -> None:
    said = {
        "kind": Answer([], "cat 70%", [("cat", 0.7), (LONG, 0.3)]),
        "price": Answer(3.5, "3.5"),
        "place": Answer([], "sea 90%", [("sea", 0.9)]),
    }
    paper = np.asarray(labelled([Image.new("RGB", (100, 80), "#0000ff")], LONG * 9, said))
    assert len(runs(paper, MADE, 4)) == 2
    assert (paper[:, -20:] == 255).all()
    assert (paper[:20] == 255).all()
    blue = np.argwhere((paper == (0, 0, 255)).all(axis=-1))
    assert len(blue) == 8000  # nothing lies over it


def test_arrays_have_no_picture(tmp_path: Path) -> None:
    writer = LabelSheet().begin(tmp_path, "a", "a")
    writer.add(Piece({}), {})
    assert writer.finish({"label": Answer([], "a 100%", [("a", 1.0)])}) == {}
    assert not list(tmp_path.iterdir())


def test_a_contact_sheet_has_bars_at_its_foot(tmp_path: Path) -> None:
    frame = np.zeros((64, 64, 3), np.uint8)
    for bars in ({}, {"label": [("ant", 0.75), (LONG, 0.25)]}):
        path = tmp_path / f"{len(bars)}.png"
        contact_sheet(path, [(frame, frame)] * 2, title=LONG * 9, lines=[LONG * 9], bars=bars)
    without, with_bars = (pixels_of(tmp_path / f"{count}.png") for count in range(2))
    assert without.shape[1] == with_bars.shape[1] < 800  # long words make it no wider
    assert (with_bars[: without.shape[0] - 24] == without[:-24]).all()
    assert len(runs(with_bars, MADE, 4)) == len(runs(with_bars, LESS, 4)) == 1


# Flow --------------------------------------------------------------------------------------------


def test_flow_stands_beside_its_frames_and_its_colours(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (2, 300, 400, 3), np.uint8)
    flow = random.standard_normal((300, 400, 2)).astype(np.float32)
    flow_sheet(tmp_path / "flow.png", frames, flow, LONG, [LONG])
    pixels = pixels_of(tmp_path / "flow.png")
    tops = []
    for wanted in (*frames, flow_picture(flow)):
        rows, columns = np.nonzero((pixels == wanted[0, 0]).all(axis=-1))
        places = zip(rows.tolist(), columns.tolist(), strict=True)
        (place,) = (
            (y, x) for y, x in places if np.array_equal(pixels[y : y + 300, x : x + 400], wanted)
        )
        tops.append(place)
    assert tops[0][0] == tops[1][0] < tops[2][0]  # frames side by side, the flow below
    assert tops[0][1] == tops[2][1] < tops[1][1]
    assert (pixels[:, -20:] == 255).all()
    round_ = wheel(120)
    legend = pixels[tops[2][0] :, tops[1][1] :]
    assert (legend == round_[60, 118]).all(axis=-1).any()  # the red of what goes right


def test_the_wheel_has_its_directions() -> None:
    """Right red, down yellow, up violet; nothing outside."""
    round_ = wheel(120).astype(int)
    right, down, up, middle = round_[60, 115], round_[115, 60], round_[4, 60], round_[60, 60]
    assert right[0] > 240 > 60 > right[1:].max()
    assert down[:2].min() > 180 > 60 > down[2]
    assert up[2] > 240 > 60 > up[1]
    assert middle.min() > 240
    assert (round_[:10, :10] == 255).all()


@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (2000, 3), (900, 1200)])
def test_flow_of_any_size_can_be_shown(size: tuple[int, int], tmp_path: Path) -> None:
    flow = np.full((*size, 2), np.nan, np.float32)
    flow_sheet(tmp_path / "flow.png", np.zeros((2, *size, 3), np.uint8), flow)
    assert max(pixels_of(tmp_path / "flow.png").shape) < 1300


# What was looked at ------------------------------------------------------------------------------


def test_captions_of_columns_do_not_run_into_each_other() -> None:
    ground = Ground(Rows("x", ("n",), (3,)), (np.zeros((36, SIDE, 3), np.uint8),), ())
    said = "the picture of the left camera 50%, the sound 30%, the label 20%, some more 10%"
    columns = tuple(Column(f"latent {n}", np.ones(3) / 3, said) for n in range(3))
    one = Section("what latents read", (ground,), columns, ((np.ones(3) / 3,),) * 3)
    lines = [line for each in one.said for line in each]
    assert len(lines) == 1 + 2 * 3
    assert all(length(line, 11) < SIDE + drawing.GAP for line in lines)
    short = Section("what latents read", (ground,), (Column("all", np.ones(3) / 3, "x 9%"),), ())
    assert one.head > short.head
