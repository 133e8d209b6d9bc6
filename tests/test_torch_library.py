"""The library of the PyTorch backend: ordinary Python, of which each emitted file copies what it uses."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.torch import copying
from perceiver_graph.compiler.backends.torch.library import (
    attention,
    checks,
    grids,
    inputs,
    positions,
    weights,
)
from tests.torch_support import assert_clean

FILES = sorted(Path(str(attention.__file__)).parent.glob("*.py"))


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def same(found: torch.Tensor, expected: Any, limit: float = 1e-6) -> None:
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=limit)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_it_needs_torch_alone(file: Path) -> None:
    tree = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    names = [n.module or "" for n in tree if isinstance(n, ast.ImportFrom)]
    names += [a.name for n in tree if isinstance(n, ast.Import) for a in n.names]
    others = {name for name in names if not name.startswith(copying.LIBRARY)}
    assert {name.split(".")[0] for name in others} - sys.stdlib_module_names <= {"torch"}


def test_every_definition_stands_for_itself() -> None:
    """A file that copies it has all that it needs, and is as tidy as the library."""
    assert {"attend", "BatchNorm", "DTYPES", "fourier_at"} <= set(copying.library().definitions)
    for name in copying.library().definitions:
        code = "\n\n\n".join([*copying.needed(name), f"def found() -> object:\n    return {name}"])
        text = f'{copying.import_statements(code)}\n\n__all__ = ["found"]\n\n\n{code}\n'
        assert_clean(text)
        module: dict[str, Any] = {}
        exec(text, module)
        assert module["found"]() is module[name]


def test_what_is_copied_is_the_source() -> None:
    found = copying.needed("grids = fourier_at(regrid(x, sizes, to))")
    made: list[Callable[..., Any]] = [
        grids.places,
        grids.regrid,
        grids.grid_coordinates,
        positions.fourier_frequencies,
        positions.fourier_features,
        grids.fourier_at,
    ]
    assert found == [inspect.getsource(function).strip("\n") for function in made]
    assert copying.needed("x.attend(query)") == []


def test_imports_are_those_that_are_used() -> None:
    text = "json\nPath\nx: Tensor\nnn.Linear\nF.gelu\nx.mmap\n"
    assert copying.import_statements(text).splitlines() == [
        "from __future__ import annotations",
        "",
        "import json",
        "from pathlib import Path",
        "",
        "import torch.nn.functional as F",
        "from torch import Tensor, nn",
    ]


def test_copying_imports_no_torch() -> None:
    code = f"""
import sys
from {copying.__name__} import library
assert "attend" in library().definitions
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_attention_is_that_of_the_primitive() -> None:
    query, key, value = numbers(2, 3, 8), numbers(2, 5, 8), numbers(2, 5, 12)
    arrays = [x.numpy() for x in (query, key, value)]
    expected = ops.Attention(4).evaluate(*arrays)
    same(attention.attend(query, key, value, heads=4), expected)
    mask = torch.tensor([[True, False, True, True, False], [False] * 5])
    everything = mask | True
    same(attention.attend_masked(query, key, value, everything, heads=4), expected)
    found = attention.attend_masked(query, key, value, mask, heads=4)
    same(found[1], value[1].mean(0).expand(3, -1))
    same(found[:1], ops.Attention(4).evaluate(*(x[:1] for x in arrays), mask[:1].numpy()))
    zero = attention.attend_masked(query, key, value, mask, heads=4, masked_rows="zero")
    assert (zero[1] == 0).all()
    same(zero[0], found[0])


@pytest.mark.parametrize("endpoint", [True, False])
@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_features_of_positions_are_rows_of_a_table(size: int, endpoint: bool) -> None:
    table = positions.fourier_table(size, bands=3, max_resolution=10.0, endpoint=endpoint)
    of_all = grids.fourier_at(
        torch.arange(size),
        (size,),
        torch.empty(0),
        of=(None,),
        bands=3,
        max_resolution=(10.0,),
        endpoint=(endpoint,),
    )
    assert torch.equal(table, of_all)
    assert positions.fourier_table(4, 1, 2, bands=3, max_resolution=9.0).shape == (4, 14)


