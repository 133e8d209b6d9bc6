"""A browser for the tests of this folder, which are skipped where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.support import NoBrowserError, browser


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    try:
        with browser() as found:
            yield found
    except NoBrowserError as error:
        pytest.skip(str(error))
