"""The checks of media: every kind has them, with a reader or a writer, and who does not pass them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from perceiver_graph.compiler.artifact.describe import input_entries, output_entries
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.media.base import (
    InputMedia,
    OutputMedia,
    Part,
    Signature,
    mismatch,
    refused,
    warned,
)
from perceiver_graph.media.clip.pace import off_pace
from perceiver_graph.media.entries import loaded, part_of
from perceiver_graph.media.fit import fitting_kinds, same_stream
from perceiver_graph.media.flow.model import neighbourhood
from perceiver_graph.media.io import Reader, Writer
from perceiver_graph.spec.loader import load_spec
from tests.small import SMALL


def read_as(kind: str, name: str, sizes: dict[str, int | str], **more: Any) -> Part:
    settings = more.pop("settings", {})
    media = InputMedia.forms[kind].model_validate({kind: settings}) if kind else None
    return Part(name, "inputs", media, sizes, **more)  # type: ignore[arg-type]


TEXT = read_as("text", "text", {"length": "length"}, dtype="int64", vocabulary=262)
FLOW = {"overlap": 4}
FRAMES = read_as(
    "flow", "frames", {"time": 2, "height": 8, "width": 9, "channel": 3}, settings=FLOW
)


@pytest.mark.parametrize("kind", InputMedia.forms)
def test_every_kind_of_input_has_checks_and_a_reader(kind: str) -> None:
    form: Any = InputMedia.forms[kind]
    assert form.input_checks
    assert issubclass(loaded(form.reader), Reader)
    assert form.example != InputMedia.example


@pytest.mark.parametrize("kind", OutputMedia.forms)
def test_every_kind_of_output_has_checks_and_a_writer(kind: str) -> None:
    form: Any = OutputMedia.forms[kind]
    assert form.output_checks
    assert issubclass(loaded(form.writer), Writer)


@pytest.mark.parametrize("name", SMALL)
def test_every_shipped_system_fits(name: str) -> None:
    lowered = lower(load_spec(name, overrides=list(SMALL[name])))
    entries = input_entries(lowered)
    inputs = [part_of(*item) for item in entries.items() if item[1].mask != "always"]
    outputs = [part_of(*item) for item in output_entries(lowered).items()]
    signature = Signature.of(inputs, outputs)
    assert [mismatch(part, signature) for part in (*inputs, *outputs)] == [None] * len(
        [*inputs, *outputs]
    )


def part(kind: str, sizes: dict[str, int | str], **more: Any) -> Part:
    return read_as(kind, "x", sizes, settings=FLOW if kind == "flow" else {}, **more)


@pytest.mark.parametrize(
    ("unfit", "text"),
    [
        (part("video", {"time": 4, "height": 8, "width": 8, "channel": 1}), "1 channel,"),
        (part("video", {"time": "t", "height": 8, "width": 8, "channel": 3}), "fixed sizes"),
        (part("audio", {"time": 4}), "the axes time, channel"),
        (part("audio", {"time": 4, "channel": 3}), "1 or 2"),
        (part("mel", {"time": 4, "frequency": 3, "channel": 2}), "has 1"),
        (part("image", {"height": 4, "channel": 3}), "height, width, channel"),
        (part("text", {"length": 4}, dtype="float32"), "real numbers"),
        (part("text", {"length": 4}, dtype="int64", vocabulary=261), "261 ids"),
        (part("text", {"row": 4, "length": 4}, dtype="int64"), "needs one axis"),
        (part("flow", {"time": 3, "height": 8, "width": 8, "channel": 27}), "3 frames"),
        (part("flow", {"time": 2, "height": 8, "width": 8, "channel": 12}), "12 channels"),
        (part("flow", {"time": 2, "height": 8, "width": 4, "channel": 27}), "overlap by 4"),
        (part("points", {"point": 4}), "needs 2 axes"),
        (part("points", {"point": 4, "channel": "c"}), "fixed number of channels"),
        (part("table", {"row": 4, "column": 4}, dtype="int64"), "real numbers"),
    ],
)
def test_what_an_input_cannot_be_read_from(unfit: Part, text: str) -> None:
    found = mismatch(unfit)
    assert found is not None
    assert text in found.fault
    assert "`x`" in found.fault
    assert found.remedy


def test_axes_may_come_in_any_order() -> None:
    sizes: dict[str, int | str] = {"channel": 3, "width": 8, "height": 8}
    assert mismatch(part("image", sizes)) is None
    assert mismatch(part("", {"anything": "n"})) is None


def output(kind: str, sizes: dict[str, int | str], **settings: Any) -> Part:
    media = OutputMedia.forms[kind].model_validate({kind: settings}) if kind else None
    return Part("y", "outputs", media, sizes)  # type: ignore[arg-type]


SCORES = output("", {"query": 5, "channel": 7})
SINGLE = replace(output("", {"query": 5, "channel": 1}), name="one")


@pytest.mark.parametrize(
    ("unfit", "text"),
    [
        (output("classes", {"query": 5, "channel": 7}), "needs one axis"),
        (output("text", {"length": "length", "channel": 261}), "261 channels"),
        (output("text", {"length": 7, "channel": 262}), "7 of them (the model's text: length)"),
        (output("labels", {"channel": 3}), "needs 2 axes"),
        (output("span", {"length": "length", "channel": 3}), "start and end"),
        (output("flow", {"height": 8, "width": 8, "channel": 2}), "frames have 8 x 9"),
        (output("flow", {"height": 8, "width": 9, "channel": 3}), "3 channels"),
        (output("video", {"time": 8, "channel": 3}), "height, width"),
        (output("audio", {"time": 3, "channel": 1}), "samples of 2 channels"),
        (
            output("boxes", {"query": 4, "channel": 4}, classes="y"),
            "4 boxes, and `y` has scores for 5",
        ),
        (output("boxes", {"query": 5, "channel": 3}, classes="y"), "a box needs 4"),
        (output("boxes", {"query": 5, "channel": 4}, classes="one"), "`one` has one class"),
    ],
)
def test_what_an_output_cannot_be_written_as(unfit: Part, text: str) -> None:
    stereo = part("audio", {"time": 4, "channel": 2})
    found = mismatch(unfit, Signature.of([TEXT, FRAMES, stereo], [SCORES, SINGLE]))
    assert found is not None
    assert text in found.fault
    assert found.remedy


@pytest.mark.parametrize(
    ("kind", "channels", "told"),
    [("classes", 1, True), ("classes", 2, False), ("labels", 1, True), ("scores", 1, False)],
)
def test_a_choice_among_one_class_is_told(kind: str, channels: int, told: bool) -> None:
    found = warned(output(kind, {"channel": channels}))
    assert (found is not None) == told


@pytest.mark.parametrize("kind", ["scores", "labels", "boxes", "classes"])
def test_equal_names_are_told_where_results_go_by_name(kind: str) -> None:
    """Of numbers by name, one would be lost; the classes of `classes` have their number beside the name."""
    more = {"classes": "y"} if kind == "boxes" else {}
    part = output(kind, {"channel": 3}, names=["a", "b", "a"], **more)
    found = refused(part) or warned(part)
    assert (refused(part) is not None) == (kind == "scores")
    assert (found is not None) == (kind != "classes")
    if found:
        assert found.place == ("media", kind, "names", 2)
        assert "`a (2)`" in found.remedy
    assert refused(output(kind, {"channel": 3}, names=["a", "b", "c"], **more)) is None


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"mean": [123.675, 116.28, 103.53]}, "write `mean: [0.485, 0.456, 0.406]`"),
        (
            {"mean": [127.5] * 3, "std": [1, 1, 1]},
            "write `mean: [0.5, 0.5, 0.5]` and `std: [0.00392157, 0.00392157, 0.00392157]`",
        ),
        ({"mean": [0, 0, 0], "std": [255] * 3}, "write `std: [1.0, 1.0, 1.0]`"),
        ({"mean": [0, 0, 0], "std": [1 / 255] * 3}, None),
        ({"mean": [0.5] * 3, "std": [0.5] * 3}, None),
        ({"mean": [-1, -1, -1], "std": [2, 2, 2]}, None),
        ({"stretch": True, "crop": 0.5}, "leave `crop` out"),
        ({"stretch": True}, None),
        ({}, None),
    ],
)
def test_how_pictures_are_prepared_may_not_be_meant(
    settings: dict[str, Any], remedy: str | None
) -> None:
    media = InputMedia.forms["image"].model_validate({"image": settings})
    found = warned(Part("x", "inputs", media, {"height": 8, "width": 8, "channel": 3}))  # type: ignore[arg-type]
    assert (found is None) == (remedy is None)
    assert remedy is None or (found is not None and remedy in found.remedy)


def test_outputs_that_need_an_input_say_so() -> None:
    labels = mismatch(output("labels", {"length": 7, "channel": 3}))
    assert labels is not None
    assert "reads no text" in labels.fault
    flow = mismatch(output("flow", {"height": 8, "width": 8, "channel": 2}))
    assert flow is not None
    assert "no input is read as `flow`" in flow.fault
    assert mismatch(output("text", {"length": 7, "channel": 262})) is None, "out of something else"


@pytest.mark.parametrize(
    ("kind", "sizes", "rate", "remedy"),
    [
        ("video", {"time": 16}, 25.0, None),
        ("video", {"time": 8}, 12.5, None),
        ("video", {"time": 16}, 30, "write `rate: 25`"),
        ("video", {"time": 8}, 25, "write `rate: 12.5`"),
        ("video", {"time": 7}, 25, "write `rate: 10.9375`"),
        ("audio", {"time": 640, "channel": 32}, 16000, None),  # stereo
        ("audio", {"time": 640, "channel": 16}, 16000, "write `rate: 8000`"),
    ],
)
def test_a_window_lasts_as_long_as_the_one_that_is_read(
    kind: str, sizes: dict[str, int | str], rate: float, remedy: str | None
) -> None:
    side: dict[str, int | str] = {"height": 8, "width": 8, "channel": 3}
    video = read_as("video", "v", {"time": 16, **side}, settings={"rate": 25.0})
    audio = read_as("audio", "a", {"time": 30_720, "channel": 2}, settings={"rate": 48000})
    made = output(kind, sizes | side if kind == "video" else sizes, rate=rate)
    found = off_pace(made, Signature.of([audio, video], []))
    assert (found.remedy if found else None) == remedy
    assert off_pace(made, Signature.of([TEXT], [])) is None, "nothing to keep up with"


def test_inputs_that_do_not_fit_are_not_held_against() -> None:
    broken = part("flow", {"row": 3})
    assert Signature.of([broken, TEXT], []).inputs == (TEXT,)


def test_streams_of_a_clip() -> None:
    video, audio, mel = (read_as(k, k, {}) for k in ("video", "audio", "mel"))
    assert same_stream([video, audio, TEXT]) == []
    assert same_stream([video, audio, mel]) == [["audio", "mel"]]


def test_kinds_that_would_fit() -> None:
    assert fitting_kinds(part("image", {"time": 100, "channel": 2})) == ["audio", "points", "table"]
    assert fitting_kinds(part("image", {"length": 9}, dtype="int64")) == ["text"]
    assert fitting_kinds(part("image", {"a": 2, "b": 2, "c": 2, "channel": 5})) == []


def test_neighbourhoods() -> None:
    assert [neighbourhood(channels) for channels in (3, 27, 75, 1, 12, 0, -3)] == [1, 3, 5] + [
        None
    ] * 4
