"""Which lowerings a target has in place of the common ones, and why: a table."""

from __future__ import annotations

from collections.abc import Mapping

from perceiver_graph.choices import TargetName
from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.decompose import table
from perceiver_graph.compiler.backends.onnx import quantized
from perceiver_graph.compiler.backends.onnx.fused_attention import fused_up_to
from perceiver_graph.compiler.backends.onnx.lowerings import LOWERINGS
from perceiver_graph.compiler.backends.onnx.node_builder import Lowering
from perceiver_graph.compiler.ops import Op
from perceiver_graph.compiler.ops.scores import KERNEL_CHANNELS
from perceiver_graph.compiler.programs.target import Target

TARGETS: dict[TargetName, dict[type[Op], Lowering]] = {
    "cpu": {
        # Self-attention of 2048 latents with 16 heads of 32 channels takes 0.78 of the time and
        # keeps no scores; 512 with 8 heads of 128: 0.96; wider heads, and one head of 322 or more
        # channels, lose up to a half. Measured with onnxruntime 1.31 on one core (AVX2).
        ops.Attention: fused_up_to(KERNEL_CHANNELS, one_head=False),
    },
    "cuda": {
        # The limit of the flash and cuDNN kernels; above, cuBLAS is faster than the kernel that is
        # left. From the documentation of onnxruntime: not yet measured.
        ops.Attention: fused_up_to(256, one_head=True),
    },
    # It knows no fused operator of onnxruntime, and makes one of its own of attention written out.
    "openvino": {},
    # A browser, a converter, an accelerator: nothing beside ai.onnx.
    "onnx-standard": {},
}
"""For each target, the primitives for which it has something better than `LOWERINGS`."""


def lowerings_for(target: Target) -> Mapping[type[Op], Lowering]:
    """Every primitive with its lowering for a target."""
    int8 = quantized.LOWERINGS if target.precision == "int8" else {}
    return table("onnx", LOWERINGS | TARGETS[target.name] | int8)
