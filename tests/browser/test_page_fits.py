"""The page of `graph --format html` for every reader: dark, narrow, large, and of hostile specs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from perceiver_graph.cli.page import page as written
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.spec.loader import load_spec, parse_spec
from tests.browser.support import ROOT, opened
from tests.cli.support import TINY

pytestmark = pytest.mark.browser
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
CONTRASTS = """() => {
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const pen = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = colour => { pen.clearRect(0, 0, 1, 1); pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data]; };
  const behind = element => { for (let e = element; e; e = e.parentElement) {
    const card = e.matches('.box') && e.querySelector('.card:not(.behind)');
    const colour = rgb(card ? getComputedStyle(card).fill : getComputedStyle(e).backgroundColor);
    if (colour[3] === 255) return colour; } return rgb('white'); };
  return [...document.querySelectorAll('h1, h2, dt, dd, p, figcaption, li code, svg text')]
    .filter(e => e.textContent.trim() && !e.closest('.mark') && e.getClientRects().length).map(e => {
      const style = getComputedStyle(e), ink = rgb(e.closest('svg') ? style.fill : style.color);
      const [a, b] = [light(ink), light(behind(e))].sort((x, y) => y - x);
      return [(a + 0.05) / (b + 0.05), e.textContent.slice(0, 40)]; }) }"""


def _file(folder: Path, text: str) -> Path:
    path = folder / "page.html"
    path.write_text(written(lower(parse_spec(text))), encoding="ascii")
    return path


@pytest.fixture(scope="module")
def kinetics(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kinetics") / "kinetics.html"
    path.write_text(written(lower(load_spec(ROOT / "specs/kinetics.yaml"))), encoding="ascii")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(scheme: Any, chromium: Any, kinetics: Path) -> None:
    page = opened(chromium, kinetics, color_scheme=scheme)
    lightness = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g)[0]")
    assert (int(lightness) > 200) == (scheme == "light")
    found = page.evaluate(CONTRASTS)
    assert len(found) > 50
    assert [one for one in found if one[0] < 4.5] == []  # WCAG 2, level AA
    page.context.close()


@pytest.mark.parametrize("width", [320, 480, 800])
def test_a_narrow_page_scrolls_its_pictures_alone(
    width: int, chromium: Any, kinetics: Path
) -> None:
    page = opened(chromium, kinetics, viewport={"width": width, "height": 800})
    for choice in ("as the spec says", "side by side"):
        page.get_by_label(choice).check(force=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.querySelector('.scroll').scrollWidth") > width - 60
    page.locator('svg.whole [data-id="output:label"]').first.scroll_into_view_if_needed()
    page.locator('svg.whole [data-id="heads/label"]').first.click()
    assert page.locator("#inside h2").first.inner_text().startswith("label")
    page.context.close()


def test_nothing_moves_for_those_who_ask_for_that(chromium: Any, kinetics: Path) -> None:
    still = opened(chromium, kinetics, reduced_motion="reduce")
    style = "getComputedStyle(document.querySelector('.card')).transitionDuration"
    assert still.evaluate(style) == "0s"
    still.context.close()


def test_texts_of_a_spec_do_nothing(chromium: Any, tmp_path: Path) -> None:
    text = f'{TINY}summary: "{HOSTILE}"\n# {HOSTILE}\n'
    page = opened(chromium, _file(tmp_path, text))
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2
    assert HOSTILE in page.locator("header p").inner_text()
    assert HOSTILE in page.locator("#lines").inner_text()
    assert page.problems == []
    page.evaluate("document.body.append(document.createRange()"
                  f".createContextualFragment({HOSTILE!r}))")  # what may not run does not run  # fmt: skip
    page.wait_for_timeout(50)
    assert "1" not in page.problems
    assert "2" not in page.problems
    page.context.close()


def large(modalities: int) -> str:
    """A spec of so many inputs and outputs, none of which is like another."""
    inputs = "".join(
        f"  i{n}: {{shape: {{x: {n + 2}, y: 4, channel: 3}}, steps: [{{linear: {n + 4}}}],"
        " position: {fourier: {bands: 2}}, mask: optional}\n"
        for n in range(modalities)
    )
    outputs = "".join(
        f"  o{n}: {{query: {{grid: {{x: {n + 2}, y: 4}}, position: {{fourier: {{bands: 2}}}}}},"
        f" head: {{linear: {n + 1}}}}}\n"
        for n in range(modalities)
    )
    return (
        f"perceiver: 1\nname: large\ninputs:\n{inputs}join: {{padding: {{min: 1}}}}\n"
        "latents: {count: 4, width: 8}\n"
        "process: {layers: 2, heads: 2}\ndecode: {padding: {min: 1}}\n"
        f"outputs:\n{outputs}"
    )


DEEP = """\
perceiver: 1
name: deep
inputs: {a: {shape: {x: 16, channel: 8}, position: {fourier: {bands: 2}}}}
latents: {count: 4, width: 8}
process: {blocks: 90, layers: 10, heads: 2, share: false}
outputs: {o: {query: {learned: {}}, head: {linear: 2}}}
"""


@pytest.mark.parametrize(("text", "nodes", "boxes", "limit"), [
    (DEEP, 10_000, 8, 1000),
    (large(100), 3_500, 600, 5000),  # all of it is drawn: no two boxes are alike
], ids=["deep", "wide"])  # fmt: skip
def test_a_large_model_opens_soon(
    text: str, nodes: int, boxes: int, limit: int, chromium: Any, tmp_path: Path
) -> None:
    lowered = lower(parse_spec(text))
    assert len(lowered.graph.nodes) >= nodes
    path = tmp_path / "large.html"
    path.write_text(written(lowered), encoding="ascii")
    times = []
    for _ in range(3):
        page = opened(chromium, path)
        times.append(page.evaluate("performance.getEntriesByName('ready')[0].startTime"))
        assert page.locator("svg.whole .box").count() >= boxes
        page.context.close()
    print(f"opened in {min(times):.0f} ms at best of {[round(time) for time in times]}")
    assert min(times) < limit
