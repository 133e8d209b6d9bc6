"""What is said of a whole clip is a mean over its windows, weighted by how much of each it covers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import perceiver_graph as pg
from perceiver_graph.media.scores.probabilities import probabilities
from perceiver_graph.runtime import Program, load
from perceiver_graph.runtime.run import run_files
from perceiver_graph.spec.loader import parse_spec
from tests.media_files import wav

SPEC = """
perceiver: 1
name: listener
inputs:
  sound:
    shape: {time: 1600, channel: 1}
    steps: [{patch: {time: 16}}]
    position: {fourier: {bands: 4}}
    media: {audio: {rate: 16000}}
latents: {count: 4, width: 16}
process: {layers: 1, heads: 2}
outputs:
  value: {query: {learned: {}}, head: {linear: 6}, media: {scores: {}}}
  label: {query: {learned: {}}, head: {linear: 5}, media: {classes: {top: 5}}}
  tags: {query: {learned: {}}, head: {linear: 5}, media: {classes: {top: 5, multi_label: true}}}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder = tmp_path_factory.mktemp("compiled") / "listener"
    pg.compile(parse_spec(SPEC)).save(folder)
    return load(folder, device="cpu")


def by_index(said: list[dict[str, Any]]) -> list[float]:
    return [one["probability"] for one in sorted(said, key=lambda one: one["index"])]


@pytest.mark.parametrize("count", [1, 700, 1600, 1601, 2000, 4800, 5200])
def test_a_window_counts_as_much_as_the_clip_covers_of_it(
    program: Program, count: int, tmp_path: Path
) -> None:
    sound = np.random.default_rng(5).integers(-20_000, 20_000, (count, 1)).astype(np.int16)
    (tmp_path / "a.wav").write_bytes(wav(sound))
    run_files(program, [tmp_path / "a.wav"], tmp_path)
    said = json.loads((tmp_path / "a.json").read_text())

    padded = np.zeros((-(-count // 1600) * 1600, 1), np.float32)
    padded[:count] = sound / np.float32(2**15)
    results = program.run({"sound": padded.reshape(-1, 1600, 1)})
    covered = [min(1600, count - start) for start in range(0, count, 1600)]

    windows: dict[str, Any] = {
        "value": results["value"].reshape(-1, 6),
        "label": [probabilities(row) for row in results["label"].reshape(-1, 5)],
        "tags": 1 / (1 + np.exp(-results["tags"].reshape(-1, 5))),
    }
    for name, values in windows.items():
        numbers = by_index if name != "value" else list
        found = [numbers(one[name]) for one in said["windows"]]
        np.testing.assert_allclose(found, values, rtol=1e-4, atol=1e-6)
        # Of random weights, windows are much alike: the mean is held against what was said of each.
        mean = np.average(found, axis=0, weights=covered)
        np.testing.assert_allclose(numbers(said["outputs"][name]), mean, rtol=1e-12)
    if len(covered) == 1:
        assert said["outputs"]["value"] == said["windows"][0]["value"]
