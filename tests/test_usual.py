"""What is answered where somebody writes what other tools take, or the first thing that comes to mind."""

from __future__ import annotations

import pytest

import perceiver_graph as pg
from tests.tiny import fault, faults

SPEC = """\
perceiver: 1
name: usual
inputs:
  image: {shape: {view: 3, height: 32, width: 32, channel: 8}}
latents: {count: 4, width: 16}
layers: {bias: true}
process: {layers: 1, heads: 2}
outputs:
  label: {query: {learned: {}}, head: {linear: 12}}
"""


def answers(old: str, new: str) -> list[str]:
    """The help of each fault of the spec with `new` for `old`."""
    assert old in SPEC
    return [one.help or "" for one in faults(lambda: pg.compile(SPEC.replace(old, new)))]


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        (
            "channel: 8}",
            "channel: 8}, mask: true",
            "a mask of single tokens is `attention_mask: true`",
        ),
        (
            "channel: 8}",
            "channel: 8}, position: rotary",
            "leave `position` out and write `rotary: true`",
        ),
        (
            "channel: 8}",
            "channel: 8}, position: {rotary: {}}",
            "or by its places, `rotary: {of: [view, height, width]}`",
        ),
        ("bias: true", "rotary: {axes: [height, width]}", "did you mean `of`?"),
        (
            "channel: 8}",
            "channel: 8}, steps: [{patch: 16}]",
            "write `patch: {height: 16, width: 16}`",
        ),
        ("query: {learned: {}}, ", "", "write `query: {learned: {}}`"),
        ("query: {learned: {}}", "query: cls", "for example `query: {learned: {}}`"),
        (
            "shape: {view: 3, height: 32, width: 32, channel: 8}",
            "steps: [{embedding: {vocabulary: 262, width: 8}}]",
            "write `shape: {byte: 512}`",
        ),
        ("heads: 2", "stochastic_depth: 0.1", "`dropout: 0.1` leaves out numbers"),
        ("heads: 2", "weights: false", "leave it out: layers have weights of their own"),
        ("heads: 2", "share_weights: false", "did you mean `share`?"),
        ("channel: 8}", "channel: 8}, max_length: 512", "write `max: 512` under `dims.length`"),
        (
            "outputs:",
            "decode: {output_dim: 4}\noutputs:",
            "write `head: {linear: 4}` under `outputs.label`",
        ),
        (
            "head: {linear: 12}",
            "media: {classes: 12}",
            "write `head: {linear: 12}` under `outputs.label`",
        ),
        ("head: {linear: 12}", "classes: 12", "write `head: {linear: 12}` under `outputs.label`"),
        (
            "head: {linear: 12}",
            "head: {linear: 12}, media: {classes: {names: labels.txt}}",
            "what is in a file is not read here",
        ),
        ("head: {linear: 12}", "head: {linear: 12}, media: {labels: {}}", "or leave `media` out"),
        ("width: 16}", "width: 16kHz}", "write `16000`"),
    ],
)
def test_what_is_answered(old: str, new: str, wanted: str) -> None:
    (answer,) = answers(old, new)
    assert wanted in answer


def test_a_patch_of_all_axes_where_it_divides_them() -> None:
    found = fault(
        lambda: pg.compile(SPEC.replace("channel: 8}", "channel: 8}, steps: [{patch: 5}]"))
    )
    assert found.help == "write `patch: {view: 5, height: 5, width: 5}`"
