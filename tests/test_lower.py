"""From spec to shape: properties over random specs, and the rules one by one."""

from __future__ import annotations

import copy
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perceiver_graph.compiler.ir.dims import Dim, product
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ir.text import print_graph
from perceiver_graph.compiler.ir.verify import verify
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.compiler.lowering.lowered import Lowered, chunk_queries
from perceiver_graph.compiler.weights import initialize
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.spec.loader import parse_spec
from perceiver_graph.spec.render import render_yaml, resolved_data
from perceiver_graph.testing.points import VECTOR
from perceiver_graph.testing.specs import render, specs
from tests.support import POINTS, random_inputs

SETTINGS = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def lowered(data: dict[str, Any]) -> Lowered:
    return lower(parse_spec(render(data)))


def without_origins(text: str) -> str:
    return re.sub(r"\s+# .*", "", text)


@SETTINGS
@given(specs())
def test_a_lowered_graph_is_valid(data: dict[str, Any]) -> None:
    verify(lowered(data).graph, "lowered")


@SETTINGS
@given(specs(), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_shapes_are_those_that_numpy_produces(data: dict[str, Any], batch: int, seed: int) -> None:
    model = lowered(data)
    inputs = random_inputs(model, batch, seed)
    results = evaluate(model.graph, inputs, initialize(model.graph, seed))
    found = results["latents"].shape
    assert found == (batch, *(int(axis.size) for axis in model.asked_at), *model.latents_read)
    for name, output in model.outputs.items():
        points = {symbol.name: POINTS for symbol in output.queries.symbols}
        sizes = tuple(axis.size for axis in output.axes)
        places, rows = sizes[: output.places], sizes[output.places :]
        if (
            output.queries.value != 0 and rows
        ):  # asked one by one; what is asked nothing keeps its axes
            rows = (product(rows),)
        shape = [size.evaluate(points) for size in (*places, *rows)]
        assert results[name].shape == (batch, *shape, output.channels)
        assert np.isfinite(results[name]).all()


@SETTINGS
@given(specs())
def test_the_shapes_follow_the_formulas(data: dict[str, Any]) -> None:
    """Written down a second time, from the papers: tokens and widths add up as they say."""
    model = lowered(data)
    counts, widths = [], []
    for name, modality in data["inputs"].items():
        modality = data["inputs"].get(modality.get("like"), {}) | modality
        if name == "place":  # coordinates: no tokens
            assert name not in model.modalities
            continue
        if name == VECTOR:  # what queries are made of: no token that latents read
            assert int(model.modalities[name].count) == 1
            continue
        shape = dict(modality["shape"])
        channels = shape.pop("channel", 0)
        for step in modality["steps"]:
            if "embedding" in step:
                channels = step["embedding"]["width"]
            elif "one_hot" in step:
                channels = step["one_hot"]
            elif "linear" in step:
                channels = step["linear"]
            elif "patch" in step:
                for axis, size in step["patch"].items():
                    shape[axis] //= size
                    channels *= size
        along = data["encode"].get("over")
        if along is not None:  # each place of the other axes is a problem of its own
            shape = {axis: size for axis, size in shape.items() if axis == along}
        axes = len(shape)
        position = modality.get("position")
        places = data["inputs"].get("place", {"shape": {"channel": 0}})["shape"]["channel"]
        given = (position or {}).get("given")
        places = given if isinstance(given, int) else places
        channels += position_width(position, axes, places)
        counts.append(int(np.prod([1, *shape.values()])))
        widths.append(channels)
        assert int(model.modalities[name].count) == counts[-1]
        assert model.modalities[name].channels == channels
    tokens, width = model.input_array
    assert int(tokens) == sum(counts)
    assert width == max(widths) + data["join"]["padding"]["min"]


def position_width(position: dict[str, Any] | None, axes: int, coordinates: int) -> int:
    if position is None:
        return 0
    if "rotary" in position or "none" in position:
        return 0
    if "project" in position:
        return int(position["project"])
    if "learned" in position:
        return int(position["learned"]["width"])
    fourier = position["fourier"]
    waves = 1 if fourier.get("sine_only") else 2
    given = position.get("given", position.get("coordinates"))
    if "inputs" in position or given is not None:
        axes = coordinates if given is None or isinstance(given, int) else len(given)
    plain = "wavelengths" not in fourier and "base" not in fourier
    kept = axes - len(fourier.get("periodic", ())) if fourier.get("include_position", plain) else 0
    return int(kept + axes * waves * fourier["bands"])


@SETTINGS
@given(specs())
def test_the_resolved_spec_gives_the_same_graph(data: dict[str, Any]) -> None:
    first = lowered(data)
    text = render_yaml(resolved_data(first.document.spec, first.derived))
    second = lower(parse_spec(text))
    assert without_origins(print_graph(second.graph)) == without_origins(print_graph(first.graph))
    again = render_yaml(resolved_data(second.document.spec, second.derived))
    assert again == text


@SETTINGS
@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 4))
def test_symbolic_shapes_at_n_are_the_shapes_of_n(n: int, patch: int, channels: int) -> None:
    def model(size: int | str) -> Lowered:
        data = {
            "perceiver": 1,
            "name": "symbolic",
            "dims": {"length": {"multiple_of": patch}},
            "inputs": {
                "signal": {
                    "shape": {"time": size, "channel": channels},
                    "steps": [{"patch": {"time": patch}}, {"linear": 3}],
                }
            },
            "latents": {"count": 2, "width": 4},
            "process": {"layers": 1, "heads": 2},
            "outputs": {"all": {"query": {"inputs": "signal"}}},
            "decode": {"qk_width": 4},
        }
        return lower(parse_spec(render(data)))

    symbolic, fixed = model("length"), model(n * patch)
    values = {"batch": 2, "length": n * patch, "all_queries": n}
    assert len(symbolic.graph.nodes) == len(fixed.graph.nodes)
    for a, b in zip(symbolic.graph.nodes, fixed.graph.nodes, strict=True):
        assert [d.evaluate(values) for d in a.output.shape] == [
            d.evaluate(values) for d in b.output.shape
        ]


