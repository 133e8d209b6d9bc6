"""Artifacts: manifests that say other things, programs of other nodes, files that are damaged."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping
from functools import cache

import onnx

from tests.fuzz.case import Commands, Files
from tests.fuzz.damage import damaged, json_changed
from tests.fuzz.targets.models import SPECS, content
from tests.test_hostile_artifacts import scramble

MANIFEST = "model/manifest.json"


class Target:
    """Run; most of the time the digests are made right again, so that more than them is tested."""

    name = "artifacts"

    def bases(self) -> Mapping[str, Files]:
        """The models that take numbers alone, and text."""
        return _bases()

    def step(self, files: Files, chance: random.Random) -> Files:
        """A change of one file."""
        changed = dict(files)
        programs = [name for name in files if name.endswith(".onnx")]
        others = [name for name in files if name not in programs]
        match chance.randrange(6):
            case 0 | 1 | 2:
                changed[MANIFEST] = json_changed(files.get(MANIFEST, b""), chance)
            case 3 if programs:
                name = chance.choice(programs)
                changed[name] = _scrambled(files[name], chance)
            case 4 if others:
                name = chance.choice(others)
                changed[name] = damaged(files[name], chance)
            case _:
                changed.pop(chance.choice(sorted(files)), None)
        if chance.random() < 0.9:
            changed = dict(with_right_digests(changed))
        return changed or files

    def commands(self, base: str, files: Files, chance: random.Random) -> Commands:
        """Run on random inputs."""
        return [["run", "model", "--random", "-o", "out.npz", "--device", "cpu"]]


@cache
def _bases() -> Mapping[str, Files]:
    return {name: content(name) for name in SPECS}


def _scrambled(program: bytes, chance: random.Random) -> bytes:
    try:
        model = onnx.load_from_string(program)
        scramble(model, chance)
    except Exception:  # noqa: BLE001 - protobuf refuses what an earlier step has left
        return program
    return bytes(model.SerializeToString())


def with_right_digests(files: Files) -> Files:
    """The files with a manifest that lists them as they are, where it is still one."""
    try:
        data = json.loads(files[MANIFEST])
        for name, entry in data["files"].items():
            found = files.get(f"model/{name}")
            if found is not None:
                entry |= {"sha256": hashlib.sha256(found).hexdigest(), "bytes": len(found)}
        text = json.dumps(data).encode("utf-8", "surrogatepass")
    except (ValueError, KeyError, TypeError, AttributeError):
        return files
    return {**files, MANIFEST: text}
