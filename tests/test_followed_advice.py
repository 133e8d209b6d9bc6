"""Advice that is followed to the letter leads to a spec that is right."""

from __future__ import annotations

import re

import pytest

from perceiver_graph.compiler.blocks.rotary_config import _turned, fraction_of_pairs
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.spec.loader import load_spec

_UNDER = re.compile(r"write `([a-z_]+): (.*?)` under `([a-z]+)`")


@pytest.mark.parametrize("positions", range(1, 9))
def test_a_share_of_channels_that_is_advised_makes_pairs(positions: int) -> None:
    least = 2 * positions
    for head in range(least, 1500):
        turned = _turned(float(fraction_of_pairs(head, least)), head)
        assert turned % least == 0
        assert least <= turned <= head


@pytest.mark.parametrize(
    ("spec", "override"),
    [
        ("imagenet_fourier", "layers.rotary=true"),
        ("imagenet_learned", "layers.rotary={fraction: 0.3}"),
        ("imagenet_conv", "layers.rotary=true"),
        ("imagenet_fourier", "layers.rotary={of: [height, width]}"),
        ("imagenet_learned", "layers.rotary={of: [height, width], fraction: 0.3}"),
        ("imagenet_learned", "layers.rotary={of: [height, width, channel]}"),
        ("imagenet_conv", "process.rotary={of: [height, width, channel], fraction: 0.5}"),
        ("perceiver_ar", "layers.rotary={fraction: 0.3}"),
        ("perceiver_ar", "process.rotary={fraction: 0.3}"),
    ],
)
def test_parts_that_turn_no_pairs_are_told_what_would(spec: str, override: str) -> None:
    """Until only what is no matter of pairs is left to say."""
    given = [override]
    for _ in range(5):
        try:
            lower(load_spec(spec, given))
        except DiagnosticError as error:
            told = next((one for one in error.diagnostics if one.code == "PG204"), None)
            if told is None:
                return
            if match := _UNDER.search(str(told.help)):
                key, value, part = match.groups()
                given.append(f"{part}.{key}={value}")
            else:
                match = re.search("write `fraction: (.*?)`", str(told.help))
                assert match, told.help
                given.append(f"{override.partition('=')[0]}.fraction={match[1]}")
        else:
            return
    pytest.fail(f"{given} is still not right")
