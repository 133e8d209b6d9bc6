"""Small artifacts for the targets that run something, compiled once for each process."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import perceiver_graph as pg

_REST = """
latents: {count: 3, width: 8}
process: {layers: 1, heads: 2}
outputs:
  label: {query: {learned: {}}, head: {linear: 3}, media: {classes: {}}}
"""
_HEAD = "perceiver: 1\nname: fuzzed\n"
SPECS = {
    "picture": _HEAD
    + "inputs: {image: {shape: {height: 8, width: 8, channel: 3}, media: {image: {}}}}"
    + _REST,
    "sound": _HEAD
    + "inputs: {audio: {shape: {time: 800, channel: 1}, steps: [{patch: {time: 16}}], "
    + "media: {audio: {rate: 16000}}}}"
    + _REST,
    "clip": _HEAD
    + "inputs:\n"
    + "  image: {shape: {time: 2, height: 8, width: 8, channel: 3}, media: {video: {rate: 25}}}\n"
    + "  audio: {shape: {time: 1280, channel: 1}, steps: [{patch: {time: 16}}], "
    + "media: {audio: {rate: 16000}}}\n"
    + "join: {padding: {min: 1}}\ndecode: {padding: {min: 1}}"
    + _REST,
    "points": _HEAD
    + "dims: {points: {max: 64}}\n"
    + "inputs: {points: {shape: {point: points, channel: 3}, attention_mask: true, media: {points: {}}}}"
    + _REST,
    "table": _HEAD
    + "dims: {rows: {max: 64}}\n"
    + "inputs: {rows: {shape: {row: rows, channel: 3}, attention_mask: true, media: {table: {}}}}"
    + _REST,
    "text": _HEAD
    + "dims: {length: {max: 64}}\n"
    + "inputs: {text: {shape: {length: length}, attention_mask: true, "
    + "steps: [{embedding: {vocabulary: 262, width: 8}}], media: {text: {}}}}"
    + _REST,
}


@cache
def _kept() -> tempfile.TemporaryDirectory[str]:
    """Goes when this process ends."""
    return tempfile.TemporaryDirectory(prefix="fuzzed")


@cache
def artifact(name: str) -> Path:
    """The folder of a compiled model; it lies outside of the folders of the cases."""
    folder = Path(_kept().name) / name
    pg.compile(SPECS[name]).save(folder)
    return folder


@cache
def content(name: str) -> dict[str, bytes]:
    """The files of a compiled model, under `model/`."""
    root = artifact(name)
    return {
        f"model/{path.relative_to(root)}": path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
