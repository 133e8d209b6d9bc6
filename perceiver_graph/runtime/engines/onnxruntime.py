"""onnxruntime: what always is there, on CPUs and with CUDA. `sessions.py` runs its programs."""

from __future__ import annotations

from perceiver_graph.runtime.artifact import Artifact
from perceiver_graph.runtime.devices import Device
from perceiver_graph.runtime.engines.base import Engine, Runner
from perceiver_graph.runtime.sessions import Sessions
from perceiver_graph.spec.manifest import Manifest, ProgramEntry


class OnnxRuntime(Engine):
    """Programs as sessions of onnxruntime."""

    name = "onnxruntime"
    title = "onnxruntime"
    devices = ("cpu", "cuda")

    def runner(
        self, artifact: Artifact, entry: ProgramEntry, device: Device, *, changing: bool
    ) -> Runner:
        """A session, and others where sizes change."""
        return Sessions(artifact, entry, device, changing=changing)

    def lacks(self, manifest: Manifest, device: Device) -> bool:
        """It has no product of bfloat16 for CPUs; of float16 it makes float32."""
        return manifest.precision == "bf16" and device.name == "cpu"
