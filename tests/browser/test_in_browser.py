"""The page of the documentation whose model runs on its reader's machine, opened from the disk."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import perceiver_graph as pg
from perceiver_graph.media.text.tokens import CLS, SEP, plain_ids
from perceiver_graph.runtime import Program
from tests.browser.support import ROOT, engine

pytestmark = pytest.mark.browser
MAKER = runpy.run_path(str(ROOT / "docs" / "in_browser.py"))
DANISH = "Hvad hedder det sprog, som denne sætning er skrevet på?"
CZECH = "Jak se jmenuje jazyk, ve kterém je napsána tato věta?"
LONG = "Wie heißt die Sprache, in der dieser Satz geschrieben ist? " * 8


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, with the model beside them."""
    found, folder = engine(), tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    MAKER["write"](found, folder / "in-browser")
    return folder


@pytest.fixture
def page(chromium: Any, site: Path) -> Any:
    page = chromium.new_context().new_page()
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on(
        "request",
        lambda asked: (
            asked.url.startswith(("file:", "blob:", "data:")) or page.problems.append(asked.url)
        ),
    )
    page.goto((site / "browser.html").as_uri())
    return page


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder, model = tmp_path_factory.mktemp("languages") / "program", MAKER["MODEL"]
    pg.compile(model / "spec.yaml").save(folder, weights=model / "weights.safetensors")
    return pg.load(folder, device="cpu", engine="onnxruntime")


def test_it_tells_languages_with_the_numbers_of_onnxruntime(page: Any, program: Program) -> None:
    page.click("#languages button")
    page.wait_for_selector("#languages li")
    assert page.locator("#languages li").first.inner_text().startswith("Danish, ")
    page.fill("#languages textarea", CZECH)
    page.wait_for_function("document.querySelector('#languages li').innerText.startsWith('Czech')")
    for text in (DANISH, CZECH, "", LONG):
        ids = [CLS, *plain_ids(text)[:254], SEP]
        expected = program.run({"text": np.array([ids])})["label"][0]
        found = page.evaluate("t => document.getElementById('languages').scores(t)", text)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert page.problems == []


def test_a_site_without_the_model_says_so(page: Any, site: Path) -> None:
    (site / "in-browser").rename(site / "elsewhere")
    try:
        page.click("#languages button")
        page.wait_for_function(
            "document.getElementById('languages').innerText.includes('not loaded')"
        )
    finally:
        (site / "elsewhere").rename(site / "in-browser")
    assert "make in-browser docs" in page.inner_text("#languages")
    assert page.problems == []


def test_what_is_packed_comes_out_again() -> None:
    import base64
    import gzip

    script = MAKER["packed_script"]({"a": b"\x00\x01" * 50, "b": b""})
    texts = json.loads(script.removeprefix("globalThis.perceiverFiles = ").removesuffix(";\n"))
    found = {name: gzip.decompress(base64.b64decode(text)) for name, text in texts.items()}
    assert found == {"a": b"\x00\x01" * 50, "b": b""}
