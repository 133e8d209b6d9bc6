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

    Raises (reports) PG204 for heads whose channels are no pairs, PG221 for angles that are said twice.
    """
    if style.rotary is False:
        return None
    rotary = Rotary() if style.rotary is True else style.rotary
    head = qk_width // style.heads
    turned = _turned(rotary.fraction, head)
    if turned % 2 or turned < 2:
        raise ctx.error(
            "PG204",
            f"{rotary.fraction:g} of the {head} channels of a head are {turned:g}, which are no pairs",
            (*path, "fraction") if "fraction" in rotary.model_fields_set else path,
            also=[((*where(part), "heads"), f"{style.heads} heads of {qk_width} channels")],
            help=_other_fraction(head),
            at_key=True,
        )
    if rotary.values and v_width // style.heads < turned:
        raise ctx.error(
            "PG204",
            f"{turned:g} channels of each head are turned, and heads of values have "
            f"{v_width // style.heads}",
            (*path, "values"),
            also=[((*where(part), "v_width"), f"{v_width} here")] if style.v_width else [],
            help=f"write `v_width: {qk_width}`, or a smaller `fraction`",
        )
    pairs = int(turned) // 2
    names = [rotary.of] if isinstance(rotary.of, str) else rotary.of or []
    _check_shares(ctx, names, pairs, path)
    share = pairs // max(len(names), 1)
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


def _check_shares(ctx: Context, names: Sequence[str], pairs: int, path: Path) -> None:
    """Raises (reports) PG221 for a position that is named twice, PG204 for pairs that cannot be shared."""
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ctx.error(
                "PG221",
                f"`{name}` turns two parts of the pairs",
                (*path, "of", index),
                also=[((*path, "of", names.index(name)), "the other one")],
                help="name each position once",
            )
    if names and pairs % len(names):
        raise ctx.error(
            "PG204",
            f"{len(names)} positions cannot share {pairs} pairs of channels of a head",
            (*path, "of"),
            help=f"turn a multiple of {2 * len(names)} channels of each head: another `qk_width`, "
            "`heads` or `fraction`",
        )


def _other_fraction(head: int) -> str:
    if head < 2:
        return "use a larger `qk_width`: heads have two channels or more"
    half = head // 2 // 2 * 2
    if not (head % 2 or half):
        return "leave `fraction` out"
    share = (half or 2) / head
    texts = (f"{share:.{digits}g}" for digits in range(3, 17))
    good = next(text for text in texts if _turned(float(text), head) % 2 == 0)
    return f"write `fraction: {good}`"


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
