"""Movement from spikes: the class of torch-brain, with frequencies of more digits than it has."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import torch

from tests.family.harness import Case, Reference, draw, library, randomised

_BESIDE = {
    "torch_brain.batching": ("pad8", "track_mask8"),
    "torch_brain.data": ("Data",),
    "torch_brain.datasets": ("Dataset",),
}
"""What its module imports to read recordings, which takes other libraries along."""


def _poyo() -> Any:
    for name, what in _BESIDE.items():
        stub = ModuleType(name)
        for word in what:
            setattr(stub, word, object)
        sys.modules.setdefault(name, stub)
    return library("torch_brain.models.poyo", ("torch_brain",)).POYO


def _case(
    steps: int,
    latents: int,
    width: int,
    depth: int,
    heads: tuple[int, int, int],
    units: int,
    sessions: int,
    ends: tuple[float, float],
    spikes: int,
    outputs: int,
    seed: int,
) -> Case:
    cross, own, each = heads
    module = _poyo()(
        sequence_length=1.0,
        latent_step=1 / steps,
        num_latents_per_step=latents,
        dim_out=outputs,
        dim=width,
        depth=depth,
        dim_head=each,
        cross_heads=cross,
        self_heads=own,
        t_min=ends[0],
        t_max=ends[1],
    )
    module.unit_emb.initialize_vocab([f"unit {i}" for i in range(1, units)])
    module.session_emb.initialize_vocab([f"session {i}" for i in range(1, sessions)])
    rng = np.random.default_rng(seed)
    ids = [rng.integers(0, count, (2, spikes)) for count in (units, 4)]
    mask = rng.integers(4, size=(2, spikes)) > 0
    mask[:, 0] = True
    given = {
        "spikes": np.stack(ids, -1),
        "spikes.position": _times(rng, spikes),
        "spikes.attention_mask": mask,
        "session": rng.integers(0, sessions, 2),
        "velocity.points": _times(rng, 5),
    }

    def answer(
        module: Any,
        tokens: torch.Tensor,
        times: torch.Tensor,
        mask: torch.Tensor,
        session: torch.Tensor,
        points: torch.Tensor,
    ) -> Any:
        # The library has frequencies in float32, and makes them of logarithms in float32.
        exact = np.zeros(each // 2)
        exact[: each // 4] = 2 * np.pi / np.geomspace(*ends, each // 4)
        module.rotary_emb.omega = torch.from_numpy(exact)
        number = torch.arange(latents).repeat(steps).expand(2, -1)
        middle = ((torch.arange(steps, dtype=torch.float64) + 0.5) / steps).float().double()
        return module(
            input_unit_index=tokens[..., 0],
            input_timestamps=times[..., 0],
            input_token_type=tokens[..., 1],
            input_mask=mask,
            latent_index=number,
            latent_timestamps=middle.repeat_interleave(latents).expand(2, -1),
            session_index=session,
            output_timestamps=points[..., 0],
        )

    settings = (f"latents.per={{step: {steps}}}",)
    without = ("unit_emb.vocab", "session_emb.vocab")
    return Case(randomised(module, seed), given, answer, settings, without)


def _times(rng: np.random.Generator, count: int) -> np.ndarray[Any, Any]:
    """Numbers that float32 has."""
    return rng.random((2, count, 1), dtype=np.float32).astype(np.float64)


def _drawn(rng: np.random.Generator) -> Case:
    steps, latents, width, depth, cross, own, each = draw(rng, 6, 5, 12, 3, 3, 3, 4)
    units, sessions, spikes, outputs, seed = draw(rng, 9, 5, 12, 3, 1000)
    ends = (float(f"{rng.uniform(1e-3, 0.1):.3g}"), float(f"{rng.uniform(0.5, 4):.3g}"))
    heads = (cross, own, 4 + 4 * each)
    sizes = (units + 1, sessions + 1, ends, spikes, outputs, seed)
    return _case(steps, latents, width + 3, depth, heads, *sizes)


REFERENCES = (
    Reference(
        "poyo",
        "torch-brain",
        "POYO",
        lambda: _case(8, 16, 64, 6, (2, 8, 64), 1000, 100, (1e-4, 2.0627), 600, 2, 0),
        _drawn,
        least=1e-6,  # our places and sines are in float32
    ),
)
