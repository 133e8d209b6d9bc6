"""Values that the shell has split at their spaces: the command is told as it was meant, and that works."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import perceiver_graph as pg
from perceiver_graph.cli import split
from tests.cli.support import Command
from tests.cli.test_called_otherwise import SPEC
from tests.cli.test_usage import GROUP, context


@pytest.fixture
def place(artifact: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("my tiny.yaml").write_bytes(tiny.read_bytes())
    Path("tiny.yaml").write_bytes(tiny.read_bytes())
    Path("tiny").symlink_to(artifact)
    pg.compile(SPEC).save("seen")
    Image.new("RGB", (6, 4)).save("my file.png")
    return tmp_path


WORDS = [
    ("inspect tiny.yaml --set latents={count: 32}", "--set 'latents={count: 32}'"),
    ("check tiny.yaml --set latents={count: 32, width: 16}", "{count: 32, width: 16}'"),
    ("inspect --set latents={count: 32} tiny.yaml", "'latents={count: 32}' tiny.yaml"),
    ("inspect tiny.yaml --set latents={count:32,width:16}", "{count: 32, width: 16}'"),
    ("inspect tiny.yaml --set latents.count = 32", "--set latents.count=32"),
    ("inspect tiny.yaml --set latents.count =32", "--set latents.count=32"),
    ("inspect tiny.yaml --set latents.count= 32", "--set latents.count=32"),
    ("inspect tiny.yaml --set latents.count: 32", "--set latents.count=32"),
    ("inspect tiny.yaml --set latents.count 32", "--set latents.count=32"),
    ("diff tiny.yaml tiny.yaml --set latents={count: 32}", "'latents={count: 32}'"),
    ("inspect tiny.yaml --set summary=two words", "--set 'summary=two words'"),
    ("run tiny --random --size length = 8", "--size length=8"),
    ("run tiny --random --size length 8", "--size length=8"),
    ("run seen my file.png", "'my file.png'"),
    ("run seen image=my file.png", "'image=my file.png'"),
    ("run seen image = 'my file.png'", "'image=my file.png'"),
    ("run seen image 'my file.png'", "'image=my file.png'"),
    ("run seen --inputs image=my file.png", "--inputs 'image=my file.png'"),
    ("inspect my tiny.yaml", "'my tiny.yaml'"),
    ("check my tiny.yaml", "'my tiny.yaml'"),
    ("inspect tiny.yaml -O 2 --memory 2 GiB", "--memory 2GiB"),
    ("graph tiny.yaml -o my graph.html", "-o 'my graph.html'"),
    ("run tiny --random --decode y = 0:1", "--decode y=0:1"),
]


@pytest.mark.parametrize(("line", "told"), WORDS)
def test_the_command_that_was_meant_works(
    line: str, told: str, place: Path, command: Command
) -> None:
    words = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, text=True, check=True
    ).stdout.split("\0")[:-1]
    for _ in range(3):
        done = command(*words)
        if done.code == 0:
            break
        help = done.err.partition("= help: ")[2].splitlines()[0]
        assert done.code == 2
        assert told in help or "it stands alone: " in help
        (meant,) = re.findall("`(perceiver-graph [^`]+)`", help)
        words = shlex.split(meant)[1:]
        if "width" not in help and (kept := re.search("`(--set [^`]+)` leaves the other", help)):
            at = words.index("--set")
            words = [*words[:at], *shlex.split(kept[1]), *words[at + 2 :]]
    assert done.code == 0, (words, done.err)


@pytest.mark.parametrize(
    "line",
    [
        "run tiny (a b)",
        "check a.yaml b.yaml",
        "run tiny a.png b.png",
        "inspect tiny.yaml --set latents={count:",
        "inspect tiny.yaml --set latents.count tiny.yaml",
        "run tiny --memory 2 4",
        "inspect tiny.yaml --set a=3 -O 2",
        "run tiny -- a= b",
    ],
)
def test_what_is_whole_stays(line: str, place: Path) -> None:
    name, *words = line.split()
    context.info_name = name
    context.command = GROUP.get_command(context, name)
    assert split.mended(context, words) is None


@given(st.dictionaries(st.sampled_from("klmn"), st.integers(0, 99), min_size=1), st.booleans())
def test_any_mapping_is_put_together_again(entries: dict[str, int], before: bool) -> None:
    value = f"latents={{{', '.join(f'{k}: {v}' for k, v in entries.items())}}}"
    parts = ["--set", *value.split(" ")]
    words = [*parts, "x.yaml"] if before else ["x.yaml", *parts]
    context.info_name = "inspect"
    context.command = GROUP.get_command(context, "inspect")
    found = split.mended(context, words)
    assert found is not None
    assert (found.value, "x.yaml" in found.words, len(found.words)) == (value, True, 3)


def test_settings_without_their_option_are_told_with_it(place: Path, command: Command) -> None:
    for name in ("inspect", "check"):
        done = command(name, "tiny.yaml", "--set", "latents.count=8", "latents.width=16")
        assert done.code == 2
        assert "did you mean `--set latents.width=16`?" in done.err
        meant = re.findall("`(perceiver-graph [^`]+latents[^`]+)`", done.err)[0]
        assert command(*shlex.split(meant)[1:]).code == 0


def test_several_where_one_is_taken_go_one_at_a_time(place: Path, command: Command) -> None:
    done = command("inspect", "tiny.yaml", "my tiny.yaml")
    found = re.findall("`(perceiver-graph inspect [^`]+yaml[^`]*)`", done.err)
    assert len(found) == 2
    assert [command(*shlex.split(one)[1:]).code for one in found] == [0, 0]
    named = re.findall("`(perceiver-graph new [^-`]+)`", command("new", "my", "model").err)
    assert command(*shlex.split(named[0])[1:]).code == 0


def test_a_size_with_a_colon(place: Path, command: Command) -> None:
    for given_ in ("length:8", "length 8"):
        assert "`--size length=8`" in command("run", "tiny", "--random", "--size", given_).err
