"""The profile of a work: nodes of both engines on a tiny model, FLOPs, and the report of fixed figures."""

from __future__ import annotations

from dataclasses import replace

import pytest

import perceiver_graph as pg
from benchmarks import profile
from benchmarks.nodes import Node, flops_of, shapes_of
from benchmarks.tasks import Conditions, Task
from perceiver_graph.compiler.driver import Compiled
from perceiver_graph.compiler.programs import cost
from tests.test_benchmarks import tiny_work

RUNS = 2


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Task, Compiled]:
    folder = tmp_path_factory.mktemp("profiled")
    task = Task("ours", tiny_work(folder), Conditions("cpu", "fp32", 1, str(folder)))
    compiled = pg.compile(task.work.system.spec)
    compiled.save(task.prepared)
    compiled.save(replace(task, contender="ours-openvino").prepared)
    return task, compiled


@pytest.mark.parametrize("contender", ["ours", "ours-openvino"])
def test_each_node_is_timed(contender: str, prepared: tuple[Task, Compiled]) -> None:
    """All products are counted, and nothing twice."""
    task, compiled = prepared
    if contender == "ours-openvino":
        pytest.importorskip("openvino")
    found = profile.run(replace(task, contender=contender), RUNS)
    assert len(found.walls) == RUNS + 1
    seconds = [node.seconds(RUNS + 1) for node in found.nodes]
    assert 0 < sum(seconds) < found.wall
    counted = sum(node.flops_of_run(RUNS + 1) for node in found.nodes)
    flops = cost.estimate(compiled.optimized, task.work.sizes).flops
    assert counted == pytest.approx(flops, rel=0.15)  # what onnxruntime folds takes none
    assert any("-> 1x6x32" in node.shapes for node in found.nodes)
    text = profile.report(found, 1e9)
    assert "The slowest nodes:" in text
    assert text.splitlines()[-profile.SLOWEST].startswith("| `")


def test_flops_of_products() -> None:
    assert flops_of("FusedMatMul", [[1, 5, 7]], [1, 5, 3]) == 2 * 5 * 7 * 3
    assert flops_of("MatMul", [[1, 4, 5, 7], [1, 4, 7, 3]], [1, 4, 5, 3]) == 2 * 4 * 5 * 7 * 3
    assert flops_of("Conv", [[1, 3, 8, 8], [16, 3, 5, 5]], [1, 16, 4, 4]) == 2 * 16 * 16 * 3 * 25
    q, k, v = [1, 6, 8], [1, 10, 8], [1, 10, 4]
    assert flops_of("MultiHeadAttention", [q, k, v], [1, 6, 4]) == 2 * 6 * 10 * (8 + 4)
    assert flops_of("Softmax", [[1, 5]], [1, 5]) == 0
    assert shapes_of([[1, 5, 7], [], [3]], [1, 5]) == "1x5x7 -> 1x5"


def test_the_report_has_shares_and_rates() -> None:
    nodes = [
        Node("a/product", "MatMul", "8x4, 4x2 -> 8x2", 10**9, [9.0, 0.2, 0.4, 0.6]),
        Node("b/product", "MatMul", "", 10**9, [0.0, 0.1, 0.1, 0.1]),
        Node("norm", "LayerNormalization", "", 0, [1.0, 0.25, 0.25, 0.25]),
        Node("shape", "Shape", "", 0, [1.0, 1e-4, 1e-4, 1e-4]),
    ]
    text = profile.report(profile.Profile(nodes, [9.9, 1.0, 1.0, 2.0]), 8e9)
    assert "| MatMul | 2 | 500.00 | 50.0 % | 2.00 | 4 | 50 % |" in text
    assert "| LayerNormalization | 1 | 250.00 | 25.0 % |  |  |  |" in text
    assert "| others | 1 | 0.10 | 0.0 % |  |  |  |" in text
    assert "| between nodes |  | 249.90 | 25.0 % |  |  |  |" in text
    slowest = "| `a/product` | MatMul | 400.00 | 40.0 % | 1.00 | 2 | 31 % | 8x4, 4x2 -> 8x2 |"
    assert slowest in text


def test_chunks_of_a_run_are_put_together() -> None:
    node = Node("n", "MatMul", "", 5, [9.0, 9.0, 1.0, 2.0, 3.0, 4.0])
    assert node.seconds(3) == 5.0
    assert node.flops_of_run(3) == 10


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["kinetics"], "invalid choice: 'kinetics'"),
        (["kinetics-chunk", "--precision", "bf16"], "perceiver-graph is not among the contenders"),
        (["kinetics-chunk", "--runs", "0"], "--runs 0 is not 1 or more"),
    ],
)
def test_what_cannot_be_profiled_is_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        profile.main(arguments)
    assert said in capsys.readouterr().err
