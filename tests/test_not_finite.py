"""Numbers that are not finite: null in JSON, and a note; never NaN, a warning or an error."""

from __future__ import annotations

import ast
import json
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perceiver_graph.diagnostics import escape
from perceiver_graph.media.scores.writer import ScoresWriter
from perceiver_graph.runtime import load
from perceiver_graph.runtime.program import Program
from perceiver_graph.runtime.run import run_files
from perceiver_graph.spec.manifest import OutputEntry
from tests.test_run_systems import RUNS, compiled

PACKAGE = Path(__file__).parent.parent / "perceiver_graph"
SYSTEMS = (
    *("kinetics", "language", "token_classification", "question_answering", "object_detection"),
    *("optical_flow", "starcraft", "glue_multitask"),
)


def strict(text: str) -> Any:
    """JSON as everybody but Python reads it."""

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(VALUES, st.booleans(), st.sampled_from([None, 0, 1, 2]))
def test_json_is_json(value: Any, as_it_is: bool, indent: int | None) -> None:
    text = escape.json(value, indent=indent, as_it_is=as_it_is)
    assert text.endswith("\n")
    assert escape.json(strict(text), indent=indent, as_it_is=as_it_is) == text


def test_text_of_json_that_cannot_be_seen_is_escaped() -> None:
    text = "\x7f\x9b\u202e\u2028\ud800\U000e0041 é 好 \n"
    shown = escape.json(text, as_it_is=True, end="")
    assert shown == '"\\u007f\\u009b\\u202e\\u2028\\ud800\\udb40\\udc41 é 好 \\n"'
    assert strict(shown) == text


def test_what_is_not_finite_is_null() -> None:
    value = {"a": [1.5, float("nan"), (float("inf"), -float("inf"))], "b": 2}
    assert strict(escape.json(value)) == {"a": [1.5, None, [None, None]], "b": 2}
    assert escape.json({"b": 1.0, "a": "é"}, indent=0, end="") == '{"b":1.0,"a":"\\u00e9"}'
    assert escape.json(["é"], indent=None, as_it_is=True) == '["é"]\n'


def _is_json(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and "json" in node.id


def test_all_json_is_written_by_one_function() -> None:
    writers = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and _is_json(node.value) and "dump" in node.attr
    }
    # orjson has null for what is not finite, too, and takes arrays as they are.
    assert writers == {"diagnostics/escape.py", "serving/wire.py"}


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_results_that_overflowed_are_told(
    name: str, value: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = Program.decode

    def overflowing(self: Program, *args: Any, **options: Any) -> dict[str, Any]:
        results = decode(self, *args, **options)
        return {key: np.full_like(array, value) for key, array in results.items()}

    make, files, outputs = RUNS[name]
    program = load(compiled(name, tmp_path), device="cpu")
    monkeypatch.setattr(Program, "decode", overflowing)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = run_files(program, make(tmp_path), tmp_path / "out")
    assert [path.name for path in found[0].files] == files
    (summary,) = (path for path in found[0].files if path.suffix == ".json")
    data = strict(summary.read_text(encoding="utf-8"))
    assert list(data["outputs"]) == outputs
    for output in program.manifest.outputs:
        assert any(f"`{output}` is not finite" in note for note in data["notes"])
    assert "nan%" not in " ".join(str(one.line) for one in found[0].answers.values())


def test_finite_results_are_not_talked_about(tmp_path: Path) -> None:
    make, _, _ = RUNS["imagenet_conv"]
    program = load(compiled("imagenet_conv", tmp_path), device="cpu")
    assert run_files(program, make(tmp_path), tmp_path / "out")[0].notes == ()


def test_the_line_of_scores_has_null_as_the_json_has() -> None:
    (writer,) = ScoresWriter.of({"y": _scores()}, None)  # type: ignore[arg-type]
    writer.add(SimpleNamespace(part=1.0), {"y": np.array([[np.inf, 1.5, np.nan]], np.float32)})  # type: ignore[arg-type]
    assert writer.finish({})["y"].line == "[null, 1.5, null]"


def _scores() -> OutputEntry:
    entry = {"dtype": "float32", "axes": ["batch", "channel"], "shape": ["batch", 3], "queries": 1}
    return OutputEntry.model_validate(
        {**entry, "chunk_queries": 1, "selectable": False, "media": {"scores": {}}}
    )
