"""Recipes: their models are there and small, data is what it was, and training goes on where it ended."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

import perceiver_graph as pg
from perceiver_graph.media.image.reader import ImageReader
from recipes import base
from recipes.__main__ import known, recipe
from recipes.downloads import deb_files, fetch
from recipes.pictures.recipe import mixed, on_white, varied
from recipes.sheets import sheet
from recipes.text.recipe import held_out, padded, page_of, sentences_of, untranslated
from recipes.training import train

SMALL = """
perceiver: 1
name: small
inputs:
  picture: {shape: {height: 2, width: 2, channel: 3}, position: {fourier: {bands: 1}}}
latents: {count: 2, width: 8}
process: {layers: 1, heads: 2}
outputs:
  label: {query: {learned: {}}, head: {linear: 2}}
"""


@pytest.mark.parametrize("name", known())
def test_a_recipe_is_a_spec_and_a_card(name: str) -> None:
    found = recipe(name)
    compiled = pg.compile(found.spec)
    assert sum(array.nbytes for array in compiled.weights(seed=found.seed).values()) <= 4_000_000
    card = found.spec.with_name("README.md").read_text()
    for part in ("## Data", "## Licence", "## Training"):
        assert part in card
    assert f"{compiled.graph.parameter_count:,}" in card


def test_pictures_stand_in_rows_and_what_is_wrong_has_a_frame() -> None:
    grey = Image.new("RGB", (6, 4), "grey")
    page = sheet({"right": [(grey, False)], "wrong": [(grey, False), (grey, True)]}, 2, words=50)
    pixels = np.asarray(page)
    assert page.size == (50 + 2 * 14, 2 * 12)
    assert (pixels[16:20, 68:74] == grey.getpixel((0, 0))).all()
    red = (pixels == (255, 0, 0)).all(axis=-1)
    assert red.sum() == 12 * 10 - 6 * 4
    assert red[13:23, 65:77].sum() == red.sum()
    assert (pixels[4:8, 68:74] == 255).all()


def test_what_is_not_translated_is_left_out() -> None:
    assert untranslated("If the file is not there, it is created.")
    assert untranslated("set DEBUG in the shell")
    assert not untranslated("Er det en fil, som ikke findes, oprettes den med navnet THE.")


class Bright(Dataset[base.Batch]):
    def __len__(self) -> int:
        return 32

    def __getitem__(self, index: int) -> base.Batch:
        picture = np.full((2, 2, 3), index % 2, np.float32)
        return {"picture": picture, "label": np.int64(index % 2)}


class Toy(base.Recipe):
    steps: ClassVar[int] = 120
    batch, rate = 8, 1e-2
    name = "toy"
    spec, weights = Path(), Path()

    def prepare(self) -> None:
        pass

    def examples(self) -> Bright:
        return Bright()

    def loss(self, model: Callable[..., Mapping[str, Tensor]], batch: base.Batch) -> Tensor:
        scores = model({"picture": batch["picture"]})["label"]
        return torch.nn.functional.cross_entropy(scores, batch["label"])

    def measure(self, run: base.Run) -> list[base.Figure]:
        return []


def test_training_goes_on_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = Toy(tmp_path)
    monkeypatch.setattr(toy, "spec", tmp_path / "spec.yaml")
    monkeypatch.setattr(toy, "weights", tmp_path / "weights.safetensors")
    toy.spec.write_text(SMALL)
    batches = 0
    plain = toy.loss

    def counted(model: Callable[..., Mapping[str, Tensor]], batch: base.Batch) -> Tensor:
        nonlocal batches
        batches += 1
        if batches == 110:
            raise RuntimeError("the power failed")
        return plain(model, batch)

    monkeypatch.setattr(toy, "loss", counted)
    with pytest.raises(RuntimeError, match="power"):
        train(toy, tmp_path / "build")
    assert not toy.weights.exists()
    train(toy, tmp_path / "build")
    assert batches == 110 + 20
    model = pg.compile(toy.spec).to_torch(toy.weights)
    with torch.no_grad():
        scores = model(
            {"picture": torch.tensor([0.0, 1.0])[:, None, None, None].expand(2, 2, 2, 3)}
        )
    assert scores["label"].argmax(-1).tolist() == [0, 1]


def test_a_file_that_is_another_one_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"data")
    sha256 = hashlib.sha256(b"data").hexdigest()
    assert fetch(source.as_uri(), sha256, tmp_path / "kept").read_bytes() == b"data"
    (tmp_path / "kept" / "source").write_bytes(b"other")
    with pytest.raises(ValueError, match="not the file"):
        fetch(source.as_uri(), sha256, tmp_path / "kept")
    assert not (tmp_path / "kept" / "source").exists()


def test_files_of_a_package_of_debian(tmp_path: Path) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as archive:
        entry = tarfile.TarInfo("./usr/share/man/da/man1/ls.1.gz")
        entry.size = 3
        archive.addfile(entry, io.BytesIO(b"abc"))
    members = [
        ("debian-binary", b"2.0\n"),
        ("control.tar.xz", b"odd"),
        ("data.tar.xz", data.getvalue()),
    ]
    package = tmp_path / "package.deb"
    package.write_bytes(
        b"!<arch>\n"
        + b"".join(
            f"{name:<16}{0:<12}{0:<6}{0:<6}{644:<8}{len(content):<10}`\n".encode()
            + content
            + b"\n" * (len(content) % 2)
            for name, content in members
        )
    )
    assert list(deb_files(package)) == [("usr/share/man/da/man1/ls.1.gz", b"abc")]


def test_sentences_of_a_manual_page() -> None:
    page = (
        ".TH LS 1\n.SH BESKRIVELSE\nVis information om \\fBFILerne\\fP i den "
        "aktuelle mappe og under den. Kort.\n.PP\nabc\\(bu def ghi jkl mno pqr stu vwx yz abc\n"
    )
    found = list(sentences_of(gzip.compress(page.encode())))
    assert found == ["Vis information om FILerne i den aktuelle mappe og under den."]
    assert page_of("usr/share/man/da/man1/ls.1.gz") == page_of("usr/share/man/man1/ls.1.gz") == "ls"
    assert page_of("usr/share/doc/ls.1.gz") is None
    assert 0 < sum(held_out(str(number)) for number in range(600)) < 200


def test_texts_are_what_the_program_reads() -> None:
    inputs = padded(["Hej", "Godmorgen"], 8)
    assert inputs["text.attention_mask"].sum(-1).tolist() == [5, 8]
    assert inputs["text"][0].tolist() == [4, *(6 + byte for byte in b"Hej"), 5, 0, 0, 0]


def test_pictures_are_what_the_program_reads(tmp_path: Path) -> None:
    drawing = np.random.default_rng(0).integers(0, 256, (64, 64, 4), np.uint8)
    drawing[..., 3] = 255
    Image.fromarray(drawing).save(tmp_path / "drawing.png")
    entry = pg.compile(recipe("pictures").spec).save(tmp_path / "program").inputs["image"]
    (piece,) = ImageReader("image", entry, {}).open([str(tmp_path / "drawing.png")]).pieces()
    assert np.array_equal(piece.arrays["image"], on_white(drawing[None]))


def test_pictures_are_varied_within_their_range() -> None:
    drawings = torch.zeros(16, 64, 64, 4, dtype=torch.uint8)
    drawings[:, 20:40, 20:40] = 255
    seen = varied(mixed(drawings, drawings))
    assert seen.shape == (16, 64, 64, 3)
    assert -2.2 < seen.min() < seen.max() < 2.7
    assert seen.flatten(1).std(0).max() > 0.5


def test_two_drawings_of_an_emoji_are_laid_over_each_other() -> None:
    torch.manual_seed(0)
    ours = torch.zeros(64, 64, 64, 4, dtype=torch.uint8)
    ours[..., 0] = ours[..., 3] = 255
    theirs = torch.zeros(64, 64, 64, 4, dtype=torch.uint8)
    theirs[..., 1] = theirs[..., 3] = 255
    found = mixed(ours, theirs)
    assert torch.allclose(found[:, :2].sum(1), torch.ones(64, 64, 64), atol=1e-5)
    alone = (found[:, 1] == 0).flatten(1).all(1)
    assert 16 < alone.sum() < 48
    assert found[~alone, 1].flatten(1).std(1).max() > 0.2, "more of one here, of the other there"
