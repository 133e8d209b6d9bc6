"""Which rows are worth showing, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.runtime.scores import Attention

Array = NDArray[Any]
_ALIKE = 0.75
"""The cosine of two maps above which the second shows nothing new."""
_CANDIDATES = 64


@dataclass(frozen=True)
class Column:
    """A map worth showing: of all rows together, of a row, or of where a latent is read."""

    heading: str
    weights: Array
    """[keys], or [rows] for where a latent is read: shares that sum to 1, or what each row gives it."""
    said: str = ""


def strongest(one: Attention, count: int, first: Sequence[int] = ()) -> list[Column]:
    """The rows that read fewest tokens, each other than those before it; those named come first."""
    spread = one.summary().spread[0]
    order = np.argsort(spread, kind="stable")
    order = np.array([*first, *(row for row in order if row not in first)])[:_CANDIDATES]
    weights = one.weights(order)[0]
    kept = list(range(min(len(first), count)))
    unit = weights / np.linalg.norm(weights, axis=-1, keepdims=True)
    for index in range(len(order)):
        if (
            index >= len(first)
            and len(kept) < count
            and all(unit[index] @ unit[other] < _ALIKE for other in kept)
        ):
            kept.append(index)
    kept += [index for index in range(len(order)) if index not in kept][: count - len(kept)]
    return [Column(_name(one, int(order[i])), weights[i], shares(one, weights[i])) for i in kept]


def asked_for(found: Mapping[str, Attention]) -> list[int]:
    """The latents that outputs of a single query read most: up to two of each, from 5 % on."""
    chosen: dict[int, None] = {}
    for one in found.values():
        if one.rows.count == 1 and [rows.name for rows in one.read] == ["latents"]:
            weights = one.weights()[0, 0]
            best = np.argsort(-weights, kind="stable")[:2].tolist()
            chosen |= {latent: None for latent in best if weights[latent] >= 0.05}
    return list(chosen)


def spaced(one: Attention, count: int) -> list[Column]:
    """Rows of a grid at even distances, of an output that reads tokens of an input."""
    rows = np.linspace(0, one.rows.count - 1, count + 2)[1:-1].round().astype(int)
    if len(one.rows.shape) == 2:
        height, width = one.rows.shape
        across = -(-count // 2)
        places = [(r, c) for r in (1, 3) for c in range(across)][:count]
        rows = np.array(
            [r * height // 4 * width + (2 * c + 1) * width // (2 * across) for r, c in places]
        )
    weights = one.weights(rows)[0]
    pairs = zip(rows.tolist(), weights, strict=True)
    return [Column(_name(one, row), found, shares(one, found)) for row, found in pairs]


def together(one: Attention) -> Column:
    """The mean of all rows."""
    mean = one.summary().mean[0]
    return Column(f"all {one.rows.count:,}", mean, shares(one, mean))


def where_read(one: Attention, count: int) -> list[Column]:
    """The latents that are read most, each with where in the output it is."""
    mean = one.summary().mean[0]
    weights = one.weights()[0]
    order = np.argsort(-mean, kind="stable")[:count]
    return [
        Column(f"latent {latent}", weights[:, latent], f"{mean[latent]:.1%} of all")
        for latent in order.tolist()
    ]


def shares(one: Attention, weights: Array) -> str:
    """How much of it is for each input, where there are several: `image 83 %, audio 17 %`."""
    parts = {name: float(part.sum()) for name, part in one.parts(weights).items()}
    if len(parts) == 1:
        return f"at most {weights.max():.1%}"
    ordered = sorted(parts.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {part:.0%}" for name, part in ordered if part >= 0.005)


def _name(one: Attention, row: int) -> str:
    """What a row is called: `latent 12`, `flow (3, 40)`."""
    if one.rows.name == "latents":
        return f"latent {row}"
    if one.rows.axes == ("query",):
        return f"{one.rows.name} {one.positions[row]}"
    place = ", ".join(str(int(n)) for n in np.unravel_index(row, one.rows.shape or (1,)))
    return f"{one.rows.name} ({place})" if one.rows.shape else one.rows.name
