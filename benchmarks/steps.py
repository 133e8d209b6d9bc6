"""What is done in a process of its own before anything is timed: `python -m benchmarks.steps STEP TASK`.

`weights` writes the checkpoint that all contenders share; `onnx` exports; `compiled` fills the cache
of torch.compile; `aotinductor` compiles ahead of time; `openvino-int8` exports and compresses.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from benchmarks import contenders
from benchmarks.tasks import Task


def weights(task: Task) -> None:
    """Random weights, as a transformers checkpoint."""
    from benchmarks.reference import build

    build(task.work.system).save_pretrained(task.weights)


def compiled(task: Task) -> None:
    """Compile and run once; inductor keeps what it makes in the folder that its environment names."""
    contenders.load_compiled(task).run()


STEPS: Mapping[str, Callable[[Task], None]] = {
    "weights": weights,
    "compiled": compiled,
    "aotinductor": contenders.export_ahead,
    "onnx": contenders.export_onnx,
    "openvino": contenders.export_onnx,
    "openvino-bf16": contenders.export_onnx,
    "openvino-int8": contenders.compress,
}


if __name__ == "__main__":
    STEPS[sys.argv[1]](Task.loads(sys.argv[2]))
