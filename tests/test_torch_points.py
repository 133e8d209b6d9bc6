"""Coordinates and points that an emitted model is given: what is wrong with them is told."""

from __future__ import annotations

import pytest
import torch

import perceiver_graph as pg
from perceiver_graph.spec.loader import parse_spec

SPACE = """
perceiver: 1
name: space
dims: {events: {max: 12}}
inputs:
  record:
    shape: {event: events}
    steps: [{embedding: {vocabulary: 20, width: 6}}]
    position: {given: [hour, depth], range: {hour: [0, 24], depth: [-5, 5]},
               fourier: {bands: 3, max_resolution: 16}}
    attention_mask: true
latents: {count: 4, width: 8}
process: {layers: 1, heads: 2}
outputs:
  inside:
    query: {points: [x, y], position: {range: [0, 2], fourier: {bands: 2, max_resolution: 8}}}
    head: {linear: 1}
"""


def placed() -> dict[str, torch.Tensor]:
    return {
        "record": torch.ones(2, 5, dtype=torch.int64),
        "record.position": torch.full((2, 5, 2), 2.0),
        "record.attention_mask": torch.ones(2, 5, dtype=torch.bool),
    }


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (torch.ones(1, 3, 2), r"shape \[1, 3, 2\], not \[batch 2, points, 2\]"),
        (torch.ones(3, 3, 2), r"shape \[3, 3, 2\], not \[batch 2, points, 2\]"),
        (torch.ones(2, 3, 2).bool(), "`inside` is torch.bool, and takes real numbers"),
        (torch.full((2, 3, 2), 2e17).double(), r"`inside` holds 2e\+17, and takes numbers up to"),
        (torch.full((2, 3, 2), float("nan")), "`inside` holds nan, and takes finite numbers"),
    ],
)
def test_points_that_the_programs_refuse_are_told(points: torch.Tensor, message: str) -> None:
    net = pg.compile(parse_spec(SPACE)).to_torch().eval()
    with pytest.raises(ValueError, match=f"points of .*{message}"):
        net(placed(), {"inside": points})


def test_points_that_are_needed_are_asked_for_by_name() -> None:
    net = pg.compile(parse_spec(SPACE)).to_torch()
    with pytest.raises(ValueError, match=r"give queries.*\{'inside': POINTS\}"):
        net(placed())


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_coordinates_are_numbers_even_where_they_are_masked(wrong: float) -> None:
    """The programs say so too."""
    net, call = pg.compile(parse_spec(SPACE)).to_torch().eval(), placed()
    call["record.position"][1, 3, 0] = wrong
    call["record.attention_mask"][1, 3] = False
    with pytest.raises(ValueError, match=r"`record.position` holds .*, and takes finite numbers"):
        net(call, {"inside": torch.ones(2, 3, 2)})


@pytest.mark.parametrize("wrong", [24.5, -0.5])
def test_coordinates_outside_of_their_range_are_told(wrong: float) -> None:
    net = pg.compile(parse_spec(SPACE)).to_torch().eval()
    call = placed()
    points = {"inside": torch.full((2, 3, 2), 2.0000001)}
    assert net(call, points)["inside"].shape == (2, 3, 1)
    call["record.position"][1, 3, 0] = wrong
    with pytest.raises(ValueError, match=r"`record.position` holds .* for hour, and takes 0 to 24"):
        net(call, points)
    call["record.attention_mask"][1, 3] = False
    assert net(call, points)["inside"].shape == (2, 3, 1)
    points["inside"][1, 2, 1] = 2.1
    told = r"points of output `inside` holds 2.1 for y, and takes 0 to 2"
    with pytest.raises(ValueError, match=told):
        net(call, points)


BESIDE = """
perceiver: 1
name: beside
inputs: {e: {shape: {n: 9, channel: 4}}}
latents: {count: 4, width: 8}
process: {layers: 1, heads: 2}
outputs:
  a:
    query: {points: [x, y], position: {fourier: {bands: 2, max_resolution: 8}}}
    head: {linear: 2}
  g: {query: {grid: {r: 5, s: 3}, position: {fourier: {bands: 2}}}, head: {linear: 2}}
  b: {query: {output: a}, head: {linear: 1}}
  h: {query: {output: g}, head: {linear: 1}}
"""


def test_points_alone_leave_no_output_out_and_chosen_positions_do() -> None:
    module = pg.compile(parse_spec(BESIDE)).to_torch()
    inputs, points = {"e": torch.zeros(2, 9, 4)}, torch.zeros(2, 6, 2)
    found = {name: list(x.shape) for name, x in module(inputs, {"a": points}).items()}
    assert found == {"a": [2, 6, 2], "b": [2, 6, 1], "g": [2, 5, 3, 2], "h": [2, 5, 3, 1]}
    found = module(inputs, {"a": points, "g": torch.tensor([0, 1])})
    assert {name: list(x.shape) for name, x in found.items()} == {"a": [2, 6, 2], "g": [2, 2, 2]}
