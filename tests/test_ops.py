"""Each primitive against torch: the numpy reference's numbers, and the shape rule's shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.ir.dims import Dim, shape_of
from perceiver_graph.compiler.ir.op import PRIMITIVES, Array, DType, Op, ShapeError, TensorType
from tests.attention_references import (
    Torch,
    grid_attention,
    heads_attention,
    joint_attention,
    joint_attention_on_grid,
    masked_attention,
    table_attention,
    written_out,
)
from tests.grid_references import fourier_at, regrid_to_4_5_9
from tests.norm_references import merge_mean_squares, merge_moments, moments
from tests.rotary_references import turned
from tests.unfit_primitives import WRONG


@dataclass(frozen=True)
class Case:
    """A primitive on inputs of these shapes; `reference` is the same in torch."""

    op: Op
    shapes: Sequence[tuple[int, ...]]
    reference: Torch
    dtypes: Sequence[DType] = ()
    below: int = 4
    """Integer inputs are below this."""

    def __str__(self) -> str:
        return f"{self.op} {list(self.shapes)}"

    def inputs(self, floating: str = "float32", seed: int = 0) -> list[Array]:
        rng = np.random.default_rng(seed)
        made = []
        for i, shape in enumerate(self.shapes):
            dtype = self.dtypes[i] if i < len(self.dtypes) else floating
            if dtype == "int64":
                made.append(rng.integers(0, self.below, shape))
            elif dtype == "bool":
                made.append(rng.integers(0, 2, shape).astype(bool))
            else:
                made.append(rng.standard_normal(shape).astype(dtype))
        if isinstance(self.op, ops.BatchNorm):
            made[-1] = np.abs(made[-1])  # a variance
        if isinstance(self.op, ops.MergeMoments):
            made = [np.abs(x) for x in made]
        return made


def _bicubic(table: torch.Tensor, sizes: tuple[int, int], to: tuple[int, int]) -> torch.Tensor:
    image = torch.unflatten(table, 0, sizes).permute(2, 0, 1)[None]
    return F.interpolate(image, to, mode="bicubic")[0].permute(1, 2, 0).flatten(0, 1)


def _bicubic_volume(table: torch.Tensor) -> torch.Tensor:
    """From 2 x 5 x 4 to 3 x 5 x 7: the last two axes as images, then the first one."""
    images = torch.unflatten(table, 0, (2, 5, 4)).permute(0, 3, 1, 2)
    wide = F.interpolate(images, (5, 7), mode="bicubic").permute(1, 0, 2, 3).flatten(2)[None]
    return F.interpolate(wide, (3, 35), mode="bicubic")[0].flatten(1).mT


def _fourier_features(x: torch.Tensor) -> torch.Tensor:
    """Two coordinates in 3 bands, and a channel that is none."""
    frequencies = torch.linspace(1, 4, 3).to(x)
    one, two = (x[..., i, None] * frequencies * np.pi for i in (0, 1))
    waves = [one.sin(), two.sin(), one.cos(), two.cos()]
    return torch.cat([x[..., :2], *waves, x[..., 2:]], dim=-1)


def _channels_first(function: Torch, **settings: Any) -> Torch:
    """A torch function on [batch, channels, *spatial] as one on [batch, *spatial, channels]."""

    def wrapped(x: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        return function(x.movedim(-1, 1), *rest, **settings).movedim(1, -1)

    return wrapped


def _conv(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Padding (1, 2) and (0, 1), strides 2 and 1: what torch needs an explicit pad for."""
    padded = F.pad(x.movedim(-1, 1), (0, 1, 1, 2))
    return F.conv2d(padded, weight, bias, stride=(2, 1)).movedim(1, -1)


