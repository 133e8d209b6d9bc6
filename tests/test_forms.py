"""Forms of a value join their family by being defined, whatever was read before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from perceiver_graph.spec.models import Linear, Step

SCRIPT = '''
from perceiver_graph.diagnostics.errors import DiagnosticError
from perceiver_graph.spec.loader import load_spec
from perceiver_graph.spec.models import Linear, Step
from perceiver_graph.spec.schema import json_schema

SPEC = """
perceiver: 1
name: small
inputs: {x: {shape: {time: 4, channel: 3}, steps: [STEP]}}
latents: {count: 2, width: 8}
process: {layers: 1}
outputs: {y: {query: {learned: {}}}}
"""


def refused(step):
    try:
        load_spec(SPEC.replace("STEP", step))
    except DiagnosticError as error:
        (found,) = error.diagnostics
        return found
    raise AssertionError(step)


assert "`residual" not in str(refused("{residul: []}"))  # builds the schema of what there is


class Residual(Step):
    """Steps whose result is added to what they took."""

    residual: list[Step]
    """The steps."""


spec = load_spec(SPEC.replace("STEP", "{residual: [{linear: 3}, {residual: []}]}")).spec
assert spec.inputs["x"].steps == [Residual(residual=[Linear(linear=3), Residual(residual=[])])]
assert "did you mean `residual`" in str(refused("{residul: []}"))
assert "steps.0.residual.0" in str(refused("{residual: [{linr: 3}]}"))
assert "The steps" in str(json_schema()["$defs"]["Residual"])
'''


def test_a_form_defined_after_a_spec_was_read_is_known_from_then_on(tmp_path: Path) -> None:
    run(tmp_path, SCRIPT)


def run(folder: Path, text: str) -> None:
    script = folder / "script.py"  # descriptions are read from the source
    script.write_text(text)
    done = subprocess.run(
        [sys.executable, str(script)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_key_names_one_form_of_a_family() -> None:
    with pytest.raises(TypeError, match="a step `linear` is there already"):

        class _Again(Step):
            linear: int

    assert Step.forms["linear"] is Linear


TWICE = """
from perceiver_graph.spec.models import Step


class One(Step):
    twice: int


try:

    class Two(Step):
        twice: int

except TypeError as error:
    assert "a step `twice` is there already" in str(error)
else:
    raise AssertionError
"""


def test_two_forms_of_one_file_have_two_keys(tmp_path: Path) -> None:
    run(tmp_path, TWICE)  # elsewhere: a form that was defined stays
