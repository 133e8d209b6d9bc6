"""Clips with sound and a label, autoencoded: what is left out is filled in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

from recipes import base
from recipes.clips.scenes import FRAMES, NAMES, PATCH, SIDE, Array, Clip, clip
from recipes.clips.show import sheet, shown
from recipes.clips.start import spread

TRAINING, TESTING = 1, 2
"""Seeds of the clips."""
PIXELS = 384
"""Pixels that are asked for in a step, of 8,192."""
TESTED, AT_ONCE = 96, 16


class Clips(Dataset[base.Batch]):
    """Clips rendered as they are asked for, no two alike."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> base.Batch:
        made = clip(TRAINING, index, testing=False)
        return {"image": made.frames, "audio": made.samples, "label": np.int64(made.scene)}


class Recipe(base.Recipe):
    """Autoencode clips of colours that were never seen together; tell the scene; fill in what is missing."""

    steps, batch, rate = 3000, 16, 2e-3

    def prepare(self) -> None:
        """Nothing: clips are rendered."""

    def examples(self) -> Clips:
        """A new clip for every place in every batch."""
        return Clips(self.steps * self.batch)

    def loss(self, model: Callable[..., Mapping[str, Tensor]], batch: base.Batch) -> Tensor:
        """Squared errors of some pixels, above all where something moves, and of all samples, beside the
        cross-entropy of the label; some clips lack their pictures, some their sound, most their label."""
        image, audio, label = batch["image"] / 255, batch["audio"], batch["label"]
        chance = torch.rand(2, len(label), device=label.device)
        inputs = {
            "image": image,
            "image.present": chance[0] > 0.1,
            "audio": audio,
            "audio.present": (chance[0] < 0.1) | (chance[0] > 0.25),
            "label": F.one_hot(label, len(NAMES)).float(),
            "label.present": chance[1] < 0.1,
        }
        asked = torch.randperm(FRAMES * SIDE * SIDE, device=label.device)[:PIXELS]
        everything = torch.arange(audio.shape[1] // PATCH, device=label.device)
        found = model(inputs, {"image": asked, "audio": everything})
        pixels = image.flatten(1, 3)[:, asked]
        patches = audio.unflatten(1, (-1, PATCH)).squeeze(-1)
        moving = (image - image.mean(1, keepdim=True)).abs().mean(-1).flatten(1)[:, asked, None]
        seen = torch.mean((1 + 8 * moving) * (found["image"] - pixels) ** 2)
        heard = F.mse_loss(found["audio"], patches)
        return 10 * seen + 10 * heard + 0.2 * F.cross_entropy(found["label"], label)

    def start(self, model: nn.Module) -> nn.Module:
        """Latents that are spread over the clip."""
        spread(model)
        return model

    def measure(self, run: base.Run) -> list[base.Figure]:
        """Pictures, sound and label from pictures and sound; then each from the other alone."""
        clips = [clip(TESTING, number, testing=True) for number in range(TESTED)]
        both = Answers(run, clips)
        muted, blind = Answers(run, clips[::2], audio=False), Answers(run, clips[::2], image=False)
        return [
            base.Figure("pictures, PSNR", both.pictures(), "dB", 22),
            base.Figure("over the clip's mean frame", both.over_mean_frame(), "dB", 3),
            base.Figure("over the mean of all clips", both.over_mean_colour(), "dB", 3),
            base.Figure("so from sound alone", blind.over_mean_colour(), "dB", 0),
            base.Figure("sound over silence, SNR", both.sound(), "dB", 0),
            base.Figure("so from pictures alone", muted.sound(), "dB", 0),
            base.Figure("scene told right", both.label(), "%", 80),
            base.Figure("so from pictures alone", muted.label(), "%", 80),
            base.Figure("so from sound alone", blind.label(), "%", 80),
        ]

    def show(self, run: base.Run, pictures: Path) -> str:
        """Four clips above what came out of them, with what was filled in."""
        seen = []
        for scene in range(0, len(NAMES), 2):
            made = clip(TESTING, TESTED + scene, testing=True, scene=scene)
            frames = made.frames.astype(np.float32) / 255
            seen.append(shown(run, NAMES[scene], frames, made.samples))
        sheet(seen).quantize(256).save(pictures / "gallery-clips.png", optimize=True)
        return (
            "Of each clip: what went in; what came out; the pictures made up from its sound alone, and "
            "the sound made up from its pictures alone.\n\n"
            "![clips and what the model makes of them](pictures/gallery-clips.png)"
        )


class Answers:
    """What a model makes of clips, with their label left out, and pictures or sound where it is asked."""

    def __init__(
        self, run: base.Run, clips: list[Clip], *, image: bool = True, audio: bool = True
    ) -> None:
        self.frames = np.stack([one.frames for one in clips]).astype(np.float32) / 255
        self.samples = np.stack([one.samples for one in clips])
        self.scenes = np.array([one.scene for one in clips])
        inputs: dict[str, Array] = {}
        if image:
            inputs["image"] = self.frames
        if audio:
            inputs["audio"] = self.samples
        parts = [
            run({name: values[start : start + AT_ONCE] for name, values in inputs.items()})
            for start in range(0, len(clips), AT_ONCE)
        ]
        self.found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def pictures(self) -> float:
        """The mean over clips of the peak signal-to-noise ratio, in dB."""
        return psnr(self.frames, self.found["image"].reshape(self.frames.shape).clip(0, 1))

    def over_mean_frame(self) -> float:
        """By how much that is more than that of the clip's own mean frame, which knows its background."""
        return self.pictures() - psnr(self.frames, self.frames.mean(1, keepdims=True))

    def over_mean_colour(self) -> float:
        """By how much that is more than that of the mean of all clips."""
        return self.pictures() - psnr(self.frames, self.frames.mean((0, 1), keepdims=True)[0])

    def sound(self) -> float:
        """The signal-to-noise ratio over all clips, in dB: silence has 0."""
        wrong = self.samples - self.found["audio"].reshape(self.samples.shape)
        return 10 * float(np.log10(np.square(self.samples).sum() / np.square(wrong).sum()))

    def label(self) -> float:
        """The share of scenes that are told right, in percent."""
        return 100 * float(np.mean(self.found["label"].argmax(-1) == self.scenes))


def psnr(wanted: Array, found: Array) -> float:
    """The mean over clips of the peak signal-to-noise ratio, in dB."""
    errors = np.square(wanted - found).reshape(len(wanted), -1).mean(-1)
    return float(np.mean(-10 * np.log10(errors)))
