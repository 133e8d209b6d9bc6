"""What those who know torch and transformers try on a spec that is compiled, and what there is instead."""

from __future__ import annotations

from typing import Any, NoReturn

from perceiver_graph.diagnostics.commands import command

SETTINGS = {
    "latents num_latents n_latents": "latents.count=32",
    "latent_dim latent_width d_latents width dim d_model": "latents.width=256",
    "depth layers num_layers": "process.layers=6",
    "blocks num_blocks": "process.blocks=8",
    "heads num_heads latent_heads": "process.heads=8",
}
"""Settings of a spec, with a value, by what other libraries call them."""
_RUNS = (
    "it has no weights yet: `save(DIR, weights=WEIGHTS)`, then `load(DIR).run({NAME: ARRAY})`, or "
    "`to_torch(WEIGHTS)`"
)
_MODULE = "`to_torch(WEIGHTS)` is a torch.nn.Module, which has it"
_TORCH = "`to_torch(WEIGHTS)` is a torch.nn.Module"
_PORTS = "`print` it; `load(DIR).manifest` has them, of what `save(DIR)` has written"
_MOVED = '`to_torch(WEIGHTS).to("cuda")`'
OF_COMPILED = {
    "run encode decode predict forward generate": _RUNS,
    "read": "`load(DIR).read(FILE)` does, of what `save(DIR)` has written",
    "train fit eval state_dict parameters load_state_dict": _MODULE,
    "to cuda cpu half": _MOVED,
    "export write save_pretrained": "`save(DIR)` writes it",
    "manifest": "`save(DIR)` returns it",
    "load load_weights from_pretrained": "`to_torch(WEIGHTS)` and `save(DIR, weights=WEIGHTS)` take them",
    "source code torch_code to_source to_python": "`torch_source()` is the module as one file",
    "init initialize reset_parameters init_weights": "`weights(seed=1)` has initial ones",
    "check validate": "it is checked: `compile(SPEC)` tells everything that is wrong",
    "draw plot visualize to_dot": "`perceiver-graph graph SPEC` draws it",
    "quantize": '`compile(SPEC, precision="int8")`',
    "close": "nothing has to be closed",
    "cost": "`flops` has it",
    "shapes": _PORTS,
    "dims symbols sizes": "`graph.symbols` has them",
    "loss optimizer backward zero_grad train_step requires_grad": _MODULE,
    "to_onnx onnx export_onnx": "`save(DIR)` writes ONNX programs; `load(DIR)` runs them",
    "num_parameters count_params parameter_count": "`graph.parameter_count` has it",
    "inputs outputs get_inputs get_outputs input_names output_names input_shape output_shape": _PORTS,
    "summary inspect info describe": "`print` it, or its `graph`; `perceiver-graph inspect SPEC` has more",
    "config model_config get_config cfg spec name": "`lowered.document.spec` has what the spec says",
    "dtype precision device": "`target` has it",
    "named_parameters get_weights": "`weights()` has them by name, as arrays",
    "module model torch to_module to_pytorch modules children layers": _TORCH,
}
CALIBRATED = "an archive of arrays is measured on by the command: " + command(
    *("compile", "SPEC", "--precision", "int8", "--calibrate", "IN.npz", "-o", "DIR")
)
OF_COMPILE = {
    "calibrate": CALIBRATED,
    "calibration": CALIBRATED,
    "weights": "weights are given to what it returns: `compile(SPEC).save(DIR, weights=WEIGHTS)`",
    "seed": "it is given to what it returns: `compile(SPEC).save(DIR, seed=0)`",
    "output": "`compile(SPEC).save(DIR)` writes it",
    "backend": '`compile(SPEC).save(DIR, backends=["onnx", "torch"])`',
    "backends": '`compile(SPEC).save(DIR, backends=["onnx", "torch"])`',
    "set": 'it is called `overrides`: `overrides=["latents.count=64"]`',
    "dtype": "it is called `precision`",
    "opset": '`target="onnx-standard"` takes operators of ai.onnx alone',
    "quantize": 'it is called `precision`: `precision="int8"`',
    "torch_dtype": "it is called `precision`",
    "batch_size": "a program takes any: it is the first axis of what it runs on",
    "batch": "a program takes any: it is the first axis of what it runs on",
    **{
        name: f'the spec says it: `compile(SPEC, overrides=["{setting}"])`'
        for names, setting in SETTINGS.items()
        for name in names.split()
    },
    "optimize": "it is called `level`, 0 to 2",
    "opt_level": "it is called `level`, 0 to 2",
}
OF_TO_TORCH = {
    "device": _MOVED,
    "dtype": "`to_torch(WEIGHTS).to(DTYPE)`",
    "path": "weights come first: `to_torch(PATH)`",
    "pretrained": "weights come first: `to_torch(WEIGHTS)`",
    "state_dict": "weights come first: `to_torch(STATE_DICT)`",
}
OF_SAVE = {
    "calibrate": CALIBRATED,
    "calibration": CALIBRATED,
    "backend": 'it is called `backends`, a list: `backends=["onnx", "torch"]`',
    "path": "the folder comes first: `save(DIR)`",
    "precision": "`compile(SPEC, precision=...)` says it",
    "device": "`compile(SPEC, device=...)` says it",
    "state_dict": "it is called `weights`",
    "model": "it is called `weights`, which may be a module",
}


def refuse_call(compiled: object, *_: Any, **__: Any) -> NoReturn:
    """A spec that is compiled is called like a model. Raises TypeError."""
    raise TypeError(f"what compile returns cannot be called: {_RUNS}")
