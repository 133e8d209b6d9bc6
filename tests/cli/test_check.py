"""`check`: all that is wrong with some specs, in the format that the reader asks for."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.support import TINY, Command


def test_check_of_good_specs(command: Command, tiny: Path) -> None:
    done = command("check", "kinetics", tiny)
    assert done.code == 0
    first, second = done.out.splitlines()
    assert first == ("kinetics: ok, 19,858,855 parameters, inputs 52097 x 704, latents 784 x 512")
    assert second.startswith(f"{tiny}: ok, ")
    assert "inputs length/2 x" in second
    assert done.err == ""


def test_check_reports_on_every_spec(command: Command, tiny: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text(TINY.replace("width: 8}", "widht: 8}"), encoding="utf-8")
    two.write_text(TINY.replace("heads: 2", "heads: 3"), encoding="utf-8")
    done = command("check", one, tiny, two)
    assert done.code == 1
    assert done.out.startswith(f"{tiny}: ok")
    assert "error[PG101]" in done.err
    assert "did you mean `width`" in done.err
    assert "error[PG204]" in done.err
    assert f"{one}:6:" in done.err


@pytest.mark.parametrize(
    ("format", "begins"), [("concise", r".*two\.yaml:\d+:\d+: error\[PG204\]"), ("full", r"error")]
)
def test_check_formats_for_people(
    format: str, begins: str, command: Command, tmp_path: Path
) -> None:
    path = tmp_path / "two.yaml"
    path.write_text(TINY.replace("heads: 2", "heads: 3"), encoding="utf-8")
    done = command("check", path, "--format", format)
    assert done.code == 1
    assert re.match(begins, done.err)
    assert done.out == ""


def test_check_formats_for_programs(command: Command, tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "two.yaml"
    path.write_text(TINY.replace("heads: 2", "heads: 3"), encoding="utf-8")
    done = command("check", path, tiny, "--format", "json")
    assert done.code == 1
    (found,) = json.loads(done.out)
    assert found["code"] == "PG204"
    assert found["location"]["path"] == str(path)
    done = command("check", path, tiny, "--format", "github")
    assert done.out.startswith("::error title=PG204,file=")
    assert json.loads(command("check", tiny, "--format", "json").out) == []
    assert command("check", tiny, "--format", "github") == (0, "", "")


def test_check_takes_overrides(command: Command) -> None:
    assert "latents 392 x 512" in command("check", "kinetics", "--set", "latents.count=392").out


FILM = """
perceiver: 1
name: film
inputs:
  film:
    shape: {time: 4, height: 8, width: 8, channel: 3}
    steps: [{patch: {time: 1, height: 8, width: 8}}]
    position: none
    media: {video: {rate: 25}}
latents: {count: 4, width: 16}
process: {layers: 1, heads: 4}
outputs:
  out:
    query: {grid: {time: 2, height: 8, width: 8}, position: {learned: {width: 8}}}
    head: {linear: 3}
    media: {video: {rate: 25}}
"""


def test_a_film_that_would_be_a_fast_one_is_a_warning(tmp_path: Path, command: Command) -> None:
    path = tmp_path / "film.yaml"
    path.write_text(FILM, encoding="utf-8")
    done = command("check", path)
    assert done.code == 0
    assert "warning[PG215]: a window of `out` lasts 0.08 s, and one of the clip" in done.err
    assert "write `rate: 12.5`" in done.err
    done = command("check", path, "--set", "outputs.out.media.video.rate=12.5")
    assert (done.code, done.err) == (0, "")


def test_bands_that_hold_nothing_are_a_warning(tmp_path: Path, command: Command) -> None:
    # Half of 16 kHz is 2840 mel: of 101 bands, the lowest ends at 700 (10^(2 * 2840 / 102 / 2595) - 1)
    # = 35.5 Hz, and 400 samples tell apart multiples of 40 Hz. 16000 / 35.5 is 451.
    path = tmp_path / "mel.yaml"
    text = FILM.replace("time: 4, height: 8, width: 8, c", "time: 98, frequency: 101, c")
    text = text.replace(
        "channel: 3}\n    steps: [{patch: {time: 1, height: 8, width: 8}}]", "channel: 1}"
    )
    text = text.replace("{video: {rate: 25}}\nl", "{mel: {}}\nl").partition("    query")[0]
    path.write_text(text + "    query: {mean: latents}\n", encoding="utf-8")
    done = command("check", path)
    assert done.code == 0
    assert "warning[PG215]: the lowest of the 101 bands of `film` is 35.5 Hz wide" in done.err
    assert "write `window: 452` or more, or take at most 89 bands" in done.err
    done = command("check", path, "--set", "inputs.film.media.mel.window=452")
    assert (done.code, done.err) == (0, "")
