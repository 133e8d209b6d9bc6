"""Pixels and samples as files have them, given to an emitted model: told what scales them, as by programs."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

import perceiver_graph as pg
from perceiver_graph.spec.loader import parse_spec
from tests.test_scaled_arrays import SPEC
from tests.tiny import fault

SHAPES = {
    "image": (1, 4, 6, 3),
    "video": (1, 2, 4, 4, 3),
    "frames": (1, 2, 24, 24, 3),
    "sound": (1, 3, 1),
}
COUNTS = """
perceiver: 1
name: counts
inputs: {sensor: {shape: {time: 3, channel: 2}}}
latents: {count: 2, width: 4}
process: {layers: 1, heads: 1}
outputs: {label: {query: {learned: {}}, head: {linear: 2}}}
"""


@pytest.fixture(scope="module", params=["{}", "{mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]}"])
def compiled(request: pytest.FixtureRequest) -> Any:
    return pg.compile(parse_spec(SPEC.replace("MEAN", request.param)))


@pytest.fixture(scope="module")
def net(compiled: Any) -> Any:
    return compiled.to_torch()


def way(net: Any, name: str, x: torch.Tensor) -> str:
    with pytest.raises(ValueError, match=f"input `{name}` is {x.dtype}, whole numbers") as told:
        net({name: x})
    found = re.search("scale them, `(.*)`$", str(told.value))
    assert found
    return found[1]


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64"])
@pytest.mark.parametrize("name", SHAPES)
def test_whole_numbers_are_scaled_by_the_advice_as_programs_scale_them(
    name: str, dtype: str, compiled: Any, net: Any, tmp_path: Any
) -> None:
    most = 127 if dtype == "int8" else 255
    x = np.random.default_rng(0).integers(0, most + 1, SHAPES[name]).astype(dtype)
    given = torch.from_numpy(x)
    made = eval(way(net, name, given), {"torch": torch, name: given})
    net({name: made})
    compiled.save(tmp_path / "artifact")
    told = fault(lambda: pg.load(tmp_path / "artifact", device="cpu").run({name: x}))
    wanted = eval(str(told.help).partition("; or ")[0].removeprefix("scale them: "), {name: x})
    np.testing.assert_allclose(made.numpy(), wanted, atol=1e-6)


def test_it_is_no_matter_of_what_is_compiled_or_exported(net: Any) -> None:
    given = {"image": torch.zeros(SHAPES["image"], dtype=torch.uint8)}
    way(net, "image", given["image"])
    compiled: Any = torch.compile(net, fullgraph=True, backend="eager")
    assert compiled(given)["label"].shape == (1, 2)
    assert torch.export.export(net, (given,)).module()(given)["label"].shape == (1, 2)


def test_floats_of_any_width_are_taken(net: Any) -> None:
    for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
        net({"image": torch.zeros(SHAPES["image"], dtype=dtype)})


def test_numbers_that_come_from_no_file_may_be_whole() -> None:
    """Counts of a sensor: no scale is known of them, and programs take them too."""
    compiled = pg.compile(parse_spec(COUNTS))
    net: Any = compiled.to_torch()
    x = torch.arange(6).view(1, 3, 2)
    torch.testing.assert_close(net({"sensor": x}), net({"sensor": x.float()}))
