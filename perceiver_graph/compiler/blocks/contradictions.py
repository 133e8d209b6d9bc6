"""Keys of Fourier features that contradict each other, or say nothing of waves that are spaced so."""

from __future__ import annotations

from perceiver_graph.compiler.blocks.context import Context, Path
from perceiver_graph.spec.models import Waves

MOST_OCTAVES = 19
"""Of coordinates in [-1, 1]: the next one would turn by more than float32 tells apart there."""


def refuse_contradictions(ctx: Context, fourier: Waves, path: Path) -> None:
    """Refuse keys that say nothing of waves that are spaced as they are (PG221)."""
    ways = [key for key in ("spacing", "wavelengths", "base") if getattr(fourier, key) is not None]
    if len(ways) > 1:
        raise ctx.error(
            "PG221",
            f"`{ways[0]}` and `{ways[1]}` both say how waves are spaced",
            (*path, ways[1]),
            also=[((*path, ways[0]), "the other one")],
            help="leave one of them out",
            at_key=True,
        )
    octaves = fourier.spacing == "octaves"
    other = ways[0] if ways and (octaves or fourier.has_lengths) else None
    for key in ("max_resolution", "of", "endpoint", "periodic"):
        said = getattr(fourier, key, None)
        unread = key == "max_resolution" or fourier.has_lengths
        if other is None or not unread or said is None or said == []:
            continue
        raise ctx.error(
            "PG221",
            f"`{key}` is for {_FOR[key]}, and these waves have {_described(fourier)}",
            (*path, key),
            also=[((*path, other), "here")],
            help=f"leave it out, or leave `{other}` out",
            at_key=True,
        )
    if fourier.pi is not None and not octaves:
        raise ctx.error(
            "PG221",
            "`pi` is for octaves, and these waves have "
            + (_described(fourier) if fourier.has_lengths else "linear frequencies"),
            (*path, "pi"),
            also=[((*path, other), "here")] if other else [],
            help="leave it out" if fourier.has_lengths else "add `spacing: octaves`",
            at_key=True,
        )
    if fourier.pi is False and getattr(fourier, "periodic", None):
        raise ctx.error(
            "PG221",
            "without pi, no wave closes where the axis or coordinate does",
            (*path, "periodic"),
            also=[((*path, "pi"), "here")],
            help="leave `pi` out: from -1 to 1, sin(pi 2^k x) runs through whole periods",
            at_key=True,
        )
    if octaves and fourier.bands > MOST_OCTAVES:
        raise ctx.error(
            "PG221",
            f"in float32, numbers about 1 differ by 1.2e-07, and the last of {fourier.bands} octaves "
            f"tells {2.0 ** (1 - fourier.bands):.2g} apart",
            (*path, "bands"),
            help=f"write `bands: {MOST_OCTAVES}`, or fewer",
        )


_FOR = {
    "max_resolution": "linear frequencies",
    "of": "coordinates from -1 to 1",
    "endpoint": "coordinates from -1 to 1",
    "periodic": "whole frequencies",
}
"""What waves a key says something of."""


def _described(fourier: Waves) -> str:
    if fourier.spacing == "octaves":
        return f"frequencies of 1, 2, 4 .. {2 ** (fourier.bands - 1)}"
    return "lengths in the unit of the coordinates"
