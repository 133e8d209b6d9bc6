"""Emoji of four vendors: trained on the drawings of three, tested on those of the fourth."""

from __future__ import annotations

import io
import json
import math
import tarfile
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from perceiver_graph.media.image.model import IMAGENET_MEAN, IMAGENET_STD
from perceiver_graph.media.image.resizing import normalised
from recipes import base
from recipes.downloads import npm
from recipes.sheets import sheet

VERSION = "16.0.0"
DIGESTS = {
    "apple": "b34d1665e136f163b0d4433318df151895b785186e8c729b2211b43017945075",
    "google": "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
    "twitter": "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877",
    "facebook": "017038cf5a4e7fcf03dd9133cbed43d4c281c4b3ce7b927c7160261b92b8821e",
}
HELD_OUT = "twitter"
"""The flattest drawings, and the least like the others."""
GROUPS = (
    "Smileys & Emotion",
    "People & Body",
    "Animals & Nature",
    "Food & Drink",
    "Travel & Places",
    "Activities",
    "Objects",
    "Symbols",
    "Flags",
)
WORDS = 130
"""Pixels for the name of a row."""
COLUMNS = 14


class Emoji(Dataset[base.Batch]):
    """Pictures uint8 [64, 64, 4], red, green, blue and opacity, their groups, and which emoji they are.
    Each comes with another drawing of the same emoji, or itself where there is none."""

    def __init__(
        self, pictures: NDArray[np.uint8], groups: NDArray[np.int64], emoji: NDArray[np.int64]
    ) -> None:
        self.pictures, self.groups, self.emoji = pictures, groups, emoji
        self.drawings = {int(one): np.flatnonzero(emoji == one) for one in np.unique(emoji)}

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> base.Batch:
        same = self.drawings[int(self.emoji[index])]
        other = same[int(torch.randint(len(same), ()))]
        return {
            "picture": self.pictures[index],
            "other": self.pictures[other],
            "group": self.groups[index],
            "emoji": self.emoji[index],
        }


