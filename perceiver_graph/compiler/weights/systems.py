"""Perceivers that are parts of other systems, and what their libraries call the parameters: one table
for each way of naming. Importing, `compile --weights` and the tests all read these.

Sources of the names: the modules that are named in each table.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.weights.files import Tensor, Tensors
from perceiver_graph.compiler.weights.names import Rules, renamed, same_but_for_ones

_LAYERS: Rules = (
    (r"^encoder\.cross_attends\.(\d+)\.", (r"layers.\1.",)),
    (r"^encoder\.cross_attend\.", ("layers.0.",)),
)
"""Reads that follow each other, or one of them."""


@dataclass(frozen=True)
class Size:
    """The size of an axis of a tensor."""

    tensor: str
    axis: int


@dataclass(frozen=True)
class Numbered:
    """How many numbers stand behind the beginning of a name."""

    before: str


@dataclass(frozen=True)
class Heads:
    """How many heads there are in an axis of a tensor, which no tensor tells."""

    tensor: str
    axis: int
    each: int
    """Channels of a head, as published."""
    setting: tuple[str, ...] = ()
    """Where a configuration says it, if it does."""


@dataclass(frozen=True)
class System:
    """What a library calls the parameters of a Perceiver, after a prefix."""

    name: str
    """Its table; several may be of one shipped spec."""
    spec: str
    """The shipped spec of its kind."""
    source: str
    """The class that calls them so, and its library."""
    signs: tuple[str, ...]
    """Names that are all there in such a checkpoint, and not in another."""
    rules: Rules
    """From our name to theirs, as in `names.renamed`."""
    cuts: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Patterns of tensors that hold several of our parameters below each other, in equal parts: what
    each part is. `to_kv.weight` becomes `to_kv.weight[keys]` and `to_kv.weight[values]`."""
    sizes: Mapping[str, Size | Numbered | Heads] = field(default_factory=dict)
    """Where the sizes of the shipped spec are seen, by their keys, such as `latents.count`."""
    only_with: Mapping[str, str] = field(default_factory=dict)
    """Keys that hold only where there is a certain tensor."""

    def found_in(self, names: Collection[str]) -> Iterator[str]:
        """The prefixes after which this system stands, such as `image_proj.`."""
        for name in names:
            prefix = name.removesuffix(self.signs[0])
            whole = name != prefix and prefix[-1:] in ("", ".")
            if whole and all(prefix + sign in names for sign in self.signs):
                yield prefix


