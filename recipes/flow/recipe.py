"""Optical flow: cut-outs that move over photographs, tested on photographs and cut-outs held out."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import Dataset

from perceiver_graph.media.flow.picture import flow_picture
from recipes import base
from recipes.downloads import deb, deb_files
from recipes.flow.scenes import LONGEST, SIZE, scenes
from recipes.flow.start import start
from recipes.pictures import recipe as emoji
from recipes.sheets import sheet

PHOTOGRAPHS = {
    "usr/share/backgrounds/mate/nature/": (
        "pool/main/m/mate-backgrounds/mate-backgrounds_1.26.0-1_all.deb",
        "7bf4c2209f34b4f61ba6d24c8b58c28b361e82e4b943aae6d42c030169af9e04",
    ),
    "usr/share/backgrounds/": (
        "pool/main/l/lomiri-wallpapers/lomiri-wallpapers-16.04_20.04.0-2_all.deb",
        "a99ff6a3bfe451e4cc0682ecb3cc82e71740626d59e4845ae34a0a0e45421eab",
    ),
}
"""Packages of Debian 12, by the folder that their photographs are in."""
SHORTER = 224
"""Pixels that photographs are made smaller to, in height or width."""
SIDE = 128
"""Of the pieces that scenes are made of."""
SCENES = {"train": 4096, "test": 256}
AT_ONCE = 256
"""Pixels of a frame that are asked in a step of the training."""
ROWS = ("first", "second", "truth", "model")
WORDS = 60
"""Pixels for the name of a row."""


class Scenes(Dataset[base.Batch]):
    """Frames uint8 [count, 2, SIZE, SIZE, 3] and flow float16 [count, SIZE, SIZE, 2], in pixels."""

    def __init__(self, frames: NDArray[np.uint8], flow: NDArray[np.float16]) -> None:
        self.frames, self.flow = frames, flow

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> base.Batch:
        return {"frames": self.frames[index], "flow": self.flow[index]}


class Recipe(base.Recipe):
    """Where each pixel has gone, on photographs and with cut-outs that were never seen."""

    steps, batch, rate = 8000, 16, 1e-3

    def prepare(self) -> None:
        """Render the scenes, of every fifth photograph and of one vendor's emoji those for testing."""
        if all((self.data / f"{part}.npz").exists() for part in SCENES):
            return
        drawings = emoji.Recipe(self.data.parent)
        drawings.prepare()
        found = [
            picture
            for folder, (path, sha256) in PHOTOGRAPHS.items()
            for picture in photographs_of(dict(deb_files(deb(path, sha256, self.data))), folder)
        ]
        held_out = [number % 5 == 4 for number in range(len(found))]
        for seed, (part, count) in enumerate(SCENES.items()):
            testing = part == "test"
            chosen = [one for one, out in zip(found, held_out, strict=True) if out == testing]
            cut_outs = drawings.of(emoji.HELD_OUT) if testing else drawings.examples()
            parts = rendered(chosen, cut_outs.pictures, count, self.seed + seed)
            np.savez(self.data / f"{part}.npz", allow_pickle=False, **parts)

    def of(self, part: str) -> Mapping[str, NDArray[Any]]:
        """The scenes for training or testing."""
        kept: Mapping[str, NDArray[Any]] = np.load(self.data / f"{part}.npz")
        return kept

    def examples(self) -> Scenes:
        """Scenes of what was not held out."""
        kept = self.of("train")
        return Scenes(kept["frames"], kept["flow"])

    def loss(self, model: Callable[..., Mapping[str, Tensor]], batch: base.Batch) -> Tensor:
        """The end-point error at some pixels, in units of the longest motion."""
        frames, flow = varied(batch["frames"], batch["flow"].float())
        asked = torch.randperm(SIZE * SIZE, device=flow.device)[:AT_ONCE]
        found = model({"frames": frames}, {"flow": asked})["flow"]
        truth = flow.flatten(1, 2)[:, asked] / LONGEST
        error: Tensor = torch.linalg.vector_norm(found - truth, dim=-1).mean()
        return error

    def start(self, model: nn.Module) -> nn.Module:
        """Filters that see motion, and pixels that read what is near."""
        return start(model, seen(self.of("train")["frames"][:16]))

    def measure(self, run: base.Run) -> list[base.Figure]:
        """How much less the end-point error is than that of zero flow, in percent."""
        kept = self.of("test")
        frames, flow, covered = kept["frames"], kept["flow"].astype(np.float32), kept["covered"]
        found = np.concatenate(
            [run({"frames": seen(frames[i : i + 32])})["flow"] for i in range(0, len(frames), 32)]
        )
        error = np.linalg.norm(LONGEST * found - flow, axis=-1)
        zero = np.linalg.norm(flow, axis=-1)
        saved = [
            100 * float(1 - error[where].sum() / zero[where].sum()) for where in (..., covered)
        ]
        return [
            base.Figure("error below zero flow", saved[0], "%", 50),
            base.Figure("the same on cut-outs", saved[1], "%", 25),
        ]

    def show(self, run: base.Run, pictures: Path) -> str:
        """Both frames, where pixels go, and where the model says that they go."""
        kept = self.of("test")
        frames, flow = kept["frames"][:10], kept["flow"][:10].astype(np.float32)
        found = LONGEST * run({"frames": seen(frames)})["flow"]
        path = pictures / "gallery-flow.png"
        drawn = dict(zip(ROWS, drawings(frames, flow, found), strict=True))
        rows = {name: [(Image.fromarray(one), False) for one in drawn[name]] for name in ROWS}
        sheet(rows, len(frames), words=WORDS, margin=2).save(path, optimize=True)
        return (
            f"![frames and flow]({pictures.name}/{path.name})\n\n"
            "Scenes that were held out, the first ten: the two frames; where each pixel has gone, the colour "
            "being the direction and how strong it is the length; where the model says that it has gone."
        )


