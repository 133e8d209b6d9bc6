"""Initial values by dialect: those of transformers to the byte, those of DeepMind's haiku modules by
their distributions."""

from __future__ import annotations

import hashlib
import re
from math import prod, sqrt

import numpy as np
import pytest

from perceiver_graph.compiler.blocks.initial import CUT_DEVIATION, TABLE, initializer
from perceiver_graph.compiler.ir.graph import Graph, Parameter
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.compiler.weights import initialize
from perceiver_graph.spec.loader import load_spec
from tests.small import LATER, SMALL
from tests.torch_support import emit, lowered, module

torch = pytest.importorskip("torch")

DEEPMIND = [name for name in SMALL if load_spec(name).spec.dialect == "deepmind"]
HUGGINGFACE = sorted(set(SMALL) - set(DEEPMIND) - set(LATER))

VECTORS = r"^latents$|\.table$|\.padding$|\.mask$"
LAYER = r"\.attention\.(query|key|value|output)\.weight$|\.mlp\.dense[12]\.weight$"
MAP = r"\.(linear|linear_\d|hidden|project|conv|conv_\d)\.weight$"
GAIN = r"norm\.weight$|\.running_var$"
BIAS = r"\.bias$|\.running_mean$"
EMBEDDING = r"\.embedding\.weight$"


def graph_of(name: str, *more: str) -> Graph:
    return lower(load_spec(name, overrides=[*SMALL[name], *more])).graph


def sizes(leaf: Parameter) -> tuple[int, ...]:
    return tuple(int(size) for size in leaf.value.shape)


def deviation(leaf: Parameter, *, final: bool = False) -> float | None:
    """What the sources say of a name: the standard deviation before the cut, None for a constant."""
    name, shape = leaf.value.name, sizes(leaf)
    if final and name.startswith("heads."):
        return None
    found = {
        VECTORS: 0.02,
        EMBEDDING: 1.0,
        LAYER: 1 / (0.87962566103423978 * sqrt(prod(shape[1:]))),
        MAP: 1 / sqrt(prod(shape[1:])),
        GAIN: None,
        BIAS: None,
    }
    (rule,) = [pattern for pattern in found if re.search(pattern, name)]
    return found[rule]


def digest(values: dict[str, Array]) -> bytes:
    found = hashlib.sha256()
    for name in sorted(values):
        found.update(f"{name} {values[name].shape}\n".encode())
        found.update(values[name].tobytes())
    return found.digest()


def test_huggingface_keeps_its_values() -> None:
    """As they were before dialects started parameters each in its own way."""
    assert len(HUGGINGFACE) > 8
    found = hashlib.sha256()
    for name in HUGGINGFACE:
        found.update(digest(initialize(graph_of(name), 0)))
    expected = "b99c73bf6ed6e1c86e27e5adaf117ef68fd417b5359067080278b0e222ec2e22"
    assert found.hexdigest() == expected


@pytest.mark.parametrize("name", DEEPMIND)
def test_every_deepmind_parameter_starts_as_its_source_says(name: str) -> None:
    mean = name in {"imagenet_perceiver", "modelnet40"}
    graph = graph_of(name)
    values = initialize(graph, 0)
    assert set(values) == {leaf.value.name for leaf in graph.parameters}
    drawn = []
    for leaf in graph.parameters:
        value, expected = values[leaf.value.name], deviation(leaf, final=mean)
        assert value.dtype == np.float32
        assert value.shape == sizes(leaf)
        if expected is None:
            assert np.all(value == bool(re.search(GAIN, leaf.value.name)))
        else:
            assert np.abs(value).max() <= 2 * expected * (1 + 1e-6)
            assert value.any()
            drawn.append(value.reshape(-1) / expected)
    standard = np.concatenate(drawn)
    assert standard.std() == pytest.approx(CUT_DEVIATION, rel=0.02)
    assert abs(standard.mean()) < 0.02
    assert np.abs(standard).max() > 1.99, "cut off at 2, and not before"


def test_each_kind_of_parameter_has_the_deviation_of_its_own() -> None:
    """Large ones, so that a wrong factor shows: 0.88 is what the cut leaves."""
    wide = ("latents.width=256", "latents.count=300", "encode.v_width=256", "process.v_width=256")
    values = initialize(graph_of("glue_multitask", *wide), 0)
    conv = initialize(graph_of("imagenet_conv", "dialect=deepmind", *wide[:2]), 0)
    query = values["process.layers.0.attention.output.weight"]
    assert query.std() == pytest.approx(1 / sqrt(256), rel=0.02)
    dense = values["process.layers.0.mlp.dense1.weight"]
    assert dense.std() == pytest.approx(1 / sqrt(256), rel=0.02)
    assert values["latents"].std() == pytest.approx(0.02 * CUT_DEVIATION, rel=0.02)
    table = values["inputs.text.embedding.weight"]
    assert table.std() == pytest.approx(CUT_DEVIATION, rel=0.03)
    head = conv["heads.label.linear.weight"]
    assert head.std() == pytest.approx(CUT_DEVIATION / sqrt(256), rel=0.05)
    kernel = conv["inputs.image.conv.weight"]
    assert kernel.shape == (8, 3, 7, 7)
    assert kernel.std() == pytest.approx(CUT_DEVIATION / sqrt(3 * 7 * 7), rel=0.05)
    assert np.all(conv["inputs.image.batch_norm.running_mean"] == 0)
    assert np.all(conv["inputs.image.batch_norm.running_var"] == 1)


