"""Point clouds from files, scaled as models of points expect them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.media.files.numbers.columns import (
    AXES,
    COLOURS,
    Cloud,
    arranged,
    as_named,
    left_out,
    listed,
    plain,
    too_narrow,
    unindexed,
)
from perceiver_graph.media.files.numbers.common import Lines, as_rows, in_float64, require_finite
from perceiver_graph.media.files.numbers.expressions import of_array
from perceiver_graph.media.files.numbers.formats import FileKind, kind_of_file
from perceiver_graph.media.files.numbers.masks import mask_names, read_mask
from perceiver_graph.media.files.numbers.npy import array_names, only_array, read_array, read_npy
from perceiver_graph.media.files.numbers.off import read_off
from perceiver_graph.media.files.numbers.pcd import read_pcd
from perceiver_graph.media.files.numbers.ply import read_ply
from perceiver_graph.media.files.numbers.sheet import read_rows
from perceiver_graph.media.files.numbers.text import NUMBER
from perceiver_graph.runtime.arrays import rounded
from perceiver_graph.runtime.opening import Named, Source

_MOST_CHANNELS = 16
"""More numbers than points have that nobody has named."""


def read_points(named: Named, name: str = "points") -> NDArray[np.float64]:
    """The points [n, 3 + k] of a file: x, y, z and k features.

    Read are .ply, .off, .pcd, .npy, .npz and text files (.xyz, .csv, .pts, .txt). Columns that are
    named are taken by their names. Of an .npz, the array called `name`, or x, y and z, or the only
    one, without the points that are not there by its mask. In float64, since coordinates on a map are
    large beside the distances between points, which float32 would round away before they are centred.
    Raises DiagnosticError (PG503 to PG505, PG507, PG512, PG514).
    """
    return read_cloud(named, name).points


def read_cloud(named: Named, name: str = "points") -> Cloud:
    """The same, with the names of the columns and notes on what was left out."""
    source = Source.of(named)
    cloud = _READERS[kind_of_file(source)](source, name)
    if cloud.points.shape[1] < 3:
        raise too_narrow(source, cloud.points.shape[1])
    require_finite(source, cloud.points, "point", cloud.lines)
    return cloud


def _from_text(source: Source, name: str) -> Cloud:
    sheet = read_rows(source)
    if not sheet.names:
        lines = Lines(sheet.lines, missing=sheet.missing)
        return Cloud(sheet.values, (), sheet.notes, lines, expression=sheet.expression)
    values, names, notes = unindexed(sheet.values, sheet.names)
    if all(NUMBER.fullmatch(one) for one in names):
        before = sheet.values.shape[1] - values.shape[1]
        return Cloud(values, (), notes, Lines(sheet.lines, before, missing=sheet.missing))
    cloud = arranged(source, values, names)
    lines = Lines(sheet.lines, names=cloud.names, missing=sheet.missing)
    return replace(cloud, notes=(*notes, *cloud.notes), lines=lines)


def _from_array(source: Source, array: NDArray[Any], name: str = "") -> Cloud:
    if array.dtype.names is None:
        return Cloud(as_rows(source, array, name), expression=of_array(source, name))
    names = [one for one in array.dtype.names if array.dtype[one].kind in "iuf"]
    flat = array.reshape(-1)
    if not names or not flat.size:
        raise DiagnosticError.of(
            "PG504",
            f"{source} holds records of dtype {array.dtype}, and points have x, y and z",
            help="save numbers: numpy.stack([a['x'], a['y'], a['z']], axis=1)",
        )
    columns = np.stack([in_float64(flat[one]) for one in names], axis=1)
    cloud = arranged(source, columns, names)
    others = [one for one in array.dtype.names if one not in names]
    notes = left_out(others, cloud.names, "fields that are no numbers")
    return replace(cloud, notes=(*cloud.notes, *notes))


def _from_archive(source: Source, name: str) -> Cloud:
    held = array_names(source)
    axes = {plain(one): one for one in held if plain(one) in AXES}
    if name in held or len(axes) < len(AXES):
        key = only_array(source, name, mask_names(name))
        return _there(source, name, (key,), _from_array(source, read_array(source, key), key))
    columns = []
    for held_as in (axes[axis] for axis in AXES):
        values = read_array(source, held_as).reshape(-1, 1)
        columns.append(as_rows(source, values, held_as))
    if len({len(one) for one in columns}) > 1:
        raise DiagnosticError.of(
            "PG503",
            f"the arrays x, y and z of {source} have {', '.join(str(len(c)) for c in columns)} values",
            help="save arrays of equal length",
        )
    cloud = Cloud(np.concatenate(columns, axis=1), AXES)
    return _there(source, name, [*axes.values()], cloud)


def _there(source: Source, name: str, keys: Sequence[str], cloud: Cloud) -> Cloud:
    """The points of an archive that its mask says are there; `keys` are the arrays they are from."""
    mask, notes = read_mask(source, name, keys, len(cloud.points))
    notes = (*cloud.notes, *notes)
    if mask is None or mask.all():
        return replace(cloud, notes=notes)
    if not mask.any():
        raise DiagnosticError.of(
            "PG503",
            f"the mask of {source} says that none of its {len(mask)} points is there",
            help="give 1 (or true) for points that are there, else 0",
        )
    note = f"{np.count_nonzero(~mask)} of {len(mask)} points are masked, and left out"
    return Cloud(cloud.points[mask], cloud.names, (*notes, note))


_READERS: dict[FileKind, Callable[[Source, str], Cloud]] = {
    "ply": lambda source, name: read_ply(source),
    "off": lambda source, name: read_off(source),
    "pcd": lambda source, name: read_pcd(source),
    "npy": lambda source, name: _from_array(source, read_npy(source)),
    "npz": _from_archive,
    "text": _from_text,
}


def sampled(points: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """`count` points, evenly spaced in the order of the file; all of them if there are no more."""
    if len(points) <= count:
        return points
    return points[np.arange(count) * len(points) // count]


def centred(points: NDArray[np.float64], places: Sequence[int] = (0, 1, 2)) -> NDArray[np.float64]:
    """Points [n, 3 + k] moved to a mean of 0 and scaled, by one factor, into the cube [-1, 1].

    This is how the Perceiver is trained on ModelNet40 (arXiv 2103.03206). The coordinates are in the
    columns `places`, as far as there are so many; the k features stay as they are. Points that are all the
    same end up at 0.
    """
    taken = [place for place in places if place < points.shape[1]]
    position = points[:, taken] - points[:, taken].mean(axis=0)
    reach = np.abs(position).max(initial=0)
    if reach > 0:
        position = position / reach
    moved = points.copy()
    moved[:, taken] = position
    return moved


def points_input(
    named: Named,
    channels: int = 3,
    *,
    limit: int | None = None,
    centre: bool = True,
    name: str = "points",
    called: Sequence[str] = (),
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """A file's points as a model's input, float32 [1, n, channels], with notes on what was left out.

    `called` is what the spec calls the channels, if it does, whose order is then that of the names.
    At most `limit` points are taken (see `sampled`), and then centred if `centre`. Raises
    DiagnosticError as `read_points` does, and PG503 for points with too few channels.
    """
    source = Source.of(named)
    cloud = read_cloud(source, name)
    if called and cloud.names:
        cloud = _as_called(source, cloud, called)
    points, names = cloud.points, cloud.names
    count, width = points.shape
    notes = list(cloud.notes)
    if width < channels:
        raise _too_few(source, cloud, channels)
    if width > channels:
        notes += _turned(source, cloud, channels, limit)
        held = f" ({', '.join(names)})" if names else ""
        taken = f"{', '.join(names[:channels])}" if names else f"the first {channels}"
        notes.append(f"the points have {width} channels{held}: {taken} are taken")
        points = points[:, :channels]
    notes += _bright(points, names[:channels])
    if limit is not None and count > limit:
        notes.append(f"there are {count} points: {limit} evenly spaced ones are taken")
        points = sampled(points, limit)
    if centre and called and names:
        points = centred(points, [i for i, one in enumerate(names) if plain(one) in AXES])
    elif centre:
        points = centred(points)
    with np.errstate(over="ignore"):  # too large for float32: reported as not finite
        values = points.astype(np.float32)
    if not centre:  # what is centred has no whole numbers of its own any more
        notes += rounded(points, values, ("point", "channel"))
    require_finite(source, values, "point")
    return values[None], tuple(notes)


def _turned(source: Source, cloud: Cloud, channels: int, limit: int | None) -> list[str]:
    """The note on points whose rows may be x, y and z, [3, n]: nothing names their columns.

    Raises DiagnosticError (PG503) where they have more columns than any points have.
    """
    rows, columns = cloud.points.shape
    if cloud.names or rows not in (3, channels) or rows == limit or columns <= rows:
        return []
    read = cloud.expression or "numpy.load('FILE.npy')"
    way = f"`numpy.save('turned.npy', {read}.reshape({rows}, {columns}).T)`"
    if columns > _MOST_CHANNELS:
        raise DiagnosticError.of(
            "PG503",
            f"{source} holds {rows} rows of {columns} numbers, and a row is a point of {channels} channels",
            help=f"if its rows are the channels, turn it: {way}",
        )
    return [f"its {rows} rows are taken as points; if they are the channels, turn it: {way}"]


def _as_called(source: Source, cloud: Cloud, called: Sequence[str]) -> Cloud:
    """Points whose channels are in the order in which the spec names x, y and z; with other names for
    them, in the order x, y, z.

    Raises DiagnosticError (PG507) where it names one of them and another that the file does not have.
    """
    held = {plain(name) for name in cloud.names}
    if not held & {*called}:
        meant = ", ".join(
            f"{quote(to)} from {name}" for to, name in zip(called, cloud.names, strict=False)
        )
        return replace(cloud, notes=(*cloud.notes, f"{meant}: they are taken in this order"))
    points, notes = as_named(source, cloud.points, cloud.names, called)
    return replace(cloud, points=points, names=tuple(called), notes=(*cloud.notes, *notes))


def _too_few(source: Source, cloud: Cloud, channels: int) -> DiagnosticError:
    """The diagnostic PG503 for points with too few channels, of which some may have been left out."""
    have = f"{cloud.points.shape[1]} channels"
    help = "give points with the features that the model was trained with"
    notes = []
    if cloud.rest:
        have += f" of real numbers ({', '.join(cloud.names)})"
        notes.append(
            f"{listed(cloud.rest)} are left out: the file does not say their scale, as of colours "
            "0 to 255 or 0 to 1"
        )
        names = (*cloud.names, *cloud.rest)
        columns = ", ".join(f"v[{name!r}]" for name in names)
        help += f", in a .csv file whose first row is {','.join(names)}, or an array"
        if cloud.expression:
            save = f"numpy.save('points.npy', numpy.stack([{columns}], axis=1))"
            help += (
                f": `v = {cloud.expression}; {save}`. Colours are taken as they then stand: divide "
                "them by 255 where the model was trained on 0 to 1"
            )
    fault = f"the points of {source} have {have}, and the model takes {channels}"
    return DiagnosticError.of("PG503", fault, notes=notes, help=help)


def _bright(points: NDArray[np.float64], names: Sequence[str]) -> list[str]:
    """The note on colours that are not from 0 to 1."""
    colours = [i for i, name in enumerate(names) if plain(name) in COLOURS]
    most = points[:, colours].max() if colours else 0
    if most <= 1:
        return []
    shown = listed([names[i] for i in colours])
    told = (
        f"the colours ({shown}) go up to {most:g}, and are taken as they stand: divide them by 255 "
    )
    return [f"{told}where the model was trained on 0 to 1"]
