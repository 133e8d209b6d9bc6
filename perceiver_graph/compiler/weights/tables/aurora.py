"""Aurora's levels of the air: `Perceiver3DEncoder` and `Perceiver3DDecoder` of microsoft-aurora.

Their resamplers stand in them among the embeddings of variables, which are no part of the Perceivers.
"""

from __future__ import annotations

import numpy as np

from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.weights.names import Rules
from perceiver_graph.compiler.weights.systems import (
    Cut,
    Heads,
    Hidden,
    Made,
    Numbered,
    Published,
    Size,
    System,
)

LEVELS = (50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 850, 925, 1000)
"""Pressures in hectopascal, of which the published decoder makes its queries."""
_WAVELENGTHS = (0.01, 1e5)

_READ: Rules = (
    (r"\.attention\.query\.", (".0.to_q.",)),
    (r"\.attention\.(key|value)\.weight$", (r".0.to_kv.weight[\1s]",)),
    (r"\.attention\.output\.", (".0.to_out.",)),
    (r"\.attention\.output_norm\.", (".2.",)),
    (r"\.mlp\.dense1\.", (".1.net.0.",)),
    (r"\.mlp\.dense2\.", (".1.net.2.",)),
    (r"\.mlp\.output_norm\.", (".3.",)),
)
_EMBEDDING = ("atmos_levels_embed.weight", "atmos_levels_embed.bias")
_CUTS = (Cut(r"\.to_kv\.weight$", ("keys", "values")),)


def waves(width: int) -> Array:
    """The embedding of the levels before its linear map: [13, width], sines and then cosines."""
    angles = np.outer(LEVELS, 2 * np.pi / np.geomspace(*_WAVELENGTHS, width // 2))
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def _queries(weight: Array, bias: Array) -> Array:
    found: Array = waves(weight.shape[1]) @ weight.T + bias
    return found


def _shape(weight: tuple[int, ...], bias: tuple[int, ...]) -> tuple[int, ...]:
    return (len(LEVELS), *weight[:1])


SYSTEMS = (
    System(
        "aurora_encoder",
        "aurora_level_encoder",
        "Perceiver3DEncoder of microsoft-aurora",
        ("atmos_latents", "level_agg.layers.0.0.to_q.weight"),
        (
            (r"^latents$", ("atmos_latents",)),
            (r"^encoder\.cross_attends\.(\d+)\.", (r"level_agg.layers.\1.",)),
            (r"^encoder\.cross_attend\.", ("level_agg.layers.0.",)),
            *_READ,
        ),
        _CUTS,
        beside=r"^(?!level_agg\.|atmos_latents$)",
        sizes={
            "inputs.air.shape.level": Published(len(LEVELS)),
            "inputs.air.shape.channel": Size("level_agg.layers.0.0.to_kv.weight", 1),
            "latents.count": Size("atmos_latents", -2),
            "latents.width": Size("atmos_latents", -1),
            "encode.heads": Heads("level_agg.layers.0.0.to_q.weight", 0, 32),
            "encode.qk_width": Size("level_agg.layers.0.0.to_q.weight", 0),
            "encode.cross_attends": Numbered("level_agg.layers."),
            "encode.hidden": Hidden("level_agg.layers.0.1.net.0.weight", 0),
        },
    ),
    System(
        "aurora_decoder",
        "aurora_level_decoder",
        "Perceiver3DDecoder of microsoft-aurora",
        ("atmos_levels_embed.weight", "level_decoder.layers.0.0.to_q.weight"),
        (
            (r"^queries\.\w+\.table$", ("level_queries",)),
            (r"^decoder\.cross_attend\.", ("level_decoder.layers.0.",)),
            *_READ,
        ),
        _CUTS,
        made=(Made("level_queries", _EMBEDDING, _shape, _queries),),
        beside=r"^(?!level_decoder\.|level_queries$)",
        sizes={
            "inputs.air.shape.latent": Published(3),
            "inputs.air.shape.channel": Size("level_decoder.layers.0.0.to_kv.weight", 1),
            "latents.last": Published(3),
            "decode.heads": Heads("level_decoder.layers.0.0.to_q.weight", 0, 64),
            "decode.qk_width": Size("level_decoder.layers.0.0.to_q.weight", 0),
            "decode.hidden": Hidden("level_decoder.layers.0.1.net.0.weight", 0),
            "outputs.air.query.learned.width": Size("atmos_levels_embed.weight", 0),
        },
    ),
)
