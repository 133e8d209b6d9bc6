"""Options as other programs call them, and what there is instead in a command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perceiver_graph.cli.choices import exported
from perceiver_graph.diagnostics.commands import command, option
from perceiver_graph.diagnostics.words import joined

_OPTIONS = {
    "gpu cuda use-gpu": ("--device", "cuda"),
    "provider providers execution-provider": ("--device", "cuda"),
    "cpu no-cuda": ("--device", "cpu"),
    "half fp16 float16": ("--precision", "fp16"),
    "bf16 bfloat16": ("--precision", "bf16"),
    "int8 quantize quantized": ("--precision", "int8"),
    "dtype torch-dtype": ("--precision", "fp16"),
    "json": ("--format", "json"),
    "checkpoint ckpt model pretrained state-dict resume": ("--weights", "FILE"),
    "onnx": ("--backend", "onnx"),
    "torch pytorch": ("--backend", "torch"),
    "format framework": ("--backend", "onnx"),
    "optimize opt-level": ("-O", "2"),
    "output-dir out-dir outdir save-dir": ("-o", "DIR"),
    "template base copy-of like": ("--from", "SPEC"),
    "p http-port": ("--port", "NUMBER"),
    "top topk": ("--top-k", "5"),
    "max-tokens max-new-tokens max-length": ("--generate", "20"),
}
"""The option of this package that does it, with a value."""
_SETTINGS = {
    "latents num-latents n-latents": "latents.count=32",
    "latent-dim latent-width d-latents width": "latents.width=256",
    "depth layers num-layers": "process.layers=6",
    "blocks num-blocks": "process.blocks=8",
    "heads num-heads latent-heads": "process.heads=8",
}
"""The setting of a spec, with a value."""
_NEEDLESS = {
    "quiet q silent": "leave it out: a command prints what it has found, and no more",
    "force f overwrite yes y exist-ok": (
        "leave it out: what this command wrote itself is replaced, and nothing else ever is"
    ),
    "verbose v": "leave it out: what there is to say is said",
    "strict pedantic": "leave it out: all that can be checked is",
    "dry-run n no-op": "leave it out",
    "opset opset-version": (
        "leave it out: the opset is one that the runtimes read which are supported"
    ),
    "input-names output-names dynamic-axes dynamic": (
        "leave it out: names and sizes are those of the spec, with a symbol where a size is free"
    ),
}
"""Options that are no part of what is asked for."""
_BATCH = (
    "batch batch-size bs",
    "a model takes any batch size: it is the first axis of what it runs on, and no setting",
)


def called_otherwise(ctx: Any, name: str, words: Sequence[str]) -> str | None:
    """What does in a command what an option of another program's does; None for no such option."""
    word = name.lstrip("-").replace("_", "-").partition("=")[0]
    given = next((one.partition("=")[2] for one in words if one.startswith(f"{name}=")), "")
    known = [flag for param in ctx.command.params for flag in param.opts]
    after = [*words[words.index(name) + 1 :]][:1] if name in words else []
    value = given or next((one for one in after if one[:1] != "-"), "")
    if word in _BATCH[0].split():
        together = ""
        if ctx.info_name == "run":
            made = command(
                "batch", "ARTIFACT", "FILE", "--batch", value if value.isdecimal() else "8"
            )
            together = f"; {made} puts files together"
        return f"{_BATCH[1]}{together}" if "--batch" not in known else None
    if ctx.info_name == "batch" and word == "inputs":
        artifact = next((one for one in words[:1] if one[:1] != "-"), "ARTIFACT")
        return f"archives stand alone: {command('batch', artifact, value or 'IN.npz')}"
    if ctx.info_name == "export" and word in ("format", "framework", "backend", "target"):
        return (
            exported(value.casefold(), words) or option("--to", value or "transformers")
        ).rstrip(";")
    for names, (flag, usual) in _OPTIONS.items():
        if word in names.split() and flag in known:
            return f"it is {option(flag, value if usual.isupper() and value else usual)}"
    if told := _needless(ctx, word, known, words):
        return told
    for names, setting in _SETTINGS.items():
        if word in names.split() and "--set" in known:
            key, _, usual = setting.partition("=")
            number = value if value.isdecimal() else usual
            return f"it is a setting of the spec: {option('--set', f'{key}={number}')}"
    arguments = [one.metavar for one in ctx.command.params if one.param_type_name == "argument"]
    if word in ("model", "artifact", "spec", "checkpoint", "config", "code") and arguments:
        takes = joined(arguments, "and")
        return f"{takes} stands alone: {command(ctx.info_name, value or arguments[0])}"
    return None


def _needless(ctx: Any, word: str, known: Sequence[str], words: Sequence[str]) -> str | None:
    name = str(ctx.info_name)
    if word in ("v", "verbose") and "--verbose" in known:
        return f"it is {option('--verbose')}"
    if word in ("v", "V") and "--version" in known:
        return f"it is {command('--version')}"
    if word == "dry-run" and name in ("compile", "export") and words and words[0][:1] != "-":
        return f"what is wrong with a spec is told by {command('check', words[0])}"
    if word in ("o", "out", "output") and name == "check":
        return f"nothing is written by it; {command('compile', 'SPEC')} writes an artifact"
    return next((told for names, told in _NEEDLESS.items() if word in names.split()), None)
