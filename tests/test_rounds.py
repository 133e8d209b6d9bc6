"""What is wrong with the keys of a spec and with its sizes is told in one round, and nothing that follows
from a key that is left out."""

from __future__ import annotations

import pytest

import perceiver_graph as pg
from tests.tiny import faults

SPEC = """\
perceiver: 1
name: rounds
dims: {length: {max: 64}}
inputs:
  image: {shape: {height: 8, width: 8, channel: 3}, position: {fourier: {bands: 2}}}
  text: {shape: {byte: length, channel: 5}}
join: {padding: {}}
latents: {count: 4, width: 16}
encode: {heads: 1}
process: {layers: 1, heads: 3}
decode: {heads: 2}
outputs:
  label: {query: {learned: {}}, head: {linear: 12}}
"""
NOT_DIVIDED = "PG204"


def told(*changes: tuple[str, str]) -> list[str]:
    text = SPEC
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return [one.code for one in faults(lambda: pg.compile(text))]


def test_the_spec_has_one_fault_of_sizes() -> None:
    assert told() == [NOT_DIVIDED]


@pytest.mark.parametrize(
    "change",
    [
        ("latents: {count", "latents: {cuont"),
        ("fourier: {bands", "fourier: {band"),
        ("process: {layers", "proces: {layers"),
        ("heads: 3", "head: 3"),
        ("name: rounds", "name: rounds\nauthor: me"),
        ("name: rounds", "name: rounds\nepochs: 3"),
        ("label: {query", "label: {zebra: 3, query"),
        ("decode: {heads", "decode: {zebra: 3, heads"),
    ],
)
def test_both_are_told_in_one_round(change: tuple[str, str]) -> None:
    *keys, sizes = told(change)
    assert (bool(keys), sizes) == (True, NOT_DIVIDED)
    assert all(code in ("PG101", "PG111") for code in keys)


@pytest.mark.parametrize(
    "change",
    [
        ("process: {layers", "process: {zebra: 1, layers"),
        ("latents: {count", "latents: {zebra: 1, count"),
        ("image: {shape", "image: {zebra: 1, shape"),
        ("dims: {length: {", "dims: {length: {zebra: 3, "),
        ("name: rounds", "name: rounds\nheads: 4"),
        ("name: rounds", "name: rounds\nhidden_size: 512"),
        ("name: rounds", "name: rounds\nlayers: {zebra: 2}"),
    ],
)
def test_what_may_follow_from_a_key_is_not_told(change: tuple[str, str]) -> None:
    assert told(change) == ["PG101"]


@pytest.mark.parametrize(
    "change",
    [
        ("channel: 5}}", "channel: 5}, stpes: [{linear: 9}]}"),
        ("count: 4, width: 16", "count: 4, width: 16, initscale: 0.1"),
        ("heads: 1}", "heads: 1, dropuot: 0.1}"),
    ],
)
def test_a_slip_is_taken_for_what_it_was_meant_as(change: tuple[str, str]) -> None:
    fine = ("heads: 3", "heads: 2")
    assert told(change, fine) == ["PG101"]
    assert told(change) == ["PG101", NOT_DIVIDED]


def test_values_that_are_wrong_stop_it() -> None:
    assert told(("count: 4", "count: x y"), ("bands: 2", "band: 2")) == ["PG101", "PG103"]
