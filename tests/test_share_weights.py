"""Weights that processes have in memory once: the same numbers, less memory, and a cache that may fail."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import perceiver_graph as pg
from benchmarks import sharing
from perceiver_graph.cluster import run_batch
from perceiver_graph.runtime import Program, laid_out, load
from perceiver_graph.runtime.random_inputs import random_inputs
from perceiver_graph.storage.kept_folders import KeptFolders
from tests.batch_support import compiled, texts
from tests.small import SMALL
from tests.tiny import fault

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PERCEIVER_GRAPH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


def saved(name: str, folder: Path, **settings: Any) -> Path:
    pg.compile(name, overrides=list(SMALL[name]), **settings).save(folder)
    return folder


def results(program: Program) -> dict[str, Any]:
    return dict(program.run(random_inputs(program.manifest, {}, 0).arrays))


def shared(folder: Path) -> Program:
    return load(folder, device="cpu", threads=1, share_weights=True)


@pytest.mark.parametrize(
    ("name", "precision"),
    [("kinetics", "fp32"), ("language", "fp32"), ("imagenet_conv", "fp32"), ("language", "int8")],
)
def test_results_are_the_same(name: str, precision: Any, tmp_path: Path, cache: Path) -> None:
    folder = saved(name, tmp_path / "a", precision=precision)
    program = shared(folder)
    for once in (results(program), results(shared(folder))):  # laid out now, and before
        for output, array in results(load(folder, device="cpu", threads=1)).items():
            np.testing.assert_array_equal(once[output], array)
    assert len([*cache.iterdir()]) == len(program.manifest.programs)
    assert program.engine.name == "onnxruntime"


def test_what_is_laid_out_is_not_laid_out_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved("language", tmp_path / "a")
    wanted = results(shared(folder))
    monkeypatch.setattr(laid_out, "_write", None)
    again = pickle.loads(pickle.dumps(shared(folder)))
    assert again.device.shares
    np.testing.assert_equal(results(again), wanted)
    features = frozenset({"another processor"})
    monkeypatch.setattr(laid_out, "processor_features", lambda: features)
    assert (
        fault(lambda: results(shared(folder))).code == "PG406"
    )  # it would be written for that one


def test_what_is_damaged_is_laid_out_anew(tmp_path: Path, cache: Path) -> None:
    folder = saved("language", tmp_path / "a")
    wanted = results(shared(folder))
    for file in ("weights.bin", "model.onnx", "files.json"):
        for path in cache.glob(f"*/{file}"):
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
        np.testing.assert_equal(results(shared(folder)), wanted)


def test_a_disk_without_room_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = saved("language", tmp_path / "a")
    monkeypatch.setattr(laid_out, "_BESIDE", 2**60)
    found = fault(lambda: results(shared(folder)))
    assert (found.code, "are free" in found.message) == ("PG511", True)
    (tmp_path / "file").touch()
    monkeypatch.setenv("PERCEIVER_GRAPH_CACHE", str(tmp_path / "file"))
    assert fault(lambda: results(shared(folder))).code == "PG511"


def test_those_used_longest_ago_go_first(cache: Path) -> None:
    kept = KeptFolders("weights", most=2500)

    def write(folder: Path) -> None:
        (folder / "a").write_bytes(bytes(1000))

    def make(key: str) -> None:
        kept.make(key, write, 0)

    for number, key in enumerate(("one", "two")):
        make(key)
        os.utime(cache / key / "files.json", (number, number))
    assert kept.find("one") is not None
    (cache / ".dead.new").mkdir()
    os.utime(cache / ".dead.new", (0, 0))
    make("three")
    assert {path.name for path in cache.iterdir()} == {"one", "three"}
    assert kept.find("two") is None


LARGE = """
perceiver: 1
name: large
inputs:
  text:
    shape: {length: 16}
    steps: [{embedding: {vocabulary: 262, width: 64}}]
    media: {text: {}}
latents: {count: 8, width: 1024}
process: {layers: 4, heads: 8, share: false}
outputs:
  label: {query: {learned: {}}, head: {linear: 3}, media: {classes: {}}}
"""


def test_it_takes_the_memory_of_the_weights_once(tmp_path: Path) -> None:
    folder = tmp_path / "large"
    pg.compile(LARGE).save(folder)
    weights = sum(path.stat().st_size for path in folder.iterdir()) >> 20
    assert weights > 100
    results(shared(folder))  # so that neither is the one that lays them out
    alone, together = [
        [memory["own"] for _, memory in sharing.measure(folder, [], 2, shared=way)]
        for way in (False, True)
    ]
    assert max(together) < min(alone) - 0.8 * weights


def test_a_batch_of_several_workers_shares(tmp_path: Path, cache: Path) -> None:
    folder, paths = compiled(tmp_path / "reader"), texts(tmp_path / "in", 6)
    found = run_batch(folder, paths, tmp_path / "out", workers=2, threads=1, share_weights=True)
    assert (found.done, found.failed) == (6, 0)
    assert [*cache.glob("*/weights.bin")]
