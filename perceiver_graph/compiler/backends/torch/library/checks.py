"""What is wrong with the arrays and sizes of a call is told before anything is computed."""

from __future__ import annotations

import math
import operator
import warnings
from collections import Counter
from collections.abc import Mapping

import torch
from torch import Tensor

from perceiver_graph.compiler.backends.torch.library.inputs import as_numbers, shared_size
from perceiver_graph.compiler.backends.torch.library.ways import (
    called_otherwise,
    coloured,
    fits,
    is_plain,
    lengths_as_mask,
    made_ids,
    reordered,
    tensor_of,
)

LARGEST_NUMBER = 1e17
"""Norms sum squares, and those of 1e19 are infinite in float32."""
FAR = 8
"""How many times beyond what files have no other normalisation would bring numbers."""
LOOKED_AT = 2
"""Calls in which numbers on a GPU are looked at, which has to be waited for."""
COUNTED = Counter[str]()
"""Those there were, by what scales the numbers."""


def refuse_unknown(given: object, known: tuple[str, ...], what: str) -> None:
    """ValueError if a name is not among the known ones, TypeError for what is no dict of tensors."""
    if given is None and what != "input":
        return
    if not isinstance(given, Mapping):
        value = "NUMBER" if what == "size" else "TENSOR"
        names = ", ".join(f'"{name}": {value}' for name in known if "." not in name)
        wanted = f"by its name, in a dict, {{{names}}}"
        raise TypeError(f"each {what} is given {wanted}, not in a {type(given).__name__}")
    for name, value in given.items():
        output, _, kind = str(name).rpartition(".")
        if name not in known and what == "input" and kind == "points" and output:
            raise ValueError(
                f"points of `{output}` are queries, not inputs: {{'{output}': points}}"
            )
        if name not in known:
            meant = called_otherwise(str(name), known) if what == "input" else ""
            others = f", only {', '.join(known)}" if known else ", and the model takes none"
            raise ValueError(f"there is no {what} `{name}`{others}{meant}")
        if value is None:
            raise TypeError(f"{what} `{name}` is None: give a tensor, or leave it out")
        if what != "size" and not is_plain(value):
            found = "no plain tensor" if isinstance(value, Tensor) else type(value).__name__
            found = found if isinstance(value, Tensor) else f"of type {found}"
            called = name.rpartition(".")[2]
            raise TypeError(f"{what} `{name}` is {found}, and takes {tensor_of(called, value)}")


def refuse_missing(inputs: dict[str, Tensor], needed: tuple[str, ...]) -> None:
    """ValueError if an input is not there that is needed, or that another one tells something of."""
    told = [name.partition(".")[0] for name in inputs]
    for name in (*needed, *told):
        if name not in inputs:
            given = (
                f"only {', '.join(inputs)} given" if inputs else f"give it: {{'{name}': TENSOR}}"
            )
            raise ValueError(f"input `{name}` is missing, {given}")


def refuse_alone(inputs: dict[str, Tensor], name: str, beside: tuple[str, ...]) -> None:
    """ValueError if positions are given without any of the inputs they are of, or these without."""
    tokens = [other for other in beside if other in inputs]
    if bool(tokens) != (name in inputs):
        missing, there = (name, tokens[0]) if tokens else (" or ".join(beside), name)
        raise ValueError(f"input `{missing}` is missing, and `{there}` is given")


def refuse_points(
    queries: dict[str, Tensor],
    name: str,
    channels: int,
    like: Tensor,
    batch: int | None = None,
    periods: dict[int, tuple[float, float]] | None = None,
) -> None:
    """ValueError if points to ask an output at are no [batch, points, channels] of numbers."""
    if name not in queries:
        return
    x = queries[name]
    if x.ndim != 3 or x.shape[-1] != channels or batch not in (None, x.shape[0]):
        wanted = f"[batch{'' if batch is None else f' {batch}'}, points, {channels}]"
        one = x.ndim == 2 or (x.ndim == 3 and len(x) == 1 and batch is not None)
        same = one and x.shape[-1] == channels
        way = f"; `points.expand({batch or 1}, -1, -1)` has the same for all" if same else ""
        raise ValueError(f"points of `{name}` have shape {list(x.shape)}, not {wanted}{way}")
    check_numbers(queries, name, like, "points of output", periods)


