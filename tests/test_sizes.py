"""Sizes that are known only at run time: arithmetic on symbols, and symbols that the call gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import perceiver_graph as pg
from perceiver_graph.cli import main
from perceiver_graph.compiler import ops
from perceiver_graph.compiler.ir.dims import shape_of
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.runtime.program import Program
from perceiver_graph.spec.arithmetic import NotASize, calculate, solve, words
from perceiver_graph.spec.loader import parse_spec
from tests.support import random_inputs

SPEC = """
perceiver: 1
name: wrist
dims:
  length: {min: 10, max: 60, multiple_of: 10}
  side: {max: 4}
  steps: {min: 2, max: 7, multiple_of: 2}
inputs:
  slow: {shape: {time: length, channel: 2}, position: {learned: {width: 4}}}
  fast: {shape: {time: 5 * length + 1, channel: 1}}
  board: {shape: {cell: side * side, channel: 1}}
join: {padding: {min: 1}}
latents: {count: 3, width: 8}
process: {layers: 1, heads: 2}
decode: {padding: {min: 0}}
outputs:
  second: {query: {grid: {second: length / 10}, position: {learned: {width: 4}}}, head: {linear: 2}}
  next: {query: {grid: {step: steps}, position: {learned: {width: 4}}}, head: {linear: 1}}
  all: {query: {inputs: slow}, head: {linear: 5}}
"""


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sizes") / "wrist"
    pg.compile(parse_spec(SPEC), verify=True).save(folder)
    return folder


@pytest.fixture(scope="module")
def program(artifact: Path) -> Program:
    return pg.load(artifact, device="cpu")


def arrays(slow: int, fast: int, board: int, batch: int = 1) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    shapes = {"slow": (slow, 2), "fast": (fast, 1), "board": (board, 1)}
    return {
        name: rng.standard_normal((batch, *shape)).astype(np.float32)
        for name, shape in shapes.items()
    }


@pytest.mark.parametrize("length", [10, 20, 60])
def test_outputs_are_as_long_as_the_inputs_say(program: Program, length: int) -> None:
    results = program.run(arrays(length, 5 * length + 1, 9, batch=2))
    assert results["second"].shape == (2, length // 10, 2)
    assert results["all"].shape == (2, length, 5)
    assert results["next"].shape == (2, 6, 1)  # nothing says: the largest that is permitted


def test_an_axis_says_what_its_expression_has(program: Program) -> None:
    """Left out, an input says nothing: `length` is then that of the other."""
    given = arrays(20, 101, 4)
    del given["slow"]
    assert program.run(given)["second"].shape == (1, 2, 2)


def test_a_symbol_of_no_input_is_given_with_the_call(program: Program) -> None:
    given = arrays(20, 101, 4)
    whole = program.run(given)["next"]
    some = program.run(given, sizes={"steps": 4})["next"]
    assert some.shape == (1, 4, 1)
    np.testing.assert_allclose(some, whole[:, :4], atol=1e-6)
    state = program.encode(given, sizes={"steps": np.int64(2)})  # type: ignore[dict-item]
    assert program.decode(state)["next"].shape == (1, 2, 1)
    with pytest.raises(DiagnosticError) as error:
        program.decode(state, {"next": [2]})
    assert error.value.diagnostics[0].code == "PG506"


@pytest.mark.parametrize(
    ("shapes", "sizes", "code", "words"),
    [
        ((20, 151, 4), None, "PG503", ["`fast` has size 151", "`5*length + 1` is 101", "`slow`"]),
        ((20, 103, 4), None, "PG503", ["`fast` has size 103", "`5*length + 1` is 101"]),
        ((25, 126, 4), None, "PG503", ["`slow` has size 25", "a multiple of 10, 10 to 60"]),
        ((20, 101, 5), None, "PG503", ["`board` has size 5", "`side*side`", "1, 4"]),
        ((20, 101, 25), None, "PG503", ["`board` has size 25", "`side` is 1 to 4"]),
        ((20, 101, 4), {"steps": 3}, "PG516", ["`steps` cannot be 3", "a multiple of 2, 2 to"]),
        ((20, 101, 4), {"steps": 8}, "PG516", ["`steps` cannot be 8"]),
        ((20, 101, 4), {"steps": 0}, "PG516", ["`steps` cannot be 0"]),
        ((20, 101, 4), {"steps": 4.0}, "PG516", ["`steps` is 4.0, which is no whole number"]),
        ((20, 101, 4), {"steps": True}, "PG516", ["`steps` is True, which is no whole number"]),
        ((20, 101, 4), {"stesp": 4}, "PG516", ["no size `stesp`", "did you mean `steps`"]),
        ((20, 101, 4), {"length": 20}, "PG516", ["`length` is what the shapes of the inputs say"]),
        ((20, 101, 4), {"side": 2}, "PG516", ["`side` is what the shapes"]),
        ((20, 101, 4), {"next_queries": 2}, "PG516", ["no size `next_queries`", "steps"]),
    ],
)
def test_sizes_that_do_not_fit(
    program: Program,
    shapes: tuple[int, int, int],
    sizes: dict[str, Any] | None,
    code: str,
    words: list[str],
) -> None:
    with pytest.raises(DiagnosticError) as error:
        program.run(arrays(*shapes), sizes=sizes)
    (found,) = error.value.diagnostics
    assert found.code == code
    text = " ".join([found.message, *found.notes, found.help or ""])
    for word in words:
        assert word in text


def test_the_manifest_says_what_can_be_given(program: Program) -> None:
    dims = program.manifest.dims
    assert dims["steps"].default == 6
    assert dims["length"].default is None
    assert program.manifest.outputs["second"].shape == ["batch", "length/10", 2]
    assert program.manifest.inputs["fast"].shape == ["batch", "5*length + 1", 1]


def test_sizes_on_the_command_line(
    artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "in.npz", **arrays(20, 101, 4))
    out = str(tmp_path / "out.npz")
    call = ["run", str(artifact), "--inputs", str(tmp_path / "in.npz"), "-o", out, "--size"]
    assert main([*call, "steps=4"]) == 0
    assert np.load(out)["next"].shape == (1, 4, 1)
    for text in ("steps", "steps=", "steps=-1", "=3", "steps=4.5", "steps=99"):
        assert main([*call, text]) == 1
        assert "PG516" in capsys.readouterr().err


def test_of_random_inputs_every_size_can_be_given(
    artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["run", str(artifact), "--random", "-o", str(tmp_path / "out.npz"), "--size"]
    assert main([*call, "length=20"]) == 0
    assert "fast   float32 [1, 101, 1]" in capsys.readouterr().out
    assert main([*call, "next_queries=2"]) == 1
    said = capsys.readouterr().err
    assert "the sizes that can be given: " in said
    listed = said.partition("the sizes that can be given: ")[2].splitlines()[0]
    assert set(listed.split(", ")) >= {"length", "steps", "side"}


WHOLE = """
perceiver: 1
name: whole
dims: {n: DECLARED}
inputs:
  a: {shape: {time: n, channel: 2}}
