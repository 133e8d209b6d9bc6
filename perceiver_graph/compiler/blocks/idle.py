"""Keys of layers that say something of an MLP or of a norm where it is said that there is none."""

from __future__ import annotations

from collections.abc import Iterator

from perceiver_graph.compiler.blocks.context import Context, Path
from perceiver_graph.compiler.blocks.styles import query_norm, style_path, value_norm
from perceiver_graph.spec.models import PARTS, AttentionLayers, Bias, Key, Layers, where

_OF_THE_MLP = (
    "widening",
    "hidden",
    "activation",
    "gated",
    "mlp_norm",
    "hidden_norm",
    "bias.mlp",
)
_WRITTEN_OUT = {"norm", "norm_at", "norm_epsilon", "qk_norm", "mlp", "gated", "dropout"}


def is_written_out(layers: Layers) -> bool:
    """Whether layers are as a resolved spec has them: with a value for every key, read or not.

    What all layers have is said under `layers`, so that nobody has cause to write these of one part.
    Keys that a spec did not always have are not asked for: those that were resolved before are read.
    """
    return layers.model_fields_set >= _WRITTEN_OUT


def refuse_idle_keys(ctx: Context, part: Key) -> None:
    """Refuse what is said of an MLP or of norms by layers that have none (PG205).

    What `layers` says is refused where no part has what it is of.
    """
    common, own = ctx.spec.layers, ctx.spec.own(part)
    found: list[tuple[Path, str, str]] = []
    if not is_written_out(own):
        found += [(where(part), *one) for one in _idle(own, ctx.spec.attention(part))]
    if common is not None:
        keys: list[Key] = [*PARTS]
        if ctx.spec.process.within is not None:
            keys.append("within")
        everywhere = set.intersection(*({*_idle(common, ctx.spec.attention(k))} for k in keys))
        found += [(("layers",), *one) for one in sorted(everywhere)]
    for path, key, lacking in found:
        what, instead = ("MLP", "true") if lacking == "mlp" else ("norm", "layer_norm")
        raise ctx.error(
            "PG205",
            f"`{key}` is of the {what}, and layers here have none",
            (*path, *key.split(".")),
            also=[(style_path(ctx, part, lacking), f"no {what}")],
            help=f"leave `{key}` out, or say that there is one: `{lacking}: {instead}`",
            at_key=True,
        )


def _idle(said: Layers, layers: AttentionLayers) -> Iterator[tuple[str, str]]:
    """The keys that are said and not read by these layers, each with the one that has them idle."""
    if not layers.mlp:
        yield from ((key, "mlp") for key in _OF_THE_MLP if _says(said, key))
    at_ends = [layers.norm, query_norm(layers)]
    within = [layers.qk_norm, value_norm(layers)]
    if layers.mlp:
        at_ends.append(layers.mlp_norm)
        within.append(layers.hidden_norm)
    for key, norms in (("norm_at", at_ends), ("norm_epsilon", at_ends + within)):
        if _says(said, key) and all(norm in (None, "none") for norm in norms):
            yield key, "norm"


def _says(layers: Layers, key: str) -> bool:
    name, _, inner = key.partition(".")
    value = getattr(layers, name)
    if inner:
        return isinstance(value, Bias) and inner in value.model_fields_set
    return name in layers.model_fields_set and value is not None
