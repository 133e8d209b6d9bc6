"""Options and settings that all tests share."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import settings

from tests.figures import write_down

# Machines that run the tests differ too much in speed for a time limit per example.
PLAIN = settings.get_profile("default")  # what is in force may be the one for CI already
settings.register_profile("perceiver-graph", PLAIN, deadline=None)
# Whether a commit passes depends on the commit, not on what is drawn: always the same examples.
settings.register_profile("ci", PLAIN, deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "perceiver-graph")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-cases",
        action="store_true",
        help="rewrite the expected text in tests/cases instead of comparing with it",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--update-cases") and getattr(config.option, "numprocesses", None):
        raise pytest.UsageError("--update-cases rewrites files: run it without -n")
    # A job in the background of a script ignores SIGINT, `nohup` SIGHUP, and so would all that runs.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if config.getoption("--update-cases"):
        told = [r.user_properties for r in terminalreporter.stats.get("passed", ())]
        write_down(one for each in told for key, one in each if key == "difference")


@pytest.fixture(autouse=True, scope="session")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where processes that a test starts leave theirs (torchrun its logs): it goes with what tests wrote."""
    former = os.environ.get("TMPDIR")
    # Sockets of Ray lie below its folder, and the path of a socket has to be short.
    os.environ.setdefault("RAY_TMPDIR", tempfile.gettempdir())
    os.environ["TMPDIR"] = tempfile.tempdir = str(tmp_path_factory.mktemp("temporary"))
    yield
    tempfile.tempdir = None
    if former is None:
        del os.environ["TMPDIR"]
    else:
        os.environ["TMPDIR"] = former


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A small checkpoint of each class of transformers."""
    from tests.import_support import CLASSES, model, save

    folder = tmp_path_factory.mktemp("checkpoints")
    return {name: save(model(name), folder / name) for name in CLASSES}


@pytest.fixture
def checkpoint(checkpoints: Mapping[str, Path], tmp_path: Path) -> Path:
    """A copy of a checkpoint that may be changed."""
    return Path(
        shutil.copytree(checkpoints["ImageClassificationFourier"], tmp_path / "a checkpoint")
    )