def in_words(permitted: range) -> str:
    """The sizes that a symbol may be: `a multiple of 8, 8 to 64`."""
    steps = f"a multiple of {permitted.step}, " if permitted.step > 1 else ""
    if permitted.stop >= 2**63:
        return f"{steps}at least {permitted.start}"
    return f"{steps}{permitted.start} to {permitted[-1]}"


def agreed_size(
    inputs: dict[str, Tensor],
    symbol: str,
    axes: dict[str, int],
    permitted: range,
    scaled: dict[str, tuple[int, int, int]] | None = None,
    given: int | None = None,
) -> int:
    """`shared_size`, which all inputs agree on that have it as it is. ValueError if they do not, if
    it is not permitted, or if another one is given.
    """
    plain = {n: inputs[n] for n in axes if n in inputs and n not in (scaled or {})}
    sizes = {n: x.shape[axes[n]] for n, x in plain.items() if x.dim() > axes[n]}
    if len(set(sizes.values())) > 1:
        found = ", ".join(f"{s} in input `{n}`, {list(plain[n].shape)}" for n, s in sizes.items())
        raise ValueError(f"`{symbol}` is one size in a call, and here it is {found}")
    size = shared_size(inputs, axes, permitted[0] if given is None else given, scaled)
    if given not in (None, size):
        raise ValueError(f"the size `{symbol}` is given as {given}, and is {size} in the inputs")
    if size not in permitted:
        name = next(name for name, axis in axes.items() if name in inputs)
        found = f"`{symbol}` is {size} in input `{name}`, {list(inputs[name].shape)}"
        raise ValueError(f"{found}, and may be {in_words(permitted)}")
    return size


def check_shape(
    inputs: dict[str, Tensor],
    name: str,
    axes: dict[str, int | None],
    ids: int | tuple[int, ...] = (),
) -> None:
    """ValueError if an input is given that has other axes or sizes; None is any size. `ids` is how many
    it may hold, or each of its channels.
    """
    if name not in inputs:
        return
    sizes, wanted = list(inputs[name].shape), list(axes.values())
    if fits(sizes, wanted):
        return
    text = f"input `{name}` has shape {sizes}, and takes {len(wanted)} axes: [{', '.join(axes)}]"
    if len(sizes) == len(wanted):
        text = ", ".join(f"{axis} {'any' if size is None else size}" for axis, size in axes.items())
        text = f"input `{name}` has shape {sizes}, expected [{text}]"
    way = made_ids(inputs[name], name, wanted, ids) or lengths_as_mask(inputs[name], name, wanted)
    way = way or reordered(name, sizes, wanted) or coloured(name, sizes, axes)
    raise ValueError(text + way)


def ends_of(x: Tensor) -> tuple[float, float] | None:
    """The least and the greatest number; None where they cannot be seen, as within torch.vmap."""
    try:
        low, high = x.detach().aminmax()
        return low.item(), high.item()
    except RuntimeError:
        return None


def check_numbers(
    arrays: dict[str, Tensor],
    name: str,
    like: Tensor,
    what: str = "input",
    periods: dict[int, tuple[float, float]] | None = None,
) -> None:
    """ValueError if what is given are no real numbers, or none that the model can compute with in the
    dtype of `like`: not finite, or too large."""
    if name not in arrays:
        return
    x = arrays[name].detach()
    if x.dtype == torch.bool or x.is_complex():
        raise ValueError(f"{what} `{name}` is {x.dtype}, and takes real numbers")
    if x.device.type == "cpu" and x.numel():
        ends = ends_of(as_numbers(x, like, periods)) or ()
        wrong = [end for end in ends if not abs(end) <= LARGEST_NUMBER]
        if wrong:
            limit = (
                f"numbers up to {LARGEST_NUMBER:g}" if math.isfinite(wrong[0]) else "finite numbers"
            )
            raise ValueError(f"{what} `{name}` holds {wrong[0]:g}, and takes {limit}")


def check_scaled(
    inputs: dict[str, Tensor],
    name: str,
    way: str,
    bounds: tuple[float, float],
    ways: dict[torch.dtype, str] | None = None,
) -> None:
    """ValueError for whole numbers, pixels and samples as files have them: the model takes them scaled,
    within `bounds`. Of other numbers far beyond, a warning; the first example is looked at.

    `way` does it, or the one of `ways` that is for their dtype.
    """
    if name not in inputs:
        return
    x = inputs[name]
    if not x.is_floating_point():
        way = (ways or {}).get(x.dtype, way)
    way = way.replace("[", "torch.tensor([").replace("]", f"], device={name}.device)")
    if not x.is_floating_point():
        raise ValueError(f"input `{name}` is {x.dtype}, whole numbers: scale them, `{way}`")
    COUNTED[way] += x.device.type != "cpu"
    if len(x) and COUNTED[way] <= LOOKED_AT:
        found, most = ends_of(x[0]), FAR * max(map(abs, bounds))
        if found and max(map(abs, found)) > most:
            low, high = bounds
            text = f"input `{name}` has numbers far beyond {low:.3g} to {high:.3g}, those of files"
            warnings.warn(f"{text}: if they are as files have them, `{way}`", stacklevel=2)


