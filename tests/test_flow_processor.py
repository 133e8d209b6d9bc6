"""Optical flow between files and arrays, against an independent transcription of the procedure.

The reference here is written from the description of the released model's demo: torch cuts the
patches, and the tiles' results are padded to the size of the picture and summed.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from perceiver_graph.media.flow.frames import fitted, flow_inputs, patches, restored
from perceiver_graph.media.flow.tiles import Blend, Tile, offsets, tile_weights, tiles
from tests.media_support import code_of

Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def picture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def pair(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.stack([picture(height, width, 2 * seed), picture(height, width, 2 * seed + 1)])


def reference_offsets(size: int, tile: int, overlap: int) -> list[int]:
    found = list(range(0, size, tile - overlap))
    found[-1] = size - tile
    return found


def reference_patches(frames: NDArray[np.uint8], kernel: int = 3) -> NDArray[np.float32]:
    """[2, h, w, 3] to [2, h, w, kernel * kernel * 3]."""
    scaled = torch.from_numpy(frames / 255.0 * 2 - 1).permute(0, 3, 1, 2)
    columns = torch.nn.functional.unfold(scaled, kernel, padding=kernel // 2)
    count, _, height, width = scaled.shape
    columns = columns.reshape(count, 3, kernel * kernel, height, width)  # torch: colour first
    result = columns.permute(0, 3, 4, 2, 1).reshape(count, height, width, -1)
    found: NDArray[np.float32] = result.float().numpy()
    return found


def reference_flow(
    frames: NDArray[np.uint8], tile: tuple[int, int], overlap: int, predict: Predict
) -> NDArray[np.float64]:
    height, width = frames.shape[1:3]
    total, weights = np.zeros((height, width, 2)), np.zeros((height, width, 1))
    y, x = np.meshgrid(np.arange(tile[0]), np.arange(tile[1]), indexing="ij")
    distances = np.stack([y + 1, tile[0] - y, x + 1, tile[1] - x]).min(axis=0)
    rows = reference_offsets(height, tile[0], overlap)
    columns = reference_offsets(width, tile[1], overlap)
    for top, left in product(rows, columns):
        part = frames[:, top : top + tile[0], left : left + tile[1]]
        flow = predict(reference_patches(part)[None])[0]
        around = [(top, height - top - tile[0]), (left, width - left - tile[1]), (0, 0)]
        total += np.pad(flow * 20.0 * distances[:, :, None], around)
        weights += np.pad(distances[:, :, None], around)
    result: NDArray[np.float64] = total / weights
    return result


def toy_model(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Something that depends on every channel of both frames and differs from tile to tile."""
    factors = np.sin(np.arange(2 * inputs.shape[-1], dtype=np.float32)).reshape(2, -1)
    mixed = np.einsum("bthwc,tc->bhw", inputs, factors)
    return np.stack([mixed, mixed[:, ::-1] + inputs.mean()], axis=-1).astype(np.float32)


def our_flow(
    frames: NDArray[np.uint8], tile: tuple[int, int], overlap: int, predict: Predict
) -> NDArray[np.float32]:
    ready = fitted(frames, *tile)
    blend = Blend(ready.height, ready.width, 2)
    for place, inputs in flow_inputs(ready, *tile, overlap=overlap):
        blend.add(place, predict(inputs)[0])
    return restored(blend.result(), ready)


# Tiles -------------------------------------------------------------------------------------------


def test_tiles_of_a_frame_of_sintel() -> None:
    found = tiles(436, 1024, 368, 496)
    assert [(t.top, t.left) for t in found] == list(product([0, 68], [0, 476, 528]))
    assert {(t.height, t.width) for t in found} == {(368, 496)}


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (496, [0]),  # the reference computes it twice
        (497, [0, 1]),
        (952, [0, 456]),
        (960, [0, 464]),  # the reference has a tile in between that ends at 972
        (972, [0, 476]),  # the reference computes the second one twice
        (973, [0, 476, 477]),
        (1024, [0, 476, 528]),
    ],
)
def test_offsets_of_the_published_width(size: int, expected: list[int]) -> None:
    assert offsets(size, 496, 20) == expected


@given(st.integers(1, 60), st.integers(0, 59), st.integers(0, 300))
def test_offsets_cover_the_axis_once_and_overlap(tile: int, overlap: int, beyond: int) -> None:
    overlap, size = min(overlap, tile - 1), tile + beyond
    found = offsets(size, tile, overlap)
    steps = np.diff(found)
    assert found[0] == 0
    assert found[-1] == size - tile
    assert (steps > 0).all()
    assert (steps <= tile - overlap).all()
    # The fewest tiles that overlap so much: with one less, the last could not reach the end.
    assert (len(found) - 2) * (tile - overlap) < max(beyond, 1)


