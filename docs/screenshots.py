"""Renews the pictures of docs/pictures that show what commands make: `make screenshots`.

The pages of `graph --format html` need a Chromium; what `run` and `run --attention` write of data that the
trained models of recipes/ never saw needs that data, which is fetched once. What cannot be had is said,
and its picture stays as it is.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import wave
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.cli import main as tool
from perceiver_graph.cli.page import page
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.spec.loader import load_spec
from recipes.__main__ import recipe
from recipes.base import HERE
from tests.browser.support import NoBrowserError, browser, opened

PICTURES = Path(__file__).parent / "pictures"
WIDE = {"width": 1440, "height": 900}
CLOCK, SCENE = 1000, 4
"""Which of the drawings of the vendor, and of the scenes, that were held out."""
INSTRUMENT, KEY = 61, 60
"""A brass section, as the font that was held out has it; the middle C."""
SENTENCE = "Os argumentos são separados por espaços."


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


def clips(folder: Path) -> list[Path]:
    """A film of a scene, in colours that the model never saw."""
    from recipes.clips.show import film

    return [path for path in film(folder) if path.name == "tank.mp4"]


def pictures(folder: Path) -> list[Path]:
    """A drawing of the vendor that was held out, on white paper."""
    from PIL import Image

    from recipes.pictures.recipe import HELD_OUT

    data: Any = recipe("pictures")
    data.prepare()
    drawn = Image.fromarray(data.of(HELD_OUT).pictures[CLOCK])
    paper = Image.new("RGB", drawn.size, "white")
    paper.paste(drawn, (0, 0), drawn)
    paper.save(folder / "clock.png")
    return [folder / "clock.png"]


def flow(folder: Path) -> list[Path]:
    """Two frames of a scene that was held out."""
    from PIL import Image

    data: Any = recipe("flow")
    data.prepare()
    frames = data.of("test")["frames"][SCENE]
    paths = [folder / "before.png", folder / "after.png"]
    for path, frame in zip(paths, frames, strict=True):
        Image.fromarray(frame).save(path)
    return paths


def sounds(folder: Path) -> list[Path]:
    """A note of an instrument whose recording was held out."""
    import tinysoundfont

    from recipes.sounds.recipe import FONTS, RATE, TESTED, samples

    data: Any = recipe("sounds")
    data.data.mkdir(parents=True, exist_ok=True)
    font = folder / "notes.sf2"
    font.write_bytes(FONTS[TESTED].read(data.data))
    synthesizer = tinysoundfont.Synth(gain=-3, samplerate=RATE)
    synthesizer.program_select(0, synthesizer.sfload(str(font)), 0, INSTRUMENT)
    synthesizer.noteon(0, KEY, 100)
    held = samples(synthesizer, RATE * 3 // 4)
    synthesizer.noteoff(0, KEY)
    path = folder / "brass.wav"
    wav(path, np.concatenate([held, samples(synthesizer, RATE // 4)]), RATE)
    return [path]


def wav(path: Path, sound: NDArray[Any], rate: int) -> None:
    """A sound of one channel as a file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((sound.clip(-1, 1) * 32767).astype("<i2").tobytes())


SUBJECTS: Mapping[str, Callable[[Path], Sequence[Path | str]]] = {
    "clips": clips,
    "pictures": pictures,
    "flow": flow,
    "sounds": sounds,
    "text": lambda folder: [SENTENCE],
}
"""What each trained model is shown."""


def ran(name: str, folder: Path) -> Path:
    """Compile a trained model and run it, as the pages say; the folder with its results, and with what it
    looked at in `seen`."""
    folder.mkdir()
    program, out = folder / "program", folder / "out"
    spec, weights = (HERE / name / file for file in ("spec.yaml", "weights.safetensors"))
    given = SUBJECTS[name](folder)
    for words in (
        ["compile", spec, "--weights", weights, "--attention", "-o", program],
        ["run", program, *given, "-o", out, "--attention", out / "seen"],
    ):
        assert tool(list(map(str, words))) == 0, words
    return out


def keep(found: Path, name: str) -> None:
    """A picture among those of the docs, in as few bytes as it takes."""
    from PIL import Image

    if found.exists():
        Image.open(found).save(PICTURES / name, optimize=True)


def run_pictures(name: str, folder: Path) -> Path:
    """Renew what a run of a model writes, and what it looks at."""
    out = ran(name, folder / name)
    for found in out.glob("*.png"):
        keep(found, f"run-{name}.png")
    for found in (out / "seen").glob("*.png"):
        keep(found, f"attention-{name}.png")
    return out


def shaded(chromium: Any, out: Path) -> None:
    """The page on what a model reads of a text."""
    (path,) = (out / "seen").glob("*.html")
    settings = {"viewport": {"width": 900, "height": 300}, "device_scale_factor": 1.5}
    view = chromium.new_context(**settings).new_page()
    view.goto(path.as_uri())
    view.screenshot(path=PICTURES / "attention-text.png", full_page=True)


def main() -> int:
    """Write all pictures, or say which could not be made, and why."""
    failed = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        path = folder / "kinetics.html"
        path.write_text(page(lower(load_spec("kinetics"))), encoding="ascii")
        for name in SUBJECTS:
            try:
                run_pictures(name, folder)
            except (URLError, ImportError) as error:
                failed.append(f"{name}: {error}")
                shutil.rmtree(folder / name, ignore_errors=True)
        try:
            with browser() as chromium:
                shoot(chromium, path)
                shaded(chromium, folder / "text" / "out")
        except NoBrowserError as error:
            failed.append(str(error))
    print("\n".join(failed), file=sys.stderr, end="\n" * bool(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