class Recipe(base.Recipe):
    """The group of an emoji, by a vendor whose drawings were never seen."""

    steps, batch, rate = 13500, 64, 1e-3

    def prepare(self) -> None:
        """Take the pictures of 64 x 64 out of the packages of npm."""
        for vendor, digest in DIGESTS.items():
            kept = self.data / f"{vendor}.npz"
            if not kept.exists():
                package = npm(f"emoji-datasource-{vendor}", VERSION, digest, self.data)
                pictures, groups, emoji = emoji_of(package, vendor)
                np.savez(kept, pictures=pictures, groups=groups, emoji=emoji)
                package.unlink()

    def of(self, *vendors: str) -> Emoji:
        """The drawings of some vendors."""
        files = [np.load(self.data / f"{vendor}.npz") for vendor in vendors]
        return Emoji(
            *(np.concatenate([f[key] for f in files]) for key in ("pictures", "groups", "emoji"))
        )

    def examples(self) -> Emoji:
        """All vendors but one."""
        return self.of(*(vendor for vendor in DIGESTS if vendor != HELD_OUT))

    def loss(self, model: Callable[..., Mapping[str, Tensor]], batch: base.Batch) -> Tensor:
        """Cross-entropy with label smoothing, on drawings that are mixed, turned, moved and recoloured: of
        the emoji, which says far more about what there is to be seen than its group does; and of the
        group, half of it as the probabilities of its emoji say."""
        scores = model({"image": varied(mixed(batch["picture"], batch["other"]))})
        emoji, group = batch["emoji"], batch["group"]
        probable = scores["emoji"].detach().softmax(-1) @ self.members.to(scores["emoji"])
        wanted = (F.one_hot(group, len(GROUPS)) + probable) / 2
        return F.cross_entropy(scores["emoji"], emoji, label_smoothing=0.1) + F.cross_entropy(
            scores["label"], wanted, label_smoothing=0.1
        )

    @cached_property
    def members(self) -> Tensor:
        """Which group each emoji belongs to [emoji, group], as zeros and ones."""
        known = self.examples()
        found = torch.zeros(int(known.emoji.max()) + 1, len(GROUPS))
        found[torch.from_numpy(known.emoji), torch.from_numpy(known.groups)] = 1
        return found

    def measure(self, run: base.Run) -> list[base.Figure]:
        """The share of groups, and of emoji, that are told right, in percent."""
        emoji = self.of(HELD_OUT)
        scores = [
            run({"image": on_white(emoji.pictures[i : i + 64])})["emoji"]
            for i in range(0, len(emoji), 64)
        ]
        told = np.concatenate(scores)
        right = self.groups(told) == emoji.groups
        each = [right[emoji.groups == group].mean() for group in range(len(GROUPS))]
        return [
            base.Figure("group told right", 100 * float(right.mean()), "%", 80),
            base.Figure("mean over groups", 100 * float(np.mean(each)), "%", 75),
            base.Figure(
                "emoji told right", 100 * float(np.mean(told.argmax(-1) == emoji.emoji)), "%", 50
            ),
        ]

    def groups(self, scores: NDArray[np.float32]) -> NDArray[np.int64]:
        """The groups whose emoji are the most probable together, by scores of emoji [count, emoji]."""
        probable = torch.from_numpy(scores).softmax(-1) @ self.members
        return probable.argmax(-1).numpy()

    def show(self, run: base.Run, pictures: Path) -> str:
        """Rows of drawings by what they are taken for, as many as there are groups."""
        emoji = self.of(HELD_OUT)
        chosen = np.random.default_rng(0).permutation(len(emoji))[:240]
        drawn = emoji.pictures[chosen]
        scores = [run({"image": on_white(drawn[i : i + 60])})["emoji"] for i in range(0, 240, 60)]
        told = self.groups(np.concatenate(scores))
        wrong = told != emoji.groups[chosen]
        path = pictures / "gallery-pictures.png"
        rows = {
            group.lower(): [
                (small(drawn[one]), bool(wrong[one]))
                for one in np.flatnonzero(told == row)[:COLUMNS]
            ]
            for row, group in enumerate(GROUPS)
        }
        sheet(rows, COLUMNS, words=WORDS, frame=2).save(path, optimize=True)
        return (
            f"![drawings in nine rows]({pictures.name}/{path.name})\n\n"
            "Drawings of the vendor that was held out, a row for each group that they are taken for. "
            "What has a red frame belongs to another."
        )


def small(drawing: NDArray[np.uint8]) -> Image.Image:
    """A drawing uint8 [64, 64, 4] of half the size, on white paper."""
    one = Image.fromarray(drawing).resize((32, 32))
    paper = Image.new("RGB", one.size, "white")
    paper.paste(one, (0, 0), one)
    return paper