latents: {count: 2, width: 8}
process: {layers: 1, heads: 1}
outputs:
  y: {query: {grid: {t: SIZE}, position: {fourier: {bands: 2, max_resolution: 8}}}, head: {linear: 1}}
"""


@pytest.mark.parametrize(
    ("size", "declared", "advice"),
    [
        ("20 - n", "{min: 1, max: 20}", "declare `n: {max: 19}`"),
        ("5 - n", "{}", "declare `n: {max: 4}`"),
        ("n - 5", "{max: 20, multiple_of: 2}", "declare `n: {min: 6, max: 20, multiple_of: 2}`"),
        ("n * (9 - n) - 7", "{max: 20}", "declare `n: {max: 8}`"),
        ("n * (9 - n) - 9", "{max: 20}", "declare `n: {min: 2, max: 7}`"),
        ("n * n - 9 * n + 21", "{}", "declare `n: {max: 4096}`"),
        ("1 / 2 * n", "{multiple_of: 2}", "multiply first and divide last, as in `n / 2`"),
        ("n * (21 - n)", "{max: 20}", ""),
    ],
)
def test_the_advice_on_a_size_is_accepted(size: str, declared: str, advice: str) -> None:
    text = WHOLE.replace("SIZE", size).replace("DECLARED", declared)
    if advice:
        with pytest.raises(DiagnosticError) as caught:
            pg.compile(text)
        assert caught.value.diagnostics[0].help == advice
        better = advice.partition("`")[2].removesuffix("`")
        if better.startswith("n: "):
            text = text.replace(f"n: {declared}", better)
        else:
            text = text.replace(size, better)
    pg.compile(text)


def value(word: str) -> int:
    return int(word) if word.isdecimal() else {"a": 7, "b": 2}[word]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2 * (a - b)", 10), ("a-b-1", 4), ("-a + 9", 2), ("2*-b+9", 5), ("((a))", 7), ("a*b*a", 98)],
)
def test_arithmetic(text: str, expected: int) -> None:
    assert calculate(text, value) == expected


@pytest.mark.parametrize("text", ["", "a b", "(a", "a)", "a ** b", "a.b", "+a", "()", "a /", "a,b"])
def test_what_is_no_arithmetic(text: str) -> None:
    with pytest.raises(NotASize, match="is not a size"):
        calculate(text, value)


def test_words_of_an_expression() -> None:
    assert words("5 * length + (width - length) / 2") == ["length", "width"]


@given(st.integers(1, 50), st.integers(0, 30), st.integers(1, 9), st.integers(0, 40))
def test_solving(low: int, index: int, step: int, factor: int) -> None:
    """What a size was made from is found again, and nothing is found for what no value gives."""

    def size(n: int) -> int:
        return (factor + 1) * n * n + factor * n

    wanted = size(low + index * step)
    assert solve(size, wanted, low, None, step) == low + index * step
    assert solve(size, wanted, low, low + 30 * step, step) == low + index * step
    if index:
        assert solve(size, wanted, low, low + (index - 1) * step, step) is None
    assert solve(size, wanted + 1, low, None, step) is None
    assert (
        solve(lambda n: 5000 - n, 5000 - low - index * step, low, 4999, step) == low + index * step
    )


GRIDS = """
perceiver: 1
name: grids
dims: {n: {max: 6}, m: {max: 5}, k: {}, free: {max: 4}}
inputs:
  a: {shape: {time: n, row: m, channel: 3}, position: {learned: {width: 4}}}
  b: {shape: {time: n, row: 4, channel: 3}, position: {fourier: {bands: 2, of: {time: 9}}}}
  c: {shape: {time: 2 * n, row: m, channel: 3}, position: {fourier: {bands: 2, of: {time: 12}}}}
  d: {shape: {time: k, channel: 3}, position: {fourier: {bands: 2, max_resolution: 8, periodic: [time]}}}
