"""The functions and classes that emitted files may need beside their own; each goes in if it is used."""

from __future__ import annotations

import re

from perceiver_graph.compiler.backends.torch.grid_helpers import GRIDS
from perceiver_graph.compiler.backends.torch.input_helpers import INPUTS
from perceiver_graph.compiler.backends.torch.position_helpers import POSITIONS

_ATTEND = '''
def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """softmax(query key^T / sqrt(d)) value, for each head on its own share of the channels.

    query [batch, n, heads * d], key [batch, m, heads * d], value [batch, m, heads * e]
    -> [batch, n, heads * e].
    """
    query = query.unflatten(-1, (heads, -1)).transpose(1, 2)
    key = key.unflatten(-1, (heads, -1)).transpose(1, 2)
    value = value.unflatten(-1, (heads, -1)).transpose(1, 2)
    return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
'''

_ATTEND_MASKED = '''
def attend_masked(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor,
    heads: int,
    masked_rows: str = "uniform",
) -> Tensor:
    """Attention, as in `attend`, to the keys for which the mask, bool [batch, m], is true.

    Where it is true for none, the result is the mean of all values, or zeros if `masked_rows` is
    "zero".
    """
    nowhere = ~mask.any(dim=1)[:, None, None]
    query = query.masked_fill(nowhere, 0)  # so that all keys score alike
    mask = mask[:, None, None] | nowhere[..., None]
    query = query.unflatten(-1, (heads, -1)).transpose(1, 2)
    key = key.unflatten(-1, (heads, -1)).transpose(1, 2)
    value = value.unflatten(-1, (heads, -1)).transpose(1, 2)
    found = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    found = found.transpose(1, 2).flatten(2)
    return found.masked_fill(nowhere, 0) if masked_rows == "zero" else found
'''

_ATTEND_JOINTLY = '''
def attend_jointly(*kinds: Tensor, axes: tuple[int, ...] = ()) -> Tensor:
    """softmax over the keys of several kinds, each with queries and values of its own.

    query [batch, n, d_i], key [batch, m_i, d_i], value [batch, m_i, e_i] of each kind, one after the
    other, or query, token, scale and tables for a kind on a grid of so many axes
    -> [batch, n, sum of e_i].
    """
    given, each, scores = list(kinds), [], []
    for count in axes or [0] * (len(given) // 3):
        query, key, third, *tables = given[: 3 + count]
        del given[: 3 + count]
        each.append((key, third, tables))
        scores.append(grid_scores(query, key, third, tables) if tables else query @ key.mT)
    weights = torch.cat(scores, dim=-1).softmax(dim=-1).split([key.shape[1] for key, *_ in each], -1)
    parts = [
        grid_sums(part, key, third, tables) if tables else part @ third
        for part, (key, third, tables) in zip(weights, each, strict=True)
    ]
    return torch.cat(parts, dim=-1)
'''

_GRID_SCORES = '''
def grid_scores(query: Tensor, token: Tensor, scale: Tensor, tables: list[Tensor]) -> Tensor:
    """Scores of the points of a grid, to which each axis adds a table of its places."""
    grid = tables[0]
    for table in tables[1:]:
        grid = (grid[..., None] + table[:, :, None]).flatten(2)
    return scale.mT * (query @ token.mT + grid)
'''

_GRID_SUMS = '''
def grid_sums(weights: Tensor, token: Tensor, scale: Tensor, tables: list[Tensor]) -> Tensor:
    """The sum of tokens with these weights, and of weights for the places on each axis."""
    weights = weights * scale.mT
    sizes = [table.shape[-1] for table in tables]
    points = weights.unflatten(-1, sizes)
    sums = [
        points.sum([2 + a for a in range(len(sizes)) if a != axis]) if len(sizes) > 1 else points
        for axis in range(len(sizes))
    ]
    return torch.cat([weights @ token, *sums], dim=-1)
'''

_ATTEND_ON_GRID = '''
def attend_on_grid(query: Tensor, token: Tensor, scale: Tensor, *tables: Tensor) -> Tensor:
    """softmax over the points of a grid, and the sums of weights for the places on each axis.

    query [batch, n, d], token [batch, m, d], scale [batch, m, 1], tables [batch, n, size] of each
    axis -> [batch, n, d + sum of sizes].
    """
    weights = grid_scores(query, token, scale, list(tables)).softmax(dim=-1)
    return grid_sums(weights, token, scale, list(tables))
'''

_ATTEND_WITH_TABLES = '''
def attend_with_tables(
    query: Tensor, key: Tensor, value: Tensor, scale: Tensor, *tables: Tensor
) -> Tensor:
    """Attention with scores to which rows of tables are added, times the scale of the query.

    query [batch, n, d], key [batch, m, d], value [batch, m, e], scale [batch, n, 1] and, one after
    the other, tables [batch, size, m] and places [n] -> [batch, n, e].
    """
    added = sum(table[:, places] for table, places in zip(tables[0::2], tables[1::2], strict=True))
    return (query @ key.mT + scale * added).softmax(dim=-1) @ value
'''