def check_mask(inputs: dict[str, Tensor], name: str) -> None:
    """ValueError if what is given is neither bool nor made of 0 and 1."""
    if name in inputs and inputs[name].dtype != torch.bool:
        if inputs[name].is_floating_point():
            ways = "(mask != 0) if 0 stands for none, (mask == 0) if it is added to scores"
            text = f"input `{name}` is {inputs[name].dtype}, and a mask is bool, true where there is a token"
            raise ValueError(f"{text}: {ways}")
        check_whole(inputs, name, 2)


def check_whole(inputs: dict[str, Tensor], name: str, count: int, what: str = "input") -> None:
    """ValueError if what is given are not whole numbers from 0 up to, but without, `count`."""
    if name not in inputs:
        return
    x = inputs[name]
    if x.is_floating_point() or x.is_complex() or x.dtype == torch.bool:
        raise ValueError(f"{what} `{name}` is {x.dtype}, and takes whole numbers below {count}")
    if what != "input" and x.dtype not in (torch.int32, torch.int64):  # uint8 would be a mask
        raise ValueError(f"{what} `{name}` are {x.dtype}, and taken as torch.int64")
    if x.device.type == "cpu" and x.numel():
        low, high = (int(end) for end in ends_of(x.long()) or (0, 0))
        if x.dtype == torch.uint64 and low < 0:  # beyond int64
            low, high = 0, low + 2**64
        if low < 0 or high >= count:
            wrong = low if low < 0 else high
            raise ValueError(f"{what} `{name}` holds {wrong}, and takes 0 to {count - 1}")


def check_ids(inputs: dict[str, Tensor], name: str, counts: tuple[int, ...]) -> None:
    """ValueError if a channel does not hold whole numbers from 0 up to, but without, its count."""
    for channel, count in enumerate(counts) if name in inputs else ():
        asked = f"{name}[..., {channel}]"
        check_whole({asked: inputs[name][..., channel]}, asked, count)


def check_within(
    arrays: dict[str, Tensor],
    name: str,
    ranges: dict[str, tuple[int, float, float]],
    beside: tuple[str, ...] = (),
    what: str = "input",
) -> None:
    """ValueError if coordinates lie outside of their ranges: the channel, the least and the greatest.

    Where the tokens of all inputs `beside` that are given are masked, they may.
    """
    x = arrays.get(name)
    if x is None or x.device.type != "cpu":
        return
    wrong = outside(x, ranges)
    masks = [arrays.get(f"{other}.attention_mask") for other in beside if other in arrays]
    shown = [mask.bool() for mask in masks if mask is not None]
    if wrong and shown and len(shown) == len(masks):
        wrong = outside(x[torch.stack(shown).any(0)], ranges)
    if wrong:
        raise ValueError(f"{what} `{name}` holds {wrong}")


def outside(x: Tensor, ranges: dict[str, tuple[int, float, float]]) -> str:
    """A value [..., channels] that lies outside of its range, in words."""
    x = x.reshape(-1, x.shape[-1])
    for label, (channel, low, high) in ranges.items() if len(x) else ():
        slack = 1e-6 * max(abs(low), abs(high))  # what was written with a few digits
        least, greatest = ends_of(x[:, channel].double()) or (low, high)
        if not (least >= low - slack and greatest <= high + slack):
            wrong = greatest if least >= low - slack else least
            return f"{wrong:g} for {label}, and takes {low:g} to {high:g}"
    return ""


def check_sizes(sizes: dict[str, int] | None, permitted: dict[str, range]) -> None:
    """ValueError for sizes that are unknown, or not permitted."""
    refuse_unknown(sizes, tuple(permitted), "size")
    for name, size in (sizes or {}).items():
        whole = hasattr(size, "__index__") and not isinstance(size, bool)
        if not whole or operator.index(size) not in permitted[name]:
            may = in_words(permitted[name])
            raise ValueError(f"the size `{name}` is {size!r}, and may be {may}")
