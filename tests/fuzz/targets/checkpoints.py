"""Checkpoints: folders of transformers, DeepMind's pickles, torch's archives, weights of our own."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path

import perceiver_graph as pg
from tests import deepmind_files, import_support
from tests.fuzz.case import Commands, Files
from tests.fuzz.damage import damaged, json_changed
from tests.fuzz.targets.models import SPECS

_KINDS = ("MaskedLM", "ImageClassificationFourier", "OpticalFlow")


class Target:
    """Import them, or compile with them."""

    name = "checkpoints"

    def bases(self) -> Mapping[str, Files]:
        """Each with small sizes."""
        return _bases()

    def step(self, files: Files, chance: random.Random) -> Files:
        """A change of one file, or one file less."""
        name = chance.choice(sorted(files))
        if len(files) > 1 and chance.random() < 0.05:
            return {other: content for other, content in files.items() if other != name}
        change = json_changed if name.endswith(".json") and chance.random() < 0.8 else damaged
        return {**files, name: change(files[name], chance)}

    def commands(self, base: str, files: Files, chance: random.Random) -> Commands:
        """What is imported compiles with its weights; own weights go to their spec."""
        if base in ("weights", "torch"):
            name = max(files)
            backend = chance.choice(("onnx", "torch"))
            return [["compile", "a.yaml", "--weights", name, "--backend", backend, "-o", "a"]]
        source = "checkpoint" if base.startswith("folder") else sorted(files)[0]
        spec, weights = "b/spec.yaml", "b/weights.safetensors"
        return [
            ["import", source, "-o", "b"],
            ["compile", spec, "--weights", weights, "-o", "a"],
        ]


@cache
def _bases() -> Mapping[str, Files]:
    found = {f"folder-{kind}": _content(partial(_saved, kind)) for kind in _KINDS}
    found["folder-torch"] = _content(_saved_by_torch)
    found["pickle"] = _content(_pickled)
    found["weights"] = _content(_own_weights)
    found["torch"] = _content(_torch_archive)
    return found


def _content(make: Callable[[Path], object]) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder)
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }


def _saved(kind: str, folder: Path) -> None:
    import_support.save(import_support.model(kind), folder / "checkpoint")
    text = '{"image_processor_type": "PerceiverImageProcessor", "size": {"height": 4, "width": 4}}'
    (folder / "checkpoint" / "preprocessor_config.json").write_text(text)


def _saved_by_torch(folder: Path) -> None:
    import torch
    from safetensors.torch import load_file

    _saved("MaskedLM", folder)
    weights = folder / "checkpoint" / "model.safetensors"
    torch.save(load_file(weights), weights.with_name("pytorch_model.bin"))
    weights.unlink()


def _pickled(folder: Path) -> None:
    kind = "ImageClassificationFourier"
    deepmind_files.write(kind, import_support.model(kind, num_self_attends_per_block=6), folder)


def _own_weights(folder: Path) -> None:
    from safetensors.torch import save_file

    (folder / "a.yaml").write_text(SPECS["picture"])
    save_file(dict(pg.compile(SPECS["picture"]).to_torch().state_dict()), folder / "w.safetensors")


def _torch_archive(folder: Path) -> None:
    import torch

    (folder / "a.yaml").write_text(SPECS["picture"])
    torch.save(pg.compile(SPECS["picture"]).to_torch().state_dict(), folder / "w.pt")
