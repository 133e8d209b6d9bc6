"""The spec of `PerceiverForMultimodalAutoencoding`: a video, its sound and its label."""

from __future__ import annotations

from perceiver_graph.compiler.importing.draft import (
    Configuration,
    Data,
    Draft,
    class_media,
    decoder,
    make_body,
)
from perceiver_graph.compiler.importing.yaml_text import Path

CHUNK = 6272
"""Queries that are decoded at a time, of a video: 1/128 of those of the published model."""


def multimodal(config: Configuration) -> Draft:
    """Everything back from the latents; the label is always masked, so it is classified."""
    s = config.settings
    frames, side = s.count("num_frames"), s.count("image_size")
    patch, samples = s.count("samples_per_patch"), frames * s.count("audio_samples_per_frame")
    _, out_frames, out_height, out_width = s.counts("output_shape", 4)
    if samples % patch:
        s.wrong(
            f"{samples} samples of sound (`num_frames` x `audio_samples_per_frame`) are no whole "
            f"number of patches: `samples_per_patch` is {patch}"
        )
    height, width = config.image_size or (4 * side, 4 * side)
    grid = {"time": frames, "height": side, "width": side}
    sound = {"fourier": {"bands": 192, "max_resolution": {"time": samples}}}
    # Sound and frames last equally long; the published model: 25 frames, 48000 samples a second.
    audio_media = {"audio": {"rate": 25 * s.count("audio_samples_per_frame")}}
    inputs: Data = {
        "audio": {
            "shape": {"time": samples, "channel": 1},
            "steps": [{"patch": {"time": patch}}],
            "position": sound,
            "media": audio_media,
        },
        "image": {
            "shape": {"time": frames, "height": height, "width": width, "channel": 3},
            "steps": [{"patch": {"height": 4, "width": 4}}],
            "position": {"fourier": {"bands": 32, "max_resolution": grid}},
            "media": {"video": {"rate": 25}},
        },
        "label": {"shape": {"channel": config.classes}, "mask": "always"},
    }
    joined = max(patch + 385, 48 + 195, config.classes) + 4
    label_width = s.count("_label_trainable_num_channels")
    query_width = max(385, 195, label_width) + 2
    pixels = out_frames * out_height * out_width
    project = s.count("output_num_channels")
    more: Data = {"padding": {"min": 2}, "project": project}
    if pixels > CHUNK:
        more["chunks"] = -(-pixels // CHUNK)
    body = make_body(s, joined, decoder(s, query_width, **more))
    outputs: Data = {
        "audio": {
            "query": {"grid": {"time": samples // patch}, "position": sound},
            "head": {"linear": patch},
            "media": audio_media,
        },
        "image": {
            "query": {
                "grid": {"time": out_frames, "height": out_height, "width": out_width},
                "position": {"fourier": {"bands": 32, "max_resolution": grid}},
            },
            "head": {"linear": 3},
            "media": {"video": {"rate": _rate(out_frames, frames)}},
        },
        "label": {
            "query": {"learned": {"width": label_width}},
            "head": {"linear": config.classes},
            "media": class_media(config),
        },
    }
    remarks: dict[Path, str] = {
        ("inputs", "label", "mask"): "a classifier: the label is what is asked for",
        ("join",): f"learned channels up to a common width: {joined}",
        ("decode",): f"queries of width {query_width}",
    }
    data = {"inputs": inputs, "join": {"padding": {"min": 4}}, **body, "outputs": outputs}
    return Draft(data, remarks)


def _rate(out_frames: int, frames: int) -> int | float:
    """Frames per second that let what comes out last as long as what goes in."""
    rate = 25 * out_frames / frames
    return int(rate) if rate.is_integer() else rate