join: {padding: {min: 1}}
latents: {count: 3, width: 8}
process: {layers: 1, heads: 2}
decode: {padding: {min: 0}, chunks: CHUNKS}
outputs:
  a: {query: {grid: {time: n, row: m}, position: {learned: {width: 4}}}, head: {linear: 2}}
  b: {query: {grid: {time: free, row: m + free}, position: {fourier: {bands: 2}}}, head: {linear: 2}}
  c:
    query:
      grid: {time: k + 1, row: free}
      position: {fourier: {bands: 2, max_resolution: 4, of: {row: 7}, endpoint: true}}
  d: {query: {output: c}, head: {linear: 2}}
"""


@pytest.mark.parametrize("chunks", [1, 2])
@pytest.mark.parametrize("level", [0, 2])
def test_grids_of_any_size_have_the_numbers_of_the_reference(
    chunks: int, level: Any, tmp_path: Path
) -> None:
    """Positions of every kind over symbols, those that only the call says among them."""
    import torch

    text = GRIDS.replace("CHUNKS", str(chunks))
    compiled = pg.compile(parse_spec(text), level=level, verify=True)
    compiled.save(tmp_path / "grids")
    program = pg.load(tmp_path / "grids", device="cpu")
    weights = compiled.weights()
    module: Any = compiled.to_torch(weights).eval()
    for n, m, k, free in ((1, 1, 1, 1), (3, 2, 4, 2), (6, 5, 9, 4)):
        given = random_inputs(compiled.lowered, 2, 0, {"n": n, "m": m, "k": k, "free": free})
        given |= {name: np.ones(2, bool) for name in given if name.endswith(".present")}
        expected = evaluate(compiled.graph, given, weights)
        inputs = {name: given[name] for name in "abcd"}
        found = program.run(inputs, sizes={"free": free})
        with torch.no_grad():
            tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
            made = module(tensors, None, {"free": free})
        assert found["b"].shape == (2, free, m + free, 2)
        assert found["c"].shape[:3] == found["d"].shape[:3] == (2, k + 1, free)
        for name, array in found.items():
            numbers = expected[name].reshape(array.shape)
            np.testing.assert_allclose(array, numbers, atol=1e-6)
            np.testing.assert_allclose(made[name].numpy(), numbers, atol=1e-6)


LEAN = """
perceiver: 1
name: lean
dims: {n: {max: 6}, m: {max: 5}, free: {max: 4}}
inputs: {a: {shape: {time: n, row: m, channel: 3}, position: {learned: {width: 4}}}}
latents: {count: 3, width: 8}
process: {layers: 1, heads: 2}
outputs:
  b: {query: {grid: {time: free, row: m + free}, position: {fourier: {bands: 2}}}, head: {linear: 2}}