_MOMENTS = '''
def moments(x: Tensor) -> Tensor:
    """The mean of the channels and their variance: [..., c] -> [..., 2]."""
    variance, mean = torch.var_mean(x, dim=-1, correction=0)
    return torch.stack([mean, variance], dim=-1)
'''

_MERGE_MOMENTS = '''
def merge_moments(*parts: Tensor, widths: tuple[int, ...], epsilon: float) -> Tensor:
    """Mean and 1 / sqrt(variance + epsilon) of parts side by side, from the moments of each.

    [..., 2] of each part -> [..., 2]; `widths` are the channels of the parts.
    """
    shares = [width / sum(widths) for width in widths]
    mean = sum(part[..., 0] * share for part, share in zip(parts, shares, strict=True))
    spreads = [part[..., 1] + (part[..., 0] - mean).square() for part in parts]
    variance = sum(spread * share for spread, share in zip(spreads, shares, strict=True))
    return torch.stack([mean, (variance + epsilon).rsqrt()], dim=-1)
'''

_BATCH_NORM = '''
class BatchNorm(nn.Module):
    """Batch normalisation with the channels last: [batch, ..., channels] -> the same shape."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.eps, self.momentum = eps, momentum

    def forward(self, x: Tensor) -> Tensor:
        """Statistics of the batch, which the running ones follow, in training; else the latter."""
        statistics = self.running_mean, self.running_var, self.weight, self.bias
        options = self.training, self.momentum, self.eps
        return F.batch_norm(x.movedim(-1, 1), *statistics, *options).movedim(1, -1)
'''

_ONE_HOT = '''
def one_hot(ids: Tensor, classes: int, like: Tensor) -> Tensor:
    """A one at each id among zeros, in the dtype of `like`: [...] -> [..., classes]."""
    return (ids[..., None] == torch.arange(classes, device=ids.device)).to(like.dtype)
'''

_READ = '''
DTYPES = {
    "BF16": torch.bfloat16,
    "BOOL": torch.bool,
    "F16": torch.float16,
    "F32": torch.float32,
    "F64": torch.float64,
    "I64": torch.int64,
}


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, mapped into memory. Format: size of header, header, bytes."""
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        dtype, (first, last) = DTYPES[entry["dtype"]], entry["data_offsets"]
        count = (last - first) // dtype.itemsize
        flat = torch.frombuffer(data, dtype=dtype, count=count, offset=start + first)
        tensors[name] = flat.view(entry["shape"])
    return tensors
'''

HELPERS = {
    "attend": _ATTEND,
    "attend_masked": _ATTEND_MASKED,
    "grid_scores": _GRID_SCORES,
    "grid_sums": _GRID_SUMS,
    "attend_jointly": _ATTEND_JOINTLY,
    "attend_on_grid": _ATTEND_ON_GRID,
    "attend_with_tables": _ATTEND_WITH_TABLES,
    "moments": _MOMENTS,
    "merge_moments": _MERGE_MOMENTS,
    **POSITIONS,
    **GRIDS,
    "one_hot": _ONE_HOT,
    "BatchNorm": _BATCH_NORM,
    **INPUTS,
    "read_safetensors": _READ,
}
"""By name, each after what it needs itself."""

IMPORTS = {
    "json": "import json",
    "mmap": "import mmap",
    "Iterable": "from collections.abc import Iterable",
    "Path": "from pathlib import Path",
}

TORCH_IMPORTS = {
    "torch": "import torch",
    "F": "import torch.nn.functional as F",
}

NAMES = frozenset({*HELPERS, *IMPORTS, *TORCH_IMPORTS, "DTYPES", "Tensor", "load", "nn"})
"""Everything a file may define or import beside its classes."""


def mentions(text: str, name: str) -> bool:
    """Whether code uses a name on its own, not as an attribute."""
    return re.search(rf"(?<![\w.]){name}\b", text) is not None


def helpers_for(text: str) -> list[str]:
    """The helpers that the text needs, and those they need."""
    needed: list[str] = []
    for name in reversed(HELPERS):
        if any(mentions(part, name) for part in (text, *(HELPERS[n] for n in needed))):
            needed.append(name)
    return [HELPERS[name].strip("\n") for name in reversed(needed)]


def imports_for(text: str) -> str:
    """The import statements that the text needs."""
    standard = [line for name, line in IMPORTS.items() if mentions(text, name)]
    torch = [line for name, line in TORCH_IMPORTS.items() if mentions(text, name)]
    blocks = ["from __future__ import annotations", "\n".join(standard)]
    return "\n\n".join([*filter(None, blocks), "\n".join([*torch, "from torch import Tensor, nn"])])
