"""How each contender is loaded; a loaded one is called with nothing and returns arrays.

Runs in the process of one contender: torch and onnxruntime are imported only by those who use them.
"""

from __future__ import annotations

import runpy
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.tasks import MODULES, ON_OPENVINO, Task
from benchmarks.works import Arrays, inputs_of

if TYPE_CHECKING:
    from perceiver_graph.runtime.program import Program

PROGRAM, INPUTS = "model.onnx", "inputs.npz"
COMPRESSED, AHEAD = "compressed.xml", "model.pt2"


@dataclass
class Loaded:
    """A contender that is ready."""

    run: Callable[[], Arrays]
    """From arrays in the memory of the host to arrays there."""
    parts: dict[str, float] = field(default_factory=dict)
    """Seconds of the parts of the last run, where it has any."""


def load(task: Task) -> Loaded:
    """Get a contender ready: open its model and make its inputs."""
    if task.contender in MODULES:
        return load_module(task)
    if task.ours:
        return load_ours(task)
    ways = {
        "eager": load_eager,
        "eager-bf16": load_autocast,
        "compiled": load_compiled,
        "aotinductor": load_ahead,
        "onnx": load_onnx,
    }
    return ways.get(task.contender, load_openvino)(task)


def load_ours(task: Task, program: Program | None = None) -> Loaded:
    """perceiver-graph: encode once, then decode what the work asks for. `program` stands for the usual."""
    import numpy as np

    import perceiver_graph as pg

    if program is None:
        engine = "openvino" if task.contender in ON_OPENVINO else "onnxruntime"
        program = pg.load(task.prepared, device=task.conditions.device, engine=engine)
    inputs = inputs_of(task.work)
    ranges = {name: np.arange(*span) for name, span in task.work.decode.items()}
    asked = {name: ranges.get(name) for name in program.manifest.outputs}

    def run() -> Arrays:
        start = time.perf_counter()
        state = program.encode(inputs)
        encoded = time.perf_counter()
        outputs = program.decode(state, asked)
        loaded.parts.update(encode=encoded - start, decode=time.perf_counter() - encoded)
        return dict(outputs)

    loaded = Loaded(run)
    return loaded


def load_module(task: Task) -> Loaded:
    """The emitted module; of half precision, its weights and activations are in it as a whole."""
    import numpy as np
    import torch

    torch.set_num_threads(task.conditions.threads)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    dtypes = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
    dtype, device = dtypes[task.conditions.precision], task.conditions.device
    emitted = runpy.run_path(str(task.prepared / "model.py"))
    module = emitted["load"](task.prepared).eval().to(device, dtype)
    if task.contender == "ours-compiled":
        module = torch.compile(module, fullgraph=True)
    inputs = {name: torch.from_numpy(array) for name, array in inputs_of(task.work).items()}
    spans = {name: torch.from_numpy(np.arange(*s)) for name, s in task.work.decode.items()}

    def run() -> Arrays:
        data = {
            n: x.to(device, dtype if x.is_floating_point() else x.dtype) for n, x in inputs.items()
        }
        asked = {name: span.to(device) for name, span in spans.items()} or None
        with torch.no_grad():
            answers = module(data, asked)
        if device == "cuda":
            torch.cuda.synchronize()
        return {name: answer.float().cpu().numpy() for name, answer in answers.items()}

    return Loaded(run)


def load_eager(task: Task) -> Loaded:
    """transformers as it is."""
    peer, tensors, device = _peer(task)
    return Loaded(_torch_run(peer, peer.outputs, tensors, device))


def load_autocast(task: Task) -> Loaded:
    """transformers as it is, with the products that torch takes for safe in bfloat16."""
    import torch

    peer, tensors, device = _peer(task)
    run = _torch_run(peer, peer.outputs, tensors, device)

    def autocast() -> Arrays:
        with torch.autocast(device, torch.bfloat16):
            return run()

    return Loaded(autocast)


def load_compiled(task: Task) -> Loaded:
    """transformers under torch.compile; the first run compiles."""
    import torch

    peer, tensors, device = _peer(task)
    return Loaded(_torch_run(torch.compile(peer), peer.outputs, tensors, device))


def _peer(task: Task) -> tuple[Any, list[Any], str]:
    import torch

    from benchmarks.reference import Peer, tensors_of

    torch.set_num_threads(task.conditions.threads)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    peer = Peer(task.work.system, task.weights, task.conditions.precision)
    tensors = tensors_of(task.work, peer.model.config.num_labels)
    return peer.to(task.conditions.device), tensors, task.conditions.device


def _torch_run(
    peer: Any, names: tuple[str, ...], tensors: list[Any], device: str
) -> Callable[[], Arrays]:
    import torch

    def run() -> Arrays:
        with torch.no_grad():
            answers = peer(*(tensor.to(device) for tensor in tensors))
        if device == "cuda":
            torch.cuda.synchronize()
        return {name: a.cpu().numpy() for name, a in zip(names, answers, strict=True)}

    return run


