"""How an attention turns queries and keys by their positions, as a spec says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import tau

from perceiver_graph.compiler.blocks.context import Context, Path
from perceiver_graph.compiler.ops.rotary import Pairs
from perceiver_graph.spec.models import AttentionLayers, Key, Rotary, where


@dataclass(frozen=True)
class RotaryConfig:
    """How an attention turns, with every number known."""

    path: Path
    """Where the spec says so."""
    of: str | None
    """The one position they are turned by, if it has a name."""
    heads: int
    key_heads: int
    pairs: int
    """Angles of a head."""
    ends: tuple[float, float]
    """The shortest and the longest wave."""
    order: Pairs
    values: bool
    shares: tuple[RotaryConfig, ...] = ()
    """Of several positions, which share the pairs: how each of them turns its part."""
    at: Path = ()
    """Where `of` says this one."""
    is_share: bool = False
    """Whether it is one of several."""

    @property
    def each(self) -> tuple[RotaryConfig, ...]:
        """How each position turns: itself, where there is one."""
        return self.shares or (self,)


def rotary_config(
    ctx: Context, part: Key, style: AttentionLayers, path: Path, qk_width: int, v_width: int
) -> RotaryConfig | None:
    """How the layers of a part turn, None if they do not. `path` is where `rotary` stands.

    Raises (reports) PG204 for heads whose channels do not fit, PG221 for angles that are said twice.
    """
    if style.rotary is False:
        return None
    rotary = Rotary() if style.rotary is True else style.rotary
    names = [rotary.of] if isinstance(rotary.of, str) else rotary.of or []
    _check_named_once(ctx, names, path)
    share = _pairs_of_each(ctx, rotary, part, path, (style.heads, qk_width), len(names))
    turned = 2 * share * max(len(names), 1)
    if rotary.values and v_width // style.heads < turned:
        raise ctx.error(
            "PG204",
            f"{turned} channels of each head are turned, and heads of values have "
            f"{v_width // style.heads}",
            (*path, "values"),
            also=[((*where(part), "v_width"), f"{v_width} here")] if style.v_width else [],
            help=f"write `v_width: {qk_width}`, or a smaller `fraction`",
        )
    ends = _ends(ctx, rotary, part, path, share)
    key_heads = style.key_heads or style.heads

    def turning(of: str | None, at: Path) -> RotaryConfig:
        said = (share, ends, rotary.pairs, rotary.values)
        shared = len(names) > 1
        return RotaryConfig(path, of, style.heads, key_heads, *said, at=at, is_share=shared)

    if isinstance(rotary.of, str) or rotary.of is None:
        return turning(rotary.of, (*path, "of") if rotary.of else path)
    several = tuple(turning(name, (*path, "of", i)) for i, name in enumerate(names))
    return several[0] if len(several) == 1 else replace(turning(None, path), shares=several)


def _check_named_once(ctx: Context, names: Sequence[str], path: Path) -> None:
    """Raises (reports) PG221 for a position that is named twice."""
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ctx.error(
                "PG221",
                f"`{name}` turns two parts of the pairs",
                (*path, "of", index),
                also=[((*path, "of", names.index(name)), "the other one")],
                help="name each position once",
            )


def _pairs_of_each(
    ctx: Context, rotary: Rotary, part: Key, path: Path, heads: tuple[int, int], positions: int
) -> int:
    """How many pairs of each head are turned by each position. `heads`: how many there are, of how many
    channels together.

    Raises (reports) PG204 for channels that are no pairs, and for pairs that cannot be shared."""
    head = heads[1] // heads[0]
    turned = _turned(rotary.fraction, head)
    also = [((*where(part), "heads"), f"{heads[0]} heads of {heads[1]} channels")]
    if turned % 2 or turned < 2:
        share = f"{rotary.fraction:g} of the {head} channels of a head are {turned:g}"
        raise ctx.error(
            "PG204",
            f"{share if rotary.fraction < 1 else f'all {head} channels of a head are turned'}, which are "
            "no pairs",
            (*path, "fraction") if "fraction" in rotary.model_fields_set else path,
            also=also,
            help=_other_fraction(ctx, part, path, head, positions),
            at_key=True,
        )
    pairs = int(turned) // 2
    if positions and pairs % positions:
        raise ctx.error(
            "PG204",
            f"{positions} positions cannot share {pairs} {'pair' if pairs == 1 else 'pairs'} of channels "
            "of a head",
            (*path, "of"),
            f"a multiple of {2 * positions} channels, as many for each",
            also=also,
            help=_other_fraction(ctx, part, path, head, positions),
        )
    return pairs // max(positions, 1)


def _other_fraction(ctx: Context, part: Key, path: Path, head: int, positions: int) -> str:
    """A share that makes pairs, where it does: heads of other parts may have other widths, so that what
    is said of all layers stays as it is."""
    least = 2 * max(positions, 1)
    if head < least:
        each = f" for {positions} positions" if positions > 1 else ""
        return f"use a larger `qk_width`: heads have {'two' if least == 2 else least} channels or more{each}"
    fraction = fraction_of_pairs(head, least)
    said = ctx.spec.own(part)
    if path[0] == "layers" or not isinstance(said.rotary, Rotary):
        return f"write `rotary: {{fraction: {fraction}}}` under `{where(part)[-1]}`"
    return f"write `fraction: {fraction}`"


def fraction_of_pairs(head: int, least: int = 2) -> str:
    """About half of the channels of a head, as short as can be: a multiple of `least`, which are a pair for
    each position."""
    share = (head // 2 // least * least or least) / head
    texts = (f"{share:.{digits}g}" for digits in range(2, 17))
    return next(text for text in texts if _turned(float(text), head) % least == 0)


def _turned(fraction: float, head: int) -> float:
    """How many channels of a head a share of them is: 0.333 of 6 are 2."""
    turned = fraction * head
    return round(turned) if abs(turned - round(turned)) < 0.01 else turned


def _ends(ctx: Context, rotary: Rotary, part: Key, path: Path, pairs: int) -> tuple[float, float]:
    """The shortest and the longest wave."""
    if rotary.wavelengths is None:
        if rotary.base is None and isinstance(ctx.spec.attention(part).rotary, Rotary):
            ctx.derive(10000.0, *where(part), "rotary", "base")
        # x / base^(k / pairs) = 2 pi x / w_k: the last of the pairs falls short of the base.
        base = float(rotary.base or 10000)
        return tau, tau * base ** ((pairs - 1) / pairs)
    if rotary.base is not None:
        raise ctx.error(
            "PG221",
            "`base` and `wavelengths` both say how angles are spaced",
            (*path, "base"),
            also=[((*path, "wavelengths"), "the other one")],
            help="leave one of them out",
            at_key=True,
        )
    low, high = rotary.wavelengths
    if not low <= high:
        raise ctx.error(
            "PG221",
            f"the shortest wave comes first, and {low:g} is longer than {high:g}",
            (*path, "wavelengths"),
            help=f"write `[{high:g}, {low:g}]`",
        )
    return float(low), float(high)
