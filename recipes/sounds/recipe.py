"""The family of an instrument: notes of sound fonts, tested on instruments that were held out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from perceiver_graph.media.clip.mel import log_mel
from recipes import base
from recipes.downloads import deb, deb_files, npm, npm_files
from recipes.sheets import sheet

RATE, WINDOW, HOP, MOMENTS, BANDS = 16000, 800, 160, 96, 64
"""As the spec has them: a second."""
SILENCE = float(np.log(1e-10))
NOTES = 24
"""Of each instrument."""
INSTRUMENTS = 128
"""Programs of General MIDI, eight of a family."""


class Font(NamedTuple):
    """A sound font, in a package of Debian 12, by its path, or of npm, by its name and version."""

    package: str
    sha256: str

    def read(self, folder: Path) -> bytes:
        """The file of the font; its package is kept in a folder no longer than it takes."""
        if self.package.endswith(".deb"):
            archive = deb(self.package, self.sha256, folder)
            files = deb_files(archive)
        else:
            name, version = self.package.rsplit("@", 1)
            archive = npm(name, version, self.sha256, folder)
            files = npm_files(archive)
        content = next(content for file, content in files if file.endswith((".sf2", ".sf3")))
        archive.unlink()
        return content


FONTS = {
    "timgm6mb": Font(
        "pool/main/t/timgm6mb-soundfont/timgm6mb-soundfont_1.3-5_all.deb",
        "034abdfb296d9353433513dad5dbdcab46425ee6008fc02fe7039b46e75edc54",
    ),
    "fluid": Font(
        "pool/main/f/fluid-soundfont/fluid-soundfont-gm_3.1-5.3_all.deb",
        "6f531493ac4e4d9772fd96b2488ea1790af81c196135fbdd25997da0781fc60e",
    ),
    "musescore": Font(
        "pool/main/m/musescore-general-soundfont-small/musescore-general-soundfont-small_0.2.1-1_all.deb",
        "65f9c1cb658c49e8713d2c95238d5d26868f520341f74a4fe26248a8f763c739",
    ),
    "opl3": Font(
        "pool/main/o/opl3-soundfont/opl3-soundfont_1.0-4_all.deb",
        "d0534cc07a536e1cfa05b1d0c0befb8586840c8d0e163ef24c536ca1bb5c9aff",
    ),
    "sonivox": Font(
        "@coderline/alphatab@1.8.4",
        "70b2c77abc9698a055d90a11d77308b6b41247936476e969d85770e3d4db4602",
    ),
}
TESTED = "timgm6mb"
NEVER, ELSEWHERE = 1, 5
"""Of each family, the second instrument is not in the training at all; the sixth is, as the other fonts
have it, and not as the tested one does."""

RANGES = {
    "piano": (36, 84),
    "chromatic percussion": (55, 96),
    "organ": (36, 84),
    "guitar": (40, 76),
    "bass": (28, 52),
    "strings": (36, 84),
    "ensemble": (40, 80),
    "brass": (40, 76),
    "reed": (44, 80),
    "pipe": (55, 91),
    "synth lead": (48, 84),
    "synth pad": (40, 76),
    "synth effects": (40, 76),
    "ethnic": (48, 79),
    "percussive": (40, 76),
    "sound effects": (40, 76),
}
"""The families in the order of General MIDI, and the notes that they play, 60 being the middle C."""
WORDS = 150
"""Pixels for the name of a row."""


class Notes(Dataset[base.Batch]):
    """Mel spectrograms float16 [count, MOMENTS, BANDS], and the instruments that are heard."""

    def __init__(self, notes: NDArray[np.float16], instruments: NDArray[np.int64]) -> None:
        self.notes, self.instruments = notes, instruments

    def __len__(self) -> int:
        return len(self.notes)

    def __getitem__(self, index: int) -> base.Batch:
        return {"note": self.notes[index], "instrument": self.instruments[index]}


class Recipe(base.Recipe):
    """The family of an instrument that was never heard, or not from this sound font."""

    steps, batch, rate = 5000, 48, 1e-3

    def prepare(self) -> None:
        """Play the notes of each font.

        Raises ImportError, which says what to install, without the synthesizer.
        """
        for name, font in FONTS.items():
            kept = self.data / f"{name}.npy"
            if not kept.exists():
                file = self.data / f"{name}.sf"
                file.write_bytes(font.read(self.data))
                np.save(kept, notes_of(file))
                file.unlink()

    def of(self, font: str, *places: int) -> Notes:
        """The notes of instruments of a font, by their place in their family."""
        notes = np.load(self.data / f"{font}.npy")
        chosen = np.flatnonzero(np.isin(np.arange(INSTRUMENTS) % 8, places))
        return Notes(np.concatenate(notes[chosen]), np.repeat(chosen, NOTES))

    def examples(self) -> Notes:
        """All but what is held out."""
        heard = [place for place in range(8) if place != NEVER]
        here = [place for place in heard if place != ELSEWHERE]
        parts = [self.of(font, *(here if font == TESTED else heard)) for font in FONTS]
        return Notes(
            np.concatenate([part.notes for part in parts]),
            np.concatenate([part.instruments for part in parts]),
        )

    def loss(self, model: Callable[..., Mapping[str, Tensor]], batch: base.Batch) -> Tensor:
        """Cross-entropy with label smoothing, on notes as other rooms and recorders have them."""
        scores = model({"audio": varied(batch["note"])})["label"]
        return F.cross_entropy(scores, batch["instrument"] // 8, label_smoothing=0.1)

    def measure(self, run: base.Run) -> list[base.Figure]:
        """The share of families that are told right, in percent."""

        def right(notes: Notes) -> float:
            return 100 * float(np.mean(told(run, notes.notes) == notes.instruments // 8))

        return [
            base.Figure("new recordings", right(self.of(TESTED, ELSEWHERE)), "%", 85),
            base.Figure("new instruments", right(self.of(TESTED, NEVER)), "%", 50),
        ]

    def show(self, run: base.Run, pictures: Path) -> str:
        """Six notes of each family that were not heard before, and what they are taken for."""
        notes = self.of(TESTED, ELSEWHERE)
        chosen = np.arange(len(notes)).reshape(len(RANGES), NOTES)[:, 2::4]
        families = told(run, notes.notes[chosen.ravel()]).reshape(chosen.shape)
        path = pictures / "gallery-sounds.png"
        rows = {
            family: [
                (picture(note), bool(told != row))
                for note, told in zip(notes.notes[chosen[row]], families[row], strict=True)
            ]
            for row, family in enumerate(RANGES)
        }
        sheet(rows, chosen.shape[1], words=WORDS).save(path)
        return (
            f"![spectrograms in sixteen rows]({pictures.name}/{path.name})\n\n"
            "Notes of recordings that were held out, low to high, time to the right and pitch upwards, a row "
            "for each family. What has a red frame is taken for another."
        )


def told(run: base.Run, notes: NDArray[np.float16]) -> NDArray[np.int64]:
    """The families that notes [count, MOMENTS, BANDS] are taken for."""
    heard = notes[..., None].astype(np.float32)
    parts = [heard[i : i + 64] for i in range(0, len(heard), 64)]
    return np.concatenate([run({"audio": part})["label"].argmax(-1) for part in parts])


def picture(note: NDArray[np.float16]) -> Image.Image:
    """A note [MOMENTS, BANDS] as a picture: time to the right, pitch upwards."""
    loud = note.T[::-1].astype(np.float32)
    grey = 255 - 255 * np.clip((loud - loud.max()) / 12 + 1, 0, 1)
    return Image.fromarray(grey.astype(np.uint8)).resize((MOMENTS, BANDS // 2))


def notes_of(font: Path) -> NDArray[np.float16]:
    """Notes of each instrument of a font [INSTRUMENTS, NOTES, MOMENTS, BANDS], high and low, hard and
    soft, short and long: the same ones each time."""
    try:
        import tinysoundfont
    except ImportError:
        raise ImportError(
            "notes are played by tinysoundfont: pip install tinysoundfont==0.3.7"
        ) from None
    random = np.random.default_rng(0)
    synthesizer = tinysoundfont.Synth(gain=-3, samplerate=RATE)
    loaded = synthesizer.sfload(str(font))
    notes = np.empty((INSTRUMENTS, NOTES, MOMENTS, BANDS), np.float16)
    for instrument in range(INSTRUMENTS):
        low, high = list(RANGES.values())[instrument // 8]
        for number in range(NOTES):
            synthesizer.sounds_off(0)
            synthesizer.program_select(0, loaded, 0, instrument)
            key = int(low + (high - low) * (number + random.random()) / NOTES)
            begin, length = int(random.integers(0, 1500)), int(random.integers(6000, 13500))
            synthesizer.noteon(0, key, int(random.integers(60, 128)))
            held = samples(synthesizer, length)
            synthesizer.noteoff(0, key)
            sound = np.concatenate([np.zeros(begin), held, samples(synthesizer, RATE - length)])
            notes[instrument, number] = spectrogram(sound[:RATE].astype(np.float32))
    return notes


def samples(synthesizer: Any, count: int) -> NDArray[np.float32]:
    """What a synthesizer plays next, mixed to one channel."""
    both = np.frombuffer(bytes(synthesizer.generate(count)), np.float32).reshape(-1, 2)
    mixed: NDArray[np.float32] = both.mean(1)
    return mixed


def spectrogram(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the model hears of a second of sound [RATE], as [MOMENTS, BANDS]."""
    return log_mel(sound, rate=RATE, window=WINDOW, hop=HOP, bands=BANDS)