@given(st.integers(2, 60), st.integers(0, 59), st.integers(0, 300))
def test_offsets_are_those_of_the_reference_where_it_stays_inside(
    tile: int, overlap: int, beyond: int
) -> None:
    overlap, size = min(overlap, tile - 1), tile + beyond
    theirs = reference_offsets(size, tile, overlap)
    if all(start + tile <= size for start in theirs):
        assert offsets(size, tile, overlap) == sorted(set(theirs))


def test_impossible_tiles_are_refused() -> None:
    with pytest.raises(ValueError, match="overlapping by 368"):
        tiles(500, 500, 368, 496, overlap=368)
    with pytest.raises(ValueError, match="do not cover 367"):
        tiles(367, 500, 368, 496)
    with pytest.raises(ValueError, match="overlapping by -1"):
        offsets(500, 368, -1)


def test_weights_are_the_distance_to_the_border() -> None:
    assert tile_weights(3, 5).tolist() == [[1, 1, 1, 1, 1], [1, 2, 2, 2, 1], [1, 1, 1, 1, 1]]
    assert tile_weights(368, 496).max() == 184


def test_one_tile_comes_back_bit_for_bit() -> None:
    values = np.random.default_rng(1).standard_normal((7, 9, 2)).astype(np.float32)
    blend = Blend(7, 9, 2)
    blend.add(Tile(0, 0, 7, 9), values)
    assert np.array_equal(blend.result(), values)


@given(st.integers(3, 40), st.integers(3, 40), st.integers(0, 50), st.integers(0, 50), st.data())
def test_what_tiles_agree_on_is_kept(
    tile_height: int, tile_width: int, down: int, right: int, data: st.DataObject
) -> None:
    overlap = data.draw(st.integers(0, min(tile_height, tile_width) - 1))
    height, width = tile_height + down, tile_width + right
    whole = np.random.default_rng(height).standard_normal((height, width, 2)).astype(np.float32)
    blend = Blend(height, width, 2)
    for tile in tiles(height, width, tile_height, tile_width, overlap):
        blend.add(tile, whole[tile.rows, tile.columns])
    np.testing.assert_allclose(blend.result(), whole, rtol=1e-6, atol=1e-7)


def test_a_blend_refuses_what_does_not_belong() -> None:
    blend = Blend(10, 10, 2)
    for tile in (Tile(5, 0, 6, 4), Tile(-1, 0, 6, 4), Tile(0, 0, 4, 6)):
        with pytest.raises(ValueError, match="are not those of Tile"):
            blend.add(tile, np.zeros((6, 4, 2)))
    blend.add(Tile(0, 0, 9, 10), np.zeros((9, 10, 2)))
    with pytest.raises(ValueError, match="10 pixels lie in no tile"):
        blend.result()


# Patches -----------------------------------------------------------------------------------------


@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 3, 5]))
@settings(deadline=None)
def test_patches_are_those_of_the_reference(height: int, width: int, kernel: int) -> None:
    frames = pair(height, width, seed=height)
    found = patches(frames, kernel)
    assert found.dtype == np.float32
    assert np.array_equal(found, reference_patches(frames, kernel))


def test_every_pixel_value_is_scaled_as_in_the_reference() -> None:
    values = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    expected = (np.arange(256) / 255.0 * 2 - 1).astype(np.float32)
    assert np.array_equal(patches(values, 1)[..., 0].ravel(), expected)


def test_channels_are_row_column_colour() -> None:
    frame = np.zeros((3, 3, 3), np.uint8)
    frame[0, 2, 1] = 255  # above, right, green
    centre = patches(frame)[1, 1].reshape(3, 3, 3)
    assert np.argwhere(centre == 1).tolist() == [[0, 2, 1]]
    assert patches(frame)[0, 0].reshape(3, 3, 3)[0].tolist() == [[0.0] * 3] * 3


def test_patches_refuse_what_they_cannot_scale() -> None:
    with pytest.raises(ValueError, match="uint8"):
        patches(np.zeros((4, 4, 3), np.float32))
    with pytest.raises(ValueError, match=r"\[4, 4, 4\]"):
        patches(np.zeros((4, 4, 4), np.uint8))
    with pytest.raises(ValueError, match="no centre"):
        patches(np.zeros((4, 4, 3), np.uint8), 2)


# The whole procedure -----------------------------------------------------------------------------


@given(st.integers(0, 40), st.integers(0, 60), st.integers(0, 6))
@settings(deadline=None, max_examples=60)
def test_flow_is_that_of_the_reference(down: int, right: int, overlap: int) -> None:
    tile = (11, 15)
    height, width = tile[0] + down, tile[1] + right
    rows = reference_offsets(height, tile[0], overlap)
    columns = reference_offsets(width, tile[1], overlap)
    outside = any(top + tile[0] > height for top in rows)
    outside = outside or any(left + tile[1] > width for left in columns)
    # A tile that the reference computes twice counts twice in its mean, unless all tiles do.
    uneven = any(len(set(some)) < len(some) and len(some) > 2 for some in (rows, columns))
    frames = pair(height, width, seed=width)
    found = our_flow(frames, tile, overlap, toy_model)
    assert found.shape == (height, width, 2)
    assert found.dtype == np.float32
    if not outside and not uneven:
        expected = reference_flow(frames, tile, overlap, toy_model)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("height", "width"), [(11, 15), (11, 33), (19, 33), (33, 75)])