def test_places_in_a_grid_and_in_a_larger_one() -> None:
    sizes, flat = (2, 3), torch.arange(6)
    rows, columns = grids.places(flat, sizes)
    assert torch.equal(rows * 3 + columns, flat)
    assert grids.regrid(flat, sizes, (4, 5)).tolist() == [0, 1, 2, 5, 6, 7]


def test_resizing_keeps_a_table_of_the_same_size() -> None:
    table = numbers(12, 5)
    same(positions.resize(table, (3, 4), (3, 4)), table)
    assert positions.resize(table, (3, 4), (6, 2)).shape == (12, 5)


def test_inputs_that_are_left_out() -> None:
    like = torch.empty(0, dtype=torch.float64)
    given = {"a": numbers(2, 3), "b": numbers(2, 4)}
    x, there = inputs.given_or_not(given, "a", (3,), like)
    assert torch.equal(x, given["a"].to(like.dtype))
    assert x.dtype == like.dtype
    assert there.tolist() == [True, True]
    given["a.present"] = torch.tensor([0, 1])
    assert inputs.given_or_not(given, "a", (3,), like)[1].tolist() == [False, True]
    x, there = inputs.given_or_not({"b": given["b"]}, "a", (3,), like)
    assert (x.shape, x.dtype, there.tolist()) == ((2, 3), torch.float64, [False, False])
    assert inputs.given_mask(given, "a", given["a"], (2, 3)).all()


def test_a_symbol_is_read_off_the_first_input_that_says_it() -> None:
    axes, scaled = {"a": 1, "b": 1}, {"b": (2, 1, 0)}
    a, b = torch.empty(1, 3), torch.empty(1, 6)
    for given, expected in (({"a": a, "b": b}, 3), ({"b": b}, 3), ({}, 4)):
        assert inputs.shared_size(given, axes, 4, scaled) == expected
    permitted = range(2, 9)
    assert checks.agreed_size({"a": a, "b": b}, "n", axes, permitted, scaled) == 3
    with pytest.raises(ValueError, match="`n` is one size in a call, and here it is 3 in input"):
        checks.agreed_size({"a": a, "b": b}, "n", axes, permitted)
    with pytest.raises(
        ValueError, match=r"`n` is 3 in input `a`.* and may be a multiple of 2, 4 to"
    ):
        checks.agreed_size({"a": a}, "n", axes, range(4, 9, 2))
    assert checks.in_words(range(3, 2**63)) == "at least 3"


def test_weights_of_every_dtype_are_read(tmp_path: Path) -> None:
    names = ["bfloat16", "bool", "float16", "float32", "float64", "int64"]
    tensors = {name: torch.ones(2, 3).to(getattr(torch, name)) for name in names}
    tensors["one"] = torch.tensor(7.0)
    save_file(tensors, tmp_path / "weights.safetensors", {"about": "nothing"})
    found = weights.read_safetensors(tmp_path / "weights.safetensors")
    assert set(found) == set(tensors)
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)
    assert set(weights.DTYPES.values()) == {x.dtype for x in tensors.values()}


def test_an_array_without_the_batch_is_told_what_to_add() -> None:
    axes: dict[str, int | None] = {"batch": None, "byte": None}
    with pytest.raises(
        ValueError, match=r"has shape \[11\], and takes 2 axes: \[batch, byte\]"
    ) as told:
        checks.check_shape({"text": torch.arange(11)}, "text", axes)
    assert str(told.value).endswith("; `text[None]` fits")
    checks.check_shape({"text": torch.arange(11)[None]}, "text", {"batch": 1, "byte": 11})
    with pytest.raises(ValueError, match=r"takes 2 axes: \[batch, byte\]$"):
        checks.check_shape({"text": torch.zeros(4, 2, 3)}, "text", axes)
    both = {"a": torch.zeros(11), "b": torch.zeros(1, 3)}
    with pytest.raises(
        ValueError, match=r"it is 11 in input `a`, \[11\], 1 in input `b`, \[1, 3\]"
    ):
        checks.agreed_size(both, "batch", {"a": 0, "b": 0}, range(1, 2**63))
