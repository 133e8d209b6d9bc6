"""What would make a tensor fit that has other axes, or is none yet: the expression that does it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor


def fits(sizes: Sequence[int], wanted: Sequence[int | None]) -> bool:
    """Whether a shape is the one that is wanted; None is any size."""
    return len(sizes) == len(wanted) and all(
        want in (None, size) for want, size in zip(wanted, sizes, strict=True)
    )


def made_ids(x: Tensor, name: str, wanted: list[int | None], ids: int | tuple[int, ...]) -> str:
    """What makes ids of rows with a 1 at the place of each, or adds those of the other channels."""
    sizes = list(x.shape)
    if isinstance(ids, tuple):
        if len(ids) > 1 and sizes[-1:] != [len(ids)] and fits(sizes, wanted[:-1]):
            rest = ", ".join("OTHER" if len(ids) == 2 else f"OTHER_{i}" for i in range(1, len(ids)))
            many = f"; a token has {len(ids)} ids: if these are the first, "
            return f"{many}`torch.stack([{name}, {rest}], -1)` fits"
        return ""
    if sizes[-1:] == [ids] and fits(sizes[:-1], wanted) and x.device.type == "cpu":
        plain = ((x == 0) | (x == 1)).all() and (x.sum(-1) == 1).all()
        return f"; of rows with a 1 where the id is, `{name}.argmax(-1)` fits" if plain else ""
    return ""


def reordered(name: str, sizes: list[int], wanted: list[int | None]) -> str:
    """What would make an array fit: axes that were left out, or its own in another order."""
    *_, called = name.rpartition(
        "."
    )  # of a mask, NAME.attention_mask, what a variable may be called
    *before, last = wanted
    ways = {f"{called}[None]": wanted[1:]}
    if last == 1:
        ways |= {f"{called}[..., None]": before, f"{called}[None, ..., None]": before[1:]}
    elif called != name:
        ways[f"{called}[..., None].expand(*{called}.shape, {last})"] = before
    fitting = [way for way, shape in ways.items() if fits(sizes, shape)]
    fitting = fitting or squeezed(called, sizes, wanted) or unflattened(called, sizes, wanted)
    if called != name and len(sizes) == len(wanted) + 1 and fits(sizes[:-1], wanted):
        fitting = fitting or [f"{called}.all(-1)"]
    if fitting and len(sizes) != len(wanted):
        return f"; `{fitting[0]}` fits"
    no_batch = len(sizes) + 1 == len(wanted)
    first = [] if no_batch else [0]
    orders = itertools.permutations(range(len(first), len(sizes)))  # as it is comes first
    order = next((one for one in orders if fits([sizes[i] for i in one], wanted[1:])), ())
    if [*order] == sorted(order):
        return ""
    turned = f"{called}.permute({', '.join(map(str, (*first, *order)))})"
    return f"; `{turned}{'[None]' * no_batch}` puts its axes in this order"


def coloured(name: str, sizes: list[int], axes: dict[str, int | None]) -> str:
    """What makes a picture of three channels of a grey one, or of one with transparency."""
    *_, channels = wanted = list(axes.values())
    if channels != 3 or not {"height", "width"}.issubset(axes):
        return ""
    if fits(sizes, [*wanted[:-1], 4]):
        return f"; `{name}[..., :3]` takes red, green and blue alone"
    grey = {
        name: [*wanted[:-1], 1],
        f"{name}[None]": [*wanted[1:-1], 1],
        f"{name}[..., None]": wanted[:-1],
        f"{name}[None, ..., None]": wanted[1:-1],
    }
    way = next((way for way, shape in grey.items() if fits(sizes, shape)), None)
    return f"; `{way}.repeat_interleave(3, -1)` takes its one channel for all" if way else ""


def lengths_as_mask(x: Tensor, name: str, wanted: list[int | None]) -> str:
    """What makes a mask of lengths that are given in its place."""
    *_, called = name.rpartition(".")
    tokens = wanted[-1]
    if called == name or len(wanted) != 2 or tokens is None or x.numel() != wanted[0]:
        return ""
    if x.device.type != "cpu" or x.is_floating_point() or not 1 < int(x.max()) <= tokens:
        return ""
    return f"; if these are lengths, `torch.arange({tokens}) < {called}.reshape(-1, 1)` fits"


def squeezed(called: str, sizes: list[int], wanted: list[int | None]) -> list[str]:
    """What takes out an axis of size 1."""
    ones = (i for i, size in enumerate(sizes) if size == 1)
    fitting = [i for i in ones if fits([*sizes[:i], *sizes[i + 1 :]], wanted)]
    return [f"{called}.squeeze({i})" for i in fitting[:1]]


def unflattened(called: str, sizes: list[int], wanted: list[int | None]) -> list[str]:
    """What parts an axis that stands for several; nothing where there are several such."""
    for x, have in ((called, sizes), (f"{called}[None]", [1, *sizes])):
        count = len(wanted) - len(have) + 1
        found = []
        for at in range(1, len(have)) if count > 1 else ():
            parts = [size for size in wanted[at : at + count] if size is not None]
            others = [*have[:at], *have[at + 1 :]]
            rest = [*wanted[:at], *wanted[at + count :]]
            if len(parts) == count and math.prod(parts) == have[at] and fits(others, rest):
                axis = at if at < len(have) - 1 else -1
                found.append(f"{x}.unflatten({axis}, {tuple(parts)})")
        if len(found) == 1:
            return found
    return []


def tensor_of(name: str, given: object) -> str:
    """What makes a tensor of something else, or a plain one of a tensor of another kind."""
    if isinstance(given, Tensor):
        if given.is_nested:
            return f"torch.nested.to_padded_tensor({name}, 0), with a mask"
        return f"{name}.dequantize()" if given.is_quantized else f"{name}.to_dense()"
    if isinstance(given, slice):
        return "torch.arange(START, STOP)"
    if isinstance(given, str | bytes):
        return "numbers, which `perceiver_graph.load(DIR).read(...)` makes of texts and files"
    if isinstance(given, list | tuple) and given and isinstance(given[0], Tensor):
        return f"torch.stack([*{name}])"
    if hasattr(given, "mask") and hasattr(given, "filled"):
        return f"torch.as_tensor({name}.filled(0)), or what stands for the masked ones"
    cast = ".float()" if "float" in str(getattr(given, "dtype", "")) else ""
    if not isinstance(given, list | tuple) and type(given).__name__ != "ndarray":
        return f"torch.as_tensor(numpy.array({name})){cast}"
    return f"torch.as_tensor({name}){cast}"


def is_plain(given: object) -> bool:
    """Whether it is a tensor that holds its numbers as they are."""
    if not isinstance(given, Tensor):
        return False
    return not given.is_nested and not given.is_quantized and given.layout == torch.strided


def called_otherwise(name: str, known: tuple[str, ...]) -> str:
    """Which input is meant by a name that others have for one."""
    data = [one for one in known if "." not in one]
    masks = [one for one in known if one.endswith(".attention_mask")]
    if same := [one for one in known if one.replace(".", "_") == name]:
        return f'; in the dict it is `"{same[0]}"`'
    if name in ("attention_mask", "mask", "padding_mask", "key_padding_mask", "pixel_mask"):
        return f'; in the dict it is `"{masks[0]}"`' if len(masks) == 1 else ""
    if name in ("labels", "label", "target", "targets", "y"):
        return "; the loss takes it, not the model"
    usual = ("input_ids", "pixel_values", "input_values", "input_features", "x", "input", "inputs")
    return f"; here it is called `{data[0]}`" if name in usual and len(data) == 1 else ""
