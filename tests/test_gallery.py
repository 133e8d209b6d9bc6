"""The gallery shows each model that has weights, and only those; measuring one keeps the others."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor
from torch.utils.data import Dataset

import perceiver_graph as pg
from perceiver_graph.storage import staged_file
from recipes import base, gallery
from recipes.__main__ import known, recipe

SPEC = """
perceiver: 1
name: small
inputs: {picture: {shape: {height: 2, width: 2, channel: 3}, position: {fourier: {bands: 1}}}}
latents: {count: 2, width: 8}
process: {layers: 1, heads: 2}
outputs: {label: {query: {learned: {}}, head: {linear: 2}}}
"""


class Toy(base.Recipe):
    steps, batch, rate = 1, 1, 1e-3
    name = ""
    spec, weights = Path(), Path()

    def prepare(self) -> None:
        pass

    def examples(self) -> Dataset[base.Batch]:
        raise NotImplementedError

    def loss(self, model: Callable[..., Mapping[str, Tensor]], batch: base.Batch) -> Tensor:
        raise NotImplementedError

    def measure(self, run: base.Run) -> list[base.Figure]:
        found = run({"picture": np.zeros((3, 2, 2, 3), np.float32)})["label"]
        return [base.Figure("answers", float(len(found)), "answers", 2)]

    def show(self, run: base.Run, pictures: Path) -> str:
        return f"It is called {self.name}.\n"


def toy(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch, trained: bool = True) -> Toy:
    made = Toy(folder)
    place = folder / name
    place.mkdir()
    (place / "README.md").write_text(f"# {name}: what it does\n")
    (place / "spec.yaml").write_text(SPEC)
    for attribute, value in {
        "name": name,
        "spec": place / "spec.yaml",
        "weights": place / "weights.safetensors",
    }.items():
        monkeypatch.setattr(made, attribute, value, raising=False)
    if trained:
        from safetensors.numpy import save

        with staged_file(made.weights) as temporary:
            temporary.write_bytes(save(dict(pg.compile(made.spec).weights(seed=1))))
    return made


def test_each_trained_model_has_a_section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toys = [toy(tmp_path, name, monkeypatch, name != "new") for name in ("b", "new", "a")]
    page = gallery.renew(toys, [], tmp_path / "build", tmp_path)
    found = gallery.sections(page.read_text())
    assert list(found) == ["a", "b"]
    assert "What it does ([card](../recipes/a/README.md))." in found["a"]
    assert "It is called b." in found["b"]
    assert "| answers, answers | 2 | 3.00 | 3.00 | 3.00 |" in found["a"]


def test_a_model_that_is_not_measured_keeps_its_section(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toys = [toy(tmp_path, name, monkeypatch) for name in ("a", "b")]
    page = gallery.renew(toys, [], tmp_path / "build", tmp_path)
    text = page.read_text()
    page.write_text(text.replace("called a", "called old").replace("called b", "called old"))
    gallery.renew(toys, ["a"], tmp_path / "build", tmp_path)
    assert page.read_text() == text.replace("called b", "called old")


def test_the_gallery_shows_models_that_are_trained() -> None:
    shown = gallery.sections((gallery.DOCS / "gallery.md").read_text())
    assert "clips" in shown
    assert set(shown) <= {name for name in known() if recipe(name).weights.exists()}
