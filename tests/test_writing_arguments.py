"""Arguments of `generate`: programs, modules and the command line have the same rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import perceiver_graph as pg
from perceiver_graph.cli import main
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.spec.loader import parse_spec
from tests.test_generation import SPEC

IDS = [[1, 2, 3]]
A_NUMBER = "must be a number, not "
ABOVE_0 = "a whole number, 1 or more, not "
SEEDS = "a whole number, 0 or more and below 2**64, not "
COUNT = "a whole number, 0 or more, not "
WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"tokens": 2.5}, TypeError, f"tokens must be {COUNT}"),
    ({"tokens": "3"}, TypeError, f"tokens must be {COUNT}"),
    ({"tokens": True}, TypeError, f"tokens must be {COUNT}"),
    ({"tokens": np.True_}, TypeError, f"tokens must be {COUNT}"),
    ({"tokens": np.array([1, 2])}, TypeError, f"tokens must be {COUNT}"),
    ({"tokens": None}, TypeError, f"tokens must be {COUNT}None"),
    ({"tokens": -1}, ValueError, f"tokens must be {COUNT}-1"),
    ({"temperature": "a"}, TypeError, f"temperature {A_NUMBER}"),
    ({"temperature": True}, TypeError, f"temperature {A_NUMBER}"),
    ({"temperature": 1j}, TypeError, f"temperature {A_NUMBER}"),
    ({"temperature": np.complex64(1)}, TypeError, f"temperature {A_NUMBER}"),
    ({"temperature": np.nan}, ValueError, "temperature must be 0 or more and finite, not nan"),
    ({"temperature": np.inf}, ValueError, "temperature must be 0 or more and finite, not inf"),
    ({"temperature": -0.5}, ValueError, "temperature must be 0 or more and finite, not -0.5"),
    ({"top_p": None}, TypeError, f"top_p {A_NUMBER}None"),
    ({"top_p": 0}, ValueError, "top_p must be above 0 and at most 1, not 0"),
    ({"top_p": 2}, ValueError, "top_p must be above 0 and at most 1, not 2"),
    ({"top_p": np.nan}, ValueError, "top_p must be above 0 and at most 1, not nan"),
    ({"top_k": 2.5}, TypeError, f"top_k must be {ABOVE_0}"),
    ({"top_k": False}, TypeError, f"top_k must be {ABOVE_0}"),
    ({"top_k": 0}, ValueError, f"top_k must be {ABOVE_0}0"),
    ({"seed": 1.5}, TypeError, f"seed must be {SEEDS}"),
    ({"seed": "x"}, TypeError, f"seed must be {SEEDS}"),
    ({"seed": None}, TypeError, f"seed must be {SEEDS}None"),
    ({"seed": -1}, ValueError, f"seed must be {SEEDS}-1"),
    ({"seed": 2**70}, ValueError, f"seed must be {SEEDS}{2**70}"),
    ({"inputs": 3}, TypeError, "inputs must be "),
    ({"inputs": {"text": IDS}}, ValueError, "inputs has `text`, which `begin` is"),
    ({"begin": None}, TypeError, "begin must be "),
    ({"begin": b"abc"}, TypeError, "begin must be "),
    ({"begin": {"text": IDS}}, TypeError, "begin must be "),
    ({"stop": 3}, TypeError, "stop must be a collection of ids"),
    ({"stop": "3"}, TypeError, "stop must be a collection of ids"),
    ({"stop": [1.0]}, TypeError, "stop must be a collection of ids, whole numbers, not "),
    ({"stop": [True]}, TypeError, "stop must be a collection of ids, whole numbers, not "),
    ({"stop": [11]}, ValueError, "stop"),
    ({"stop": [2**70]}, ValueError, "stop"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("writer") / "artifact"
    pg.compile(parse_spec(SPEC, "writer.yaml")).save(folder, backends=("onnx", "torch"))
    return folder


@pytest.fixture(scope="module")
def program(folder: Path) -> Any:
    return pg.load(folder, device="cpu")


@pytest.fixture(scope="module")
def model() -> Any:
    return pg.compile(parse_spec(SPEC, "writer.yaml")).to_torch().eval()


@pytest.mark.parametrize(("given", "error", "said"), WRONG, ids=str)
@pytest.mark.parametrize("whose", ["program", "model"])
def test_what_is_wrong_is_told_alike(
    whose: str, given: dict[str, Any], error: type[Exception], said: str, request: Any
) -> None:
    one = request.getfixturevalue(whose)
    arguments: dict[str, Any] = {"begin": IDS, "tokens": 1, **given}
    with pytest.raises(error) as found:
        one.generate(**arguments)
    assert str(found.value).startswith(said)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    "begin",
    ["abc", [[1, 2], [3]], [["a"]], [[2**70]], 3, True, [], torch.ones(1, 2), ...],
    ids=repr,
)
def test_what_are_no_ids_is_refused(begin: Any, model: Any, program: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"begin must be|`text`"):
        model.generate(begin, 1)
    with pytest.raises(DiagnosticError):
        program.generate(begin, 1)


@pytest.mark.parametrize(
    "given",
    [
        {"tokens": np.int8(2)},
        {"tokens": torch.tensor(2)},
        {"temperature": np.float32(0.5)},
        {"temperature": np.int64(1), "top_p": 1, "top_k": np.uint16(3), "seed": 2**64 - 1},
        {"stop": np.array([1, 2])},
        {"stop": {1: 2}},
        {"top_k": 2**70},
        {"begin": np.array(IDS, np.uint16)},
        {"begin": torch.tensor(IDS, dtype=torch.int32)},
        {"inputs": {}},
    ],
    ids=str,
)
def test_numbers_of_any_kind_are_taken(given: dict[str, Any], model: Any, program: Any) -> None:
    arguments: dict[str, Any] = {"begin": IDS, "tokens": 2, **given}
    for one in (model, program):
        assert 1 <= len(list(one.generate(**arguments))) <= 2


@pytest.mark.parametrize(
    "options",
    [
        *(["--seed", one] for one in ("1.5", "x", str(2**64), "-1")),
        *(["--temperature", one] for one in ("nan", "inf", "1e400", "-1", "a", "")),
        *(["--top-p", one] for one in ("0", "2", "nan", "a")),
        *(["--top-k", one] for one in ("0", "2.5", "a")),
        *(["--generate", one] for one in ("2.5", "-1", "True")),
    ],
    ids=" ".join,
)
def test_options_that_are_wrong(
    options: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = folder.parent / "ids.npz"
    np.savez(given, text=np.array(IDS))
    code = main(["run", str(folder), "--inputs", str(given), "--generate", "1", *options])
    said = capsys.readouterr().err
    assert code == 2
    assert said.startswith(f"error[PG620]: `{options[0]}`")
