"""Pictures as arrays: the same bytes as the image processor of transformers, and bad files."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from perceiver_graph.media.image.model import ImageParameters
from perceiver_graph.media.image.resizing import Region, centred, normalised, resized


@cache
def theirs() -> Any:
    from transformers.models.perceiver.image_processing_pil_perceiver import (
        PerceiverImageProcessorPil,
    )

    return PerceiverImageProcessorPil()


def ours(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float32]:
    form = ImageParameters()
    region = centred(pixels.shape[0], pixels.shape[1], size, form.crop)
    return normalised(resized(pixels, region, size), form.mean, form.std)


@settings(max_examples=25, deadline=None)
@given(st.integers(8, 600), st.integers(8, 600), st.integers(0, 9))
def test_values_are_those_of_transformers(height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    wanted = theirs()(Image.fromarray(pixels))["pixel_values"][0]
    np.testing.assert_array_equal(ours(pixels, (224, 224)).transpose(2, 0, 1), wanted, strict=True)


@pytest.mark.parametrize("side", [7, 56, 448])
def test_other_sizes_cut_out_the_same_share(side: int) -> None:
    pixels = np.random.default_rng(side).integers(0, 256, (131, 257, 3), np.uint8)
    size = {"height": side, "width": side}
    crop = {"height": side * 8 // 7, "width": side * 8 // 7}  # 256 of 224
    wanted = theirs()(Image.fromarray(pixels), size=size, crop_size=crop)["pixel_values"][0]
    np.testing.assert_array_equal(ours(pixels, (side, side)).transpose(2, 0, 1), wanted)


@given(st.integers(1, 900), st.integers(1, 900), st.integers(1, 99), st.floats(0.01, 1))
def test_a_region_lies_in_the_middle_of_the_picture(
    height: int, width: int, side: int, share: float
) -> None:
    region = centred(height, width, (side, 2 * side), share)
    assert 1 <= region.height <= height
    assert 1 <= region.width <= width
    assert 0 <= height - region.height - 2 * region.top <= 1
    assert 0 <= width - region.width - 2 * region.left <= 1


def test_the_aspect_ratio_is_that_of_the_model() -> None:
    assert centred(100, 400, (10, 20), 1.0) == Region(100, 0, 200, 100)
    assert centred(400, 100, (10, 20), 0.5) == Region(25, 187, 50, 25)
