"""Fourier features as calls of the library: a function for each way in which waves are spaced.

`op` is one of the three primitives, `o` what the table of lowerings works on.
"""

from __future__ import annotations

from typing import Any

from perceiver_graph.compiler.backends.torch import text as py


def fourier_table(op: Any, o: Any) -> str:
    """Of the places along one axis of a grid."""
    place = {"axis": op.axis, "axes": op.axes} if op.axes > 1 else {}
    options = {**place, "bands": o.number(op.bands)}
    if op.max_resolution is not None:
        options["max_resolution"] = o.number(op.max_resolution)
    kept = [i for i in range(op.axes) if op.include_position and i not in op.periodic]
    options |= _switches(op, "endpoint") | _spacing(op)
    return _ordered(op, o, py.call(_name(op, "table"), o.number(op.size), **options), op.axes, kept)


def fourier_features(op: Any, o: Any) -> str:
    """Of coordinates that are data."""
    resolution = op.max_resolution
    options = {"channels": o.number(op.channels), "bands": o.number(op.bands)}
    if resolution is not None:
        several = isinstance(resolution, tuple)
        options["max_resolution"] = resolution if several else o.number(resolution)
    options |= _switches(op) | _spacing(op)
    if op.ranges:
        options["ranges"] = op.ranges
    return _ordered(op, o, py.call(_name(op, "features"), *o, **options), op.channels, op.kept)


def fourier_at(op: Any, o: Any) -> str:
    """Of places in a grid whose sizes are known only at run time."""
    options: dict[str, Any] = {} if op.wavelengths else {"of": py.several(op.of)}
    options["bands"] = o.number(op.bands)
    if op.max_resolution is not None:
        options["max_resolution"] = py.several(op.max_resolution)
    if not op.wavelengths:
        options["endpoint"] = py.several(op.endpoint)
    options |= _switches(op) | _spacing(op)
    found = py.call(_name(op, "at"), *o, py.several(o.sizes(op.sizes)), o.like, **options)
    return _ordered(op, o, found, len(op.of), op.features.kept)


def _name(op: Any, what: str) -> str:
    if op.wavelengths:
        return "wavelengths_at" if what == "at" else f"wavelength_{what}"
    if op.spacing == "octaves":
        return "octaves_at" if what == "at" else f"octave_{what}"
    return f"fourier_{what}"


def _switches(op: Any, *more: str) -> dict[str, object]:
    """What is not as usual."""
    options: dict[str, object] = {
        name: False for name in (*more, "include_position") if not getattr(op, name)
    }
    if op.sine_only:
        options["sine_only"] = True
    if op.periodic:
        options["periodic"] = op.periodic
    return options


def _spacing(op: Any) -> dict[str, object]:
    options: dict[str, object] = {} if op.pi else {"pi": False}
    if op.wavelengths:
        options["wavelengths"] = op.wavelengths
    return options


def _ordered(op: Any, o: Any, features: str, axes: int, kept: Any) -> str:
    """The features, with their columns in another order where that is asked for."""
    if op.order == "waves":
        return features
    options: dict[str, object] = {"axes": axes, "bands": o.number(op.bands)}
    if kept:
        options["kept"] = tuple(kept)
    if op.sine_only:
        options["sine_only"] = True
    return py.call("by_axis", features, **options)
