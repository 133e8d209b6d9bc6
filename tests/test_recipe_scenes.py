"""The recipes of sounds and flow: what is held out, and that what the models see is what a program reads."""

import wave
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.numpy import load_file
from torch import Tensor

import perceiver_graph as pg
from perceiver_graph.media.clip.formats import MelFormat
from perceiver_graph.media.clip.reader import ClipReader
from perceiver_graph.media.flow.reader import FlowReader
from recipes import base
from recipes.__main__ import known, recipe
from recipes.flow import scenes
from recipes.flow.recipe import rendered, seen
from recipes.flow.recipe import varied as turned
from recipes.sounds import recipe as sounds


@pytest.mark.parametrize("name", known())
def test_kept_weights_are_those_of_the_spec(name: str) -> None:
    found = recipe(name)
    if not found.weights.exists():
        pytest.skip("not trained yet")
    kept = load_file(found.weights)
    wanted = pg.compile(found.spec).weights(seed=found.seed)
    assert {key: value.shape for key, value in kept.items()} == {
        key: value.shape for key, value in wanted.items()
    }
    assert all(np.isfinite(value).all() for value in kept.values())
    assert any(not np.array_equal(value, wanted[key]) for key, value in kept.items())
    assert found.weights.stat().st_size <= 4_000_000


