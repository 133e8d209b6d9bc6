"""What media say, as transformers says it: what classes are called, and how pictures are prepared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perceiver_graph.compiler.exporting.guesses import at
from perceiver_graph.media.image.model import RESAMPLING


def label_settings(output: Mapping[str, Any], count: int) -> dict[str, Any]:
    """The settings of a configuration about the classes of an output."""
    media = output.get("media") or {}
    names = at(media, "classes", "names") or at(media, "scores", "names")
    called = {str(i): name for i, name in enumerate(names or [f"LABEL_{i}" for i in range(count)])}
    found: dict[str, Any] = {"id2label": called}
    found["label2id"] = {name: int(index) for index, name in called.items()}
    if "scores" in media:
        found["problem_type"] = "regression"
    elif at(media, "classes", "multi_label"):
        found["problem_type"] = "multi_label_classification"
    return found


def picture_settings(entry: Mapping[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """preprocessor_config.json, and what it cannot say; None for an input without media."""
    image = at(entry, "media", "image")
    if image is None:
        return None, []
    height, width = (at(entry, "shape", side) for side in ("height", "width"))
    share = image["crop"]
    found: dict[str, Any] = {
        "image_processor_type": "PerceiverImageProcessor",
        "do_resize": True,
        "size": {"height": height, "width": width},
        "resample": RESAMPLING[image["resample"]],
        "do_center_crop": not image["stretch"],
        "crop_size": {"height": round(height / share), "width": round(width / share)},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": image["mean"],
        "image_std": image["std"],
    }
    exact = found["crop_size"]["height"] * share == height
    notes = (
        []
        if exact or image["stretch"]
        else [f"pictures are cut to {share} of their size, which no whole crop size says exactly"]
    )
    return found, notes
