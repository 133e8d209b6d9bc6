"""The recipe of clips: what is heard follows from what is seen, and what is asked is what is compared."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import perceiver_graph as pg
from perceiver_graph.media.clip.formats import media_formats
from perceiver_graph.media.clip.reader import ClipReader
from recipes import starting
from recipes.__main__ import recipe
from recipes.base import Arrays
from recipes.clips import scenes, start
from recipes.clips.recipe import Answers, Clips
from recipes.clips.show import FILMED, block, decibels, described, film, look, sheet, shown

NUMBER = {name: number for number, name in enumerate(scenes.NAMES)}


@pytest.mark.parametrize("name", scenes.NAMES)
def test_a_scene_moves_and_sounds(name: str) -> None:
    for number in range(5):
        made = scenes.clip(0, number, testing=False, scene=NUMBER[name])
        assert made.frames.shape == (scenes.FRAMES, scenes.SIDE, scenes.SIDE, 3)
        assert made.frames.astype(float).std(0).max() > 20
        assert 0.1 < np.abs(made.samples).max() <= 1


def test_colours_for_testing_are_in_no_clip_of_the_training() -> None:
    def pairs(testing: bool) -> set[tuple[int, int]]:
        return {scenes.clip(1, number, testing=testing).hues for number in range(300)}

    assert len(pairs(True)) >= 12
    assert not pairs(True) & pairs(False)


def test_clips_for_testing_are_told_from_those_of_the_training_by_more_than_their_number() -> None:
    one, same, other = (scenes.clip(1, 7, testing=testing) for testing in (True, True, False))
    assert np.array_equal(one.frames, same.frames)
    assert not np.array_equal(one.frames, other.frames)


def test_a_patch_of_a_note_is_like_any_other() -> None:
    patches = scenes.note(5, 1.0, overtone=0.5).reshape(-1, scenes.PATCH)
    assert np.allclose(patches, patches[0], atol=1e-4)
    assert np.abs(patches[0]).max() > 0.9


def test_a_ball_is_heard_when_it_strikes() -> None:
    for number in range(10):
        made = scenes.clip(0, number, testing=False, scene=NUMBER["ball"])
        moving = np.abs(made.frames - np.median(made.frames, 0)).max(-1) > 40
        rows = [np.flatnonzero(frame.any(1)) for frame in moving]
        lowest = [row.max() if row.size else -1 for row in rows]
        loud = np.abs(made.samples[:, 0]).reshape(-1, scenes.PATCH).max(1)
        struck = loud.argmax() * scenes.PATCH * scenes.RATE / scenes.SAMPLES
        assert max(lowest) - lowest[min(round(struck), scenes.FRAMES - 1)] <= 5


def batch() -> dict[str, Any]:
    made: dict[str, Any] = torch.utils.data.default_collate([Clips(8)[i] for i in range(8)])
    return made


def test_pixels_and_samples_are_compared_with_those_that_were_asked_for() -> None:
    def perfect(inputs: Mapping[str, Tensor], queries: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {
            "image": inputs["image"].flatten(1, 3)[:, queries["image"]],
            "audio": inputs["audio"].reshape(8, -1, scenes.PATCH)[:, queries["audio"]],
            "label": 100 * inputs["label"],
        }

    assert recipe("clips").loss(perfect, batch()) < 1e-6
    wrong = recipe("clips").loss(
        lambda *given: {name: value.roll(1, 1) for name, value in perfect(*given).items()}, batch()
    )
    assert wrong > 0.1


def test_some_clips_lack_pictures_some_sound_and_none_both() -> None:
    torch.manual_seed(1)
    seen: dict[str, list[Tensor]] = {"image": [], "audio": [], "label": []}

    def watching(inputs: Mapping[str, Tensor], queries: Mapping[str, Tensor]) -> dict[str, Tensor]:
        for name, flags in seen.items():
            flags.append(inputs[f"{name}.present"])
        return {
            "image": torch.zeros(8, len(queries["image"]), 3),
            "audio": torch.zeros(8, len(queries["audio"]), scenes.PATCH),
            "label": torch.zeros(8, 8),
        }

    given = batch()
    for _ in range(40):
        recipe("clips").loss(watching, given)
    present = {name: torch.cat(flags) for name, flags in seen.items()}
    assert (present["image"] | present["audio"]).all()
    assert 0 < (~present["image"]).sum() < (~present["audio"]).sum() < 120
    assert present["label"].sum() < 80


def test_answers_are_measured_against_the_clips() -> None:
    clips = [scenes.clip(2, number, testing=True) for number in range(20)]
    asked: list[set[str]] = []

    def fair(inputs: Arrays) -> dict[str, np.ndarray[Any, Any]]:
        asked.append(set(inputs))
        first = 16 * ((len(asked) - 1) % 2)
        those = clips[first : first + 16]
        frames = np.stack([one.frames for one in those]).astype(np.float32) / 255
        return {
            "image": frames + np.float32(0.1),
            "audio": np.stack([one.samples for one in those]).reshape(-1, 64, 32) / 2,
            "label": np.eye(8, dtype=np.float32)[[one.scene for one in those]],
        }

    answers = Answers(fair, clips)
    assert answers.label() == 100
    assert answers.sound() == pytest.approx(20 * np.log10(2))
    assert 20 <= answers.pictures() < 24
    assert answers.over_mean_colour() > 3
    Answers(fair, clips, audio=False)
    assert asked == [{"image", "audio"}] * 2 + [{"image"}] * 2


def made_of(inputs: Arrays) -> dict[str, np.ndarray[Any, Any]]:
    """A model that gives back what it is given, silence or darkness for what is missing, and a name."""
    frames = np.zeros((1, scenes.FRAMES, scenes.SIDE, scenes.SIDE, 3), np.float32)
    samples = np.zeros((1, scenes.SAMPLES, 1), np.float32)
    return {
        "image": np.asarray(inputs.get("image", frames)),
        "audio": np.asarray(inputs.get("audio", samples)).reshape(1, -1, scenes.PATCH),
        "label": np.eye(8, dtype=np.float32)[[NUMBER["rain"]]] * 20,
    }


def test_films_are_read_as_the_clips_that_were_filmed(tmp_path: Path) -> None:
    paths = film(tmp_path)
    assert [path.stem for path in paths if path.parent == tmp_path] == list(scenes.NAMES)
    program = pg.compile(recipe("clips").spec).save(tmp_path / "program")
    reader = ClipReader(media_formats(program.inputs))
    for scene, name in enumerate(scenes.NAMES):
        (piece,) = reader.open([str(tmp_path / f"{name}.mp4")]).pieces()
        made = scenes.clip(FILMED, scene, testing=True, scene=scene)
        assert decibels(piece.arrays["image"][0], made.frames / np.float32(255), 1) > 30
        power = float(np.square(made.samples).mean())
        assert decibels(piece.arrays["audio"][0], made.samples, power) > 12


def test_what_is_shown_is_what_the_model_says(tmp_path: Path) -> None:
    made = scenes.clip(2, 0, testing=True, scene=NUMBER["ball"])
    seen = shown(made_of, "ball", made.frames.astype(np.float32) / 255, made.samples)
    told, again = described([seen, seen]).splitlines()[1:]
    assert told == again
    assert told.split()[:7] == ["ball", *["rain", "100%"] * 3]
    assert not seen.answers["without pictures"].frames.any()
    assert not seen.answers["without sound"].samples.any()
    one, all_three = block(seen), sheet([seen, seen, seen])
    assert 2 * one.width < all_three.width < 3 * one.width
    assert 2 * one.height < all_three.height < 3 * one.height


def test_the_trained_model_names_the_films(tmp_path: Path) -> None:
    one = recipe("clips")
    pg.compile(one.spec).save(tmp_path / "program", weights=one.weights)
    program = pg.load(tmp_path / "program", device="cpu")
    films = [path for path in film(tmp_path) if path.parent == tmp_path]
    told = [str(look(program, path).answers[""]).split()[0] for path in films]
    assert told == [path.stem for path in films]


def test_latents_begin_spread_over_the_clip() -> None:
    """Each reads most of all what is near its place, which at random hardly any does."""

    def distance(model: nn.Module) -> float:
        encoder = "encoder.cross_attend.attention"
        watched = [starting.Watch(model.get_submodule(f"{encoder}.{x}")) for x in ("query", "key")]
        one = scenes.clip(1, 5, testing=False)
        frames = torch.from_numpy(one.frames[None].astype(np.float32) / 255)
        with torch.no_grad():
            model({"image": frames, "audio": torch.from_numpy(one.samples[None])})
        query, key = (starting.arrays(watch.output)[:, : start.DEPTH] for watch in watched)
        nearest = (query @ key[64:320].T).argmax(-1)
        there = start.on_ends(scenes.FRAMES // 2, scenes.SIDE // 4, scenes.SIDE // 4)[nearest]
        return float(np.abs(there - starting.places(*start.CELLS)).mean())

    module = pg.compile(recipe("clips").spec).to_torch(seed=1)
    at_random = distance(module)
    assert distance(recipe("clips").start(module)) < 0.3 < 0.5 < at_random
