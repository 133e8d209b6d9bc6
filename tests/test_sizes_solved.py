"""Sizes that arithmetic tells where the input is left out that says them: both backends solve for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import perceiver_graph as pg
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.spec.loader import parse_spec
from tests.torch_support import assert_clean

SPEC = """
perceiver: 1
name: solved
dims: {n: {min: 2, max: 9}, m: {min: 2, max: 9}}
inputs:
  a: {shape: {t: n, channel: 2}, mask: optional}
  b: {shape: SHAPE, mask: optional}
join: {padding: {min: 1}}
latents: {count: 3, width: 8}
process: {layers: 1, heads: 1}
decode: {padding: {min: 0}}
outputs:
  y: {query: {grid: {p: n}, position: {learned: {width: 4}}}, head: {linear: 2}}
"""
NEEDED = "b: {shape: SHAPE, mask: never}"


class Both:
    """The program and the module of one spec, which have to do the same."""

    def __init__(self, text: str, folder: Path) -> None:
        compiled = pg.compile(parse_spec(text), verify=True)
        compiled.save(folder / "a")
        self.program = pg.load(folder / "a", device="cpu")
        self.module: Any = compiled.to_torch().eval()
        assert_clean(compiled.torch_source())

    def __call__(self, sizes: dict[str, int] | None, **shapes: tuple[int, ...]) -> int:
        """How many queries there are."""
        rng = np.random.default_rng(0)
        arrays = {n: rng.normal(size=(2, *s, 2)).astype(np.float32) for n, s in shapes.items()}
        tensors = {name: torch.from_numpy(x) for name, x in arrays.items()}
        with torch.no_grad():
            made = self.module(tensors, **_options(sizes))["y"].numpy()
        run = self.program.run(arrays, sizes=sizes)["y"]
        np.testing.assert_allclose(made, run, atol=1e-5)
        return int(made.shape[1])

    def refuse(self, sizes: dict[str, int] | None, code: str, **shapes: tuple[int, ...]) -> None:
        arrays = {name: np.zeros((2, *shape, 2), np.float32) for name, shape in shapes.items()}
        with pytest.raises(DiagnosticError) as error:
            self.program.run(arrays, sizes=sizes)
        assert error.value.diagnostics[0].code == code
        tensors = {name: torch.from_numpy(x) for name, x in arrays.items()}
        with pytest.raises((ValueError, TypeError), match=r"given as|, expected \[|'sizes'"):
            self.module(tensors, **_options(sizes))


def _options(sizes: dict[str, int] | None) -> dict[str, Any]:
    """A module to which no size can be given has no argument for it."""
    return {} if sizes is None else {"sizes": sizes}


@pytest.mark.parametrize(
    ("shape", "b", "wrong"),
    [
        ("{t: n + m, u: m, channel: 2}", (8, 3), (12, 2)),
        ("{t: n * m, u: m, channel: 2}", (15, 3), (16, 3)),
        ("{t: n * n, u: m, channel: 2}", (25, 3), (26, 3)),
        ("{t: 19 + m - n, u: m, channel: 2}", (17, 3), (9, 3)),
    ],
)
@pytest.mark.parametrize("needed", [False, True])
def test_both_backends_solve(
    shape: str, b: tuple[int, int], wrong: tuple[int, int], needed: bool, tmp_path: Path
) -> None:
    text = SPEC.replace("b: {shape: SHAPE, mask: optional}", NEEDED) if needed else SPEC
    both = Both(text.replace("SHAPE", shape), tmp_path)
    assert both(None, b=b) == 5
    assert both(None, a=(5,), b=b) == 5
    both.refuse(None, "PG503", b=wrong)
    both.refuse(None, "PG503", a=(4,), b=b)
    if needed and "n * n" in shape:  # `b` is there and says it alone: there is nothing to give
        both.refuse({"n": 5}, "PG516", b=b)
    else:
        assert both({"n": 5}, b=b) == 5
        assert both({"n": 5}, a=(5,), b=b) == 5
        both.refuse({"n": 4}, "PG503", b=b)
        both.refuse({"n": 4}, "PG516", a=(5,), b=b)
    if not needed:
        assert both({"n": 4}, a=(4,)) == 4