def varied(notes: Tensor) -> Tensor:
    """Spectrograms [batch, MOMENTS, BANDS] earlier and later, quicker and slower, higher and lower, louder
    and softer, brighter and darker, in noise and in part, as the model hears them: a factor of the power is
    a summand of its logarithm."""
    notes = notes.float()
    count, device = len(notes), notes.device

    def between(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, device=device)

    moment = torch.arange(MOMENTS, device=device) * between(0.7, 1.4, 1) + between(-8, 16, 1)
    band = torch.arange(BANDS, device=device) + between(-3, 3, 1)
    grid = torch.stack(
        [
            (2 * band / (BANDS - 1) - 1)[:, None].expand(-1, MOMENTS, -1),
            (2 * moment / (MOMENTS - 1) - 1)[..., None].expand(-1, -1, BANDS),
        ],
        -1,
    )
    above = (notes - SILENCE)[:, None]
    notes = F.grid_sample(above, grid, align_corners=True)[:, 0] + SILENCE
    curves = torch.stack(list(_curves(device)))
    filtered = torch.randn(count, len(curves), device=device) / torch.tensor(
        [1.0, 1.25, 2.0, 2.5, 3.3], device=device
    )
    notes = notes + (filtered @ curves)[:, None]
    noise = between(-24, -6, 1) + torch.randn(count, 1, device=device) @ curves[1:2]
    flicker = torch.empty_like(notes).exponential_().clamp_min(1e-3).log()
    heard = torch.logaddexp(notes, noise[:, None] + flicker)
    unheard = (
        _stretch(MOMENTS, between(0, 16, 1))[..., None]
        | _stretch(BANDS, between(0, 12, 1))[:, None]
    )
    return heard.masked_fill(unheard, -8.0)[..., None]


def _stretch(size: int, length: Tensor) -> Tensor:
    """A stretch somewhere, as long as is said [batch, 1], of an axis: bool [batch, size]."""
    begin = torch.rand_like(length) * (size - length)
    place = torch.arange(size, device=length.device)
    return (place >= begin) & (place < begin + length)


def _curves(device: torch.device) -> Iterator[Tensor]:
    """What filters are mixed of: level, tilt, bend, and ripples over the bands."""
    band = torch.linspace(-1, 1, BANDS, device=device)
    yield from (torch.ones_like(band), band, band**2 - 1 / 3)
    yield from (torch.sin(3 * band), torch.cos(5 * band))