"""


def test_a_module_of_symbolic_sizes_is_compiled_once_and_exported() -> None:
    import torch

    net: Any = pg.compile(parse_spec(LEAN)).to_torch().eval()
    compiled: Any = torch.compile(net, dynamic=True, fullgraph=True, backend="eager")
    positions, sizes = {"b": torch.arange(3)}, {"free": 2}
    shapes = [(8, 6, 5, 3), (2, 4, 2, 3), (4, 5, 4, 3)]  # equal sizes at first would stay equal
    arrays = [torch.randn(shape) for shape in shapes]
    with torch.no_grad():
        compiled({"a": arrays[0]}, positions, sizes)
        with torch.compiler.set_stance("fail_on_recompile"):
            for a in arrays:
                wanted = net({"a": a}, positions, sizes)["b"]
                torch.testing.assert_close(compiled({"a": a}, positions, sizes)["b"], wanted)
    most = {"batch": None, "n": 6, "m": 5}
    dims = {i: torch.export.Dim(n, min=2, max=most[n]) for i, n in enumerate(most)}
    shape = {"inputs": {"a": dims}, "queries": {"b": {}}, "sizes": {"free": None}}
    exported = torch.export.export(
        net, ({"a": arrays[0]}, positions, sizes), dynamic_shapes=shape, strict=True
    )
    found = exported.module()({"a": arrays[1]}, positions, sizes)["b"]
    torch.testing.assert_close(found, net({"a": arrays[1]}, positions, sizes)["b"])


HIDDEN = """
perceiver: 1
name: hidden
dims: {side: {max: 4}, n: {max: 6}, m: {min: 2, max: 5}}
inputs:
  a:
    shape: {row: 2 * side * side, column: side * side, channel: 3}
    steps: [{conv: {channels: 4, kernel: {row: 2, column: 1}, stride: {row: 2}, padding: valid}}]
    position: {fourier: {bands: 2, max_resolution: 8}}
  b: {shape: {time: n, channel: 2}, position: {learned: {width: 3}}}
  c:
    shape: {time: n * m, other: n + m, channel: 2}
    steps: [{max_pool: {window: {time: 2, other: 2}, stride: {time: 1, other: 1}, padding: valid}}]
    position: {fourier: {bands: 2, max_resolution: 8}}
join: {padding: {min: 1}}
latents: {count: 3, width: 8}
process: {layers: 1, heads: 2}
decode: {padding: {min: 0}}
outputs:
  b: {query: {inputs: b}, head: {linear: 5}}
"""


def test_sizes_that_follow_from_no_axis_alone_are_given_to_programs(tmp_path: Path) -> None:
    """And a module reads them off what it has made of its inputs."""
    import torch

    compiled = pg.compile(parse_spec(HIDDEN), verify=True)
    compiled.save(tmp_path / "hidden")
    program = pg.load(tmp_path / "hidden", device="cpu")
    given = {port.of for port in program.manifest.programs["encode"].inputs if port.role == "size"}
    assert given == {"m", "side"}
    weights = compiled.weights()
    module: Any = compiled.to_torch(weights).eval()
    for side, n, m in ((2, 3, 2), (3, 6, 5)):
        arrays = random_inputs(compiled.lowered, 2, 0, {"side": side, "n": n, "m": m})
        arrays |= {name: np.ones(2, bool) for name in arrays if name.endswith(".present")}
        expected = evaluate(compiled.graph, arrays, weights)["b"]
        inputs = {name: arrays[name] for name in "abc"}
        np.testing.assert_allclose(program.run(inputs)["b"], expected, atol=1e-6)
        with torch.no_grad():
            made = module({name: torch.from_numpy(array) for name, array in inputs.items()})
        np.testing.assert_allclose(made["b"].numpy(), expected, atol=1e-6)


def test_counted_positions_are_the_same_at_every_size() -> None:
    """And stretched ones end at 1 whatever the size: at the other's end only where that is the size."""
    table = ops.FourierTable(9, 0, 1, 2, 8.0).evaluate()
    for size in range(1, 10):
        places, sizes = np.arange(size), shape_of(size)
        counted = ops.FourierAt(sizes, (9,), 2, (8.0,), (True,))
        stretched = ops.FourierAt(sizes, (None,), 2, (8.0,), (True,))
        np.testing.assert_array_equal(counted.evaluate(places), table[:size])
        own = ops.FourierTable(size, 0, 1, 2, 8.0).evaluate()
        np.testing.assert_array_equal(stretched.evaluate(places), own)
