"""The page of `graph --format html` in a real browser: what is seen, and what mouse and keyboard do."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from perceiver_graph.cli.page import page as written
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.spec.loader import load_spec, parse_spec
from tests.browser.support import ROOT, opened

pytestmark = pytest.mark.browser
LOOKED_AT = ("kinetics", "language", "perceiver_ar", "aurora_level_encoder")
SPECS = sorted(path.stem for path in (ROOT / "specs").glob("*.yaml"))
BOXES = """whole => [...document.querySelectorAll(`svg.${whole} .box`)].map(box => {
  const {x, y, width, height} = box.querySelector('.card:not(.behind)').getBoundingClientRect();
  const inner = [...box.querySelectorAll('text')].map(text => text.getBoundingClientRect());
  return {id: box.dataset.id, kind: [...box.classList], x, y, width, height,
          text: box.querySelector('.title').textContent,
          over: Math.max(...inner.filter(one => one.y > y).map(one => one.right - x - width))}})"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The file of a spec's page, by name or of a text."""
    folder = tmp_path_factory.mktemp("pages")

    def of(name: str, text: str | None = None) -> Path:
        path = folder / f"{name}.html"
        if not path.exists():
            document = (
                load_spec(ROOT / "specs" / f"{name}.yaml") if text is None else parse_spec(text)
            )
            path.write_text(written(lower(document)), encoding="ascii")
        return path

    return of


def boxes(page: Any, picture: str = "whole") -> dict[str, Any]:
    return {box["id"]: box for box in page.evaluate(BOXES, picture)}


@pytest.mark.parametrize("name", SPECS)
def test_every_picture_can_be_read(name: str, chromium: Any, pages: Any) -> None:
    page = opened(chromium, pages(name))
    shown = boxes(page)
    assert shown
    for one, other in itertools.combinations(shown.values(), 2):
        apart = (
            one["x"] + one["width"] <= other["x"]
            or other["x"] + other["width"] <= one["x"]
            or one["y"] + one["height"] <= other["y"]
            or other["y"] + other["height"] <= one["y"]
        )
        assert apart, (one["id"], other["id"])
    assert all(box["over"] <= 0 for box in shown.values())  # no text leaves its box
    outputs = [box["x"] for box in shown.values() if "output" in box["kind"]]
    assert min(outputs) > max(box["x"] for box in shown.values() if "input" in box["kind"])
    assert {f"output:{name}" for name in load_spec(ROOT / f"specs/{name}.yaml").spec.outputs} <= {
        *shown
    }
    assert page.problems == []
    page.context.close()


def test_data_flow_from_left_to_right(chromium: Any, pages: Any) -> None:
    page = opened(chromium, pages("kinetics"))
    shown = boxes(page)
    way = ["input:image", "inputs/image", "inputs/joined", "encode/cross_attend", "process",
           "decode/image", "heads/image", "output:image"]  # fmt: skip
    for before, after in itertools.pairwise(way):
        assert shown[before]["x"] + shown[before]["width"] < shown[after]["x"]
    for above, below in (
        ("parameter:latents", "encode/cross_attend"),
        ("queries/image", "decode/image"),
    ):
        assert shown[above]["y"] + shown[above]["height"] < shown[below]["y"]
    written = page.locator("svg.whole .size").all_text_contents()
    sizes = {"50,176 x 704", "52,097 x 704", "784 x 512", "802,816 x 1,026"}
    assert sizes <= {text.replace("\u00d7", "x") for text in written}
    assert page.locator("svg.whole .title").first.text_content() == "audio"
    page.context.close()


def test_width_is_by_what_is_chosen(chromium: Any, pages: Any) -> None:
    page = opened(chromium, pages("kinetics"))

    def widest() -> str:
        return str(max(boxes(page).values(), key=lambda box: box["width"])["id"])

    assert widest() == "decode/image"
    page.get_by_label("parameters").check(force=True)
    assert widest() == "process"
    assert "12.6 M parameters" in page.locator('[data-id="process"] .price').first.text_content()
    page.get_by_label("memory").check(force=True)
    assert widest() in ("inputs/image", "encode/cross_attend", "inputs/joined")
    wide = page.locator('.whole [data-from="queries/image"] .line').get_attribute("stroke-width")
    narrow = page.locator('.whole [data-from="queries/audio"] .line').get_attribute("stroke-width")
    assert float(wide) > 3 * float(narrow)
    page.context.close()


