"""Every shipped system, written out with the equations of tests/deepmind/equations.py.

Sizes come from the arrays; heads, bands and resolutions are those of the small variants in
tests/small.py, written down here a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tests.deepmind.equations import (
    Array,
    Modality,
    Weights,
    batch_norm,
    convolve,
    cross_attend,
    fourier_features,
    gelu,
    grid,
    join,
    linear,
    max_pool,
    patches,
    relu,
    self_attend,
    sigmoid,
    with_positions,
)

Arrays = Mapping[str, Array]
System = Callable[[Weights, Arrays], dict[str, Array]]


def encode(
    w: Weights,
    inputs: Array,
    mask: Array | None = None,
    *,
    cross_heads: int = 1,
    heads: int = 8,
    reads: int = 1,
    blocks: int = 1,
    layers: int,
) -> Array:
    """Latents that read the inputs `reads` times, the first time with weights of their own, each
    time before a block of the one stack of self-attention."""
    latents = np.broadcast_to(w["latents"], (len(inputs), *w["latents"].shape))
    for block in range(blocks):
        if block < reads:
            name = "cross_attend" if reads == 1 else f"cross_attends.{min(block, 1)}"
            latents = cross_attend(
                w / "encoder" / name,
                latents,
                inputs,
                cross_heads,
                query_norm="latent_norm",
                residual=True,
                input_mask=mask,
            )
        for layer in range(layers):
            latents = self_attend(w / "process" / f"layers.{layer}", latents, heads)
    return latents


def decode(
    w: Weights,
    queries: Array,
    latents: Array,
    heads: int = 1,
    *,
    residual: bool = False,
    mask: Array | None = None,
) -> Array:
    """queries [n, d] or [b, n, d] -> [b, n, d]."""
    if queries.ndim == 2:
        queries = np.broadcast_to(queries, (len(latents), *queries.shape))
    return cross_attend(
        w / "decoder" / "cross_attend",
        queries,
        latents,
        heads,
        query_norm="query_norm",
        residual=residual,
        query_mask=mask,
    )


def _text(w: Weights, arrays: Arrays) -> tuple[Array, Array, Array]:
    """Embedded bytes with learned positions, their mask, and the latents."""
    ids, mask = arrays["text"], arrays["text.attention_mask"]
    t = w / "inputs" / "text"
    tokens = (t / "embedding")["weight"][ids] + (t / "position")["table"][: ids.shape[1]]
    return tokens, mask, encode(w, tokens, mask, cross_heads=8, layers=2)


def _per_token(
    w: Weights, arrays: Arrays, output: str, *, masked_queries: bool
) -> tuple[Array, Array]:
    """What the decoder says of each position, and the embedding."""
    tokens, mask, latents = _text(w, arrays)
    queries = (w / "queries" / output / "position")["table"][: tokens.shape[1]]
    found = decode(w, queries, latents, 8, mask=mask if masked_queries else None)
    return found, (w / "inputs" / "text" / "embedding")["weight"]


def masked_language(*, masked_queries: bool) -> System:
    def run(w: Weights, arrays: Arrays) -> dict[str, Array]:
        found, embedding = _per_token(w, arrays, "text", masked_queries=masked_queries)
        return {"text": found @ embedding.T + (w / "heads" / "text")["bias"]}

    return run


def labelled_tokens(output: str) -> System:
    def run(w: Weights, arrays: Arrays) -> dict[str, Array]:
        found, _ = _per_token(w, arrays, output, masked_queries=False)
        return {output: linear(w / "heads" / output / "linear", found)}

    return run


def text_classification(w: Weights, arrays: Arrays) -> dict[str, Array]:
    _, _, latents = _text(w, arrays)
    found = decode(w, (w / "queries" / "label")["table"], latents, residual=True)
    return {"label": linear(w / "heads" / "label" / "linear", found[:, 0])}


def glue_multitask(w: Weights, arrays: Arrays) -> dict[str, Array]:
    _, _, latents = _text(w, arrays)
    outputs = {}
    for task in ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte"):
        found = decode(w, (w / "queries" / task)["table"], latents, 8)[:, 0]
        head = w / "heads" / task
        outputs[task] = linear(head / "linear", np.tanh(linear(head / "hidden", found)))
    return outputs


def _label(w: Weights, latents: Array, *, residual: bool) -> dict[str, Array]:
    found = decode(w, (w / "queries" / "label")["table"], latents, residual=residual)
    return {"label": linear(w / "heads" / "label" / "linear", found[:, 0])}


def _mean(w: Weights, latents: Array) -> dict[str, Array]:
    return {"label": linear(w / "heads" / "label" / "linear", latents.mean(1))}


def _pixels(x: Array, bands: int, resolution: Sequence[float]) -> Array:
    """Pixels in rows, then Fourier features of their places."""
    positions = fourier_features(grid(x.shape[1:3]), bands, resolution)
    return with_positions(x.reshape(len(x), -1, x.shape[-1]), positions)


def imagenet_fourier(w: Weights, arrays: Arrays) -> dict[str, Array]:
    tokens = _pixels(arrays["image"], 4, (224, 224))
    return _label(w, encode(w, tokens, blocks=2, layers=1), residual=True)


def imagenet_learned(w: Weights, arrays: Arrays) -> dict[str, Array]:
    i = w / "inputs" / "image"
    x = linear(i / "linear", arrays["image"])
    p = i / "position"
    tokens = with_positions(x.reshape(len(x), -1, x.shape[-1]), linear(p / "project", p["table"]))
    return _label(w, encode(w, tokens, blocks=2, layers=1), residual=False)


def imagenet_conv(w: Weights, arrays: Arrays) -> dict[str, Array]:
    i = w / "inputs" / "image"
    x = convolve(i / "conv", arrays["image"], (2, 2))
    x = max_pool(relu(batch_norm(i / "batch_norm", x)), 3, 2)
    return _label(w, encode(w, _pixels(x, 3, (8, 8)), blocks=2, layers=1), residual=True)


def imagenet_large(w: Weights, arrays: Arrays) -> dict[str, Array]:
    x = linear(w / "inputs" / "image" / "linear", arrays["image"])
    return _label(w, encode(w, _pixels(x, 4, (224, 224)), layers=1), residual=True)


def imagenet_perceiver(w: Weights, arrays: Arrays) -> dict[str, Array]:
    tokens = _pixels(arrays["image"], 4, (224, 224))
    return _mean(w, encode(w, tokens, reads=3, blocks=3, layers=1))


def optical_flow(w: Weights, arrays: Arrays) -> dict[str, Array]:
    frames = arrays["frames"]
    both = np.concatenate([frames[:, 0], frames[:, 1]], -1)  # 27 of the first, then of the second
    tokens = _pixels(linear(w / "inputs" / "frames" / "linear", both), 3, (368, 496))
    found = decode(w, tokens, encode(w, tokens, heads=16, layers=2))
    flow = linear(w / "heads" / "flow" / "linear", found) / 100
    return {"flow": flow.reshape(*frames.shape[:1], *frames.shape[2:4], 2)}


def _sound(x: Array, patch: int, bands: int) -> Array:
    tokens = x.reshape(len(x), -1, patch)
    positions = fourier_features(grid(tokens.shape[1:2]), bands, x.shape[1:2])
    return with_positions(tokens, positions)


def _film(x: Array, sizes: Sequence[int], bands: int) -> Array:
    x = patches(x, sizes)
    spatial = x.shape[1:4]
    positions = fourier_features(grid(spatial), bands, spatial)
    return with_positions(x.reshape(len(x), -1, x.shape[-1]), positions)


def kinetics(w: Weights, arrays: Arrays) -> dict[str, Array]:
    audio, image = arrays["audio"], arrays["image"]
    nothing = np.zeros((len(audio), 1, 5))
    tokens = join(
        w / "inputs",
        [
            Modality("audio", _sound(audio, 16, 4)),
            Modality("image", _film(image, (1, 4, 4), 3)),
            Modality("label", nothing, masked=True),
        ],
        4,
        learned=True,
    )
    latents = encode(w, tokens, heads=4, layers=2)
    queries = {
        "audio": fourier_features(grid((4,), inclusive=False), 4, (64,)),
        "image": fourier_features(grid((2, 8, 8), inclusive=False), 3, (2, 2, 2)),
        "label": (w / "queries" / "label")["table"],
    }
    asked = [Modality(name, rows[None]) for name, rows in queries.items()]
    rows = join(w / "queries", asked, 2, learned=True)
    found = linear(w / "decoder" / "project", decode(w, rows[0], latents))
    answers = {}
    for name, part in zip(queries, np.split(found, [4, 4 + 128], 1), strict=True):
        answers[name] = linear(w / "heads" / name / "linear", part)
    answers["image"] = answers["image"].reshape(len(audio), 2, 8, 8, 3)
    return answers | {"label": answers["label"][:, 0]}


def _clip(w: Weights, arrays: Arrays, sound: Array) -> dict[str, Array]:
    video = Modality("video", _film(arrays["video"], (2, 8, 8), 2))
    tokens = join(w / "inputs", [Modality("audio", sound), video], 4, learned=False)
    return _label(w, encode(w, tokens, layers=2), residual=False)


def audioset(w: Weights, arrays: Arrays) -> dict[str, Array]:
    x = arrays["audio"]
    tokens = x.reshape(len(x), -1, 8)
    positions = fourier_features(grid(tokens.shape[1:2]), 4, tokens.shape[1:2])
    return _clip(w, arrays, with_positions(tokens, positions))


def audioset_mel(w: Weights, arrays: Arrays) -> dict[str, Array]:
    return _clip(w, arrays, _pixels(arrays["audio"], 4, arrays["audio"].shape[1:3]))


def starcraft(w: Weights, arrays: Arrays) -> dict[str, Array]:
    units, mask = arrays["entities"], arrays["entities.attention_mask"]
    found = decode(w, units, encode(w, units, mask, layers=3), mask=mask)
    return {"entities": linear(w / "heads" / "entities" / "linear", found)}


def modelnet40(w: Weights, arrays: Arrays) -> dict[str, Array]:
    points = arrays["points"].astype(np.float32)
    tokens = fourier_features(points, 4, (1120, 1120, 1120))
    return _mean(w, encode(w, tokens, reads=2, blocks=2, layers=1))


def audio_classification(w: Weights, arrays: Arrays) -> dict[str, Array]:
    a, x = w / "inputs" / "audio", arrays["audio"]
    for name, stride in (("conv", 5), ("conv_2", 4), ("conv_3", 8)):
        x = gelu_exact(convolve(a / name, x, (stride,)))
    positions = fourier_features(grid(x.shape[1:2]), 3, x.shape[1:2])
    latents = encode(w, with_positions(x, positions), blocks=2, layers=1)
    return _label(w, latents, residual=True)


def gelu_exact(x: Array) -> Array:
    """The steps of this spec name the exact GELU, whatever the dialect."""
    from math import erf

    return x * 0.5 * (1 + np.vectorize(erf)(x / np.sqrt(2)))


def object_detection(w: Weights, arrays: Arrays) -> dict[str, Array]:
    i = w / "inputs" / "image"
    x = convolve(i / "conv", arrays["image"], (2, 2))
    x = max_pool(relu(batch_norm(i / "batch_norm", x)), 3, 2)
    latents = encode(w, _pixels(x, 3, x.shape[1:3]), blocks=2, layers=1)
    found = decode(w, (w / "queries" / "classes")["table"], latents, 8, residual=True)
    boxes = w / "heads" / "boxes"
    return {
        "classes": linear(w / "heads" / "classes" / "linear", found),
        "boxes": sigmoid(linear(boxes / "linear", relu(linear(boxes / "hidden", found)))),
    }


SYSTEMS: dict[str, System] = {
    "kinetics": kinetics,
    "language": masked_language(masked_queries=False),
    "language_sentencepiece": masked_language(masked_queries=True),
    "language_plus": masked_language(masked_queries=True),
    "text_classification": text_classification,
    "glue_multitask": glue_multitask,
    "token_classification": labelled_tokens("entities"),
    "question_answering": labelled_tokens("span"),
    "imagenet_fourier": imagenet_fourier,
    "imagenet_learned": imagenet_learned,
    "imagenet_conv": imagenet_conv,
    "imagenet_large": imagenet_large,
    "imagenet_perceiver": imagenet_perceiver,
    "optical_flow": optical_flow,
    "audioset": audioset,
    "audioset_mel": audioset_mel,
    "starcraft": starcraft,
    "modelnet40": modelnet40,
    "audio_classification": audio_classification,
    "object_detection": object_detection,
}

__all__ = ["SYSTEMS", "gelu"]
