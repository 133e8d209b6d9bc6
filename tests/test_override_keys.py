"""Keys of overrides in other notations: brackets are taken, and the rest is told as it is written here."""

from __future__ import annotations

import re
import shlex

import pytest

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.diagnostics.commands import typed
from perceiver_graph.spec.loader import parse_spec
from tests.cli.support import TINY


def spec(*overrides: str) -> object:
    return parse_spec(TINY, overrides=overrides).spec


@pytest.mark.parametrize(
    "key",
    [
        "inputs.x.steps[0].patch.time",
        "inputs.x.steps.[0].patch.time",
        "inputs[x].steps[0].patch.time",
        "inputs[\"x\"]['steps'][0][patch].time",
        " inputs.x.steps.0.patch.time ",
    ],
)
def test_brackets_are_parts_of_a_key(key: str) -> None:
    assert spec(f"{key}=4") == spec("inputs.x.steps.0.patch.time=4") != spec()


@pytest.mark.parametrize(
    ("override", "meant"),
    [
        ("inputs.x.steps.patch.time=4", "inputs.x.steps.0.patch.time=4"),
        ("inputs/x/steps/0/patch/time=4", "inputs.x.steps.0.patch.time=4"),
        ("latents.count:32", "latents.count=32"),
        ("latents.count: 32", "latents.count=32"),
        ("latents.count 32", "latents.count=32"),
        ("inputs.x.steps[0].patch.time: 4", "inputs.x.steps.0.patch.time=4"),
        ("latents.count=32,latents.width=16", "latents.count=32 latents.width=16"),
        ("latents.count=32, latents.width = 16;decode.chunks=1", ""),
    ],
)
def test_what_is_told_works(override: str, meant: str) -> None:
    with typed(), pytest.raises(DiagnosticError) as caught:
        spec(override)
    help = str(caught.value.diagnostics[0].help)
    (told,) = re.findall("`(--set [^`]+)`", help)
    words = [one for one in shlex.split(told) if one != "--set"]
    found = spec(*words)
    assert found == spec(*meant.split()) if meant else len(words) == 3
    with pytest.raises(DiagnosticError) as caught:
        spec(override)
    assert "--set" not in str(caught.value.diagnostics[0].help)


def test_a_value_with_commas_is_one() -> None:
    assert spec("summary=one, two.three") != spec()
    assert spec("inputs.x.steps=[{patch: {time: 4}}]") == spec("inputs.x.steps.0.patch.time=4")
