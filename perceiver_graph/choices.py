"""The words that options and arguments choose from: one list for the command line, which shows them
before it imports what they choose, and for those who do it."""

from __future__ import annotations

from typing import Literal

DeviceKind = Literal["cpu", "cuda"]
DeviceName = Literal["auto", "cpu", "cuda"]
"""`auto`: CUDA where it is usable."""
EngineName = Literal["auto", "onnxruntime", "openvino"]
"""`auto`: what was measured to be the fastest."""
TargetName = Literal["cpu", "cuda", "openvino", "onnx-standard"]
"""`cpu` and `cuda` are onnxruntime's; `onnx-standard` is whatever knows the operators of ai.onnx."""
Precision = Literal["fp32", "fp16", "bf16", "int8"]
MaskUse = Literal["always", "optional", "never"]
"""Whether a mask token stands for an input: each time, when it is left out, or never."""
Verify = Literal["always", "once"]
"""How often digests are compared: each time, or once and again when a file has changed."""
BatchEngine = Literal["local", "ray"]
"""Who runs a batch: processes of this machine, or a Ray cluster."""
