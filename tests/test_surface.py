"""A field that is asked only near its surface is, near it, the field that is asked everywhere."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import perceiver_graph as pg
from perceiver_graph.runtime.surface import Surface, find_surface

pytestmark = pytest.mark.filterwarnings("ignore:find_surface asks every point")
Floats = NDArray[np.float32]
Field = Callable[[Floats], Floats]


def torus(points: Floats) -> Floats:
    """Above 0 inside of a ring of radius 0.6 and thickness 0.4."""
    return np.float32(0.2) - np.hypot(
        np.hypot(points[:, 0], points[:, 1]) - np.float32(0.6), points[:, 2]
    )


def ball(centre: Sequence[float], radius: float) -> Field:
    at = np.array(centre, np.float32)
    return lambda points: np.float32(radius) - np.linalg.norm(points - at, axis=-1)


def everywhere(
    field: Field, low: Sequence[float], high: Sequence[float], sizes: Sequence[int]
) -> Floats:
    axes = [
        np.linspace(a, b, n, dtype=np.float32) for a, b, n in zip(low, high, sizes, strict=True)
    ]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    return field(points.reshape(-1, len(sizes))).reshape(sizes)


def compare(found: Surface, whole: Floats, level: float = 0.0) -> None:
    np.testing.assert_array_equal(found.values[found.asked], whole[found.asked])
    np.testing.assert_array_equal(found.values > level, whole > level)


def test_a_ring_is_found_with_a_tenth_of_the_points() -> None:
    low, high = [-1.01] * 3, [1.01] * 3
    asked: list[int] = []

    def ask(points: Floats) -> Floats:
        asked.append(len(points))
        assert points.dtype == np.float32
        return torus(points)[:, None]

    found = find_surface(ask, low, high, 129, batch=5000)
    compare(found, everywhere(torus, low, high, [129] * 3))
    assert max(asked) == 5000, "in batches"
    assert sum(asked) == found.asked.sum(), "none is asked twice"
    assert sum(asked) < 129**3 / 10


def test_axes_of_their_own_size_and_range() -> None:
    low, high, sizes = [-2.0, 0.0], [1.0, 3.0], [65, 33]
    circle = ball([-1.5, 0.8], 0.7)
    found = find_surface(circle, low, high, sizes, coarsest=8, level=0.2, margin=0)
    compare(found, everywhere(circle, low, high, sizes), 0.2)
    assert found.asked.sum() < 65 * 33 / 2


def test_a_surface_is_followed_to_where_the_coarse_grid_does_not_see_it() -> None:
    """A needle that sticks out of a ball, thinner than a coarse cell; all of it hangs together."""

    def field(points: Floats) -> Floats:
        x, y = points[:, 0], points[:, 1]
        return np.maximum(
            ball([0, 0], 0.3)(points), np.where(x > 0, 0.045 - abs(y - 0.05), -1)
        ).astype(np.float32)

    low, high = [-1, -1], [1, 1]
    compare(
        find_surface(field, low, high, 129, coarsest=16), everywhere(field, low, high, [129, 129])
    )


@given(
    centre=st.tuples(*[st.floats(-0.4, 0.4)] * 3),
    radius=st.floats(0.66, 0.9),
    size=st.sampled_from([17, 20, 33, 41]),
)
def test_balls_anywhere(centre: tuple[float, ...], radius: float, size: int) -> None:
    """However they lie, once they hold a corner of the coarsest cells, which are 0.75 wide."""
    low, high = [-1.5] * 3, [1.5] * 3
    field = ball(centre, radius)
    found = find_surface(field, low, high, size, coarsest=4, margin=0)
    compare(found, everywhere(field, low, high, [size] * 3))


@pytest.mark.parametrize(
    ("size", "coarsest", "fits"),
    [(33, 32, 65), (100, 32, 129), (128, 32, 129), (65, 64, 129), ([33, 65], 32, (65, 65))],
)
def test_a_grid_that_saves_nothing_says_so(size: Any, coarsest: int, fits: Any) -> None:
    field = ball([0, 0], 0.5)
    with pytest.warns(UserWarning, match=r"asks every point of this grid") as told:
        found = find_surface(field, [-1, -1], [1, 1], size, coarsest=coarsest)
    assert found.asked.all()
    assert f"size {fits} does" in str(told[0].message)
    assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        better = find_surface(field, [-1, -1], [1, 1], fits, coarsest=coarsest)
    assert not better.asked.all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 1},
        {"size": [9, 9, 9]},
        {"low": [0.0]},
        {"margin": -1},
        {"batch": 0},
        {"coarsest": 0},
    ],
)
def test_what_does_not_agree_is_refused(wrong: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"low": [-1, -1], "high": [1, 1], "size": 9, **wrong}
    with pytest.raises(ValueError, match=r"^(low, high and size|margin is 0)"):
        find_surface(ball([0, 0], 0.5), **arguments)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_what_is_not_finite_has_no_side(wrong: float) -> None:
    with pytest.raises(ValueError, match="finite numbers"):
        find_surface(ball([0, 0], 0.5), [-1, -1], [1, 1], 9, level=wrong)
    with pytest.raises(ValueError, match="finite numbers"):
        find_surface(ball([0, 0], 0.5), [-1, wrong], [1, 1], 9)

    def field(points: Floats) -> Floats:
        return np.where(points[:, 0] > 0.9, np.float32(wrong), points[:, 0])

    with pytest.raises(ValueError, match=r"no finite value at \[1.0, -1.0\]"):
        find_surface(field, [-1, -1], [1, 1], 9)


def test_arguments_of_the_wrong_kind() -> None:
    def ask(points: NDArray[np.float32]) -> NDArray[np.float32]:
        return points[:, 0]

    for wrong in ({"margin": 1.5}, {"batch": "many"}, {"size": 5.5}, {"size": [5, 5.5]}):
        given: dict[str, Any] = {"low": [-1, -1], "high": [1, 1], "size": 9, **wrong}
        with pytest.raises(TypeError, match=rf"^{next(iter(wrong))} must be a whole number"):
            find_surface(ask, **given)
    with pytest.raises(TypeError, match=r"^ask must be a function"):
        find_surface(None, [-1], [1], 9)  # type: ignore[arg-type]


def test_sizes_of_any_kind_of_integer() -> None:
    found = find_surface(ball([0, 0], 0.5), [-1, -1], [1, 1], np.int64(9))
    assert found.values.shape == (9, 9)


SHAPE = """
perceiver: 1
name: shape
inputs: {shape: {shape: {latent: 6, channel: 4}, steps: [{linear: 16}]}}
latents: {of: shape, last: 6}
encode: {cross_attends: 0}
process: {layers: 1, heads: 2}
decode: {query_residual: true}
outputs:
  inside:
    query: {points: 2, position: {fourier: {bands: 2, spacing: octaves}, project: 16}}
    head: {linear: 1}
