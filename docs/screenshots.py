"""Renews the pictures of pages in docs/pictures: `make screenshots`. They need a Chromium."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from perceiver_graph.cli.page import page
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.spec.loader import load_spec
from tests.browser.support import NoBrowserError, browser, opened

PICTURES = Path(__file__).parent / "pictures"
WIDE = {"width": 1440, "height": 900}


def shoot(chromium: Any, path: Path) -> None:
    """Write the pictures that the pages on `graph` show."""
    sharp = {"viewport": WIDE, "device_scale_factor": 1.5}
    view = opened(chromium, path, **sharp)
    view.locator(".picture").first.screenshot(path=PICTURES / "graph.png")
    view.get_by_label("side by side").check(force=True)
    view.locator("#pictures").screenshot(path=PICTURES / "graph_passes.png")
    dark = opened(chromium, path, color_scheme="dark", **sharp)  # the picture and the block below
    dark.click('svg.whole [data-id="encode/cross_attend"]')
    dark.click('svg.inner [data-id="encode/cross_attend/attention"]')
    dark.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    dark.screenshot(path=PICTURES / "graph_block.png")


def main() -> int:
    """Write all pictures, or say why there is no browser."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kinetics.html"
        path.write_text(page(lower(load_spec("kinetics"))), encoding="ascii")
        try:
            with browser() as chromium:
                shoot(chromium, path)
        except NoBrowserError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
