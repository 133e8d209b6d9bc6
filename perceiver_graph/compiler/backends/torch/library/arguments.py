"""What arguments are that are no tensors: TypeError for what is of another kind, ValueError for others."""

from __future__ import annotations

import math
import numbers
import operator
from typing import Any

import torch
from torch import Tensor


def wrong_kind(name: str, wanted: str, given: object) -> TypeError:
    """The error to raise."""
    return TypeError(f"{name} must be {wanted}, not {' '.join(repr(given).split()):.60}")


def as_number(name: str, given: Any) -> float:
    """A real number; True and False are none."""
    if isinstance(given, bool) or not isinstance(given, numbers.Real):
        raise wrong_kind(name, "a number", given)
    return float(given)


def as_whole(
    name: str, wanted: str, given: Any, least: float = -math.inf, below: float = math.inf
) -> int:
    """A whole number, not less than `least`, and `below` the other one."""
    if isinstance(given, bool) or str(getattr(given, "dtype", "")).endswith("bool"):
        raise wrong_kind(name, wanted, given)
    try:
        found = operator.index(given)
    except TypeError:
        raise wrong_kind(name, wanted, given) from None
    if not least <= found < below:
        raise ValueError(f"{name} must be {wanted}, not {found}")
    return found


def as_ids(name: str, given: Any, device: Any) -> Tensor:
    """Ids of texts [batch, length], from a tensor, an array or lists."""
    wanted = "the ids of texts, int64 [batch, length]"
    if given is None or isinstance(given, str | bytes):
        raise wrong_kind(name, wanted, given)
    try:
        return torch.as_tensor(given, device=device)
    except ValueError as error:  # rows of other lengths
        raise ValueError(f"{name} must be {wanted}: {error}") from None
    except (TypeError, RuntimeError, OverflowError):
        raise wrong_kind(name, wanted, given) from None
