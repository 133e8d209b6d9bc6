"""Specs of the models that read pictures: three classifiers and optical flow."""

from __future__ import annotations

from perceiver_graph.compiler.importing.draft import (
    Configuration,
    Data,
    Draft,
    classifier,
    decoder,
    make_body,
)
from perceiver_graph.compiler.importing.yaml_text import Path
from perceiver_graph.media.flow.model import FlowInputParameters


def _image(size: tuple[int, int]) -> Data:
    return {"shape": {"height": size[0], "width": size[1], "channel": 3}}


def _any_size(config: Configuration) -> tuple[int, int]:
    """For classes that take pictures of any size and do not say which they were trained at."""
    return config.image_size or config.picture.size() or (224, 224)


def _image_classifier(
    config: Configuration, image: Data, channels: int, remarks: dict[Path, str]
) -> Draft:
    s = config.settings
    shape = image["shape"]
    image["media"] = config.picture.media((shape["height"], shape["width"]))
    decode = decoder(s, s.count("d_latents"), query_residual=True)
    body = make_body(s, channels, decode)
    return Draft({"inputs": {"image": image}, **body, "outputs": classifier(config)}, remarks)


def learned(config: Configuration) -> Draft:
    """Raw pixels through a 1 x 1 convolution, beside a learned position of each."""
    side = config.settings.count("image_size")
    size = config.image_size or (side, side)
    table: Data = {"width": 256}
    if size != (side, side):
        table["trained_on"] = {"height": side, "width": side}
    image = _image(size) | {
        "steps": [{"linear": 256}],
        "position": {"learned": table, "project": 256},
    }
    remarks: dict[Path, str] = {
        ("inputs", "image", "steps"): "a 1 x 1 convolution",
        ("inputs", "image", "position"): "256 + 256 channels",
    }
    return _image_classifier(config, image, 512, remarks)


def fourier(config: Configuration) -> Draft:
    """Raw pixels, beside the Fourier features of where they are."""
    image = _image(_any_size(config)) | {"position": _plane(64, (224, 224))}
    remarks: dict[Path, str] = {
        ("inputs", "image", "shape"): "other sizes work, too",
        ("inputs", "image", "position"): "3 + 258 channels",
    }
    return _image_classifier(config, image, 261, remarks)


def conv(config: Configuration) -> Draft:
    """What a convolution and a pooling leave of the picture, beside Fourier features."""
    steps = [
        {
            "conv": {
                "channels": 64,
                "kernel": {"height": 7, "width": 7},
                "stride": {"height": 2, "width": 2},
                "bias": False,
            }
        },
        {"batch_norm": {}},
        {"activation": "relu"},
        {"max_pool": {"window": _both(3), "stride": _both(2)}},
    ]
    image = _image(_any_size(config)) | {"steps": steps, "position": _plane(64, (56, 56))}
    remarks: dict[Path, str] = {
        ("inputs", "image", "shape"): "other sizes work, too",
        ("inputs", "image", "position"): "64 + 258 channels",
    }
    return _image_classifier(config, image, 322, remarks)


def _both(n: int) -> Data:
    return {"height": n, "width": n}


def _plane(bands: int, resolution: tuple[int, int] | list[int]) -> Data:
    height, width = resolution
    return {"fourier": {"bands": bands, "max_resolution": {"height": height, "width": width}}}


def _tiles(height: int, width: int) -> Data:
    """The usual overlap, or less where tiles are smaller than that."""
    smallest = min(height, width)
    return {} if smallest > FlowInputParameters().overlap else {"overlap": smallest // 2}


def flow(config: Configuration) -> Draft:
    """Where each pixel goes from one frame to the next. The tokens themselves are the queries."""
    s = config.settings
    trained_on = s.counts("train_size", 2)
    height, width = config.image_size or trained_on
    frames: Data = {
        "shape": {"time": 2, "height": height, "width": width, "channel": 27},
        "steps": [{"patch": {"time": 2}}, {"squeeze": "time"}, {"linear": 64}],
        "position": _plane(64, trained_on),
        "media": {"flow": _tiles(height, width)},
    }
    flow = {
        "query": {"inputs": "frames"},
        "head": {"linear": 2, "scale": 0.01},
        "media": {"flow": {}},
    }
    remarks: dict[Path, str] = {
        ("inputs", "frames", "shape"): "3 x 3 neighbours of each pixel",
        ("inputs", "frames", "position"): "64 + 258 channels",
    }
    body = make_body(s, 322, decoder(s, 322))
    return Draft({"inputs": {"frames": frames}, **body, "outputs": {"flow": flow}}, remarks)