@given(st.integers(1, 10_000), st.integers(1, 200))
def test_chunks_cover_the_queries(count: int, chunks: int) -> None:
    rows = int(chunk_queries(Dim.of(count), chunks))
    if count < chunks:
        assert rows == count
    else:
        assert rows * chunks >= count > rows * (chunks - 1) - chunks


BASE: dict[str, Any] = {
    "perceiver": 1,
    "name": "base",
    "inputs": {
        "image": {
            "shape": {"height": 8, "width": 8, "channel": 3},
            "steps": [{"patch": {"height": 2, "width": 2}}],
            "position": {"fourier": {"bands": 2}},
        },
        "ids": {"shape": {"length": 4}, "steps": [{"embedding": {"vocabulary": 5, "width": 6}}]},
    },
    "join": {"padding": {"min": 1}},
    "latents": {"count": 4, "width": 8},
    "process": {"layers": 1, "heads": 2},
    "outputs": {"classes": {"query": {"learned": {"count": 1}}, "head": {"linear": 3}}},
}


def wrong(*changes: tuple[str, Any]) -> list[str]:
    """The codes of the diagnostics after setting dotted keys; `...` deletes one."""
    data = copy.deepcopy(BASE)
    for path, value in changes:
        place: Any = data
        *parents, last = path.split(".")
        for parent in parents:
            place = place[int(parent)] if parent.isdigit() else place.setdefault(parent, {})
        key: int | str = int(last) if last.isdigit() else last
        if value is ...:
            del place[key]
        else:
            place[key] = value
    with pytest.raises(DiagnosticError) as error:
        lowered(data)
    return [d.code for d in error.value.diagnostics]


WIDE = {"channels": 2, "kernel": {"width": 9}, "padding": "valid"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("inputs.image.steps.0.patch.height", 3), "PG203"),
        (("inputs.image.steps.0.patch.hight", 2), "PG202"),
        (("inputs.image.shape", {"channel": 3, "height": 8, "width": 8}), "PG206"),
        (("inputs.image.shape", {"height": 8, "width": 8}), "PG206"),
        (("inputs.image.shape.height", "tall"), "PG207"),
        (("inputs.image.position.fourier.max_resolution", {"depth": 2}), "PG202"),
        (("inputs.image.position", {"learned": {}}), "PG205"),
        (("inputs.image.position.combine", "add"), "PG205"),
        (("inputs.ids.steps", [{"linear": 3}]), "PG206"),
        (("inputs.ids.steps", [{"linear": 3}, {"one_hot": 3}]), "PG206"),
        (("inputs.image.steps", [{"one_hot": 3}]), "PG211"),
        (("inputs.image.steps", [{"squeeze": "height"}]), "PG202"),
        (("inputs.image.steps", [{"conv": {"channels": 2, "kernel": {"height": 9}}}]), "PG202"),
        (("inputs.image.steps", [{"conv": WIDE}]), "PG210"),
        (("join", ...), "PG209"),
        (("process.heads", 3), "PG204"),
        (("encode.heads", 4), "PG204"),
        (("decode.heads", 3), "PG204"),
        (("encode.cross_attends", 2), "PG205"),
        (("outputs.classes.query", {"inputs": "imge"}), "PG201"),
        (("outputs.classes.head", {"tied_embedding": "image"}), "PG201"),
        (("outputs.classes.head", {"tied_embedding": "ids"}), "PG205"),
        (("outputs.latents", {"query": {"learned": {}}}), "PG201"),
        (("inputs.latents", {"shape": {"channel": 3}}), "PG201"),
        (("dims", {"n": {"min": 4, "max": 2}}), "PG207"),
    ],
)
def test_each_rule_has_its_diagnostic(change: tuple[str, Any], code: str) -> None:
    assert wrong(change) == [code]


def test_one_run_shows_the_errors_of_every_part() -> None:
    codes = wrong(
        ("inputs.image.steps.0.patch.height", 3),
        ("inputs.ids.shape.length", "n"),
        ("process.heads", 3),
        ("decode.heads", 5),
        ("outputs.classes.query", {"inputs": "nothing"}),
        ("outputs.more", {"query": {"learned": {}}}),
    )
    assert sorted(codes) == ["PG201", "PG203", "PG204", "PG204", "PG207"]


def test_every_modality_masked_is_refused() -> None:
    assert wrong(("inputs.image.mask", "always"), ("inputs.ids.mask", "always")) == ["PG205"]


def test_query_widths_that_differ_need_padding() -> None:
    more = {"query": {"learned": {"width": 5}}}
    assert wrong(("outputs.more", more)) == ["PG209"]
