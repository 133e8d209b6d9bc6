"""Signals: raised where they do no harm, and never lost."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from perceiver_graph import storage
from perceiver_graph.cli import main
from perceiver_graph.compiler.lowering import checked
from perceiver_graph.signals import Shield, answered, end_if_asked

ENDS = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: SystemExit, signal.SIGHUP: SystemExit}


def wait(seconds: float = 10) -> None:
    """A signal comes between statements, so there have to be some."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.001)


@pytest.fixture
def importing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Imports a module with these lines."""

    def run(lines: str) -> Any:
        (tmp_path / "just_made.py").write_text(f"import signal, time\n{lines}")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "just_made", raising=False)
        importlib.invalidate_caches()
        return importlib.import_module("just_made")

    return run


def test_a_signal_waits_for_the_end_of_a_shield() -> None:
    done = []

    def shielded() -> None:
        with Shield():
            signal.raise_signal(signal.SIGINT)
            done.append("first")
            with Shield():
                done.append("inner")
            done.append("last")

    with pytest.raises(KeyboardInterrupt):
        shielded()
    assert done == ["first", "inner", "last"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("number", ENDS)
def test_a_signal_waits_for_the_end_of_an_import(
    number: signal.Signals, importing: Callable[[str], Any]
) -> None:
    before = signal.getsignal(number)
    made: Any = None
    with pytest.raises(ENDS[number]) as raised, answered():  # noqa: PT012
        made = importing(f"signal.raise_signal({int(number)})\ntime.sleep(.05)\nwhole = True\n")
        wait()
    assert made.whole
    if isinstance(raised.value, SystemExit):
        assert raised.value.code == 128 + number
    assert signal.getsignal(number) is before


def test_an_import_that_does_not_end_is_interrupted(
    importing: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perceiver_graph.signals.LONGEST_IMPORT", 0.1)
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt), answered():
        importing("signal.raise_signal(2)\nfor _ in range(900): time.sleep(.01)\n")
    assert time.monotonic() - begun < 5


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with answered():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def lose_a_signal() -> None:
    try:
        signal.raise_signal(signal.SIGTERM)
        wait()
    except SystemExit:
        pass


def test_what_a_library_swallows_still_replaces_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(SystemExit), answered(), storage.staged_file(path) as temporary:  # noqa: PT012
        temporary.write_text("new")
        lose_a_signal()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with storage.staged_file(path) as temporary:  # and it concerns no later work
        temporary.write_text("new")
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [None, ImportError("initialization failed"), OSError(5, "x")])
def test_an_end_is_told_as_such(
    error: Exception | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lost(*arguments: object, **options: object) -> None:
        lose_a_signal()
        if error:
            raise error

    monkeypatch.setattr(checked, "load_spec", lost)
    assert main(["check", "kinetics"]) == 128 + signal.SIGTERM
    assert capsys.readouterr() == ("", "terminated\n")


@pytest.mark.parametrize("after", [0.1, 0.25, 0.4])
def test_a_signal_while_torch_is_imported(after: float) -> None:
    """It calls Python from C++ as it is initialised, and dies of an exception from there."""
    lines = "import perceiver_graph.cli as cli, perceiver_graph.spec.loader as loader\n"
    lines += "def load(*a, **k):\n    print('begun', flush=True)\n    import torch\n    raise ValueError\n"
    lines += "loader.load_spec = load\nraise SystemExit(cli.main(['check', 'kinetics']))\n"
    with subprocess.Popen(
        [sys.executable, "-c", lines],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    ) as running:
        assert running.stdout
        running.stdout.readline()
        time.sleep(after)
        running.send_signal(signal.SIGINT)
        _, told = running.communicate(timeout=60)
    assert told == "interrupted\n"
    assert running.returncode == 130


def test_ctrl_c_before_a_command_has_begun_says_nothing() -> None:
    """While what answers signals is imported: a traceback would be all that it could print."""
    code = (
        "import os, signal, sys\n"
        "class Slow:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'perceiver_graph.signals':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Slow())\n"
        "from perceiver_graph.cli import main\n"
        "assert 'perceiver_graph.cli' in sys.modules and 'typing' not in sys.modules\n"
        "sys.argv = ['perceiver-graph', 'list']\n"
        "sys.exit(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")


def interrupted() -> None:
    with answered():
        try:
            signal.raise_signal(signal.SIGINT)
            wait()
        finally:
            warnings.warn("this could not be done", stacklevel=1)


def test_what_is_interrupted_warns_of_nothing_and_later_calls_do() -> None:
    """pydantic warns of what it could not try, where a signal ends that."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert told == []
        warnings.warn("nothing was interrupted", stacklevel=1)
    assert len(told) == 1


@pytest.mark.parametrize("number", ENDS)
def test_nothing_is_told_of_a_signal_that_got_lost(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in what is called when an object goes: exceptions are printed there, and end nothing."""

    class Going:
        def __del__(self) -> None:
            signal.raise_signal(number)
            wait(1)

    class Broken:
        def __del__(self) -> None:
            raise ValueError("as usual")

    told: list[object] = []

    def hook(lost: sys.UnraisableHookArgs) -> None:
        told.append(lost.exc_value)

    monkeypatch.setattr(sys, "unraisablehook", hook)

    def lose() -> None:
        with answered():
            Broken()
            Going()
            end_if_asked()

    with pytest.raises(ENDS[number]):
        lose()
    assert [str(one) for one in told] == ["as usual"]
    assert sys.unraisablehook is hook
