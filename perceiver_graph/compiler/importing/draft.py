"""What the specs of all model classes have in common: latents, attention, heads for classes.

Source of what is written: the constructors of `modeling_perceiver.py`, transformers 5.x.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from perceiver_graph.compiler.importing.preprocessing import Preprocessing
from perceiver_graph.compiler.importing.settings import Settings
from perceiver_graph.compiler.importing.yaml_text import Path
from perceiver_graph.media.equal import given_twice, told_apart

Data = dict[str, Any]


@dataclass
class Draft:
    """A spec in the making: its data in order, and remarks on lines of it."""

    data: Data
    remarks: dict[Path, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What of the settings was not followed."""


@dataclass(frozen=True)
class Configuration:
    """What a spec is made from."""

    settings: Settings
    labels: int
    """How many classes the tensors have room for, where the configuration does not say."""
    image_size: tuple[int, int] | None = None
    """Height and width, where the caller wants others than the configuration has."""
    picture: Preprocessing = field(default_factory=lambda: Preprocessing({}))
    """How pictures are prepared."""

    @property
    def classes(self) -> int:
        return self.settings.labels() or self.labels


def make_body(settings: Settings, kv_width: int, decode: Data) -> Data:
    """Latents, encoder, processor and decoder. Widths that are the defaults are left out."""
    s = settings
    latents, width = s.count("num_latents"), s.count("d_latents")
    qk, v, by_query = s.optional("qk_channels"), s.optional("v_channels"), s.by_query()
    activation = s.activation()
    if (v or qk or width) != width and s.count("num_self_attends_per_block", least=0):
        key = "v_channels" if v else "qk_channels"
        s.wrong(
            f"`{key}` is {v or qk} and `d_latents` {width}: self-attention cannot add to the "
            "latents what has another width",
            help=f"transformers cannot run this either; `v_channels` has to be {width}",
        )
    encode = _attention(
        activation,
        heads=s.count("num_cross_attention_heads"),
        qk_width=qk or (width if by_query and width != kv_width else None),
        v_width=v,
        widening=s.count("cross_attention_widening_factor"),
    )
    if not s.flag("use_query_residual"):
        encode["query_residual"] = False
    process = {"layers": s.count("num_self_attends_per_block", least=0)}
    blocks = s.count("num_blocks")
    if blocks > 1:
        process["blocks"] = blocks
    process |= _attention(
        activation,
        heads=s.count("num_self_attention_heads"),
        qk_width=qk,
        v_width=v if qk or v != width else None,
        widening=s.count("self_attention_widening_factor"),
    )
    return {
        "latents": {"count": latents, "width": width},
        "encode": encode,
        "process": process,
        "decode": decode | _attention(activation),
    }


def _attention(activation: str, **settings: int | None) -> Data:
    found: Data = {
        key: value
        for key, value in settings.items()
        if value is not None and (key, value) != ("widening", 1)
    }
    return found if activation == "gelu" else found | {"activation": activation}


def decoder(settings: Settings, query_width: int, **more: Any) -> Data:
    """A decoder of one head that is as wide as the latents, or as the queries."""
    by_query = settings.by_query() and query_width != settings.count("d_latents")
    return {"heads": 1} | ({"qk_width": query_width} if by_query else {}) | more


def class_media(config: Configuration) -> Data:
    """How scores are written: the names of classes where there are any."""
    names = config.settings.label_names(config.classes)
    named = {"names": names} if names else {}
    problem = config.settings.text("problem_type")
    if config.classes == 1 or problem == "regression":
        return {"scores": named and {"names": _each_its_own(names or [], config.settings)}}
    if problem == "multi_label_classification":
        return {"classes": named | {"multi_label": True}}
    return {"classes": named}


def _each_its_own(names: list[str], settings: Settings) -> list[str]:
    """Names under which numbers are written, none of which is given twice."""
    if given_twice(names):
        settings.notes.append("`id2label` of the configuration has equal names: they are numbered")
    return told_apart(names)


def classifier(config: Configuration) -> Data:
    """A single learned query of the latents' width, which is also added to what it finds."""
    return {
        "label": {
            "query": {"learned": {}},
            "head": {"linear": config.classes},
            "media": class_media(config),
        }
    }