@dataclass(frozen=True)
class SystemLayout:
    """The names of a system after a prefix."""

    system: System
    prefix: str = ""

    def candidates(self, name: str) -> list[str]:
        return [self.prefix + theirs for theirs in renamed(name, self.system.rules)]

    def fits(self, shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
        """Axes of size 1 may differ: latents are [1, 16, 768] in some."""
        return same_but_for_ones(shape, wanted)

    def ignores(self, name: str, shape: tuple[int, ...]) -> bool:
        return False

    def pieces(self, tensors: Tensors) -> Tensors:
        """The tensors with those cut that hold several parameters."""
        found: dict[str, Tensor] = {}
        for name, tensor in tensors.tensors.items():
            parts = self._parts(name) if name.startswith(self.prefix) else ()
            rows = tensor.shape[0] if tensor.shape else 0
            if not parts or rows % len(parts):
                found[name] = tensor
                continue
            each = rows // len(parts)
            for i, part in enumerate(parts):
                read = partial(_rows, tensor, i * each, each)
                shape = (each, *tensor.shape[1:])
                found[f"{name}[{part}]"] = Tensor(shape, tensor.dtype, read)
        return replace(tensors, tensors=found)

    def _parts(self, name: str) -> tuple[str, ...]:
        name = name.removeprefix(self.prefix)
        return next((parts for cut, parts in self.system.cuts if re.search(cut, name)), ())


def _rows(tensor: Tensor, first: int, count: int) -> Array:
    return tensor.read()[first : first + count]


@dataclass(frozen=True)
class Found:
    """A system in a checkpoint, and where."""

    system: System
    prefix: str


def find(names: Collection[str]) -> list[Found]:
    """The systems among names of tensors, one after a prefix."""
    known = set(names)
    found: dict[str, Found] = {}
    for system in SYSTEMS:
        found = {p: Found(system, p) for p in system.found_in(known)} | found
    return [found[prefix] for prefix in sorted(found)]


_KEYS_AND_VALUES = (r"\.to_kv\.weight$", ("keys", "values"))
_GATED = ("hidden", "gates")

_LUCIDRAINS: Rules = (
    (r"\.attention\.query\.", (".to_q.",)),
    (r"\.attention\.(key|value)\.weight$", (r".to_kv.weight[\1s]",)),
    (r"\.attention\.output\.", (".to_out.",)),
)
"""An attention as Phil Wang writes it, whom many follow."""


def _flamingo(*norms: str) -> Rules:
    """A read of a resampler, in two lists; `norms` are those of the tokens and of the latents."""
    return (
        *_LAYERS,
        (r"\.attention\.input_norm\.", (f".0.{norms[0]}.",)),
        (r"\.attention\.latent_norm\.", (f".0.{norms[1]}.",)),
        (r"\.attention\.", (".0.attention.",)),
        (r"\.mlp\.norm\.", (".1.0.",)),
        (r"\.mlp\.dense1\.", (".1.1.",)),
        (r"\.mlp\.dense2\.", (".1.3.",)),
        *_LUCIDRAINS,
    )


def _resampler(
    layers: str, query: str, hidden: str, each: int, heads: tuple[str, ...] = ()
) -> dict[str, Size | Numbered | Heads]:
    """The sizes of latents that read an input and themselves: what stands before the number of a layer,
    and the maps to queries and to the hidden channels of its first."""
    return {
        "latents.count": Size("latents", -2),
        "latents.width": Size("latents", -1),
        "encode.heads": Heads(f"{layers}0.{query}", 0, each, heads),
        "encode.qk_width": Size(f"{layers}0.{query}", 0),
        "encode.cross_attends": Numbered(layers),
        "encode.hidden": Size(f"{layers}0.{hidden}", 0),
    }


_ENDS_OF_IP_ADAPTER: Rules = (
    (r"^inputs\.\w+\.linear\.", ("proj_in.",)),
    (r"^heads\.\w+\.linear\.", ("proj_out.",)),
    (r"^heads\.\w+\.output_norm\.", ("norm_out.",)),
)
_SIZES_OF_IP_ADAPTER = {
    "inputs.image.shape.channel": Size("proj_in.weight", 1),
    "inputs.image.steps.0.linear": Size("proj_in.weight", 0),
    "outputs.tokens.head.linear": Size("proj_out.weight", 0),
}
_NORM_AT_THE_END: Rules = ((r"^heads\.\w+\.norm\.", ("norm.",)),)

SYSTEMS: tuple[System, ...] = (
    System(
        "ip_adapter",
        "ip_adapter_plus",
        "Resampler of IP-Adapter",
        ("proj_in.weight", "latents", "layers.0.0.norm1.weight", "layers.0.0.to_kv.weight"),
        (*_ENDS_OF_IP_ADAPTER, *_flamingo("norm1", "norm2")),
        (_KEYS_AND_VALUES,),
        _resampler("layers.", "0.to_q.weight", "1.1.weight", 64) | _SIZES_OF_IP_ADAPTER,
    ),
    System(
        "ip_adapter_diffusers",
        "ip_adapter_plus",
        "IPAdapterPlusImageProjection of diffusers",
        ("proj_in.weight", "latents", "layers.0.ln0.weight", "layers.0.attn.to_q.weight"),
        (
            *_ENDS_OF_IP_ADAPTER,
            *_LAYERS,
            (r"\.attention\.input_norm\.", (".ln0.",)),
            (r"\.attention\.latent_norm\.", (".ln1.",)),
            (r"\.attention\.(query|key|value)\.", (r".attn.to_\1.",)),
            (r"\.attn\.to_(.)\w+\.", (r".attn.to_\1.",)),
            (r"\.attention\.output\.", (".attn.to_out.0.",)),
            (r"\.mlp\.norm\.", (".ff.0.",)),
            (r"\.mlp\.dense1\.", (".ff.1.net.0.proj.",)),
            (r"\.mlp\.dense2\.", (".ff.1.net.2.",)),
        ),
        sizes=_resampler("layers.", "attn.to_q.weight", "ff.1.net.0.proj.weight", 64)
        | _SIZES_OF_IP_ADAPTER,
    ),
    System(
        "flamingo",
        "openflamingo_resampler",
        "PerceiverResampler of OpenFlamingo and of flamingo-pytorch",
        ("norm.weight", "latents", "layers.0.0.norm_media.weight", "layers.0.0.to_kv.weight"),
        (*_NORM_AT_THE_END, *_flamingo("norm_media", "norm_latents")),
        (_KEYS_AND_VALUES,),
        _resampler("layers.", "0.to_q.weight", "1.1.weight", 64)
        | {"inputs.image.shape.channel": Size("latents", -1)},
    ),
    System(
        "idefics",
        "idefics_resampler",
        "IdeficsPerceiverResampler of transformers",
        ("layer_norm.weight", "latents", "blocks.0.0.context_layer_norm.weight"),
        (
            (r"^encoder\.cross_attends\.(\d+)\.", (r"blocks.\1.",)),
            (r"^encoder\.cross_attend\.", ("blocks.0.",)),
            (r"\.attention\.input_norm\.", (".0.context_layer_norm.",)),
            (r"\.attention\.latent_norm\.", (".0.latents_layer_norm.",)),
            (r"\.attention\.(query|key|value|output)\.", (r".0.\1_proj.",)),
            (r"\.(q|k|v)\w+_proj\.", (r".\1_proj.",)),
            (r"\.attention\.(q|k)_norm\.", (r".0.\1_layer_norm.",)),
            (r"\.mlp\.norm\.", (".1.ln.",)),
            (r"\.mlp\.dense1\.", (".1.fc.",)),
            (r"\.mlp\.dense2\.", (".1.c_proj.",)),
            (r"^heads\.\w+\.norm\.", ("layer_norm.",)),
        ),
        sizes=_resampler(
            "blocks.",
            "0.q_proj.weight",
            "1.fc.weight",
            96,
            ("perceiver_config", "resampler_n_heads"),
        )
        | {"inputs.image.shape.channel": Size("latents", -1)},
        only_with={"layers.qk_norm": "blocks.0.0.q_layer_norm.weight"},
    ),
    System(
        "idefics2",
        "idefics2_connector",
        "Idefics2PerceiverResampler of transformers",
        ("norm.weight", "latents", "layers.0.input_latents_norm.weight"),
        (
            *_LAYERS,
            (r"\.attention\.input_norm\.", (".input_context_norm.",)),
            (r"\.attention\.latent_norm\.", (".input_latents_norm.",)),
            (r"\.attention\.(query|key|value|output)\.", (r".self_attn.\1_proj.",)),
            (r"\.self_attn\.(.)\w+_proj\.", (r".self_attn.\1_proj.",)),
            (r"\.mlp\.norm\.", (".post_attention_layernorm.",)),
            (r"\.mlp\.dense1\.", (".mlp.up_proj.",)),
            (r"\.mlp\.gate\.", (".mlp.gate_proj.",)),
            (r"\.mlp\.dense2\.", (".mlp.down_proj.",)),
            *_NORM_AT_THE_END,
        ),
        sizes=_resampler(
            "layers.",
            "self_attn.q_proj.weight",
            "mlp.up_proj.weight",
            96,
            ("perceiver_config", "resampler_n_heads"),
        )
        | {
            "inputs.image.shape.channel": Size("latents", -1),
            "encode.key_heads": Heads(
                "layers.0.self_attn.k_proj.weight",
                0,
                96,
                ("perceiver_config", "num_key_value_heads"),
            ),
        },
    ),
)
"""In the order in which they are looked for: what is more special comes first."""
