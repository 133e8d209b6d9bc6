"""Pages in Chromium: what the tests and `docs/screenshots.py` open them with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


ENGINE = ROOT / "build" / "onnxruntime-web"
"""Where `make test-browser` puts what runs programs in a browser."""


def engine() -> Path:
    """The folder of onnxruntime-web; what needs it is skipped where it is missing."""
    if not (ENGINE / "ort.wasm.min.js").exists():
        pytest.skip("onnxruntime-web is not here: `make test-browser` gets it with npm")
    return ENGINE


class NoBrowserError(Exception):
    """There is no browser, and why."""


@contextmanager
def browser() -> Iterator[Any]:
    """A Chromium that playwright drives. Raises NoBrowserError where one of them is missing."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        raise NoBrowserError(
            "playwright is not installed: `make test-browser` installs it"
        ) from None
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as player:
        path = found or player.chromium.executable_path
        if not Path(path).exists():
            raise NoBrowserError(
                "there is no Chromium: install the package chromium, or name one, CHROMIUM=PATH"
            )
        try:
            started = player.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except Error as error:
            raise NoBrowserError(f"{path} does not start: {error}") from None
        with started:
            yield started


def opened(browser: Any, path: Path | str, **settings: Any) -> Any:
    """A page of its own with the file in it, or what a server has at an address, once its script is
    through; errors and what it asks others for are in `problems` of it."""
    address = path.as_uri() if isinstance(path, Path) else path
    own = ("file:",) if isinstance(path, Path) else (path, "data:")
    view: Mapping[str, Any] = {"viewport": {"width": 1440, "height": 1000}, **settings}
    page = browser.new_context(**view).new_page()
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("console", lambda message: page.problems.append(message.text))
    page.on("dialog", lambda dialog: page.problems.append(dialog.message))
    page.on("request", lambda asked: asked.url.startswith(own) or page.problems.append(asked.url))
    page.goto(address)
    page.wait_for_selector("html[data-ready]", state="attached")
    return page