def test_instruments_are_held_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = sounds.Recipe(tmp_path)
    found.data.mkdir()
    monkeypatch.setattr(sounds, "NOTES", 1)
    for number, font in enumerate(sounds.FONTS):
        programs = 128 * number + np.arange(128, dtype=np.float16)
        np.save(found.data / f"{font}.npy", programs[:, None, None, None])
    examples, here = found.examples(), list(sounds.FONTS).index(sounds.TESTED)
    trained = {divmod(int(note.item()), 128) for note in examples.notes}
    assert len(trained) == len(examples) == 16 * (len(sounds.FONTS) * 7 - 1)
    assert not any(program % 8 == sounds.NEVER for _, program in trained)
    for place in (sounds.NEVER, sounds.ELSEWHERE):
        tested = found.of(sounds.TESTED, place)
        assert not trained & {(here, int(note.item())) for note in tested.notes}
        assert (tested.instruments // 8).tolist() == list(range(16))


def test_a_family_is_told_right_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = sounds.Recipe(tmp_path)
    found.data.mkdir()
    monkeypatch.setattr(sounds, "NOTES", 1)
    programs = np.arange(128, dtype=np.float16)
    np.save(found.data / f"{sounds.TESTED}.npy", programs[:, None, None, None])

    def run(
        inputs: base.Arrays,
    ) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
        program = inputs["audio"].reshape(-1).astype(int)
        told = np.where(program % 8 == sounds.NEVER, program // 8, 3)
        return {"label": np.eye(16, dtype=np.float32)[told]}

    new, never = found.measure(run)
    assert (new.value, never.value) == (100 / 16, 100)


def test_sounds_are_what_the_program_reads(tmp_path: Path) -> None:
    time = np.arange(sounds.RATE) / sounds.RATE
    played = np.round(12000 * np.sin(2 * np.pi * 440 * time)).astype("<i2")
    with wave.open(str(tmp_path / "note.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sounds.RATE)
        file.writeframes(played.tobytes())
    program = pg.compile(recipe("sounds").spec).save(tmp_path / "program")
    (reader,) = ClipReader.of({"audio": program.inputs["audio"]}, program)
    assert isinstance(reader, ClipReader)
    assert isinstance(reader.audio, MelFormat)
    piece = next(iter(reader.open([str(tmp_path / "note.wav")]).pieces()))
    expected = sounds.spectrogram((played / 32768).astype(np.float32))
    assert np.allclose(piece.arrays["audio"][0, ..., 0], expected, atol=1e-3)


def test_notes_are_varied_within_what_is_heard() -> None:
    torch.manual_seed(0)
    notes = torch.full((8, sounds.MOMENTS, sounds.BANDS), sounds.SILENCE)
    notes[:, 30:60, 20:30] = 5.0
    heard = sounds.varied(notes.half())[..., 0]
    loudest = heard.amax(-1).argmax(1)
    assert heard.isfinite().all()
    assert 30 - 16 <= loudest.min() < loudest.max() <= 60 + 8
    assert heard[:, :5].amax((1, 2)).std() > 1  # the noise


def smooth(*shape: int) -> Tensor:
    """A texture without edges, [*shape, 64, 64]."""
    noise = torch.rand(*shape, 8, 8, generator=torch.Generator().manual_seed(3))
    return F.interpolate(noise.flatten(0, -4), 64, mode="bicubic").view(*shape, 64, 64)


def carried_back(second: Tensor, flow: Tensor) -> Tensor:
    """The second frames [batch, channels, SIZE, SIZE] where the first ones' pixels have gone."""
    axis = torch.arange(scenes.SIZE) - (scenes.SIZE - 1) / 2
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    where = (torch.stack([columns, rows], -1) + flow) / (scenes.SIZE / 2)
    return F.grid_sample(second, where, align_corners=False)


def test_flow_is_where_a_layer_has_gone() -> None:
    draw = scenes.Draw(4, torch.Generator().manual_seed(0))
    place = draw.placed(scale=(0.5, 0.8), turn=0.3, away=2.0)
    frames, flow = scenes.layer(smooth(4, 3), place, draw.moved(6.0, turn=0.1, growth=0.06))
    inside = (slice(None), slice(None), slice(16, 48), slice(16, 48))
    back = (carried_back(frames[:, 1], flow) - frames[:, 0])[inside].abs().mean()
    still = (frames[:, 1] - frames[:, 0])[inside].abs().mean()
    assert back < 0.05 * still
    assert 1 < torch.linalg.vector_norm(flow, dim=-1).max() < 14


def test_scenes_have_cut_outs_in_front() -> None:
    photograph = np.full((160, 160, 3), 40, np.uint8)
    cut_outs = np.full((5, 64, 64, 4), 255, np.uint8)
    parts = rendered([photograph], cut_outs, 3, seed=0)
    frames, flow, covered = parts["frames"], parts["flow"], parts["covered"]
    assert frames.shape == (3, 2, 64, 64, 3)
    assert flow.shape == (3, 64, 64, 2)
    assert 0.02 < covered.mean() < 0.8
    assert frames[:, 0][covered].mean() > 190 > 80 > frames[:, 0][~covered].mean()
    assert np.array_equal(rendered([photograph], cut_outs, 3, seed=0)["frames"], frames)


def test_frames_and_flow_are_turned_together() -> None:
    draw = scenes.Draw(4, torch.Generator().manual_seed(1))
    place = draw.placed(scale=(0.5, 0.8), turn=0.3, away=2.0)
    frames, flow = scenes.layer(smooth(4, 3), place, draw.moved(3.0, turn=0.0, growth=0.0))
    pixels = (255 * frames).clamp(0, 255).round().byte().permute(0, 1, 3, 4, 2)
    for seed in range(8):
        torch.manual_seed(seed)
        changed, gone = turned(pixels, flow)
        first, second = changed.permute(1, 0, 4, 2, 3)
        inside = (slice(None), slice(None), slice(16, 48), slice(16, 48))
        back = (carried_back(second, gone) - first)[inside].abs().mean()
        assert back < 0.2 * (second - first)[inside].abs().mean()


def test_frames_are_what_the_program_reads(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    for name, frame in zip("ab", frames, strict=True):
        Image.fromarray(frame).save(tmp_path / f"{name}.png")
    entry = pg.compile(recipe("flow").spec).save(tmp_path / "program").inputs["frames"]
    reader = FlowReader("frames", entry, {})
    (piece,) = reader.open([str(tmp_path / "a.png"), str(tmp_path / "b.png")]).pieces()
    assert np.allclose(piece.arrays["frames"], seen(frames[None]), atol=1e-6)