"""


def test_what_a_program_says_of_points(tmp_path: Path) -> None:
    """Asked alone or together, points have the same answers, and so has the surface."""
    pg.compile(SHAPE).save(tmp_path / "shape", seed=4)
    program = pg.load(tmp_path / "shape")
    given_shape = np.random.default_rng(0).normal(size=(1, 6, 4)).astype(np.float32)
    state = program.encode({"shape": given_shape})

    def ask(points: Floats) -> Floats:
        return np.asarray(program.decode(state, {"inside": points})["inside"][0])

    whole = everywhere(lambda points: ask(points)[:, 0], [-1, -1], [1, 1], [65, 65])
    level = float(np.median(whole))
    found = find_surface(ask, [-1, -1], [1, 1], 65, coarsest=32, level=level, batch=100)
    np.testing.assert_allclose(found.values[found.asked], whole[found.asked], atol=1e-6)
    clear = abs(whole - level) > 1e-5
    np.testing.assert_array_equal((found.values > level)[clear], (whole > level)[clear])
    assert found.asked.sum() < whole.size
    alone = [ask(np.array([[x, 0.25]], np.float32))[0, 0] for x in (-1, 0.5)]
    together = ask(np.array([[-1, 0.25], [0.3, 0.1], [0.5, 0.25]], np.float32))[[0, 2], 0]
    np.testing.assert_allclose(alone, together, atol=1e-6)
