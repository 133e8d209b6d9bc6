"""The page at `/` of `serve` in a real browser, and a server behind it: `make test-cluster`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import perceiver_graph as pg
from perceiver_graph.runtime import load
from tests.batch_support import SPEC, compiled
from tests.browser.support import opened
from tests.browser.test_page_fits import CONTRASTS, HOSTILE
from tests.serve_support import Server, serving
from tests.small import SMALL

pytestmark = [pytest.mark.browser, pytest.mark.cluster]
NAMED = SPEC.replace("media: {classes: {}}", 'media: {classes: {names: [good, "<b>bad</b>", odd]}}')


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("compiled")
    compiled(found / "reader")
    (found / "spec.yaml").write_text(f'{NAMED}summary: "{HOSTILE}"\n', encoding="utf-8")
    pg.compile(found / "spec.yaml").save(found / "named")
    pg.compile("kinetics", overrides=list(SMALL["kinetics"])).save(found / "clips")
    return found


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    # Looked for and not imported: Triton's client, in the same process, brings the same messages.
    if find_spec("kserve") is None:
        pytest.skip("`make test-cluster` installs what serves")
    models = (folder / "reader", f"named={folder / 'named'}", f"clips={folder / 'clips'}")
    with serving(*models, "--states", 2) as found:
        yield found


def page_of(server: Server, chromium: Any, **settings: Any) -> Any:
    return opened(chromium, f"http://{server.http}/", **settings)


def part(page: Any, name: str) -> Any:
    return page.get_by_role("region", name=re.compile(f"^{name}$"))


def numbers(part: Any) -> list[float]:
    text = part.locator(".answer pre").first.inner_text()
    return [float(one) for one in text.split(", and")[0].split(", ")]


def answered(part: Any) -> None:
    part.locator(".said", has_text="answered in").wait_for(timeout=30_000)
    assert re.search(r"answered in [\d,]+ ms", part.locator(".said").inner_text())


def test_models_are_shown_with_what_they_take(server: Server, chromium: Any) -> None:
    page = page_of(server, chromium)
    assert page.locator("nav a").all_inner_texts() == ["reader", "named", "clips"]
    clips = part(page, "clips")
    assert "float32 [batch, time" in clips.locator(".flow .input").inner_text()
    assert "latents" in clips.locator(".flow .latents").inner_text()
    outputs = clips.locator(".flow .output b").all_inner_texts()
    assert outputs == clips.locator(".choice").evaluate_all("all => all.map(e => e.dataset.output)")
    assert set(outputs) == {"audio", "image", "label"}
    assert page.problems == []
    page.context.close()


def test_a_text_is_tried(server: Server, folder: Path, chromium: Any) -> None:
    page = page_of(server, chromium)
    named = part(page, "named")
    named.get_by_label("a text").fill("a <b>text</b>")
    named.get_by_role("button", name="Run", exact=True).click()
    answered(named)
    program = load(folder / "named", device="cpu")
    wanted = program.run(program.read("a <b>text</b>"))["label"][0]
    np.testing.assert_allclose(numbers(named), wanted, rtol=1e-4)
    order = [["good", "<b>bad</b>", "odd"][place] for place in np.argsort(-wanted)]
    assert named.locator(".answer td:first-child").all_inner_texts() == order
    assert page.problems == []
    page.context.close()


def test_arrays_are_tried(server: Server, folder: Path, chromium: Any, tmp_path: Path) -> None:
    """As .npy and JSON files, and typed; an element without the axis of the batch, an input left out."""
    program = load(folder / "clips", device="cpu")
    shapes = {
        n: [1, *map(int, e.shape[1:])] for n, e in program.manifest.inputs.items() if n != "label"
    }
    audio = np.random.default_rng(0).standard_normal(shapes["audio"], np.float32)
    np.save(tmp_path / "audio.npy", audio[0])
    (tmp_path / "audio.json").write_text(json.dumps(audio.tolist()), encoding="utf-8")
    wanted = program.run({"audio": audio})["label"][0]
    page = page_of(server, chromium)
    clips = part(page, "clips")
    for name in ("image", "audio"):
        clips.locator(f'.choice[data-output="{name}"] [type=checkbox]').uncheck()
    box = clips.locator('[data-input="audio"]')
    for name in ("audio.npy", "audio.json"):
        box.locator("[type=file]").set_input_files(tmp_path / name)
        clips.get_by_role("button", name="Run", exact=True).click()
        answered(clips)
        np.testing.assert_allclose(numbers(clips), wanted[:60], rtol=1e-3, atol=1e-5)
        assert "input `image` was not given" in clips.locator(".answer").inner_text()
        clips.locator(".said").evaluate("e => e.replaceChildren()")
    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    for name in ("image", "audio"):
        clips.locator(f'.choice[data-output="{name}"] [type=checkbox]').uncheck()
    box.locator("textarea").fill(json.dumps(audio[0].tolist()))
    clips.get_by_role("button", name="Run", exact=True).click()
    answered(clips)
    np.testing.assert_allclose(numbers(clips), wanted[:60], rtol=1e-3, atol=1e-5)
    assert page.problems == []
    page.context.close()


def test_random_input_by_keyboard(server: Server, chromium: Any) -> None:
    page = page_of(server, chromium)
    clips = part(page, "clips")
    clips.locator('.choice[data-output="image"] .queries').fill("0:5")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('section:last-of-type .random')"):
            break
    page.keyboard.press("Enter")
    answered(clips)
    told = clips.locator(".answer h4").all_inner_texts()
    assert any(re.match(r"image float32 \[1, 5, \d+\]", one) for one in told), told
    assert page.problems == []
    page.context.close()


def test_what_is_wrong_is_told(server: Server, chromium: Any, tmp_path: Path) -> None:
    page = page_of(server, chromium)
    reader, clips = part(page, "reader"), part(page, "clips")
    said = reader.locator(".said")
    reader.get_by_role("button", name="Run", exact=True).click()
    assert "nothing is given" in said.inner_text()
    reader.get_by_label("a text").fill("a text that is much too long for this model")
    reader.get_by_role("button", name="Run", exact=True).click()
    said.get_by_text("PG514").wait_for()
    (tmp_path / "x.npy").write_bytes(b"no array at all")
    clips.locator('[data-input="audio"] [type=file]').set_input_files(tmp_path / "x.npy")
    clips.get_by_role("button", name="Run", exact=True).click()
    clips.locator(".said").get_by_text("no .npy file").wait_for()
    assert not clips.locator(".answer").is_visible()
    page.problems[:] = [one for one in page.problems if "400" not in one]  # the browser's own line
    assert page.problems == []
    page.context.close()


def test_texts_of_a_model_do_nothing(server: Server, chromium: Any) -> None:
    page = page_of(server, chromium)
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2
    assert HOSTILE in part(page, "named").locator("p").first.inner_text()
    assert page.problems == []
    page.evaluate("document.body.append(document.createRange()"
                  f".createContextualFragment({HOSTILE!r}))")  # what may not run does not run  # fmt: skip
    page.wait_for_timeout(50)
    assert not {"1", "2"} & {*page.problems}
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(scheme: Any, server: Server, chromium: Any) -> None:
    page = page_of(server, chromium, color_scheme=scheme)
    lightness = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g)[0]")
    assert (int(lightness) > 200) == (scheme == "light")
    named = part(page, "named")
    named.get_by_role("button", name="Run on random input").click()
    answered(named)
    found = page.evaluate(
        CONTRASTS.replace("li code", "li b, li span, label, legend, button, td, pre")
    )
    assert len(found) > 50
    assert [one for one in found if one[0] < 4.5] == []  # WCAG 2, level AA
    page.context.close()


@pytest.mark.parametrize("width", [320, 480, 800])
def test_a_narrow_page_is_no_wider(width: int, server: Server, chromium: Any) -> None:
    page = page_of(server, chromium, viewport={"width": width, "height": 800})
    named = part(page, "named")
    named.get_by_role("button", name="Run on random input").click()
    answered(named)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.context.close()


def test_what_goes_with_the_page(server: Server, chromium: Any) -> None:
    page = chromium.new_context().new_page()
    answer = page.goto(f"http://{server.http}/")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    page.context.close()
