"""`export --to triton` as a command."""

from __future__ import annotations

from pathlib import Path

import pytest

import perceiver_graph as pg
from tests.cli.support import Command
from tests.small import SMALL


def models(repository: Path) -> list[str]:
    return sorted(path.parent.name for path in repository.glob("*/config.pbtxt"))


def test_the_command_writes_it_and_replaces_no_other_folder(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pg.compile("language", overrides=list(SMALL["language"])).save("build/text")
    words = ["export", "build/text", "--to", "triton", "-o", "models"]
    done = command(*words, "--batch", 16, "--device", "cuda", "--instances", 2)
    assert done.code == 0, done.err
    assert models(Path("models")) == ["language", "language_decode", "language_encode"]
    text = Path("models/language_encode/config.pbtxt").read_text("utf-8")
    assert "max_batch_size: 16\n" in text
    assert "instance_group [{ kind: KIND_GPU, count: 2 }]" in text
    assert command(*words, "--threads", 2).code == 0
    text = Path("models/language_encode/config.pbtxt").read_text("utf-8")
    assert 'key: "intra_op_thread_count", value: { string_value: "2" }' in text
    Path("models/language_encode/config.pbtxt").write_text("mine", encoding="utf-8")
    done = command(*words)
    assert (done.code, "PG407" in done.err) == (1, True)
    for wrong in (["--weights", "x"], ["--set", "latents.count=3"]):
        assert command(*words, *wrong).code == 2
    assert command("export", "build/text", "--batch", "2").code == 2