def emoji_of(
    package: Path, vendor: str
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Pictures uint8 [count, 64, 64, 4] of a vendor's emoji, without skin tones, their groups, and their
    places among all emoji in the order of Unicode."""
    with tarfile.open(package) as archive:

        def content(path: str) -> bytes:
            file = archive.extractfile(f"package/{path}")
            assert file is not None, path
            return file.read()

        every = [
            entry for entry in json.loads(content("emoji.json")) if entry["category"] in GROUPS
        ]
        every.sort(key=lambda entry: entry["sort_order"])
        place = {entry["unified"]: number for number, entry in enumerate(every)}
        described = [entry for entry in every if entry[f"has_img_{vendor}"]]
        pictures = np.stack(
            [
                np.asarray(
                    Image.open(io.BytesIO(content(f"img/{vendor}/64/{entry['image']}")))
                    .convert("RGBA")
                    .resize((64, 64))
                )
                for entry in described
            ]
        )
    groups = np.array([GROUPS.index(entry["category"]) for entry in described])
    return pictures, groups, np.array([place[entry["unified"]] for entry in described])


def on_white(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the model sees of drawings uint8 [batch, 64, 64, 4] on white paper."""
    opacity = pictures[..., 3:] / 255
    drawn = pictures[..., :3] * opacity + 255 * (1 - opacity)
    return normalised(drawn.round().astype(np.uint8), IMAGENET_MEAN, IMAGENET_STD)


def mixed(pictures: Tensor, others: Tensor) -> Tensor:
    """Drawings of the same emoji uint8 [batch, 64, 64, 4] laid over each other, in half of the batch: more
    of the one here, more of the other there. Colours times opacity, floats [batch, 4, 64, 64]."""
    ours, theirs = (_premultiplied(some) for some in (pictures, others))
    count = len(ours)
    part = torch.randn(count, 1, 3, 3, device=ours.device)
    part = F.interpolate(part, ours.shape[2:], mode="bilinear", align_corners=True)
    part = torch.sigmoid(part * 4 * torch.rand(count, 1, 1, 1, device=ours.device))
    alone = torch.rand(count, 1, 1, 1, device=ours.device) < 0.5
    return torch.lerp(ours, theirs, part.masked_fill(alone, 0))


def _premultiplied(pictures: Tensor) -> Tensor:
    parts = pictures.permute(0, 3, 1, 2).float() / 255
    return torch.cat([parts[:, :3] * parts[:, 3:], parts[:, 3:]], 1)


def restyled(pictures: Tensor) -> Tensor:
    """Pictures [batch, 3, 64, 64] as another hand could have drawn them: a fifth of them seen through
    filters of random weights (Xu et al., 2021), a third with few colours. What they show stays."""
    count, size = len(pictures), 5
    device = pictures.device

    def chosen(share: float) -> Tensor:
        return torch.rand(count, 1, 1, 1, device=device) < share

    kernels = torch.randn(count * 3, 3, size, size, device=device) / (3 * size**2) ** 0.5
    filtered = F.conv2d(
        pictures.reshape(1, -1, *pictures.shape[2:]), kernels, padding=size // 2, groups=count
    ).view_as(pictures)
    amount = torch.rand(count, 1, 1, 1, device=device)
    pictures = torch.where(chosen(1 / 5), torch.lerp(pictures, filtered, amount), pictures)
    levels = torch.randint(2, 7, (count, 1, 1, 1), device=device)
    flat = (F.avg_pool2d(pictures, 3, 1, 1) * levels).round() / levels
    return torch.where(chosen(1 / 3), flat, pictures)


def varied(parts: Tensor) -> Tensor:
    """Drawings [batch, 4, 64, 64], colours times opacity, turned, scaled, moved, mirrored, in other colours,
    on paper of any colour, as the model sees them."""
    count, device = len(parts), parts.device

    def between(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, device=device)

    angle, scale = between(-0.35, 0.35) * math.pi / 2, between(0.8, 1.3)
    mirror = 1 - 2.0 * (between(0, 1) < 0.3)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = torch.stack([cos * mirror, -sin, between(-0.2, 0.2)], -1)
    columns = torch.stack([sin * mirror, cos, between(-0.2, 0.2)], -1)
    grid = F.affine_grid(torch.stack([rows, columns], 1), list(parts.shape), align_corners=False)
    moved = F.grid_sample(parts, grid, align_corners=False)
    colour, opacity = moved[:, :3], moved[:, 3:]
    channels = torch.eye(3, device=device) + between(-0.25, 0.25, 3, 3)
    grey = colour.mean(1, keepdim=True)
    colour = torch.lerp(
        grey, torch.einsum("bchw,bdc->bdhw", colour, channels), between(0.3, 1.2, 1, 1, 1)
    )
    paper = torch.where(between(0, 1, 1, 1, 1) < 0.5, 1.0, between(0, 1, 3, 1, 1))
    seen = restyled(colour + paper * (1 - opacity)).clamp(0, 1).permute(0, 2, 3, 1)
    mean, std = seen.new_tensor(IMAGENET_MEAN), seen.new_tensor(IMAGENET_STD)
    return (seen - mean) / std
