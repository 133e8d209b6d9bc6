"""Lengths of files that an input takes, by number, symbol or expression; tokens of several values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import perceiver_graph as pg
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.media.lengths import Length
from perceiver_graph.runtime import load
from perceiver_graph.runtime.run import run_files
from perceiver_graph.runtime.sources import file_readers, find_subjects
from perceiver_graph.spec.loader import parse_spec
from perceiver_graph.spec.manifest import Dimension, InputEntry, MaskEntry
from tests.tiny import fault

SPEC = """
perceiver: 1
name: rows
dims: {n: {max: 6}}
inputs:
  t: {shape: {row: SIZE, channel: 2}, attention_mask: MASKED, media: {table: {}}}
latents: {count: 2, width: 8}
process: {layers: 1, heads: 1}
outputs:
  s: {query: {mean: latents}, head: {linear: 2}}
"""
TEXT = """
perceiver: 1
name: text
dims: {n: {max: 60, multiple_of: 4}}
inputs:
  text:
    shape: {byte: n}
    steps: [{embedding: {vocabulary: 262, width: 8}}, STEP]
    attention_mask: true
    media: {text: {}}
latents: {count: 2, width: 8}
process: {layers: 1, heads: 1}
outputs:
  s: {query: {mean: latents}, head: {linear: 2}}
"""


def entry(size: int | str, mask: MaskEntry | None = None) -> InputEntry:
    return InputEntry(
        dtype="float32",
        axes=["batch", "row", "channel"],
        shape=["batch", size, 2],
        mask="never",
        attention_mask=mask,
    )


@pytest.mark.parametrize(
    ("size", "lengths"),
    [
        (5, {5}),
        ("n", {3, 6, 9}),
        ("2*n", {6, 12, 18}),
        ("2*n + 3", {9, 15, 21}),
        ("n*n", {9, 36, 81}),
        ("10 - n", {1, 4, 7}),
        ("n/3", {1, 2, 3}),
    ],
)
def test_the_length_that_is_filled_up_to(size: int | str, lengths: set[int]) -> None:
    length = Length(entry(size), {"n": Dimension(min=2, max=10, multiple_of=3)})
    assert length.max == max(lengths)
    for count in range(100):
        wanted = min((one for one in lengths if one >= count), default=None)
        assert length.at_least(count) == wanted
    free = Length(entry("2*n"), {"n": Dimension()})
    assert (free.max, free.at_least(1001)) == (None, 1002)


@pytest.mark.parametrize("size", ["2*n", "2*n + 3", "n + 1", "n*n"])
@pytest.mark.parametrize("masked", [True, False])
def test_a_table_has_rows_by_arithmetic(tmp_path: Path, size: str, masked: bool) -> None:
    text = SPEC.replace("SIZE", size).replace("MASKED", str(masked).lower())
    pg.compile(parse_spec(text)).save(tmp_path / "artifact")
    program = load(tmp_path / "artifact", device="cpu")
    count = {"2*n": 8, "2*n + 3": 9, "n + 1": 4, "n*n": 9}[size]
    path = tmp_path / "table.npy"
    np.save(path, np.ones((count, 2), np.float32))
    (found,) = run_files(program, [path], tmp_path / "out")
    wanted = program.run({"t": np.ones((1, count, 2), np.float32)})["s"]
    with np.load(next(one for one in found.files if one.suffix == ".npz")) as arrays:
        np.testing.assert_allclose(arrays["s"], wanted, rtol=1e-5, atol=1e-6)
    np.save(path, np.ones((50, 2), np.float32))
    refused = fault(lambda: run_files(program, [path], tmp_path / "more"))
    assert (refused.code, f"takes `{size}`, where `n` is 1 to 6") == (
        "PG514",
        refused.message[refused.message.index("takes") :],
    )


def test_a_length_of_several_symbols_is_refused() -> None:
    other = "inputs:\n  m: {shape: {time: m, channel: 1}, mask: never}"
    text = SPEC.replace("SIZE", "n*m").replace("MASKED", "true").replace("inputs:", other)
    text = text.replace("dims: {", "join: {padding: {min: 0}}\ndims: {m: {max: 4}, ")
    with pytest.raises(DiagnosticError, match="does not say what `m` and `n` of `t` are"):
        pg.compile(parse_spec(text))


@pytest.mark.parametrize(
    ("axes", "shape", "there", "mask"),
    [
        (["batch", "row"], ["batch", "n/4"], 5, [True, True, False]),
        (["batch", "row"], ["batch", "n/4"], 8, [True, True, False]),
        (["batch", "row"], ["batch", "n"], 2, [True] * 2 + [False] * 10),
        (["batch"], ["batch"], 1, True),
        (["batch", "row", "x"], ["batch", "n/6", 2], 1, [[True, True], [False, False]]),
    ],
)
def test_a_token_is_there_if_any_of_its_values_is(
    axes: list[str], shape: list[int | str], there: int, mask: object
) -> None:
    length = Length(entry("n", MaskEntry(axes=axes, shape=shape)), {"n": Dimension(max=60)})
    assert length.tokens(np.arange(12) < there).tolist() == [mask]


@pytest.mark.parametrize(
    "step", ["{patch: {byte: 4}}", "{conv: {channels: 8, kernel: {byte: 3}, stride: {byte: 2}}}"]
)
def test_a_text_of_patches_is_read(tmp_path: Path, step: str) -> None:
    pg.compile(parse_spec(TEXT.replace("STEP", step))).save(tmp_path / "artifact")
    program = load(tmp_path / "artifact", device="cpu")
    (found,) = run_files(program, ["hello"], tmp_path / "out")
    assert found.files


LATEST = """
perceiver: 1
name: latest
dims: {n: {min: 6, max: 40}}
inputs:
  x: {INPUT, attention_mask: true}
latents: {of: x, last: 6}
process: {layers: 1, heads: 2}
outputs:
  y: {query: {mean: latents}, head: {linear: 2}}
"""


@pytest.mark.parametrize(
    ("input", "content"),
    [
        (
            "shape: {byte: n}, steps: [{embedding: {vocabulary: 262, width: 8}}], media: {text: {}}",
            "hi",
        ),
        ("shape: {row: n, channel: 8}, media: {table: {}}", np.ones((4, 8), np.float32)),
    ],
)
def test_what_is_filled_up_ends_with_its_own_tokens_where_they_are_the_latents(
    tmp_path: Path, input: str, content: str | NDArray[np.float32]
) -> None:
    pg.compile(parse_spec(LATEST.replace("INPUT", input))).save(tmp_path / "artifact")
    program = load(tmp_path / "artifact", device="cpu")
    if isinstance(content, str):
        given, tokens = content, np.array([4, 110, 111, 5])
    else:
        given, tokens = str(tmp_path / "rows.npy"), content
        np.save(given, content)
    readers = file_readers(program.manifest, None, {}, [given])
    (piece,) = find_subjects([given], readers)[0].pieces()
    np.testing.assert_array_equal(piece.arrays["x"][0, 2:], tokens)
    assert not piece.arrays["x"][0, :2].any()
    assert piece.arrays["x.attention_mask"].tolist() == [[False] * 2 + [True] * 4]