def test_what_is_joined_starts_as_vectors_do() -> None:
    graph = graph_of("kinetics", "dialect=deepmind", "latents.init_scale=0.5")
    values = initialize(graph, 0)
    assert (
        deviation(next(p for p in graph.parameters if p.value.name == "inputs.label.mask")) == 0.02
    )
    for name in ("inputs.audio.padding", "inputs.label.mask", "queries.image.padding"):
        assert 0 < np.abs(values[name]).max() <= 0.04 * (1 + 1e-6)
    assert 0.5 < np.abs(values["latents"]).max() <= 1.0, "twice the scale of the spec"


@pytest.mark.parametrize(
    ("system", "head", "zero"),
    [
        ("imagenet_perceiver", "label", True),
        ("modelnet40", "label", True),
        ("optical_flow", "flow", True),
        ("imagenet_large", "label", False),
        ("starcraft", "entities", False),
    ],
)
def test_heads_of_means_and_of_flow_start_at_zero(system: str, head: str, zero: bool) -> None:
    name = f"heads.{head}.linear.weight"
    assert initialize(graph_of(system, "dialect=deepmind"), 0)[name].any() != zero
    assert initialize(graph_of(system, "dialect=huggingface"), 0)[name].any()


def test_how_flow_is_written_has_no_part_in_how_it_starts() -> None:
    found = initialize(graph_of("optical_flow", "dialect=deepmind", "outputs.flow.media=null"), 0)
    assert not found["heads.flow.linear.weight"].any()
    three = ("outputs.flow.media=null", "outputs.flow.head.linear=3")
    assert initialize(graph_of("optical_flow", "dialect=deepmind", *three), 0)[
        "heads.flow.linear.weight"
    ].any()


def test_deepmind_values_depend_on_seed_and_name_alone() -> None:
    name, layer = "starcraft", "process.layers.0.attention.query.weight"
    values = initialize(graph_of(name), 0)
    assert digest(values) == digest(initialize(graph_of(name), 0))
    assert digest(values) != digest(initialize(graph_of(name), 1))
    more = initialize(graph_of(name, "process.layers=5", "outputs.entities.head.linear=9"), 0)
    assert np.array_equal(values[layer], more[layer])
    assert not np.array_equal(values[layer], values[layer.replace("layers.0", "layers.1")])


def test_a_scale_of_the_spec_stands_for_that_of_the_table() -> None:
    for kind in TABLE:
        for dialect in ("huggingface", "deepmind"):
            usual = initializer(dialect, kind)
            assert initializer(dialect, kind, 0.5).kind == usual.kind
            assert initializer(dialect, kind, 0.5).scale == 0.5


@pytest.mark.parametrize("name", ["glue_multitask", "imagenet_perceiver", "optical_flow"])
def test_the_emitted_module_starts_in_the_same_way(name: str) -> None:
    document = load_spec(name, overrides=[*SMALL[name], "dialect=deepmind"])
    model = lower(document)
    made = module(emit(model))
    made.reset_parameters(torch.Generator().manual_seed(5))
    state = {key: value.numpy().copy() for key, value in made.state_dict().items()}
    made.reset_parameters(torch.Generator().manual_seed(5))
    values = initialize(model.graph, 0)
    drawn = []
    for leaf in model.graph.parameters:
        key = leaf.value.name
        assert np.array_equal(state[key], made.state_dict()[key].numpy())
        if leaf.init.kind in {"zeros", "ones"}:
            assert np.array_equal(state[key], values[key])
            continue
        expected = deviation(leaf)
        assert expected is not None
        assert np.abs(state[key]).max() <= 2 * expected * (1 + 1e-6)
        drawn.append(state[key].reshape(-1) / expected)
    assert np.concatenate(drawn).std() == pytest.approx(CUT_DEVIATION, rel=0.02)


def test_the_emitted_module_of_the_other_dialect_draws_from_normals() -> None:
    text = emit(lowered())
    assert "nn.init.normal_(parameter, std=0.02, generator=generator)" in text
    assert "trunc_normal_" not in text
