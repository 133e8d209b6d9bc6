"""`run --attention`: a sheet over what the model saw, a page for texts, arrays with their axes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import perceiver_graph as pg
from perceiver_graph.looking import choice, page
from perceiver_graph.looking.grounds import Ground, heat_colours, upright
from perceiver_graph.runtime.scores import Attention, Rows
from perceiver_graph.spec.manifest_attention import AttentionSettings
from tests.cli.support import Command

PICTURES: dict[str, Any] = {
    "perceiver": 1,
    "name": "seen",
    "inputs": {
        "image": {
            "shape": {"height": 16, "width": 16, "channel": 3},
            "steps": [{"patch": {"height": 4, "width": 4}}],
            "position": {"fourier": {"bands": 2}},
            "media": {"image": {}},
        }
    },
    "latents": {"count": 5, "width": 16},
    "encode": {"heads": 2, "qk_width": 16},
    "process": {"layers": 1, "heads": 2},
    "outputs": {
        "label": {"query": {"learned": {}}, "head": {"linear": 4}, "media": {"classes": {}}}
    },
}
TEXTS: dict[str, Any] = {
    "perceiver": 1,
    "name": "read",
    "dims": {"length": {"max": 40}},
    "inputs": {
        "text": {
            "shape": {"length": "length"},
            "attention_mask": True,
            "steps": [{"embedding": {"vocabulary": 262, "width": 16}}],
            "position": {"learned": {}, "combine": "add"},
            "media": {"text": {}},
        }
    },
    "latents": {"count": 3, "width": 16},
    "process": {"layers": 1, "heads": 2},
    "outputs": {
        "label": {"query": {"learned": {}}, "head": {"linear": 4}, "media": {"classes": {}}}
    },
}


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artifacts")
    pg.compile(PICTURES, attention=True).save(folder / "seen")
    pg.compile(PICTURES).save(folder / "plain")
    pg.compile(TEXTS, attention=True).save(folder / "read")
    noise = np.random.default_rng(0).integers(0, 255, (20, 20, 3), np.uint8)
    Image.fromarray(noise).save(folder / "noise.png")
    return folder


def test_a_picture_gets_a_sheet_and_arrays(
    command: Command, artifacts: Path, tmp_path: Path
) -> None:
    given = [str(artifacts / "seen"), str(artifacts / "noise.png"), "-o", str(tmp_path / "out")]
    done = command("run", *given, "--attention", str(tmp_path / "seen"), "--heads")
    assert done.code == 0, done.err
    assert "what label reads of the latents: latent " in done.out
    assert {path.name for path in (tmp_path / "seen").iterdir()} == {
        "noise.png",
        "noise.npz",
        "noise.json",
    }
    sheet = np.asarray(Image.open(tmp_path / "seen" / "noise.png"))
    assert (sheet.std(axis=(0, 1)) > 5).all()
    with np.load(tmp_path / "seen" / "noise.npz") as kept:
        weights, axes = kept["encode.image"], kept["encode.image.axes"].tolist()
        assert kept["decode.label.latents"].shape == (1, 1, 5)
    assert axes == ["batch", "head", "latent", "image_height", "image_width"]
    assert weights.shape == (1, 2, 5, 4, 4)
    np.testing.assert_allclose(weights.sum(axis=(-1, -2)), 1, atol=1e-6)
    said = json.loads((tmp_path / "seen" / "noise.json").read_text())
    assert said["attention"][0].startswith("what latents read of image: at most ")
    again = command("run", *given, "--attention", str(tmp_path / "seen"))
    assert again.code == 0, again.err
    (tmp_path / "seen" / "noise.png").write_bytes(b"mine")
    refused = command("run", *given, "--attention", str(tmp_path / "seen"))
    assert refused.code == 1
    assert "error[PG511]" in refused.err
    assert (tmp_path / "seen" / "noise.png").read_bytes() == b"mine"


def test_a_text_gets_a_page(command: Command, artifacts: Path, tmp_path: Path) -> None:
    given = [str(artifacts / "read"), "schön <b>", "-o", str(tmp_path / "out")]
    done = command("run", *given, "--attention", str(tmp_path / "seen"))
    assert done.code == 0, done.err
    html = (tmp_path / "seen" / "text.html").read_text(encoding="utf-8")
    assert "latent 2" in html
    assert "<b>" not in html
    assert "ö</span>" in html


def test_arrays_have_attention_too(command: Command, artifacts: Path, tmp_path: Path) -> None:
    given = [str(artifacts / "seen"), "--random", "-o", str(tmp_path / "out.npz")]
    done = command("run", *given, "--attention", str(tmp_path / "seen"))
    assert done.code == 0, done.err
    assert (tmp_path / "seen" / "out.png").exists()


@pytest.mark.parametrize(
    ("artifact", "more", "code", "what"),
    [
        ("plain", ["--attention", "seen"], 1, "error[PG523]"),
        ("seen", ["--attention", "out"], 2, "`--attention` and `-o` name the same folder"),
        ("seen", ["--heads"], 2, "`--heads` says how attention is written"),
        ("seen", ["--attention", "seen", "--generate", "3"], 2, "does not go with `--generate`"),
    ],
)
def test_what_does_not_go_together_is_refused(
    command: Command,
    artifacts: Path,
    artifact: str,
    more: list[str],
    code: int,
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = command("run", str(artifacts / artifact), str(artifacts / "noise.png"), *more)
    assert (done.code, what in done.err) == (code, True), done.err
    assert not (tmp_path / "seen").exists()


def test_what_is_read_most_is_brightest() -> None:
    rows = Rows("image", ("height", "width"), (2, 2))
    ground = Ground(rows, (np.full((8, 8, 3), 90, np.uint8),), ())
    (panel,) = ground.panels(np.array([[0, 0.2], [0.5, 1]], np.float32))
    light = panel.reshape(2, 4, 2, 4, 3).mean(axis=(1, 3, 4))
    assert light[1, 1] > light[1, 0] > light[0, 1]
    assert light[0, 0] < 90
    grey = heat_colours(np.linspace(0, 1, 50)) @ np.array([0.299, 0.587, 0.114])
    assert (np.diff(grey) > 0).all()


def test_a_spectrogram_has_time_across_and_low_sounds_below() -> None:
    values = np.array([[0, 1, 2], [3, 4, 5]])  # two moments, three pitches
    for axes, given in ((("time", "frequency"), values), (("frequency", "time"), values.T)):
        assert upright(given, axes).tolist() == [[2, 5], [1, 4], [0, 3]]
        rows = Rows("audio", axes, given.shape)
        dark = np.full((3, 2, 3), 30, np.uint8)
        (panel,) = Ground(rows, (dark,), (), pitched=True).panels(given / 5)
        brightest = np.unravel_index(panel.sum(axis=-1).argmax(), (3, 2))
        assert brightest == (0, 1)  # the last moment, the highest pitch


def test_characters_of_several_bytes_are_shaded_once() -> None:
    ids = [4, *(byte + 6 for byte in "aö".encode()), 5, 0, 0]
    assert page.pieces(ids[:5]) == [("[CLS]", 1), ("a", 1), ("ö", 2), ("[SEP]", 1)]
    html = page.shaded(ids, np.array([0, 0, 0.2, 1, 0, 0, 0]))
    assert html == '<i>[CLS]</i>a<span style="--h:1.00">ö</span><i>[SEP]</i>'
    broken = [*(byte + 6 for byte in b"\xe2\x82"), 40]
    assert page.pieces(broken) == [("\ufffd", 2), ('"', 1)]
    assert page.pieces([0xE2 + 6, 0xC3 + 6, 0xB6 + 6]) == [("\ufffd", 1), ("ö", 2)]
    assert page.pieces([255 + 6, 40]) == [("\ufffd", 1), ('"', 1)]


def test_rows_that_are_shown_are_the_narrow_ones_and_unlike() -> None:
    q = np.array([[[9, 0, 0], [9, 0.1, 0], [0, 9, 0], [0, 0, 1], [0, 0, 0]]], np.float32)
    settings = AttentionSettings(
        heads=1, key_heads=1, scale=1.0, causal=False, masked_rows="uniform"
    )
    rows = Rows("latents", ("latent",), (5,))
    one = Attention("encode", rows, [Rows("x", ("n",), (3,))], settings, q, np.eye(3)[None], None)
    names = [column.heading for column in choice.strongest(one, 3)]
    assert set(names) in (
        {"latent 0", "latent 2", "latent 3"},
        {"latent 1", "latent 2", "latent 3"},
    )
    assert next(column.heading for column in choice.strongest(one, 2, [4])) == "latent 4"
