"""One encode for many decodes: a client keeps a handle, and the server what the inputs became.

NAME.encode takes the inputs and answers with a handle; NAME.decode takes the handle, which outputs or
queries are asked for, and points. A handle cannot be guessed, and is of use for its own model alone.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Any

from perceiver_graph.runtime.arrays import overflow_notes
from perceiver_graph.runtime.program import Program, State
from perceiver_graph.serving.calls import Answer, Call, no_state
from perceiver_graph.serving.models import Served
from perceiver_graph.serving.queue import Room
from perceiver_graph.serving.tensors import gives, takes, wrong
from perceiver_graph.serving.texts import has_texts, readers_of, with_ids


class States:
    """At most `limit` states; where there are more, those that were not used for longest are given up,
    and so is what nobody has used for `seconds`."""

    def __init__(
        self, limit: int, seconds: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit, self._seconds, self._now = limit, seconds, now
        self._kept: dict[str, tuple[float, State]] = {}  # what was used last, last
        self._lock = Lock()

    def __len__(self) -> int:
        with self._lock:
            self._sweep()
            return len(self._kept)

    def keep(self, state: State) -> str:
        """The handle of a state from now on."""
        handle = secrets.token_urlsafe(18)
        with self._lock:
            self._kept[handle] = self._now(), state
            self._sweep()
        return handle

    def get(self, handle: str) -> State:
        """Raises RefusalError (PG534) where it is not there, or no more."""
        with self._lock:
            self._sweep()
            if handle not in self._kept:
                raise no_state()
            _, state = self._kept.pop(handle)
            self._kept[handle] = self._now(), state
            return state

    def _sweep(self) -> None:
        since = self._now() - self._seconds
        late = sum(used <= since for used, _ in self._kept.values())
        for handle in [*self._kept][: max(late, len(self._kept) - self._limit)]:
            del self._kept[handle]


def in_two(name: str, program: Program, room: Room, states: States) -> dict[str, Served]:
    """The models of a program that is asked in two; none where encode answers all there is."""
    manifest = program.manifest
    if "decode" not in manifest.programs:
        return {}
    points = {name for name, entry in manifest.inputs.items() if entry.points_of}

    texts = readers_of(manifest)

    def encoded(call: Call) -> tuple[State, tuple[str, ...]]:
        call = with_ids(texts, call)
        notes = [*call.notes]
        state = program.encode(call.arrays, sizes=call.sizes, note=notes.append)
        return state, tuple(notes)

    async def encode(call: Call) -> Answer:
        state, notes = await room.answer(partial(encoded, call))
        return Answer({}, notes, states.keep(state))

    async def decode(call: Call) -> Answer:
        if has_texts(call):
            raise wrong("decode takes no texts")
        if call.state is None:
            raise wrong(f"`{name}.decode` needs the parameter `state`, which `{name}.encode` gives")
        return await room.answer(partial(_decoded, program, states.get(call.state), call))

    inputs = takes(manifest)
    asked = [one for one in inputs if one["name"] in points]
    return {
        f"{name}.encode": Served(inputs, [], encode),
        f"{name}.decode": Served(asked, gives(manifest), decode),
    }


def _decoded(program: Program, state: State, call: Call) -> Answer:
    asked: dict[str, Any] | None = dict(call.decode) if call.decode is not None else None
    for name, array in call.arrays.items():
        entry = program.manifest.inputs.get(name)
        if entry is None or not entry.points_of:
            raise wrong("decode takes points, and no other inputs: those were encoded")
        everything: dict[str, Any] = dict.fromkeys(program.manifest.outputs)
        asked = everything if asked is None else asked
        asked |= {output: {"points": array} for output in entry.points_of if output in asked}
    found = program.decode(state, asked)
    return Answer(dict(found), tuple(overflow_notes(found)))
