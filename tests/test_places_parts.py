"""More places than memory holds: some rows at a time, with the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import perceiver_graph as pg
from perceiver_graph.compiler.driver import Compiled
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.compiler.passes.pipeline import optimize
from perceiver_graph.compiler.programs import cost
from perceiver_graph.runtime import Program
from perceiver_graph.spec import parse_spec
from tests.test_differential import randomised
from tests.test_places import OUTPUTS, arrays, opened, spec


def written(folder: Path, text: str) -> tuple[Compiled, Program]:
    compiled = pg.compile(parse_spec(text))
    return compiled, opened(compiled, randomised(compiled, 1), folder)


def test_a_part_at_a_time_gives_the_same(tmp_path: Path) -> None:
    _, program = written(tmp_path, spec(OUTPUTS, symbols=True))
    cut = program.manifest.places
    assert cut is not None
    assert (cut.axis, cut.size) == ("a", "na")
    given, seen = arrays(), []
    whole = program.run(given, progress=lambda done, total: seen.append(total))
    seen.clear()
    memory = 2 * (cut.memory.fixed + 2 * cut.memory.per_query)  # two rows of a batch of two
    some = program.run(given, memory=memory, progress=lambda done, total: seen.append(total))
    assert seen == [2, 2]
    for name, x in whole.items():
        np.testing.assert_allclose(some[name], x, rtol=1e-5, atol=1e-6)
    chosen = program.run(given, {"z": [4, 1], "d": None}, memory=memory)
    np.testing.assert_allclose(chosen["z"], whole["z"][:, :, :, [4, 1]], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(chosen["d"], whole["d"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("process", "axis"),
    [
        ("process: {layers: 1, heads: 2}", "a"),
        ("process: {layers: 1, heads: 2, over: a}", "b"),
        ("process: {layers: 1, heads: 2, over: b}", "a"),
    ],
)
def test_what_can_be_cut(process: str, axis: str, tmp_path: Path) -> None:
    """Along an axis over which latents read each other nothing can be."""
    text = spec(f"{process}\noutputs: {{y: {{query: latents}}}}\n", symbols=True)
    _, program = written(tmp_path, text)
    cut = program.manifest.places
    assert cut is not None
    assert cut.axis == axis
    given = {n: x for n, x in arrays(1).items() if n != "p.points"}
    memory = cut.memory.fixed + cut.memory.per_query
    seen: list[int] = []
    some = program.run(given, memory=memory, progress=lambda done, total: seen.append(total))
    assert seen[0] == given["x"].shape[1 if axis == "a" else 3]
    np.testing.assert_allclose(some["y"], program.run(given)["y"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        spec("process: {layers: 0}\noutputs: {y: {query: latents}}\n"),  # of one size only
        spec("process: {layers: 0}\noutputs: {y: {query: latents}}\n", symbols=True).replace(
            "    attention_mask: true",  # a window reaches to other places
            "    steps: [{max_pool: {window: {a: 2, c: 2, b: 2}, stride: {a: 1, c: 1, b: 1}, "
            "padding: same}}]\n    attention_mask: true",
        ),
    ],
)
def test_what_cannot(text: str, tmp_path: Path) -> None:
    assert written(tmp_path, text)[1].manifest.places is None


def test_rewrites_save_as_much_as_for_as_many_problems() -> None:
    """With a head, projections are moved to the side of the latents, places or none."""
    rest = "process: {layers: 1, heads: 1}\ndecode: {heads: 1}\noutputs: {y: {query: latents}}\n"

    def saved(text: str) -> int:
        text = text.replace("channel: 5", "channel: 40").replace("linear: 5", "linear: 40")
        graph = lower(parse_spec(text)).graph
        found = optimize(graph, level=2, frozen=True)
        return cost.flops(graph, {"batch": 1}) - cost.flops(found, {"batch": 1})

    assert saved(spec(rest)) == 12 * saved(spec(rest, places=False)) > 0
