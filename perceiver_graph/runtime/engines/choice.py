"""Which engine runs an artifact, and why: a table of engines, and what was measured of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from perceiver_graph.choices import DeviceName, EngineName
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.diagnostics.arguments import one_of
from perceiver_graph.diagnostics.commands import setting
from perceiver_graph.diagnostics.words import joined
from perceiver_graph.runtime import devices
from perceiver_graph.runtime.artifact import Artifact
from perceiver_graph.runtime.cpu import processor_features
from perceiver_graph.runtime.devices import Device
from perceiver_graph.runtime.engines.base import Engine, fp32_instead
from perceiver_graph.runtime.engines.measured import find
from perceiver_graph.runtime.engines.onnxruntime import OnnxRuntime
from perceiver_graph.runtime.engines.openvino import OpenVino

USUAL = OnnxRuntime()
ENGINES: dict[str, Engine] = {engine.name: engine for engine in (USUAL, OpenVino())}
"""Every engine by its name; the first is taken where nothing speaks for another."""
AUTO: Literal["auto"] = "auto"


@dataclass(frozen=True)
class Choice:
    """An engine on a device."""

    engine: Engine
    device: Device
    why: str


def choose(
    engine: str, artifact: Artifact, device: DeviceName = AUTO, threads: int | None = None
) -> Choice:
    """The engine of a name on a device; `auto` is the one that was measured to be the fastest there, of
    those that run the programs of the artifact.

    Raises DiagnosticError (PG601, PG602, PG608), ValueError for other names as `devices.choose`.
    """
    one_of("engine", get_args(EngineName), engine)
    if engine == AUTO:
        return _automatic(artifact, devices.choose(device, threads))
    chosen = ENGINES[engine]
    if "cuda" not in chosen.devices:
        if device == "cuda":
            raise _elsewhere(chosen, device)
        device = "cpu"
    place = devices.choose(device, threads)
    if place.name not in chosen.devices:
        raise _elsewhere(chosen, place.name)
    chosen.require()
    return Choice(chosen, place, "it was asked for")


def _elsewhere(engine: Engine, device: str) -> DiagnosticError:
    return DiagnosticError.of(
        "PG608",
        f"{engine.title} does not run programs on {device} here",
        help=f"run with {setting('--device', engine.devices[0])}, or with "
        f"{setting('--engine', USUAL.name)}",
    )


def _automatic(artifact: Artifact, device: Device) -> Choice:
    """No engine is imported to find out."""
    manifest = artifact.manifest
    here = [one for one in ENGINES.values() if device.name in one.devices]
    able = [one for one in here if not one.lacks(manifest, device)]
    ready = [one for one in able if one.installed]
    if not ready:
        if able:
            raise able[0].missing(
                f"only {able[0].title} computes in {manifest.precision} on {device.name}, and it is "
                "not installed"
            )
        return Choice(USUAL, device, "no engine has kernels for the precision")
    if len(here) == 1:
        return Choice(ready[0], device, f"no other runs on {device.name}")
    if len(able) == 1:
        if refused := ready[0].refuses(artifact):
            others = joined((one.title for one in here if one not in able), "and")
            raise DiagnosticError.of(
                "PG602",
                f"nothing runs {manifest.name} in {manifest.precision} on {device.name}: {ready[0].title} "
                f"does not, since {refused}, and {others} has no {manifest.precision} there",
                help=fp32_instead(artifact),
            )
        return Choice(ready[0], device, f"no other has {manifest.precision} on {device.name}")
    said = []
    for engine in able[1:]:
        row = find(engine.name, manifest.precision, processor_features())
        if row is None or not (row.faster and engine.installed):
            said.append(_not_taken(engine, row.told if row is not None else None))
        elif refused := engine.refuses(artifact):
            said.append(f"{engine.title} does not run it: {refused}")
        else:
            return Choice(engine, device, row.told)
    return Choice(ready[0], device, "; ".join(said))


def _not_taken(engine: Engine, told: str | None) -> str:
    if told is None:
        return f"nobody has measured {engine.title} in this precision on such a processor"
    return f"{engine.title} {'was measured' if engine.installed else 'is not installed'}: {told}"
