"""Attention scores, of as many rows as are wanted: softmax(scale q k^T), as the primitive has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perceiver_graph.spec.glance import Glance, Glanced
from perceiver_graph.spec.manifest_attention import AttentionSettings

Array = NDArray[Any]
_HELD = 2**26
"""Bytes of scores that exist at once, beside those that are returned."""


@dataclass(frozen=True)
class Rows:
    """What reads or is read: the tokens of an input, the queries of an output, `latents`."""

    name: str
    axes: tuple[str, ...]
    """What counts them: none where there is one."""
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        return prod(self.shape)

    def __str__(self) -> str:
        pairs = zip(self.axes, self.shape, strict=True)
        sizes = " x ".join(f"{axis} {size}" for axis, size in pairs)
        return f"{self.name} [{sizes}]" if sizes else self.name


@dataclass(frozen=True)
class Summary:
    """What all rows read, the mean over heads: computed without all scores at once."""

    mean: Array
    """Over the rows, float32 [batch, keys]."""
    spread: Array
    """Over how many keys a row spreads, float32 [batch, rows]: 1 where it reads one alone, and as many
    as there are where it reads all alike (the exponential of the entropy)."""


class Attention(Glanced):
    """What each row of `rows` reads of what is in `read`, in one cross-attend.

    Nothing is computed until it is asked for. Weights of a row sum to 1, but for one whose keys are
    all masked in a model where such a row reads nothing.
    """

    def __init__(
        self,
        name: str,
        rows: Rows,
        read: Sequence[Rows],
        settings: AttentionSettings,
        queries: Array,
        keys: Array,
        mask: Array | None,
        positions: Array | None = None,
    ) -> None:
        self.name = name
        self.rows = rows
        """Who reads; of chosen queries, with an axis `query`."""
        self.read = tuple(read)
        """What is read, in the order of the keys."""
        self.settings = settings
        self.positions = np.arange(rows.count) if positions is None else positions
        """Which queries of the output the rows are, counted flat."""
        self._queries, self._keys, self._mask = queries, keys, mask

    def _glance(self) -> Glance:
        batch, keys = self._keys.shape[:2]
        rows = [("rows", str(self.rows)), *(("read", str(one)) for one in self.read)]
        heads = f"{self.settings.heads} head{'s' * (self.settings.heads > 1)}"
        heading = f"Attention {self.name}: {self.rows.count:,} rows read {keys:,} keys, {heads}"
        return Glance(f"{heading}, batch {batch}", tuple(rows))

    @property
    def nbytes(self) -> int:
        """Bytes of `weights()`, of all rows."""
        return 4 * int(self._queries.shape[0]) * self.rows.count * int(self._keys.shape[1])

    def weights(self, rows: ArrayLike | None = None, *, heads: bool = False) -> NDArray[np.float32]:
        """The scores of some rows, by number, or of all: float32 [batch, rows, keys], the mean over
        heads; with `heads`, [batch, heads, rows, keys]."""
        chosen = np.arange(self.rows.count) if rows is None else np.atleast_1d(np.asarray(rows))
        batch, count = self._keys.shape[:2]
        several = (self.settings.heads,) if heads else ()
        found = np.empty((batch, *several, len(chosen), count), np.float32)
        for start, some in self._pieces(chosen):
            scores = self._scores(some)
            found[..., start : start + len(some), :] = scores if heads else scores.mean(axis=1)
        return found

    def summary(self) -> Summary:
        """What all rows read together, and over how many keys each spreads."""
        batch, count = self._keys.shape[:2]
        mean, spread = np.zeros((batch, count)), np.empty((batch, self.rows.count), np.float32)
        for start, some in self._pieces(np.arange(self.rows.count)):
            scores = self._scores(some).mean(axis=1)
            mean += scores.sum(axis=1)
            logs = np.log(np.maximum(scores, np.finfo(np.float32).tiny))
            spread[:, start : start + len(some)] = np.exp(-(scores * logs).sum(axis=-1))
        return Summary((mean / max(self.rows.count, 1)).astype(np.float32), spread)

    def parts(self, weights: Array) -> dict[str, Array]:
        """Weights [.., keys] apart for each of what is read, on its grid: [.., *shape]."""
        stops = np.cumsum([one.count for one in self.read])
        parts = np.split(weights, stops[:-1], axis=-1)
        return {
            one.name: part.reshape((*part.shape[:-1], *one.shape))
            for one, part in zip(self.read, parts, strict=True)
        }

    def _pieces(self, rows: Array) -> Iterator[tuple[int, Array]]:
        batch, keys = self._keys.shape[:2]
        size = max(_HELD // (4 * batch * keys * self.settings.heads), 1)
        for start in range(0, len(rows), size):
            yield start, rows[start : start + size]

    def _scores(self, rows: Array) -> NDArray[np.float32]:
        """Of these rows, [batch, heads, rows, keys]."""
        settings = self.settings
        q = _split(self._queries[:, rows], settings.heads)
        k = _split(self._keys, settings.key_heads)
        k = np.repeat(k, settings.heads // settings.key_heads, axis=1)
        scores = q @ k.swapaxes(-1, -2) * np.float32(settings.scale)
        allowed = self._allowed(rows)
        if allowed is not None:
            scores = np.where(allowed, scores, np.finfo(np.float32).min)
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        if allowed is not None and settings.masked_rows == "zero":
            scores *= allowed.any(axis=-1, keepdims=True)
        return np.asarray(scores, np.float32)

    def _allowed(self, rows: Array) -> Array | None:
        """Which keys the rows may read, [batch or 1, 1, rows or 1, keys]; None for all."""
        allowed = None if self._mask is None else self._mask[:, None, None, :]
        if not self.settings.causal:
            return allowed
        keys = self._keys.shape[1]
        last = rows + keys - self._queries.shape[1]  # the rows are the last of all
        before = (np.arange(keys) <= last[:, None])[None, None]
        return np.asarray(before if allowed is None else allowed & before)


def _split(x: Array, heads: int) -> Array:
    """[batch, n, heads * d] -> [batch, heads, n, d]."""
    batch, n, width = x.shape
    return x.reshape(batch, n, heads, width // heads).transpose(0, 2, 1, 3)


def arrays(
    found: Mapping[str, Attention], *, heads: bool, most: int
) -> tuple[dict[str, Array], list[str]]:
    """All of several for an archive, and which of them are too large for it: more than `most` bytes.

    `encode.image` are the weights of the latents for the tokens of `image`, on their grid, the mean over
    heads or those of each, and `encode.image.axes` what the axes are called. Of one that is too large
    there is the mean over all that read, `encode.image.mean`.
    """
    made: dict[str, Array] = {}
    large = []
    for name, one in found.items():
        axes: tuple[str, ...] = ("batch", *(("head",) if heads else ()), *_axes(one.rows))
        if one.nbytes * (one.settings.heads if heads else 1) <= most:
            weights, end = one.weights(heads=heads), ""
            shape = (*weights.shape[:-2], *one.rows.shape)
            weights = weights.reshape(*shape, weights.shape[-1])
        else:
            weights, end, axes = one.summary().mean, ".mean", ("batch",)
            large.append(name)
        for rows, part in zip(one.read, one.parts(weights).values(), strict=True):
            made[f"{name}.{rows.name}{end}"] = part
            made[f"{name}.{rows.name}{end}.axes"] = np.array((*axes, *_axes(rows)))
        if one.rows.axes == ("query",):
            made[f"{name}.query"] = one.positions
    return made, large


def _axes(rows: Rows) -> tuple[str, ...]:
    """The axes with the name of what they are of, where it reads and is read: `image_height`."""
    return tuple(
        axis if axis in ("latent", "query") else f"{rows.name}_{axis}" for axis in rows.axes
    )
