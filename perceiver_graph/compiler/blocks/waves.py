"""Which waves Fourier features are made of, as a spec says it: of grids, of coordinates, of a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2, pi, tau
from typing import Any, Literal

from perceiver_graph.compiler.blocks.context import Axis, Context, Path
from perceiver_graph.compiler.blocks.contradictions import refuse_contradictions
from perceiver_graph.compiler.blocks.longest import resolution
from perceiver_graph.compiler.blocks.ranges import (
    each,
    finest,
    float32_step,
    known_names,
    refuse_coarse,
    refuse_few_waves,
)
from perceiver_graph.spec.models import FourierParameters, FourierPosition
from perceiver_graph.spec.models import Waves as Settings

Ends = tuple[float, float]


@dataclass(frozen=True)
class Waves:
    """What Fourier features are made with, along each axis or of each coordinate."""

    bands: int
    resolution: tuple[float, ...] | None
    """Twice the highest frequency; None where it follows from the spacing."""
    include_position: bool
    sine_only: bool = False
    periodic: tuple[int, ...] = ()
    """Along which the first point follows the last, by number."""
    spacing: Literal["linear", "octaves"] = "linear"
    pi: bool = True
    lengths: tuple[Ends, ...] = ()
    """The shortest and the longest wave of each."""
    order: Literal["waves", "axes"] = "waves"

    @property
    def switches(self) -> dict[str, Any]:
        """What all of the primitives take in the same form."""
        return {
            "include_position": self.include_position,
            "sine_only": self.sine_only,
            "periodic": self.periodic,
            "spacing": self.spacing,
            "pi": self.pi,
            "order": self.order,
        }

    @property
    def alike(self) -> float | tuple[float, ...] | None:
        """The resolution, one number where all have the same."""
        if self.resolution and len(set(self.resolution)) == 1:
            return self.resolution[0]
        return self.resolution

    @property
    def shortest(self) -> float | None:
        """The shortest wave, where coordinates need not lie in [-1, 1]."""
        if self.lengths:
            return min(ends[0] for ends in self.lengths)
        return None if self.pi else tau / 2 ** (self.bands - 1)


def waves_on_grid(
    ctx: Context,
    position: FourierPosition,
    axes: Sequence[Axis],
    counted: Sequence[int | None],
    path: Path,
    *,
    endpoint: bool,
) -> tuple[Waves, tuple[bool, ...]]:
    """The waves along each axis, and whether its last place is at 1."""
    fourier, path = position.fourier, (*path, "fourier")
    refuse_contradictions(ctx, fourier, path)
    names = tuple(axis.name for axis in axes)
    found = None
    if fourier.spacing != "octaves" and not fourier.has_lengths:
        found = _resolutions(ctx, fourier, axes, counted, path)
    periodic = _periodic(ctx, fourier, axes, found, path)
    endpoint = fourier.endpoint if fourier.endpoint is not None else endpoint
    endpoint = fourier.has_lengths or (endpoint and len(periodic) < len(axes))
    if found is not None:
        ctx.derive(found, *path, "max_resolution")
    if not fourier.has_lengths:
        ctx.derive(endpoint, *path, "endpoint")
    ends = tuple(endpoint and i not in periodic for i in range(len(axes)))
    given = None if found is None else tuple(map(float, found.values()))
    if isinstance(fourier.wavelengths, Mapping):
        ctx.axis_sizes(fourier.wavelengths, axes, "`wavelengths`", (*path, "wavelengths"))
    lengths = _lengths(ctx, fourier, names, len(axes), path, "axis")
    return _waves(ctx, fourier, given, periodic, lengths, path), ends


def waves_of_coordinates(
    ctx: Context,
    position: FourierPosition,
    names: tuple[str, ...],
    ranges: Sequence[Ends],
    count: int,
    path: Path,
) -> Waves:
    """The waves of each coordinate that the caller gives, which float32 can tell apart (PG221)."""
    fourier, inner = position.fourier, (*path, "fourier")
    refuse_contradictions(ctx, fourier, inner)
    periodic = _periodic_coordinates(ctx, fourier.periodic, names, (*inner, "periodic"))
    given = None
    if fourier.spacing != "octaves" and not fourier.has_lengths:
        if fourier.max_resolution is None:
            raise ctx.error(
                "PG221",
                "coordinates that are given have no size to take `max_resolution` from",
                inner,
                help="add `max_resolution: 64`, twice the highest frequency; what differs by less than "
                "2 / 64 of the range looks much alike",
                at_key=True,
            )
        given = each(ctx, fourier.max_resolution, names, count, (*inner, "max_resolution"))
        for i in periodic:
            refuse_few_waves(ctx, fourier.bands, given[i], (*inner, "periodic"))
    lengths = _lengths(ctx, fourier, names, count, inner, "coordinate")
    waves = _waves(ctx, fourier, given, periodic, lengths, inner)
    for i, bounds in enumerate(ranges):
        named = (names[i],) if isinstance(position.range, Mapping) else ()
        told_apart, instead = _finest_wave(waves, bounds, i)
        refuse_coarse(ctx, bounds, told_apart, (*path, "range", *named), instead)
    return waves


def waves_of_step(ctx: Context, fourier: Settings, channels: int, path: Path) -> Waves:
    """The waves of coordinates that a step replaces."""
    refuse_contradictions(ctx, fourier, path)
    resolution: float | None = getattr(fourier, "max_resolution", None)
    if resolution is None and fourier.spacing != "octaves" and not fourier.has_lengths:
        raise ctx.error(
            "PG221",
            "coordinates that are given have no size to take `max_resolution` from",
            path,
            help="add `max_resolution: 64`, twice the highest frequency, or `spacing: octaves`",
            at_key=True,
        )
    given = None if resolution is None else (float(resolution),) * channels
    lengths = _lengths(ctx, fourier, (), channels, path, "coordinate")
    return _waves(ctx, fourier, given, (), lengths, path)


def _waves(
    ctx: Context,
    fourier: Settings,
    given: Sequence[float] | None,
    periodic: tuple[int, ...],
    lengths: tuple[Ends, ...],
    path: Path,
) -> Waves:
    include = not fourier.has_lengths
    sine_only = False
    if isinstance(fourier, FourierParameters):
        include = include if fourier.include_position is None else fourier.include_position
        sine_only = fourier.sine_only
        ctx.derive(include, *path, "include_position")
    return Waves(
        fourier.bands,
        None if given is None else tuple(given),
        include,
        sine_only,
        periodic,
        fourier.spacing or "linear",
        fourier.pi is not False,
        lengths,
        fourier.order or "waves",
    )


def _lengths(
    ctx: Context,
    fourier: Settings,
    names: tuple[str, ...],
    count: int,
    path: Path,
    what: str,
) -> tuple[Ends, ...]:
    """The shortest and the longest wave of each; none where frequencies are given."""
    if fourier.base is not None:
        # x / base^(k / bands) = 2 pi x / w_k: the last of the bands falls short of the base.
        last = (fourier.bands - 1) / fourier.bands
        return ((tau, tau * float(fourier.base) ** last),) * count
    if fourier.wavelengths is None:
        return ()
    path = (*path, "wavelengths")
    found = []
    for i, (low, high) in enumerate(each(ctx, fourier.wavelengths, names, count, path, what)):
        if not low <= high:
            raise ctx.error(
                "PG221",
                f"the shortest wave comes first, and {low:g} is longer than {high:g}",
                (*path, names[i]) if isinstance(fourier.wavelengths, Mapping) else path,
                help=f"write `[{high:g}, {low:g}]`",
            )
        found.append((float(low), float(high)))
    return tuple(found)


def _finest_wave(waves: Waves, bounds: Ends, i: int) -> tuple[float, str]:
    """What the shortest wave of a coordinate tells apart, half its length, and what to write instead
    where float32 does not."""
    low, high = bounds
    most = finest(bounds)
    if waves.lengths:
        least = 64 * float32_step(low, high)
        exact = "leave `range` out where all are exact in float32, as whole numbers are"
        return waves.lengths[i][0] / 2, f"let the shortest wave be {least:.3g} long, or {exact}"
    if waves.resolution is not None:
        return (high - low) / waves.resolution[
            i
        ], f"write a `max_resolution` of at most {int(most)}"
    turns = 2.0**waves.bands / (1 if waves.pi else pi)
    return (high - low) / turns, f"write `bands: {max(int(log2(max(most, 2))), 1)}`, or fewer"


def _resolutions(
    ctx: Context,
    fourier: FourierParameters,
    axes: Sequence[Axis],
    counted: Sequence[int | None],
    path: Path,
) -> dict[str, float]:
    given = fourier.max_resolution or {}
    if not isinstance(given, Mapping):
        given = {axis.name: given for axis in axes}
    ctx.axis_sizes(given, axes, "`max_resolution`", (*path, "max_resolution"))
    return {
        axis.name: given[axis.name] if axis.name in given else resolution(ctx, axis, size, path)
        for axis, size in zip(axes, counted, strict=True)
    }


def _periodic(
    ctx: Context,
    fourier: FourierParameters,
    axes: Sequence[Axis],
    resolution: Mapping[str, float] | None,
    path: Path,
) -> tuple[int, ...]:
    """The axes along which the first point follows the last, by number."""
    ctx.axis_sizes(fourier.periodic, axes, "`periodic`", (*path, "periodic"))
    if resolution is not None:
        for name in fourier.periodic:
            refuse_few_waves(ctx, fourier.bands, resolution[name], (*path, "periodic"))
    periodic = tuple(i for i, axis in enumerate(axes) if axis.name in fourier.periodic)
    if fourier.endpoint and len(periodic) == len(axes):
        raise ctx.error(
            "PG221",
            f"with `endpoint` the last point of `{fourier.periodic[0]}` would be the first again",
            (*path, "endpoint"),
            also=[((*path, "periodic"), "periodic here")],
            help="leave it out",
        )
    return periodic


def _periodic_coordinates(
    ctx: Context, given: Sequence[str], names: tuple[str, ...], path: Path
) -> tuple[int, ...]:
    known_names(ctx, given, names, path)
    return tuple(sorted({names.index(name) for name in given}))
