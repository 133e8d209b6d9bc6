"""Artifacts whose media do not fit: what the compiler refuses, and another release may have written."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

import perceiver_graph as pg
from perceiver_graph.diagnostics import Diagnostic
from perceiver_graph.runtime import Program, load
from perceiver_graph.spec.loader import parse_spec
from tests.tiny import fault


def refusal(spec: str) -> Diagnostic:
    """What the compiler says to a spec."""
    return fault(lambda: pg.compile(parse_spec(spec)))


def unchecked(spec: str, folder: Path) -> Program:
    """A spec that is compiled without its media, which are written into the manifest afterwards."""
    data = yaml.safe_load(spec)
    parts = [(side, name) for side in ("inputs", "outputs") for name in data[side]]
    media = {(side, name): data[side][name].pop("media", None) for side, name in parts}
    pg.compile(parse_spec(yaml.safe_dump(data, sort_keys=False))).save(folder)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    for (side, name), kind in media.items():
        if kind is not None:
            manifest[side][name]["media"] = kind
    path.write_text(json.dumps(manifest), encoding="utf-8")
    return load(folder, device="cpu")
