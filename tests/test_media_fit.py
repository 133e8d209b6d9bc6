"""The rules of media: every kind has them, they know what the readers know, and who breaks them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from perceiver_graph.compiler.artifact.describe import input_entries, output_entries
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.media.axes import part_of
from perceiver_graph.media.boxes.model import BoxesParameters
from perceiver_graph.media.clip import model as clip
from perceiver_graph.media.clip.decode import LAYOUTS
from perceiver_graph.media.clip.pace import off_pace
from perceiver_graph.media.fit import (
    BYTE_IDS,
    INPUTS,
    OUTPUTS,
    SOUND_CHANNELS,
    Around,
    Part,
    certain,
    crowded,
    fitting_kinds,
    misfit,
    neighbourhood,
)
from perceiver_graph.media.flow.model import FlowInputParameters
from perceiver_graph.media.make import READERS, WRITERS
from perceiver_graph.media.text.tokens import VOCABULARY
from perceiver_graph.spec.loader import load_spec
from tests.small import SMALL

FLOW = FlowInputParameters(overlap=4)
TEXT = Part("text", "inputs", "text", None, {"length": "length"}, "int64", 262)
FRAMES = Part("frames", "inputs", "flow", FLOW, {"time": 2, "height": 8, "width": 9, "channel": 3})


def test_every_kind_has_rules_and_they_agree_with_the_readers() -> None:
    assert INPUTS.keys() == READERS.keys()
    assert OUTPUTS.keys() == WRITERS.keys()
    assert BYTE_IDS == VOCABULARY
    assert set(SOUND_CHANNELS) == set(LAYOUTS)


@pytest.mark.parametrize("name", SMALL)
def test_every_shipped_system_fits(name: str) -> None:
    lowered = lower(load_spec(name, overrides=list(SMALL[name])))
    entries = input_entries(lowered)
    inputs = [part_of(*item) for item in entries.items() if item[1].mask != "always"]
    outputs = [part_of(*item) for item in output_entries(lowered).items()]
    around = Around.of(inputs, outputs)
    assert [misfit(part, around) for part in (*inputs, *outputs)] == [None] * len(
        [*inputs, *outputs]
    )


def part(kind: str, sizes: dict[str, int | str], **more: Any) -> Part:
    return Part("x", "inputs", kind, FLOW, sizes, **more)


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
    found = misfit(unfit)
    assert found is not None
    assert text in found.fault
    assert "`x`" in found.fault
    assert found.remedy


def test_axes_may_come_in_any_order() -> None:
    sizes: dict[str, int | str] = {"channel": 3, "width": 8, "height": 8}
    assert misfit(part("image", sizes)) is None
    assert misfit(part("", {"anything": "n"})) is None


def output(kind: str, sizes: dict[str, int | str], settings: Any = None) -> Part:
    return Part("y", "outputs", kind, settings, sizes)


SCORES = output("", {"query": 5, "channel": 7})
BOXES = BoxesParameters(classes="y")
SINGLE = replace(output("", {"query": 5, "channel": 1}), name="one")
ONE = BoxesParameters(classes="one")


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
        (output("boxes", {"query": 4, "channel": 4}, BOXES), "4 boxes, and `y` has scores for 5"),
        (output("boxes", {"query": 5, "channel": 3}, BOXES), "a box needs 4"),
        (output("boxes", {"query": 5, "channel": 4}, ONE), "`one` has one class"),
    ],
)
def test_what_an_output_cannot_be_written_as(unfit: Part, text: str) -> None:
    stereo = part("audio", {"time": 4, "channel": 2})
    found = misfit(unfit, Around.of([TEXT, FRAMES, stereo], [SCORES, SINGLE]))
    assert found is not None
    assert text in found.fault
    assert found.remedy


@pytest.mark.parametrize(
    ("kind", "channels", "told"),
    [("classes", 1, True), ("classes", 2, False), ("labels", 1, True), ("scores", 1, False)],
)
def test_a_choice_among_one_class_is_told(kind: str, channels: int, told: bool) -> None:
    found = certain(output(kind, {"channel": channels}))
    assert (found is not None) == told


def test_outputs_that_need_an_input_say_so() -> None:
    labels = misfit(output("labels", {"length": 7, "channel": 3}))
    assert labels is not None
    assert "reads no text" in labels.fault
    flow = misfit(output("flow", {"height": 8, "width": 8, "channel": 2}))
    assert flow is not None
    assert "no input is read as `flow`" in flow.fault
    assert misfit(output("text", {"length": 7, "channel": 262})) is None, "out of something else"


@pytest.mark.parametrize(
    ("kind", "sizes", "rate", "remedy"),
    [
        ("video", {"time": 16}, 25, None),
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
    def settings(kind: str, rate: float) -> Any:
        return getattr(clip, f"{kind.title()}Parameters")(rate=rate)

    side: dict[str, int | str] = {"height": 8, "width": 8, "channel": 3}
    video = Part("v", "inputs", "video", settings("video", 25), {"time": 16, **side})
    audio = Part("a", "inputs", "audio", settings("audio", 48000), {"time": 30_720, "channel": 2})
    made = output(kind, sizes | side if kind == "video" else sizes, settings(kind, rate))
    found = off_pace(made, Around.of([audio, video], []))
    assert (found.remedy if found else None) == remedy
    assert off_pace(made, Around.of([TEXT], [])) is None, "nothing to keep up with"


def test_inputs_that_do_not_fit_are_not_held_against() -> None:
    broken = part("flow", {"row": 3})
    assert Around.of([broken, TEXT], []).inputs == (TEXT,)


def test_streams_of_a_clip() -> None:
    video, audio, mel = (Part(k, "inputs", k, None, {}) for k in ("video", "audio", "mel"))
    assert crowded([video, audio, TEXT]) == []
    assert crowded([video, audio, mel]) == [["audio", "mel"]]


def test_kinds_that_would_fit() -> None:
    assert fitting_kinds(part("image", {"time": 100, "channel": 2})) == ["audio", "points", "table"]
    assert fitting_kinds(part("image", {"length": 9}, dtype="int64")) == ["text"]
    assert fitting_kinds(part("image", {"a": 2, "b": 2, "c": 2, "channel": 5})) == []


def test_neighbourhoods() -> None:
    assert [neighbourhood(channels) for channels in (3, 27, 75, 12, 0, -3)] == [1, 3, 5] + [
        None
    ] * 3
