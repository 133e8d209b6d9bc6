"""Keys of encode shared by two and by four gloo processes: outputs and gradients of one process."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from torch import Tensor

import perceiver_graph as pg
from perceiver_graph.distributed import _readers, shard_keys
from tests.keys_worker import begin, gradients, pass_through

WORKER = Path(__file__).parent / "keys_worker.py"
SYSTEMS = ("kinetics", "language", "imagenet_perceiver")
"""Several modalities, a mask, and several cross-attends, of which some take the same keys."""


@cache
def shared(processes: int) -> dict[str, dict[str, Tensor]]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    with TemporaryDirectory() as folder:
        command += [f"--nproc-per-node={processes}", str(WORKER), folder, *SYSTEMS]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return {name: torch.load(Path(folder) / f"{name}.pt") for name in SYSTEMS}


@pytest.mark.parametrize("processes", [2, 4])
def test_parts_are_merged_exactly(processes: int) -> None:
    found = shared(processes)
    for name in SYSTEMS:
        module, inputs, asked = begin(name)
        wanted = pass_through(module, inputs, asked)
        wanted |= gradients(module)
        assert any(key.startswith("output") for key in wanted)
        scale = max(float(one.abs().max()) for one in wanted.values())
        apart = {
            key: float((found[name][key] - one).abs().max() / (one.abs().max() + 1e-3 * scale))
            for key, one in wanted.items()
        }
        assert not {key: value for key, value in apart.items() if value > 1e-9}, name
        # Without averaging they are something else: what is compared depends on it.
        assert any(
            float((found[name][f"alone {key}"] - one).abs().max()) > 1e-3 * scale
            for key, one in gradients(module).items()
        )


def test_what_is_sent_does_not_grow_with_the_inputs() -> None:
    sent = shared(2)["kinetics"]["sent"].tolist()
    module, inputs, _ = begin("kinetics")
    ((_, attention),) = _readers(module)
    batch = len(next(iter(inputs.values())))
    width, of_query = (attention.get_parameter(f"{x}.weight").shape[0] for x in ("value", "query"))
    # A maximum a query and head, a sum of values and one number more, and the gradients of queries.
    maximum, merged, backward = sent
    assert maximum == batch * module.get_parameter("latents").shape[0]
    assert merged == maximum * (width + 1)
    assert backward == maximum * of_query


TEXT = """
perceiver: 1
name: text
dims: {length: {min: 9, max: 16}}
inputs:
  text:
    shape: {place: length}
    steps: [{embedding: {vocabulary: 9, width: 16}}]
    position: {learned: {}, combine: add}
latents: {of: text, last: 8}
encode: {heads: 2}
process: {layers: 1, heads: 2, causal: true}
outputs: {next: {query: latents, head: {linear: 2}}}
"""


@pytest.mark.parametrize(
    ("said", "shared"),
    [
        ("", True),
        (", key_heads: 1, scale: 0.5", True),
        (", causal: true", False),
        (", rotary: true", False),
        (", rotary: true, key_heads: 1", False),
        (", keys: [inputs, latents]", False),
        (", cross_attends: 0", False),
    ],
)
def test_what_the_keys_do_not_say_alone_is_refused(said: str, shared: bool) -> None:
    text = TEXT.replace("encode: {heads: 2", f"encode: {{heads: 2{said}")
    module = pg.compile(text).to_torch()
    if shared:
        shard_keys(module)
    else:
        with pytest.raises(ValueError, match="no keys to share"):
            shard_keys(module)
