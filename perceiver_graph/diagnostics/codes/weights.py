"""PG3xx: weights, wherever they come from."""

from __future__ import annotations

from perceiver_graph.diagnostics.codes.entry import Entry

ENTRIES = (
    Entry(
        "PG301",
        "weights cannot be read",
        "The weights file or folder is absent, truncated, or not of a format that is read here: "
        "a safetensors file, or a folder that transformers saved (config.json and "
        "model.safetensors). Pickles are never opened, since a pickle can run code.",
        "$ perceiver-graph compile kinetics --weights weights.zip",
        "$ perceiver-graph compile kinetics --weights weights.safetensors",
    ),
    Entry(
        "PG302",
        "tensor missing",
        "The model needs a tensor that the weights do not hold. Every parameter must be there: "
        "a partly initialised model would run and give wrong results. `perceiver-graph inspect "
        "SPEC` lists the names the model expects.",
        "$ perceiver-graph compile kinetics --weights encoder_only.safetensors",
        "$ perceiver-graph compile kinetics --weights complete.safetensors",
    ),
    Entry(
        "PG303",
        "tensor not used",
        "The weights hold a tensor that the model has no place for. Most often the spec "
        "describes another model than the one that was trained: fewer layers, or an output that "
        "was removed.",
        "$ perceiver-graph compile kinetics --set process.layers=4 --weights "
        "eight_layers.safetensors",
        "$ perceiver-graph compile kinetics --weights eight_layers.safetensors",
    ),
    Entry(
        "PG304",
        "tensor has the wrong shape",
        "A tensor of this name is there, but its shape is not the one that the spec leads to. "
        "The label shows the line of the spec that fixes the shape.",
        "$ perceiver-graph compile kinetics --set latents.count=392 --weights "
        "trained_with_784.safetensors",
        "$ perceiver-graph compile kinetics --weights trained_with_784.safetensors",
    ),
    Entry(
        "PG305",
        "tensor has the wrong dtype",
        "Parameters are floating-point numbers: float32, float16, bfloat16 or float64. "
        "Integers, booleans and 8-bit formats are not converted silently, because their scale "
        "is not known.",
        "$ perceiver-graph compile kinetics --weights quantised_int8.safetensors",
        "$ perceiver-graph compile kinetics --weights weights.safetensors --precision int8",
    ),
    Entry(
        "PG306",
        "checkpoint layout not recognised",
        "The tensor names are neither those of this package nor those of a layout that it knows "
        "how to convert (transformers Perceiver models, published DeepMind checkpoints). Rename "
        "the tensors, or convert the checkpoint with the library that wrote it.",
        "$ perceiver-graph compile kinetics --weights some_other_model/",
        "$ perceiver-graph compile kinetics --weights deepmind/multimodal-perceiver/",
    ),
    Entry(
        "PG308",
        "weights are not finite",
        "A tensor holds NaN or infinite values, so every result would be NaN. The training run "
        "has most likely diverged, or the file was cut off while it was written.",
        "$ perceiver-graph compile kinetics --weights diverged.safetensors",
        "$ perceiver-graph compile kinetics --weights last_good_step.safetensors",
    ),
    Entry(
        "PG309",
        "checkpoint configuration differs",
        "The tensors would fit, but config.json says that the checkpoint computes something else "
        "than the spec: another number of heads or blocks, another activation, a residual more "
        "or less. No shape shows this, and the result would be wrong. The message names the "
        "setting and both values.",
        "$ perceiver-graph compile kinetics --weights checkpoint/ --set process.heads=4",
        "$ perceiver-graph compile kinetics --weights checkpoint/",
    ),
)
