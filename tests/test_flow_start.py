"""Training of the flow recipe starts with filters of motion, and with pixels that read what is near."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import perceiver_graph as pg
from recipes.__main__ import recipe
from recipes.flow.scenes import SIZE
from recipes.flow.start import KERNEL, PATCH, TOKENS, moving_waves, start
from recipes.starting import Watch

FRAMES = np.random.default_rng(0).uniform(-1, 1, (2, 2, SIZE, SIZE, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    module = pg.compile(recipe("flow").spec).to_torch(seed=1)
    return start(module, FRAMES)


def test_the_first_convolution_sees_waves_that_move(model: nn.Module) -> None:
    watch = Watch(model.get_submodule("inputs.frames.conv"))
    frames = torch.from_numpy(FRAMES)
    with torch.no_grad():
        model({"frames": frames}, {"flow": torch.arange(1)})
    filters = moving_waves()[:, :, None].expand(-1, -1, 3, -1, -1).flatten(1, 2)
    margin = PATCH * (KERNEL // 2)
    pixels = F.pad(frames.permute(0, 1, 4, 2, 3).flatten(1, 2), (margin,) * 4)
    seen = F.conv2d(pixels, filters, stride=PATCH)
    factor = (watch.output / seen).median()
    torch.testing.assert_close(watch.output, factor * seen, rtol=1e-3, atol=1e-3)


def test_a_pixel_asks_the_token_at_its_place(model: nn.Module) -> None:
    part = "decoder.cross_attend.attention"
    watches = [Watch(model.get_submodule(f"{part}.{name}")) for name in ("query", "key")]
    with torch.no_grad():
        model({"frames": torch.from_numpy(FRAMES)}, {"flow": torch.arange(SIZE * SIZE)})
    pixels, tokens = (watch.output.reshape(-1, watch.output.shape[-1]) for watch in watches)
    asked = (pixels[: SIZE * SIZE] @ tokens[: TOKENS * TOKENS].T).argmax(1).numpy()
    row, column = np.divmod(np.arange(SIZE * SIZE), SIZE)
    away = np.abs(np.stack([asked // TOKENS - row // 4, asked % TOKENS - column // 4]))
    assert np.mean(away.max(0) == 0) > 0.7
    assert np.mean(away.max(0) <= 1) > 0.95
