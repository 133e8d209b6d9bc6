"""Lines advised for slips of YAML read back as mappings; overrides are blamed where they are the cause."""

from __future__ import annotations

import re

import pytest
import yaml

import perceiver_graph as pg
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.spec.loader import load_spec, parse_spec

SPEC = """\
perceiver: 1
name: a
inputs:
  image: {shape: {time: 16, channel: 3}, position: {learned: {width: 5}}}
latents: {count: 4, width: 16}
process: {layers: 1, heads: 2}
outputs:
  label: {query: {learned: {}}, head: {linear: 5}}
"""


@pytest.mark.parametrize(
    ("old", "new", "advised"),
    [
        ("{time: 16,", "{time: 2,500,", "time: 2500"),
        ("{time: 16,", "{time: 1,000,000,", "time: 1000000"),
        ("{linear: 5}", "{3}", "head: {linear: 3}"),
        ("{count: 4, width: 16}", "{4}", "latents: {count: 4, width: 512}"),
        ("{layers: 1, heads: 2}", "{6}", "process: {layers: 6, heads: 8}"),
        (
            "{layers: 1, heads: 2}",
            "{heads: 5: {layers: 1, heads: 4}",
            "process: {layers: 1, heads: 4}",
        ),
        ("{layers: 1, heads: 2}", "{layers: 3: {heads: 4}}", "process: {layers: 3, heads: 4}"),
    ],
)
def test_the_line_that_is_advised_is_right(old: str, new: str, advised: str) -> None:
    with pytest.raises(DiagnosticError) as caught:
        parse_spec(SPEC.replace(old, new))
    found = re.search("write `(.*?)`", str(caught.value.diagnostics[0].help))
    assert found
    assert found[1] == advised
    assert isinstance(yaml.safe_load(found[1]), dict)
    key = advised.partition(":")[0]
    if key == "time":
        parse_spec(SPEC.replace("time: 16", advised))
    else:
        parse_spec(re.sub(rf"{key}: \{{[^{{}}]*\}}", advised, SPEC))


@pytest.mark.parametrize(
    ("overrides", "guilty"),
    [
        (["latents.width=32"], "latents.width=32"),
        (["latents.init_scale=0.5", "latents.width=32"], "latents.width=32"),
        (["process.layers=2"], "process.layers=2"),
    ],
)
def test_an_override_is_blamed_for_weights_that_do_not_fit(
    overrides: list[str], guilty: str
) -> None:
    weights = pg.compile(SPEC).weights(seed=0)
    with pytest.raises(DiagnosticError) as caught:
        pg.compile(load_spec(SPEC, overrides)).weights(weights)
    found = [one for one in caught.value.diagnostics if one.code in ("PG302", "PG304")]
    assert found
    for one in found:
        assert one.primary is not None
        assert one.primary.span.source.text == guilty
        assert guilty in str(one.help)


def test_a_line_of_the_spec_is_blamed_where_no_override_is_the_cause() -> None:
    weights = pg.compile(SPEC).weights(seed=0)
    other = load_spec(SPEC.replace("width: 16", "width: 32"), ["latents.init_scale=0.5"])
    with pytest.raises(DiagnosticError) as caught:
        pg.compile(other).weights(weights)
    for one in caught.value.diagnostics:
        assert one.primary is None or one.primary.span.source.path == "<text>"