def export_ahead(task: Task) -> None:
    """Compile transformers ahead of time, with fixed shapes, for `load_ahead`."""
    import torch
    from torch._inductor import aoti_compile_and_package

    peer, tensors, device = _peer(task)
    with torch.no_grad():
        program = torch.export.export(peer, tuple(tensor.to(device) for tensor in tensors))
        aoti_compile_and_package(program, package_path=str(task.prepared / AHEAD))
    _keep(task, tensors, peer.outputs)


def load_ahead(task: Task) -> Loaded:
    """What inductor has compiled, without the model that it was made of."""
    import numpy as np
    import torch
    from torch._inductor import aoti_load_package

    torch.set_num_threads(task.conditions.threads)
    program = aoti_load_package(str(task.prepared / AHEAD))
    with np.load(task.prepared / INPUTS) as arrays:
        tensors = [torch.from_numpy(array) for name, array in arrays.items() if name != "outputs"]
        names = tuple(map(str, arrays["outputs"]))
    return Loaded(_torch_run(program, names, tensors, task.conditions.device))


def _keep(task: Task, tensors: list[Any], outputs: tuple[str, ...]) -> None:
    """Write the inputs of an export, and what its outputs are called."""
    import numpy as np

    inputs = {f"input_{number}": tensor.numpy() for number, tensor in enumerate(tensors)}
    np.savez(task.prepared / INPUTS, outputs=np.array(outputs), **inputs)


def export_onnx(task: Task) -> None:
    """Write the ONNX program of transformers, with fixed shapes, and its inputs for `load_onnx`."""
    import torch

    peer, tensors, device = _peer(task)
    with torch.no_grad():
        torch.onnx.export(
            peer,
            tuple(tensor.to(device) for tensor in tensors),
            task.prepared / PROGRAM,
            input_names=[f"input_{number}" for number in range(len(tensors))],
            output_names=list(peer.outputs),
            dynamo=True,
        )
    _keep(task, tensors, peer.outputs)


def compress(task: Task) -> None:
    """Export, and round the weights to 8 bits as nncf does by default."""
    from perceiver_graph.runtime.engines.openvino import library

    try:
        import nncf
    except ImportError:
        raise RuntimeError("nncf is not installed: python -m pip install nncf") from None
    openvino = library()
    export_onnx(task)
    model = openvino.Core().read_model(task.prepared / PROGRAM)
    openvino.save_model(
        nncf.compress_weights(model), task.prepared / COMPRESSED, compress_to_fp16=False
    )
    (task.prepared / PROGRAM).unlink()


def load_onnx(task: Task, adapt: Callable[[Any], Any] = lambda options: options) -> Loaded:
    """onnxruntime on what torch.onnx.export wrote; all its own defaults but for the threads, and for
    what `adapt` makes of them.

    torch is not imported, so that its memory does not count.
    """
    import numpy as np
    import onnxruntime as ort

    options = adapt(ort.SessionOptions())
    options.intra_op_num_threads = task.conditions.threads
    providers: list[Any] = ["CPUExecutionProvider"]
    cuda = task.conditions.device == "cuda"
    if cuda:
        ort.preload_dlls()
        providers.insert(0, ("CUDAExecutionProvider", {"use_tf32": "0"}))
    session = ort.InferenceSession(task.prepared / PROGRAM, options, providers=providers)
    if cuda and "CUDAExecutionProvider" not in session.get_providers():
        raise RuntimeError("onnxruntime has no CUDA here, and would run on the CPU without a word")
    with np.load(task.prepared / INPUTS) as arrays:
        feeds = {leaf.name: arrays[leaf.name] for leaf in session.get_inputs()}
    names = [leaf.name for leaf in session.get_outputs()]
    return Loaded(lambda: dict(zip(names, session.run(None, feeds), strict=True)))


def program_of(task: Task) -> Path:
    """What OpenVINO reads: what torch.onnx.export wrote, or that with weights of 8 bits."""
    return task.prepared / (COMPRESSED if task.contender.endswith("int8") else PROGRAM)


def load_openvino(task: Task, watch: Callable[[Any, Any], None] | None = None) -> Loaded:
    """OpenVINO on an export, its defaults but for the threads and the precision.

    `watch` is shown the program and its request after each run, which then has times of its nodes.
    """
    import numpy as np

    from perceiver_graph.runtime.engines.openvino import library

    settings = {
        "INFERENCE_NUM_THREADS": task.conditions.threads,
        "INFERENCE_PRECISION_HINT": "bf16" if task.contender.endswith("bf16") else "f32",
    }
    if watch is not None:
        settings["PERF_COUNT"] = True
    program = library().Core().compile_model(program_of(task), "CPU", settings)
    request = program.create_infer_request()
    with np.load(task.prepared / INPUTS) as arrays:
        feeds = {port.any_name: arrays[port.any_name] for port in program.inputs}
    names = [port.any_name for port in program.outputs]

    def run() -> Arrays:
        request.infer(feeds, share_inputs=True)
        if watch is not None:
            watch(program, request)
        return {name: np.array(request.get_tensor(name).data) for name in names}

    return Loaded(run)
