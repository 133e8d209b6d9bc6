"""Multimodal models against transformers with the same weights: the numpy oracle, ONNX, PyTorch.

Weights travel as a checkpoint: transformers writes it, our loader reads it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.parity import compositions
from tests.parity.harness import TOLERANCE_64, Built, build, compare, run_onnx, run_torch
from tests.parity.reference import Reference, Sizes, autoencoder, composed

CASES: dict[str, Callable[[], Reference]] = {
    "small": lambda: autoencoder(Sizes()),
    "shared_blocks": lambda: autoencoder(Sizes(blocks=3, layers=2, heads=2)),
    "no_layers": lambda: autoencoder(Sizes(layers=0)),
    "wide_mlps": lambda: autoencoder(Sizes(widening=3, cross_widening=2, cross_heads=1)),
    "cross_heads": lambda: autoencoder(
        Sizes(cross_heads=5, width=15, heads=3, samples_per_frame=16, samples_per_patch=16)
    ),
    "narrow_keys": lambda: autoencoder(Sizes(qk_width=8, v_width=16, cross_heads=2, heads=2)),
    "as_wide_as_the_query": lambda: autoencoder(Sizes(by_query=True, query_residual=False)),
    "longer_film": lambda: autoencoder(
        Sizes(frames=5, side=12, samples_per_frame=33, samples_per_patch=3, latents=13)
    ),
    "many_labels": lambda: autoencoder(Sizes(labels=450, label_query=500, project=19)),
    "sensors": lambda: composed(compositions.sensors),
    "cameras": lambda: composed(compositions.cameras),
    "alone": lambda: composed(compositions.alone),
}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Models this small only lose by more threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=CASES)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(request.param, CASES[request.param](), tmp_path_factory.mktemp("parity"))


def test_oracle(built: Built) -> None:
    for number, (data, queries, expected) in enumerate(built.expected):
        compare(f"{built.name}, oracle, {number}", built.oracle(data, queries), expected)


def test_float64(built: Built) -> None:
    data = {name: array.astype(np.float64) for name, array in built.data().items()}
    queries = next(built.chunks())
    expected = built.reference.double().run(data, queries)
    found = built.oracle(data, queries)
    compare(f"{built.name}, oracle in float64", found, expected, TOLERANCE_64)
    found = run_torch(copy.deepcopy(built.torch).double(), data, queries)
    compare(f"{built.name}, PyTorch in float64", found, expected, TOLERANCE_64)


def test_onnx(built: Built) -> None:
    for number, (data, queries, expected) in enumerate(built.expected):
        compare(f"{built.name}, ONNX, {number}", run_onnx(built.onnx, data, queries), expected)


def test_pytorch(built: Built) -> None:
    for number, (data, queries, expected) in enumerate(built.expected):
        compare(f"{built.name}, PyTorch, {number}", run_torch(built.torch, data, queries), expected)


def test_absent_modalities(built: Built) -> None:
    """Whatever stands in the array of an absent modality, its mask token is read."""
    data, queries = built.data(), next(built.chunks())
    always = [n for n, entry in built.onnx.manifest.inputs.items() if entry.mask == "always"]
    for name in built.maskable():
        with built.reference.without(name):
            expected = built.reference.run(data, queries)
        poisoned = data | {name: np.full_like(data[name], np.nan)}
        found = built.oracle(poisoned, queries, absent=name)
        compare(f"{built.name}, oracle without {name}", found, expected)
        rest = {n: array for n, array in data.items() if n != name}
        if rest.keys() - always:  # the batch size must come from somewhere
            found = run_onnx(built.onnx, rest, queries)
            compare(f"{built.name}, ONNX without {name}", found, expected)
            found = run_torch(built.torch, rest, queries)
            compare(f"{built.name}, PyTorch without {name}", found, expected)


DIVISORS = st.sampled_from([1, 2, 4])


@st.composite
def all_sizes(draw: st.DrawFn) -> Sizes:
    width = 8 * draw(st.integers(1, 3))
    patch = draw(st.integers(1, 6))
    narrow = draw(st.booleans())
    sizes = Sizes(
        frames=draw(st.integers(2, 4)),
        side=4 * draw(st.integers(1, 4)),
        samples_per_patch=patch,
        samples_per_frame=patch * draw(st.integers(1, 9)),
        labels=draw(st.sampled_from([2, 7, 501])),
        latents=draw(st.integers(1, 9)),
        width=width,
        layers=draw(st.integers(1, 3)),
        blocks=draw(st.integers(1, 3)),
        heads=draw(DIVISORS),
        cross_heads=draw(DIVISORS),
        qk_width=4 * draw(st.integers(1, 5)) if narrow else None,
        v_width=width if narrow else None,
        by_query=draw(st.booleans()),
        widening=draw(st.integers(1, 2)),
        cross_widening=draw(st.integers(1, 2)),
        query_residual=draw(st.booleans()),
        project=draw(st.integers(1, 12)),
        label_query=draw(st.sampled_from([3, 400])),
    )
    channels = max(385 + patch, 195 + 48, sizes.labels) + 4
    cross = sizes.qk_width or (width if sizes.by_query else channels)
    assume(cross % sizes.cross_heads == 0)
    return sizes


@settings(max_examples=12, deadline=None, derandomize=True)
@given(sizes=all_sizes())
def test_any_sizes(sizes: Sizes, tmp_path_factory: pytest.TempPathFactory) -> None:
    built = build("random", autoencoder(sizes), tmp_path_factory.mktemp("random"))
    data, queries = built.data(), next(built.chunks())
    if built.compiled.lowered.outputs["audio"].queries == 1:
        queries["audio"] = np.array([0])  # half of one would be none
    compare(f"{sizes}, oracle", built.oracle(data, queries), built.reference.run(data, queries))