def _fourier(size: int, axis: int, axes: int, bands: int, resolution: float) -> Torch:
    def table() -> torch.Tensor:
        position = torch.linspace(-1, 1, size)
        phases = position[:, None] * torch.linspace(1, resolution / 2, bands)[None] * np.pi
        place = torch.zeros(size, axes)
        place[:, axis] = position
        waves = torch.zeros(2, size, axes, bands)
        waves[0, :, axis], waves[1, :, axis] = phases.sin(), phases.cos()
        return torch.cat([place, waves[0].flatten(1), waves[1].flatten(1)], dim=-1)

    return table


def _one_sided_fourier() -> torch.Tensor:
    """Without the end point, without positions, sines only."""
    position = -1 + 2 * (torch.arange(5) / 5)
    return torch.sin(position[:, None] * torch.linspace(1, 4, 3)[None] * np.pi)


DTYPES: list[DType] = ["float32", "float32", "float32", "bool"]
CASES = [
    Case(ops.Add(), [(2, 3, 4), (3, 1)], torch.add),
    Case(ops.Mul(), [(2, 3, 4), (3, 1)], torch.mul),
    Case(ops.Scale(-0.3), [(2, 3)], lambda x: x * -0.3),
    Case(ops.Where(), [(2, 1, 1), (2, 3, 4), (4,)], torch.where, ["bool"]),
    Case(ops.Gelu(), [(50, 40)], F.gelu),
    Case(ops.Gelu("tanh"), [(50, 40)], lambda x: F.gelu(x, approximate="tanh")),
    Case(ops.Relu(), [(5, 4)], torch.relu),
    Case(ops.Tanh(), [(5, 4)], torch.tanh),
    Case(ops.Sigmoid(), [(50, 4)], torch.sigmoid),
    Case(ops.Silu(), [(50, 4)], F.silu),
    Case(ops.Mean(-2), [(2, 3, 4)], lambda x: x.mean(-2)),
    Case(ops.Mean(0), [(3,)], lambda x: x.mean(0)),
    Case(ops.Linear(), [(2, 3, 4), (5, 4), (5,)], F.linear),
    Case(ops.Linear(), [(4,), (5, 4)], F.linear),
    Case(ops.MatMul(), [(2, 1, 3, 4), (5, 4, 2)], torch.matmul),
    Case(ops.MatMul(transpose_b=True), [(2, 3, 4), (5, 4)], lambda a, b: a @ b.mT),
    Case(ops.Conv((2, 1), ((1, 2), (0, 1))), [(2, 7, 6, 3), (5, 3, 3, 2), (5,)], _conv),
    Case(ops.Conv((1,), ((0, 0),)), [(2, 7, 3), (5, 3, 3)], _channels_first(F.conv1d)),
    Case(
        ops.Conv((2, 2, 2), ((1, 1),) * 3),
        [(1, 4, 5, 6, 2), (3, 2, 3, 3, 3)],
        _channels_first(F.conv3d, stride=2, padding=1),
    ),
    Case(
        ops.LayerNorm(1e-5),
        [(2, 3, 8), (8,), (8,)],
        lambda x, w, b: F.layer_norm(x, (8,), w, b, 1e-5),
    ),
    Case(
        ops.BatchNorm(1e-3),
        [(2, 5, 8), (8,), (8,), (8,), (8,)],
        lambda x, w, b, m, v: _channels_first(F.batch_norm, eps=1e-3)(x, m, v, w, b),
    ),
    Case(
        ops.MaxPool((3, 3), (2, 2), ((1, 1), (1, 1))),
        [(2, 7, 6, 3)],
        _channels_first(F.max_pool2d, kernel_size=3, stride=2, padding=1),
    ),
    Case(ops.Attention(1), [(2, 3, 8), (2, 5, 8), (2, 5, 6)], heads_attention(1)),
    Case(ops.Attention(2), [(2, 3, 8), (2, 5, 8), (2, 5, 6)], heads_attention(2)),
    Case(ops.Attention(1), [(1, 1500, 4), (1, 7, 4), (1, 7, 4)], heads_attention(1)),
    *(
        Case(
            op,
            [(5, 3, 8), (5, 2, 8), (5, 2, 6), (5, 2)],
            masked_attention(op),
            DTYPES,
        )
        for heads in (1, 2)
        for op in (ops.Attention(heads), ops.Attention(heads, "zero"))
    ),
    *(
        Case(
            op,
            [(3, 4, 8), (3, 6, 8 // group), (3, 6, 12 // group), *[(3, 6)] * masked],
            written_out(op),
            DTYPES[: 3 + masked],
        )
        for group, op in (
            (1, ops.Attention(4, causal=True)),
            (2, ops.Attention(4, key_heads=2)),
            (4, ops.Attention(4, "zero", 1, 0.7, causal=True)),
        )
        for masked in (False, True)
    ),
    Case(
        ops.RMSNorm(1e-3),
        [(2, 3, 8), (8,)],
        lambda x, w: x * w / (x.square().mean(-1, keepdim=True) + 1e-3).sqrt(),
    ),
    *(
        Case(op, [(3, 5, 16), (*batch, 5, 6)], turned(op))
        for op, batch in (
            (ops.Rotary(2), ()),
            (ops.Rotary(2, inverse=True), (3,)),
            (ops.Rotary(2, "halves"), (3,)),
        )
    ),
    Case(ops.Dropout(0.5), [(2, 3)], lambda x: x),
    Case(ops.GaussianSample(), [(2, 6)], lambda moments: moments[:, :3]),
    Case(
        ops.Gather(1),
        [(2, 4, 3), (5, 2)],
        lambda table, index: table[:, index],
        ["float32", "int64"],
    ),
    Case(
        ops.Choose(),
        [(2, 4, 3), (2, 5)],
        lambda x, chosen: torch.stack([x[i][chosen[i]] for i in range(2)]),
        ["float32", "int64"],
    ),
    Case(
        ops.SegmentedAttention((0, 0)),
        [(2, 3, 8), (2, 5, 8), (2, 5, 6), (2, 3, 4), (2, 7, 4), (2, 7, 1)],
        joint_attention,
    ),
    Case(
        ops.SegmentedAttention((0, 2)),
        [(2, 3, 8), (2, 5, 8), (2, 5, 6), (2, 3, 4), (2, 20, 4), (2, 20, 1), (2, 3, 4), (2, 3, 5)],
        joint_attention_on_grid,
    ),
    Case(
        ops.SegmentedAttention((2,)),
        [(2, 3, 8), (2, 20, 8), (2, 20, 1), (2, 3, 4), (2, 3, 5)],
        grid_attention,
    ),
    Case(
        ops.SegmentedAttention((2,)),
        [(1, 300, 2), (1, 6, 2), (1, 6, 1), (1, 300, 2), (1, 300, 3)],
        grid_attention,
    ),
    Case(
        ops.TableAttention(),
        [(2, 30, 8), (2, 5, 8), (2, 5, 6), (2, 30, 1), (2, 4, 5), (30,), (2, 7, 5), (30,)],
        table_attention,
        ["float32", "float32", "float32", "float32", "float32", "int64", "float32", "int64"],
        below=4,
    ),
    Case(ops.InverseNorm(0.1), [(2, 3, 40)], lambda x: (x.square().sum(-1, True) + 0.1).rsqrt()),
    Case(ops.TriangularFactor(), [(7, 4)], lambda x: torch.linalg.cholesky(x.mT @ x).mT),
    Case(ops.Moments(), [(2, 3, 40)], moments),
    Case(ops.MergeMoments((1, 3), 0.1), [(2, 1, 2), (4, 2)], merge_moments),
    Case(ops.MergeMoments((1, 3), 0.1, False), [(2, 1, 2), (4, 2)], merge_mean_squares),
    Case(ops.OneHot(4), [(3, 2)], lambda ids: F.one_hot(ids, 4).float(), ["int64"]),
    Case(ops.Coordinate(4, 3), [(20,)], lambda p: p // 4 % 3, ["int64"], below=24),
    Case(ops.FourierTable(7, 1, 3, 4, 12.0), [], _fourier(7, 1, 3, 4, 12.0)),
    Case(ops.FourierTable(5, 0, 1, 3, 8.0, False, False, True), [], _one_sided_fourier),
    Case(ops.FourierFeatures(3, 8.0, 2), [(2, 4, 3)], _fourier_features),
    Case(ops.Interpolate((5, 7), (11, 4)), [(35, 3)], lambda x: _bicubic(x, (5, 7), (11, 4))),
    Case(ops.Interpolate((6,), (9,)), [(6, 3)], lambda x: _bicubic(x, (1, 6), (1, 9))),
    Case(ops.Interpolate((2, 5, 4), (3, 5, 7)), [(40, 3)], _bicubic_volume),
    Case(ops.Trim(Dim.of(5)), [(7, 4)], lambda table: table[:5]),
    Case(ops.Flatten(1, 2), [(2, 3, 4, 5)], lambda x: x.flatten(1, 2)),
    Case(ops.Unflatten(1, (2, None)), [(3, 6, 2)], lambda x: x.unflatten(1, (2, 3))),
    Case(ops.Unflatten(-1, (1, 4)), [(3, 4)], lambda x: x.unflatten(-1, (1, 4))),
    Case(ops.Unflatten(0, (None, Dim.of(3))), [(6, 5)], lambda x: x.unflatten(0, (2, 3))),
    Case(ops.Positions(shape_of(3, 4)), [], lambda: torch.arange(12)),
    Case(ops.Regrid(shape_of(2, 3, 4), (4, 5, 9)), [(6,)], regrid_to_4_5_9, ["int64"], below=24),
    Case(
        ops.FourierAt(shape_of(3, 4), (None, 5), 3, (8.0, 6.0), (True, False)),
        [(6,)],
        fourier_at,
        ["int64"],
        below=12,
    ),
    Case(ops.Permute((2, 0, 1)), [(2, 3, 4)], lambda x: x.permute(2, 0, 1)),
    Case(ops.Concat(-2), [(2, 3, 4), (2, 1, 4)], lambda *xs: torch.cat(xs, dim=-2)),
    Case(
        ops.Concat(1),
        [(2, 3), (2, 4)],
        lambda *xs: torch.cat(xs, dim=1),
        ["bool", "bool"],
    ),
    Case(ops.Slice(1, -3, -1), [(2, 6)], lambda x: x[:, -3:-1]),
    Case(ops.Slice(-1, 2, None), [(2, 6)], lambda x: x[..., 2:]),
    Case(ops.Broadcast(shape_of(2, 3)), [(4,)], lambda x: x.expand(2, 3, 4)),
]


def _types(arrays: Sequence[Array]) -> list[TensorType]:
    return [TensorType(shape_of(*x.shape), str(x.dtype)) for x in arrays]  # type: ignore[arg-type]


def _reference(case: Case, inputs: Sequence[Array]) -> Array:
    return case.reference(*(torch.from_numpy(x) for x in inputs)).numpy()


def test_every_primitive_has_a_case() -> None:
    missing = sorted(set(PRIMITIVES) - {case.op.name for case in CASES})
    assert not missing, f"primitives without a case in this file: {', '.join(missing)}"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_numbers_equal_torch(case: Case) -> None:
    inputs = case.inputs()
    expected = _reference(case, inputs)
    produced = case.op.evaluate(*inputs)
    assert produced.shape == expected.shape
    np.testing.assert_allclose(produced, expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("case", [case for case in CASES if case.shapes], ids=str)
def test_float64_is_computed_in_float64(case: Case) -> None:
    dtypes: list[DType] = ["float64" if dtype == "float32" else dtype for dtype in case.dtypes]
    case = replace(case, dtypes=dtypes)
    inputs = case.inputs("float64")
    expected = _reference(case, inputs)
    produced = case.op.evaluate(*inputs)
    assert produced.dtype == expected.dtype
    np.testing.assert_allclose(produced, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_inferred_type_is_the_produced_one(case: Case) -> None:
    inputs = case.inputs()
    inferred = case.op.infer(*_types(inputs))
    produced = case.op.evaluate(*inputs)
    assert [int(dim) for dim in inferred.shape] == list(produced.shape)
    assert inferred.dtype == produced.dtype


def other_numbers(x: Array, below: int) -> Array:
    """Other numbers, everywhere, of the same shape."""
    if x.dtype == np.bool_:
        return ~x
    return (x + 1) % below if x.dtype == np.int64 else 2 * x + 0.5


@pytest.mark.parametrize("case", [case for case in CASES if case.shapes], ids=str)
def test_no_operand_is_there_for_its_shape_alone(case: Case) -> None:
    """Sizes are parameters: the numbers of every operand matter, whatever a mask may hide of them."""
    matters = set()
    for seed in range(4):
        inputs = case.inputs(seed=seed)
        result = case.op.evaluate(*inputs)
        for slot, x in enumerate(inputs):
            changed = [*inputs[:slot], other_numbers(x, case.below), *inputs[slot + 1 :]]
            if not np.array_equal(case.op.evaluate(*changed), result):
                matters.add(slot)
    assert matters == set(range(len(case.shapes)))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_flops_are_a_size(case: Case) -> None:
    types = _types(case.inputs())
    assert case.op.flops(types, case.op.infer(*types)) >= Dim.of(0)


def test_flops_count_the_products_of_matrix_multiplications() -> None:
    x, w = TensorType(shape_of(2, 3, 4)), TensorType(shape_of(5, 4))
    assert ops.Linear().flops([x, w], ops.Linear().infer(x, w)) == 2 * 2 * 3 * 4 * 5
    q, k, v = (TensorType(shape_of(2, n, c)) for n, c in ((3, 8), (5, 8), (5, 6)))
    attention = ops.Attention(2)
    for inputs in ([q, k, v], [q, k, v, TensorType(shape_of(2, 5), "bool")]):
        assert attention.flops(inputs, attention.infer(*inputs)) == 2 * 2 * 3 * 5 * (8 + 6)
    image, kernel = TensorType(shape_of(1, 5, 5, 3)), TensorType(shape_of(7, 3, 2, 2))
    conv = ops.Conv((1, 1), ((0, 0), (0, 0)))
    assert conv.flops([image, kernel], conv.infer(image, kernel)) == 2 * (4 * 4 * 7) * (3 * 2 * 2)


@pytest.mark.parametrize(("op", "types", "message"), WRONG, ids=lambda x: str(x)[:40])
def test_inputs_that_do_not_fit_are_refused(op: Op, types: list[TensorType], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        op.infer(*types)


def test_gelu_is_exact_far_out() -> None:
    x = np.linspace(-40, 40, 4001)
    np.testing.assert_allclose(
        ops.Gelu().evaluate(x), F.gelu(torch.from_numpy(x)).numpy(), rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize("op", [ops.Sigmoid(), ops.Silu()], ids=str)
def test_sigmoids_do_not_overflow(op: Op) -> None:
    x = np.array([-1e4, -100, 0, 100, 1e4], np.float32)
    with np.errstate(over="raise"):
        found = op.evaluate(x)
    known = torch.sigmoid if isinstance(op, ops.Sigmoid) else F.silu
    np.testing.assert_allclose(found, known(torch.from_numpy(x)).numpy(), atol=1e-6)


def test_attention_survives_large_scores() -> None:
    q = np.full((1, 2, 4), 1e4, dtype=np.float32)
    assert np.isfinite(ops.Attention(1).evaluate(q, q, q)).all()
