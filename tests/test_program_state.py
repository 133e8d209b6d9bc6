"""What programs are given besides: state that one hands to itself, and sizes, as numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.artifact import describe
from perceiver_graph.compiler.artifact import folder as artifact
from perceiver_graph.compiler.backends.onnx.files import write as write_programs
from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.ir.dims import Symbol, shape_of
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.ir.verify import verify
from perceiver_graph.compiler.programs.phases import OUTPUT, Programs
from perceiver_graph.runtime import load
from perceiver_graph.spec.manifest import Dimension, InputEntry, Manifest, Memory, OutputEntry
from perceiver_graph.spec.programs import Role
from tests.tiny import fault

ROWS = 6
"""Queries of the output `y`."""


def _encode() -> Graph:
    """x -> the latents, and twice as much as a cache to begin with."""
    b = GraphBuilder("counter.encode", {"batch": Symbol("batch")})
    shape = shape_of(b.symbols["batch"], 1, 3)
    x = b.input("x", "data", "x", ("batch", "time", "channel"), shape, "float32")
    return b.graph({"latents": b(ops.Tanh(), x), "cache": b(ops.Scale(2.0), x, name="cache")})


def _decode() -> Graph:
    """y = rows of a table + the cache, to which their mean is added for the next run."""
    b = GraphBuilder("counter.decode", {name: Symbol(name) for name in ("batch", "y_queries")})
    shape = shape_of(b.symbols["batch"], 1, 3)
    cache = b.input("cache", "state", "cache", ("batch", "axis_1", "axis_2"), shape, "float32")
    count = shape_of(b.symbols["y_queries"])
    asked = b.input("y.queries", "queries", "y", ("query",), count, "int64")
    table = b.constant("table", np.arange(3 * ROWS, dtype=np.float32).reshape(ROWS, 3))
    y = b(ops.Add(), b(ops.Gather(0), table, asked), cache, name="y")
    mean = b(ops.Unflatten(1, (1, None)), b(ops.Mean(1), y))
    return b.graph({"y": y, f"cache{OUTPUT}": b(ops.Add(), cache, mean)})


PROGRAMS = Programs(encode=_encode(), decode=_decode())


def write(folder: Path, chunks: int, of: Programs = PROGRAMS, **changes: Any) -> Path:
    """The artifact of two programs."""
    folder.mkdir()
    files = write_programs(of, {}, folder)
    axes, shape = ["batch", "time", "channel"], list[int | str](["batch", 1, 3])
    manifest = Manifest(
        format=1,
        name="counter",
        tool="by hand",
        backends=["onnx"],
        spec_sha256="0" * 64,
        weights="none",
        level=0,
        precision="fp32",
        files=artifact.file_entries(folder),
        inputs={"x": InputEntry(dtype="float32", axes=axes, shape=shape, mask="never")},
        outputs={
            "y": OutputEntry(
                dtype="float32",
                axes=["batch", "query", "channel"],
                shape=["batch", ROWS, 3],
                queries=ROWS,
                selectable=True,
            )
        },
        dims={"batch": Dimension()},
        chunks=chunks,
        decode_memory=Memory(fixed=0, per_query=1),
        programs=describe.program_entries(of, files, ["y"]),
        parameters=0,
        flops=0,
    )
    artifact.write_manifest(folder, manifest.model_copy(update=changes))
    return folder


def test_the_programs_are_legal() -> None:
    verify(PROGRAMS["encode"], "program")
    verify(PROGRAMS["decode"], "program")


@pytest.mark.parametrize("chunks", [1, 2, 3, 6])
@pytest.mark.parametrize("batch", [1, 2])
def test_state_returns_to_its_own_program(tmp_path: Path, chunks: int, batch: int) -> None:
    program = load(write(tmp_path / "counter", chunks), device="cpu")
    x = np.random.default_rng(chunks).standard_normal((batch, 1, 3), np.float32)
    first = evaluate(PROGRAMS["encode"], {"x": x}, {})
    cache, wanted = first["cache"], list[Array]()
    for asked in np.split(np.arange(ROWS), chunks):
        found = evaluate(PROGRAMS["decode"], {"cache": cache, "y.queries": asked}, {})
        cache, rows = found[f"cache{OUTPUT}"], found["y"]
        wanted.append(rows)
    state = program.encode({"x": x})
    for _ in range(2):  # from what encode left each time
        found = program.decode(state)
        np.testing.assert_allclose(found["y"], np.concatenate(wanted, axis=1), rtol=1e-6)
    np.testing.assert_allclose(state.latents, first["latents"], rtol=1e-6)


def test_state_has_one_shape(tmp_path: Path) -> None:
    entries = describe.program_entries(PROGRAMS, ["encode.onnx", "decode.onnx"], ["y"])
    port = entries["decode"].outputs[1].model_copy(update={"shape": ["batch", 2, 3]})
    decode = entries["decode"].model_copy(update={"outputs": [entries["decode"].outputs[0], port]})
    folder = write(tmp_path / "counter", 1, programs=entries | {"decode": decode})
    assert "`decode` gives `cache.output` as ['batch', 2, 3]" in fault(lambda: load(folder)).message


def _given(role: Role, of: str) -> Programs:
    """y = rows of a table + the row whose number is a size that the program is given + the latents."""
    b = GraphBuilder("sized.decode", {name: Symbol(name) for name in ("batch", "y_queries")})
    shape = shape_of(b.symbols["batch"], 1, 3)
    latents = b.input(
        "latents", "state", "latents", ("batch", "axis_1", "axis_2"), shape, "float32"
    )
    count = shape_of(b.symbols["y_queries"])
    asked = b.input("y.queries", "queries", "y", ("query",), count, "int64")
    size = b.input("given", role, of, ("size",), shape_of(1), "int64")
    table = b.constant("table", np.arange(24, dtype=np.float32).reshape(8, 3))
    rows = b(ops.Add(), b(ops.Gather(0), table, asked), b(ops.Gather(0), table, size))
    return Programs(encode=_encode(), decode=b.graph({"y": b(ops.Add(), rows, latents, name="y")}))


@pytest.mark.parametrize(("role", "of", "size"), [("size", "batch", 2), ("grid", "y", ROWS)])
def test_programs_are_given_sizes_older_ones_those_of_grids(
    role: Role, of: str, size: int, tmp_path: Path
) -> None:
    program = load(write(tmp_path / "sized", 2, _given(role, of)), device="cpu")
    x = np.random.default_rng(0).standard_normal((2, 1, 3), np.float32)
    table = np.arange(24, dtype=np.float32).reshape(8, 3)
    wanted = table[:ROWS] + table[size] + np.tanh(x)
    np.testing.assert_allclose(program.run({"x": x})["y"], wanted, rtol=1e-6)


@pytest.mark.parametrize(("role", "of"), [("size", "y"), ("grid", "batch"), ("size", "length")])
def test_sizes_of_what_has_none(role: Role, of: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "sized", 1, _given(role, of))
    found = fault(lambda: load(folder)).message
    assert f"reads the {role} of `{of}`, which has none such" in found
