"""The programs of an artifact by name, and the state that goes from one to the next or back to itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from perceiver_graph.runtime.artifact import Artifact
from perceiver_graph.runtime.devices import Device
from perceiver_graph.runtime.engines.base import Engine, Value
from perceiver_graph.spec.manifest import ProgramEntry
from perceiver_graph.spec.programs import WRITES

Values = Mapping[str, Value]
"""What programs leave, by what it is of."""


class Programs:
    """Runs programs by name. What they leave for each other stays in the memory of the device."""

    def __init__(self, artifact: Artifact, device: Device, engine: Engine) -> None:
        self.sessions = {
            name: engine.runner(artifact, entry, device, changing=name in WRITES)
            for name, entry in artifact.manifest.programs.items()
        }

    def __getitem__(self, name: str) -> ProgramEntry:
        """What goes into a program and comes out: nothing where the artifact has none of that name."""
        if name not in self.sessions:
            return ProgramEntry(file="", inputs=[], outputs=[])
        return self.sessions[name].entry

    def run(
        self,
        name: str,
        given: Mapping[str, Any],
        state: Values,
        sizes: Mapping[str, int],
        *,
        fetch: Collection[str] | None = None,
        give_back: bool = False,
    ) -> tuple[Values, Values]:
        """Run a program once: the outputs named in `fetch`, and the state after.

        `given` are arrays by port, whatever is no state. Without `fetch`, all outputs become part of
        the state. `sizes` and `give_back` are as for `Runner.run`, which raises the same.
        """
        entry = self[name]
        given = {**given, **{p.name: state[p.of] for p in entry.inputs if p.role == "state"}}
        stays = {p.name: fetch is None or p.role == "state" for p in entry.outputs}
        left = [port for port in entry.outputs if stays[port.name]]
        wanted = fetch or ()
        fetched = [p for p in entry.outputs if p.of in wanted and not stays[p.name]]
        found = self.sessions[name].run(
            given,
            {port.name: stays[port.name] for port in (*fetched, *left)},
            sizes,
            give_back=give_back,
        )
        results = {port.of: found[port.name] for port in fetched}
        return results, {**state, **{port.of: found[port.name] for port in left}}
