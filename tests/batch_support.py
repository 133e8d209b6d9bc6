"""A small text model, texts for it, and what a batch has left of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import perceiver_graph as pg
from perceiver_graph.cluster.job import Item, Job
from perceiver_graph.runtime import load

SPEC = """
perceiver: 1
name: reader
dims: {length: {max: 24}}
inputs:
  text:
    shape: {length: length}
    steps: [{embedding: {vocabulary: 262, width: 16}}]
    position: {learned: {}, combine: add}
    media: {text: {}}
latents: {count: 4, width: 16}
process: {layers: 1, heads: 4}
outputs:
  label: {query: {learned: {}}, head: {linear: 3}, media: {classes: {}}}
"""
TOO_LONG = "a text that is much too long for this model"


def compiled(folder: Path, seed: int = 0) -> Path:
    """The artifact."""
    pg.compile(SPEC).save(folder, seed=seed)
    return folder


def texts(folder: Path, count: int) -> list[Path]:
    """So many files, the lengths of which come again and again."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:03}.txt" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_text(f"text {'abcdefg'[: number % 4]} {number:03}", encoding="utf-8")
    return paths


def job_of(artifact: Path, out: Path, **settings: Any) -> Job:
    """What workers are told."""
    digest = load(artifact, device="cpu").artifact.digest
    return Job(str(artifact), digest, str(out), device="cpu", threads=1, **settings)


def items_of(job: Job, paths: list[Path]) -> list[Item]:
    """An item a file."""
    return [Item(path.name, (str(path),)).keyed(job) for path in paths]


def lines(out: Path) -> list[dict[str, Any]]:
    """What the ledger says."""
    return [json.loads(line) for line in (out / "batch.jsonl").read_text("utf-8").splitlines()]


def states(out: Path) -> dict[str, list[str]]:
    """All that the ledger says of each item."""
    found: dict[str, list[str]] = {}
    for line in lines(out):
        found.setdefault(line["name"], []).append(line["state"])
    return found


def summary(folder: Path) -> dict[str, Any]:
    """What the one summary in a folder says, but for what names files and versions of them."""
    (path,) = folder.glob("*.json")
    data: dict[str, Any] = json.loads(path.read_text("utf-8"))
    for name in ("batch", "sha256", "source", "files"):
        data.pop(name, None)
    return data
