"""Values of options as other programs call them, and what there is instead."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perceiver_graph.diagnostics.commands import command, option, shell
from perceiver_graph.storage.files import is_here

_PICTURES = ("svg", "png", "pdf", "jpg", "ps", "eps")
_ACCELERATORS = "mps tpu npu xpu rocm hip metal directml vulkan opencl"
_NONE = "there is no program for it: "
_READ_ONNX = "ONNX is what its converters read"
_WORDS: dict[tuple[str, str], tuple[str, str]] = {
    ("--device", _ACCELERATORS): (_NONE, "--device cpu"),
    ("--device", "gpu nvidia"): ("", "--device cuda"),
    ("--device", "onnxruntime ort x86 arm intel amd all"): ("", "--device cpu"),
    ("--device", "standard generic onnx"): ("", "--device onnx-standard"),
    ("--precision", "fp8 int4 uint8 8 8bit 8-bit 4 4bit 4-bit q8 q4 quantized w8a8 fp4 nf4"): (
        "",
        "--precision int8",
    ),
    ("--precision", "tf32 fp64 float64 double 64 single full"): ("", "--precision fp32"),
    ("--precision", "mixed amp auto float16 half 16"): ("", "--precision fp16"),
    ("--backend", "tensorrt trt tflite litert coreml tensorflow tf ncnn tvm"): (
        f"{_READ_ONNX}: ",
        "--backend onnx",
    ),
    ("--backend", "openvino ov"): ("OpenVINO runs ONNX: ", "--device openvino"),
    ("--backend", "cuda gpu"): ("that is a device: ", "--device cuda"),
    ("--backend", "cpu onnxruntime ort"): ("", "--backend onnx"),
    ("--backend", "pytorch torchscript jit torch.compile safetensors pt"): ("", "--backend torch"),
    ("--engine", "cuda gpu"): ("that is a device: ", "--device cuda"),
    ("--engine", "cpu ort onnx"): ("", "--engine onnxruntime"),
    ("--engine", "ov intel"): ("", "--engine openvino"),
}
"""By option and words: what is said, and the option that works."""
_PLACE = re.compile(r"(?:https?://)?([\w.-]*):([0-9]{1,5})/?", re.A)
_UNITS = {"SECONDS": r"([0-9.]+) ?s(?:ec|ecs|econds)?", "MS": r"([0-9.]+) ?ms"}
_ANY = "all auto max default none any unlimited inf"
"""What is written for a number where one is left to the program."""
_WHAT = ("--to", "--backend", "--format", "--framework", "--target")
_TARGETS = {
    "onnx onnxruntime ort": ("ONNX is what `compile` writes", ()),
    "torch pytorch pt torchscript jit safetensors": (
        "PyTorch is what `compile` writes",
        ("--backend", "torch"),
    ),
    "openvino ov": ("OpenVINO runs what `compile` writes", ("--device", "openvino")),
    "tensorrt trt tflite litert coreml tensorflow tf keras jax flax ncnn tvm gguf ggml mlx": (
        f"{_READ_ONNX}, and `compile` writes it",
        ("--device", "onnx-standard"),
    ),
}
"""What a model is exported to elsewhere, and what `compile` is to be given for it."""


def called_otherwise(
    ctx: Any, param: Any, flag: str, given: str, words: Sequence[str]
) -> str | None:
    """What does what was meant by a value that an option does not take; None if that is not known."""
    word, name = given.casefold(), ctx.info_name
    if name == "graph" and flag == "--format" and word in _PICTURES:
        spec = next((one for one in words[:1] if one[:1] != "-"), "SPEC")
        drawn = command("graph", Path(spec), "-o", "graph.dot")
        made = shell("dot", f"-T{given}", "graph.dot", "-o", f"graph.{given}")
        return f"Graphviz makes it: {drawn}, then {made};"
    if name == "export" and flag == "--to":
        return exported(word, words)
    if name in ("run", "serve", "batch") and flag == "--device" and word in ("openvino", "ov"):
        instead = option("--engine", "openvino") if name == "run" else option("--device", "cpu")
        return f"that is an engine: {instead};" if name == "run" else f"write {instead};"
    if name == "batch" and flag in ("--on", "--engine"):
        return f"it says who does the work: {option('--on', 'local')};"
    if name == "serve" and (place := _PLACE.fullmatch(given)) and flag in ("--port", "--host"):
        host = ["--host", place[1]] if place[1] else []
        return f"write {option(*host, '--port', place[2])};"
    known = {one for one in ctx.command.params for one in one.opts}
    if told := _listed(flag, word, known):
        return told
    if param.metavar in _UNITS and (found := re.fullmatch(_UNITS[param.metavar], word)):
        return f"it has no unit: {option(flag, found[1])};"
    if word in _ANY.split() and param.metavar in ("NUMBER", "N"):
        default = f" [{param.help.rpartition('[')[2].partition(']')[0]}]" * ("[" in param.help)
        return (
            f"leave {option(flag)} out{': that is what it is then' + default if default else ''};"
        )
    return None


def backend(name: str) -> str | None:
    """The same for `compile --backend`, whose values are known to extensions, too."""
    word = name.casefold()
    if word in ("transformers", "huggingface", "hf"):
        return f"export writes it: {command('export', 'SOURCE', '--to', 'transformers')};"
    if word in ("triton", "tritonserver"):
        return f"export writes it: {command('export', 'ARTIFACT', '--to', 'triton')};"
    return _listed("--backend", word, {"--backend", "--device"})


def _listed(flag: str, word: str, known: set[str]) -> str | None:
    of = "--device" if flag == "--target" else flag
    word = word.partition(":")[0] if of == "--device" else word
    for (option_, names), (said, instead) in _WORDS.items():
        name, value = instead.split()
        if option_ == of and word in names.split() and name in known:
            meant = option(flag if name == of else name, value)
            return f"{said}{meant};" if said else f"did you mean {meant}?"
    return None


def exported(word: str, words: Sequence[str]) -> str | None:
    """The command that writes what `export` does not, with the same spec and weights."""
    if word in ("hf", "huggingface", "transformer"):
        return f"did you mean {option('--to', 'transformers')}?"
    for names, (said, more) in _TARGETS.items():
        if word in names.split():
            return f"{said}: {command('compile', *_source(_words(words)), *more)};"
    return None


def _words(words: Sequence[str]) -> list[str]:
    """The words of a command but for what says the form."""
    kept: list[str] = []
    rest = iter(words)
    for word in rest:
        if word in _WHAT:
            next(rest, None)
        elif word.partition("=")[0] not in _WHAT:
            kept.append(word)
    return kept or ["SPEC"]


def _source(words: list[str]) -> list[str | Path]:
    """The same for `compile`, which takes the spec and the weights of a folder one by one."""
    from perceiver_graph.compiler.weights.folders import OWN_WEIGHTS
    from perceiver_graph.spec.manifest import SPEC_NAME

    place = next(
        (i for i, one in enumerate(words) if "-" not in (one[:1], words[i - 1][:1] * (i > 0))), 0
    )
    folder = Path(words[place])
    if not is_here(folder / SPEC_NAME):
        return [*words]
    made: list[str | Path] = [*words[:place], folder / SPEC_NAME, *words[place + 1 :]]
    if "--weights" not in words and is_here(folder / OWN_WEIGHTS):
        made += ["--weights", folder]
    return made
