"""A cluster of Ray: items go through Ray Data to actors, each of which has a worker process.

Where an actor or its machine dies, Ray gives its items to another, which finds the results that were
there already. A file that kills what runs on it kills the process of an actor, and is answered for there
as on one machine.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from importlib import import_module
from typing import Any

from perceiver_graph.cluster.job import Item, Job, Outcome, told, untold
from perceiver_graph.cluster.local import Processes
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.diagnostics.commands import setting, shell

_PARCEL = 16
"""Items that go to an actor at a time: a task of Ray takes some milliseconds, whatever is in it."""


class Actor:
    """What Ray makes on a machine of the cluster: a worker process, and items for it."""

    def __init__(self, job: str) -> None:
        self._stack = ExitStack()
        self._processes = self._stack.enter_context(Processes(Job.of(job), 1))

    def __call__(self, rows: dict[str, Any]) -> dict[str, list[str]]:
        """What became of the items of a parcel; what is wrong with all of them comes as a row, too,
        since Ray would take an exception for a reason to try again."""
        try:
            found = self._processes.run(Item.of(text) for text in rows["item"])
            return {"outcome": [f"outcome {one.text}" for one in found]}
        except DiagnosticError as error:
            return {"outcome": [f"wrong {told(error)}"]}

    def __del__(self) -> None:
        self._stack.close()


def run(job: Job, items: Iterable[Item], count: int) -> Iterator[Outcome]:
    """What becomes of each item, as it becomes so; `count` are actors. The cluster is the one that
    RAY_ADDRESS names, else this machine. Raises DiagnosticError as `Processes.run`, and PG509."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    try:
        ray, data = import_module("ray"), import_module("ray.data")
    except ImportError as error:
        raise _not_installed(error) from error
    texts = [{"item": item.text} for item in items]
    if not texts:
        return
    began = not ray.is_initialized()
    if began:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    try:
        yield from _outcomes(data, job, texts, count)
    finally:
        if began:
            ray.shutdown()


def _outcomes(data: Any, job: Job, texts: list[dict[str, str]], count: int) -> Iterator[Outcome]:
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    parcel = max(1, min(_PARCEL, -(-len(texts) // count)))
    # As many blocks as parcels, so that none waits for another to be read.
    rows = data.from_items(texts, override_num_blocks=-(-len(texts) // parcel))
    gpus = {"num_gpus": 1} if job.device == "cuda" else {}
    found = rows.map_batches(
        Actor,
        fn_constructor_args=(job.text,),
        batch_size=parcel,
        compute=data.ActorPoolStrategy(size=count),
        num_cpus=job.threads or 1,
        **gpus,
    )
    for row in found.iter_rows():
        kind, _, text = row["outcome"].partition(" ")
        if kind == "wrong":
            raise untold(text)
        yield Outcome.of(text)


def _not_installed(error: ImportError) -> DiagnosticError:
    local = setting("--on", "local", 'engine="local"')
    return DiagnosticError.of(
        "PG509",
        "a batch on Ray needs ray[data], which is not installed",
        notes=[str(error)],
        help=f"{shell('pip', 'install', 'perceiver-graph[ray]')}; or run it on this machine: {local}",
    )
