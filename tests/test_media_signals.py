"""Of a signal that comes while FFmpeg reads, nothing is lost: reading ends, and so does the process."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from perceiver_graph.media.clip.formats import VideoFormat
from perceiver_graph.media.clip.windows import read_clip
from perceiver_graph.media.files import containers
from perceiver_graph.signals import answered, caught, losing
from tests.media_support import encode, grey

FORM = VideoFormat(time=2, height=16, width=16)
CALLED = {
    getattr(containers._Nameless, name).__code__: name
    for name in ("read", "seek", "tell", "_read", "_seek")
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read in many parts: one frame of 0.3 MB after the other."""
    path = tmp_path_factory.mktemp("clips") / "a.avi"
    return encode(path, [grey(i, 320, 240) for i in range(12)], codecs=("rawvideo", "aac"))


def told_in(clip: Path, name: str, event: str, turn: int) -> tuple[bool, int]:
    """Whether the signal ended the reading that was told to end at that call, and what was read."""
    calls, seen = 0, 0

    def profile(frame: FrameType, what: str, _: Any) -> None:
        nonlocal calls
        if what == event and CALLED.get(frame.f_code) == name:
            calls += 1
            if calls == turn:
                signal.raise_signal(signal.SIGINT)

    try:
        with answered():
            sys.setprofile(profile)
            for _ in read_clip(clip, video=FORM, audio=None):
                seen += 1
    except KeyboardInterrupt:
        return True, seen
    finally:
        sys.setprofile(None)
    return False, seen


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("event", ["call", "return"])
@pytest.mark.parametrize(
    ("name", "turn"),
    [("read", 1), ("read", 3), ("_read", 2), ("_read", 4), ("seek", 1), ("_seek", 1)],
)
def test_a_signal_at_any_place_of_a_call_ends_reading(
    clip: Path, name: str, turn: int, event: str
) -> None:
    ended, seen = told_in(clip, name, event, turn)
    assert ended
    assert seen < 6


def test_a_signal_ends_a_read_that_waits(clip: Path, tmp_path: Path) -> None:
    """Of a pipe whose writer does nothing, while FFmpeg has asked for more."""
    os.mkfifo(tmp_path / "slow.avi")
    done = threading.Event()

    def write() -> None:
        with (tmp_path / "slow.avi").open("wb", buffering=0) as stream:
            stream.write(clip.read_bytes()[:1_500_000])
            time.sleep(0.3)
            signal.raise_signal(signal.SIGINT)
            done.wait(20)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt), answered():
        list(read_clip(tmp_path / "slow.avi", video=FORM, audio=None))
    assert time.monotonic() - begun < 10
    done.set()
    writer.join()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_ffmpeg_makes_of_it_is_not_told(
    kind: type[BaseException], clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that ends early would be damaged, but for what ended it."""
    whole, reads = containers._Nameless._read, 0

    def read(self: Any, count: int) -> bytes:
        nonlocal reads
        reads += 1
        if reads == 4:
            raise kind
        return whole(self, count)

    monkeypatch.setattr(containers._Nameless, "_read", read)
    with pytest.raises(kind):
        list(read_clip(clip, video=FORM, audio=None))


@losing
def called(work: Callable[[], None], done: list[str]) -> None:
    try:
        work()
    except KeyboardInterrupt:
        done.append("caught")
    time.sleep(0.05)
    done.append("left")


def test_a_function_that_loses_exceptions_is_left_first() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt), answered():  # noqa: PT012
        called(lambda: signal.raise_signal(signal.SIGINT), done)
        time.sleep(5)
    assert done == ["left"]


def test_what_it_catches_is_raised_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perceiver_graph.signals._SAME", 0.0)  # the test before may be that near
    done: list[str] = []
    with answered():
        called(caught(lambda: signal.raise_signal(signal.SIGINT)), done)
    assert done == ["caught", "left"]
