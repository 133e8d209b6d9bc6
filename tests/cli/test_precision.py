"""`compile --precision`: what it refuses, what it measures on, what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perceiver_graph.runtime.inputs import write_arrays
from tests.cli.support import Command
from tests.small import SMALL

SETTINGS = [part for override in SMALL["text_classification"] for part in ("--set", override)]
LARGER = ("--set", "latents.width=128", "--set", "process.v_width=128", "--set", "latents.count=64")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--precision", "fp16"], "on cpu: fp32, int8"),
        (["--precision", "bf16"], "or with `--target cuda` or `--target openvino`"),
        (["--precision", "bf16", "--device", "cpu"], "compile with `--precision int8`, or with"),
        (["--precision", "int8", "--device", "cuda"], "on cuda: fp32, fp16, bf16"),
        (["--precision", "int8", "--backend", "torch"], "not supported by the torch backend"),
        (["--calibrate", "in.npz"], "nothing to calibrate in precision fp32"),
    ],
)
def test_what_nothing_would_come_of_is_refused(
    arguments: Sequence[str], told: str, command: Command, tmp_path: Path
) -> None:
    done = command("compile", "kinetics", "-o", tmp_path / "a", *arguments)
    assert done.code == 1
    assert "error[PG602]" in done.err
    assert told in done.err
    assert not [*tmp_path.iterdir()]


def compiled(command: Command, folder: Path, *arguments: object) -> tuple[str, Any]:
    done = command(
        *("compile", "text_classification", "-o", folder, *SETTINGS, *LARGER),
        *("--precision", "int8", *arguments),
    )
    assert done.code == 0, done.err
    return done.out, json.loads((folder / "manifest.json").read_text())["quantization"]


def test_it_says_how_far_the_program_is_from_float32(command: Command, tmp_path: Path) -> None:
    told, found = compiled(command, tmp_path / "a")
    kept = len(found["kept"])
    assert f"int8: {found['int8']} of {found['int8'] + kept} products; in float: " in told
    assert "error against fp32 on random input, of each output:" in told
    label = found["error"]["label"]
    assert f"label  {label['largest']:.2%} of the largest number (rms {label['rms']:.2%})" in told


def test_float32_says_nothing_of_it(command: Command, tmp_path: Path) -> None:
    done = command("compile", "text_classification", "-o", tmp_path / "a", *SETTINGS)
    assert done.code == 0
    assert not re.search("int8|error", done.out)
    assert "quantization" not in json.loads((tmp_path / "a" / "manifest.json").read_text())


def test_calibration_reads_what_run_reads(command: Command, tmp_path: Path) -> None:
    """Ids of some length, with a mask of their own; results follow the numbers."""
    ids = np.random.default_rng(0).integers(0, 262, (2, 20))
    mask = np.arange(20) < np.array([[20], [11]])
    write_arrays(tmp_path / "some.npz", {"text": ids, "text.attention_mask": mask})
    write_arrays(tmp_path / "other.npz", {"text": ids[::-1] // 2})
    told, some = compiled(command, tmp_path / "a", "--calibrate", tmp_path / "some.npz")
    _, other = compiled(command, tmp_path / "b", "--calibrate", tmp_path / "other.npz")
    assert "error against fp32 on some.npz" in told
    assert some["input"] == "some.npz, its last 1 of 2"
    assert some["error"] != other["error"]


@pytest.mark.parametrize(
    ("arrays", "code"),
    [
        ({"txt": np.zeros((1, 20), np.int64)}, "PG502"),
        ({"text": np.full((1, 20), 300)}, "PG5"),
        ({"text": np.zeros((1, 2, 20), np.int64)}, "PG503"),
        (None, "PG513"),
    ],
)
def test_a_sample_that_does_not_fit_is_a_diagnostic(
    arrays: dict[str, Any] | None, code: str, command: Command, tmp_path: Path
) -> None:
    path = tmp_path / "in.npz"
    if arrays is not None:
        write_arrays(path, arrays)
    done = command(
        *("compile", "text_classification", "-o", tmp_path / "a", *SETTINGS),
        *("--precision", "int8", "--calibrate", path),
    )
    assert done.code == 1
    assert f"error[{code}" in done.err
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_half_precision_for_cuda_is_written_anywhere(
    precision: str, command: Command, tmp_path: Path
) -> None:
    done = command(
        *("compile", "text_classification", "-o", tmp_path / "a", *SETTINGS),
        *("--precision", precision, "--device", "cuda"),
    )
    assert done.code == 0, done.err
    manifest = json.loads((tmp_path / "a" / "manifest.json").read_text())
    assert manifest["precision"] == precision
    ports = [port for entry in manifest["programs"].values() for port in entry["inputs"]]
    assert {port["dtype"] for port in ports} <= {"float32", "int64", "bool"}