def drawings(
    frames: NDArray[np.uint8], *flows: NDArray[np.float32]
) -> list[Sequence[NDArray[np.uint8]]]:
    """Rows with a picture for each scene: both frames [count, 2, SIZE, SIZE, 3], and flows [count, SIZE,
    SIZE, 2], the colour being the direction; one scale for all."""
    longest = max(float(np.linalg.norm(flow, axis=-1).max()) for flow in flows)
    drawn = [[flow_picture(one, longest) for one in flow] for flow in flows]
    return [*frames.transpose(1, 0, 2, 3, 4), *drawn]


def photographs_of(files: Mapping[str, bytes], folder: str) -> list[NDArray[np.uint8]]:
    """The photographs in a folder, in the order of their names, made smaller."""
    found = []
    for path in sorted(files):
        if path.startswith(folder) and path.endswith(".jpg") and "/" not in path[len(folder) :]:
            picture = Image.open(io.BytesIO(files[path])).convert("RGB")
            factor = SHORTER / min(picture.size)
            size = round(picture.width * factor), round(picture.height * factor)
            found.append(np.asarray(picture.resize(size, Image.Resampling.LANCZOS)))
    return found


def rendered(
    photographs: list[NDArray[np.uint8]], cut_outs: NDArray[np.uint8], count: int, seed: int
) -> dict[str, NDArray[Any]]:
    """So many scenes of pieces of photographs, each with three cut-outs: frames, flow, covered."""
    random, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    parts: dict[str, list[NDArray[Any]]] = {"frames": [], "flow": [], "covered": []}
    for first in range(0, count, 64):
        pieces = []
        for _ in range(min(64, count - first)):
            whole = photographs[random.integers(len(photographs))]
            top, left = (random.integers(0, size - SIDE + 1) for size in whole.shape[:2])
            pieces.append(whole[top : top + SIDE, left : left + SIDE])
        drawn = cut_outs[random.integers(0, len(cut_outs), (len(pieces), 3))]
        frames, flow, covered = scenes(
            torch.from_numpy(np.stack(pieces)), torch.from_numpy(drawn), generator
        )
        parts["frames"].append((255 * frames).round().byte().numpy())
        parts["flow"].append(flow.half().numpy())
        parts["covered"].append(covered.numpy())
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def seen(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the model sees of frames: each pixel by itself, in [-1, 1]."""
    return (frames / 255 * 2 - 1).astype(np.float32)


def varied(frames: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """Frames uint8 [batch, 2, SIZE, SIZE, 3], as the model sees them, and their flow: a batch mirrored,
    upside down, turned on its diagonal, with its colours changed."""
    mirror, turn, swap = (torch.rand(3) < 0.5).tolist()
    if mirror:
        frames, flow = frames.flip(3), flow.flip(2) * flow.new_tensor([-1, 1])
    if turn:
        frames, flow = frames.flip(2), flow.flip(1) * flow.new_tensor([1, -1])
    if swap:
        frames, flow = frames.transpose(2, 3), flow.transpose(1, 2).flip(-1)
    shape = (len(frames), 1, 1, 1, 3)
    contrast = 0.7 + 0.6 * torch.rand(shape, device=frames.device)
    light = 0.4 * torch.rand(shape, device=frames.device) - 0.2
    inverted = 1 - 2.0 * (torch.rand((len(frames), 1, 1, 1, 1), device=frames.device) < 0.3)
    changed = (frames.float() / 255 * 2 - 1) * contrast * inverted + light
    return changed.clamp(-1, 1), flow