def test_flow_is_that_of_the_reference_at_known_sizes(height: int, width: int) -> None:
    frames = pair(height, width)
    expected = reference_flow(frames, (11, 15), 4, toy_model)
    found = our_flow(frames, (11, 15), 4, toy_model)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_a_tile_that_the_reference_counts_twice_counts_once() -> None:
    tile, overlap, width = (11, 15), 4, 26  # the reference: 0, 11 and 11 again
    assert reference_offsets(width, tile[1], overlap) == [0, 11, 11]
    frames = pair(tile[0], width)
    assert len(list(flow_inputs(fitted(frames, *tile), *tile, overlap=overlap))) == 2
    flow = our_flow(frames, tile, overlap, toy_model)
    theirs = reference_flow(frames, tile, overlap, toy_model)
    differ = np.abs(flow - theirs).max(axis=(0, 2)) > 1e-3
    assert np.flatnonzero(differ).tolist() == [11, 12, 13, 14]  # the seam alone


def test_inputs_of_the_published_size() -> None:
    ready = fitted(pair(368, 500), 368, 496)
    found = list(flow_inputs(ready, 368, 496))
    assert [(tile.top, tile.left) for tile, _ in found] == [(0, 0), (0, 4)]
    assert [array.shape for _, array in found] == [(1, 2, 368, 496, 27)] * 2
    tile, array = found[1]
    part = ready.pixels[:, tile.rows, tile.columns]
    assert np.array_equal(array[0], reference_patches(part))


# Small pictures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(20, 200), (40, 30), (60, 80), (7, 9)])
def test_small_frames_are_enlarged_and_their_flow_is_scaled_back(size: tuple[int, int]) -> None:
    frames = np.repeat(picture(*size)[None], 2, axis=0)
    ready = fitted(frames, 64, 96)
    assert ready.height >= 64
    assert ready.width >= 96
    assert ready.height == 64 or ready.width == 96  # no larger than need be
    assert ready.height / size[0] == pytest.approx(ready.width / size[1], rel=0.05)
    (note,) = ready.notes
    assert f"frames of {size[0]} x {size[1]} pixels are smaller than the model's 64 x 96" in note

    # A motion by (3, -2) pixels of the frames, in units of 20 pixels of the enlarged ones.
    flow = np.empty((ready.height, ready.width, 2), np.float32)
    flow[:] = (3 * ready.width / size[1] / 20, -2 * ready.height / size[0] / 20)
    found = restored(flow, ready)
    assert found.shape == (*size, 2)
    np.testing.assert_allclose(found, np.broadcast_to([3.0, -2.0], found.shape), rtol=1e-5)


def test_the_enlarged_picture_is_the_same_picture() -> None:
    y, x = np.mgrid[0:40, 0:60]
    smooth = np.stack([4 * x, 6 * y, x + y], axis=-1).astype(np.uint8)
    ready = fitted(np.stack([smooth, 255 - smooth]), 80, 100)
    assert ready.pixels.shape == (2, 80, 120, 3)
    middle = ready.pixels[:, 10:-10, 10:-10].astype(int)
    assert np.abs(middle[0] + middle[1] - 255).max() <= 2  # both frames alike
    small = np.asarray(Image.fromarray(ready.pixels[0]).resize((60, 40)))
    assert np.abs(small.astype(int) - smooth).mean() < 1


def test_flow_that_varies_keeps_its_place_when_it_is_scaled_back() -> None:
    ready = fitted(pair(40, 60), 80, 120)
    x = (np.arange(120) + 0.5) / 2 - 0.5  # columns of the small picture
    flow = np.stack(np.broadcast_arrays(x[None, :], np.zeros((80, 1))), axis=2).astype(np.float32)
    found = restored(flow, ready, scale=2.0)
    np.testing.assert_allclose(found[:, 2:-2, 0], np.tile(np.arange(60)[2:-2], (40, 1)), atol=1e-4)


def test_frames_of_the_right_size_are_left_alone() -> None:
    frames = pair(64, 96)
    ready = fitted(frames, 64, 96)
    assert ready.pixels is frames
    assert ready.notes == ()
    flow = np.ones((64, 96, 2), np.float32)
    assert np.array_equal(restored(flow, ready), 20 * flow)
    with pytest.raises(ValueError, match="not that of the frames"):
        restored(flow[:-1], ready)


def test_tiny_frames_are_refused() -> None:
    code, text = code_of(lambda: fitted(pair(22, 31), 368, 496))
    assert code == "PG503"
    assert "22 x 31" in text
    assert "23 x 31 pixels or more" in text
    assert fitted(pair(23, 31), 368, 496).height == 368