def test_a_click_opens_down_to_primitives(chromium: Any, pages: Any) -> None:
    page = opened(chromium, pages("kinetics"))
    page.click('svg.whole [data-id="encode/cross_attend"]')
    assert page.locator("#inside h2").inner_text().startswith("cross_attend")
    assert {*boxes(page, "inner")} >= {"encode/cross_attend/attention", "encode/cross_attend/mlp"}
    lit = page.locator("#lines li.lit").all_inner_texts()
    assert [line.strip() for line in lit] == ["encode: {heads: 1}"]
    page.click('svg.inner [data-id="encode/cross_attend/attention"]')
    page.click('svg.inner [data-id="encode/cross_attend/attention/attended"]')
    assert page.locator("#inside .says").inner_text() == "attention(heads=1)"
    assert "encode%2Fcross_attend%2Fattention%2Fattended" in page.url
    page.go_back()
    assert page.locator("#inside h2").inner_text().startswith("attention")
    page.click(".crumbs button >> text=cross_attend")
    assert page.locator("#inside h2").inner_text().startswith("cross_attend")
    page.click("#lines button >> text=process:")
    assert page.locator("#inside h2").inner_text().startswith("process")
    assert page.problems == []
    page.context.close()


def test_all_by_keyboard(chromium: Any, pages: Any) -> None:
    page = opened(chromium, pages("kinetics"))
    here = "document.activeElement.dataset.id"
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate(here):
            break
    assert page.evaluate(here) == "input:audio"
    page.keyboard.press("ArrowDown")
    assert page.evaluate(here) == "input:image"
    for expected in ("inputs/image", "inputs/joined", "encode/cross_attend"):
        page.keyboard.press("ArrowRight")
        assert page.evaluate(here) == expected
    page.keyboard.press("Enter")
    assert page.evaluate(here) == "encode/cross_attend/attention"
    assert page.locator("#said").text_content() == "encode / cross_attend: 4 inside"
    page.keyboard.press("Enter")
    assert page.evaluate(here).startswith("encode/cross_attend/attention/")
    page.keyboard.press("Escape")
    assert page.evaluate(here) == "encode/cross_attend/attention"
    page.keyboard.press("Escape")
    assert page.evaluate(here) == "encode/cross_attend"
    assert page.evaluate("document.activeElement.closest('svg').classList.contains('whole')")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#inside') !== null")
    page.context.close()


def test_search(chromium: Any, pages: Any) -> None:
    page = opened(chromium, pages("kinetics"))
    page.keyboard.press("/")
    page.keyboard.type("decode attended")
    first = page.locator("#results li").first
    assert "attended" in first.inner_text()
    assert page.locator("#search").get_attribute("aria-activedescendant") == "found-0"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.locator("#inside h2").inner_text().startswith("attended")
    assert not page.locator("#results").is_visible()
    page.keyboard.press("/")
    page.keyboard.type("nowhere<b>")
    assert page.locator("#results").inner_text() == "nothing is called so"
    page.keyboard.press("Escape")
    assert not page.locator("#results").is_visible()
    page.context.close()


def test_both_graphs_side_by_side(chromium: Any, pages: Any) -> None:
    page = opened(chromium, pages("kinetics"))
    page.get_by_label("side by side").check(force=True)
    told = page.locator("figcaption").all_inner_texts()
    assert told[0].startswith("-O0, as the spec says: 7.47 T FLOPs")
    assert told[1].startswith("-O2, after the passes: 2.22 T FLOPs a run, 70 % fewer")
    assert page.locator("svg.whole").count() == page.locator("#inside .one").count() == 2
    page.click('svg.whole >> nth=1 >> [data-id="process"]')
    assert page.locator("#inside h2").all_inner_texts() == ["processProcess"] * 2
    page.click('svg.whole >> nth=0 >> [data-id="inputs/joined"]')
    assert "nothing is left of it" in page.locator("#inside .one").nth(1).inner_text()
    assert page.problems == []
    page.context.close()


def test_shared_weights_are_seen(chromium: Any, pages: Any) -> None:
    page = opened(chromium, pages("kinetics"))
    marked = page.evaluate(
        "[...document.querySelectorAll('svg.whole .box')].filter(box => box.querySelector('.mark'))"
        ".map(box => [box.dataset.id, box.querySelector('.mark').textContent])"
    )
    assert marked == [["decode/audio", "A"], ["decode/image", "A"], ["decode/label", "A"]]
    assert "the same as in decode / audio, decode / label" in page.locator("#inside").inner_text()
    page.goto(pages("imagenet_perceiver").as_uri() + "#process%2Fblocks.0")
    page.wait_for_selector("html[data-ready]", state="attached")
    assert "8 alike, the same weights in each" in page.locator("#inside .facts").inner_text()
    page.context.close()
