"""PG3xx: weights, wherever they come from."""

from __future__ import annotations

from perceiver_graph.diagnostics.codes.entry import Entry

ENTRIES = (
    Entry(
        "PG301",
        "weights cannot be read",
        "The weights file or folder is absent, truncated, or not of a format that is read here: "
        "a safetensors file, or a folder that transformers saved (config.json and "
        "model.safetensors). Pickles are not opened, since a pickle can run code; those that DeepMind "
        "released, and the `pytorch_model.bin` of a folder, are read by `perceiver-graph import`, "
        "which follows what makes arrays and nothing else. What the file or the folder is instead, a "
        "Git LFS pointer, an adapter, the checkpoint of a trainer or the cache of a hub, is told where "
        "it can be seen.",
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
        "Parameters are floating-point numbers: float32, float16, bfloat16, float64 or one of the "
        "8-bit formats E4M3 and E5M2, whose conversion is noted. Integers and booleans are not "
        "converted, because their scale is not known.",
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
        "or less. Or a tensor says so that fills no parameter: the frequencies of rotary "
        "positions, of POYO. No shape shows this, and the result would be wrong. The message names the "
        "setting and both values.",
        "$ perceiver-graph compile kinetics --weights checkpoint/ --set process.heads=4",
        "$ perceiver-graph compile kinetics --weights checkpoint/",
    ),
    Entry(
        "PG310",
        "checkpoint configuration cannot be used",
        "A setting of config.json has no meaning here, or no sense: a width of zero, an "
        "activation that the language of specs does not have, widths that cannot be added. The "
        "message names each of them. What the tensors themselves say is checked afterwards.",
        "$ perceiver-graph import checkpoint_with_quick_gelu/ -o imported",
        "$ perceiver-graph import checkpoint/ -o imported",
    ),
    Entry(
        "PG311",
        "model class not known",
        "A checkpoint is imported as one of the seven Perceiver classes of transformers that do a "
        "task, or as one of the models that DeepMind released. Which one stands in config.json "
        "under `architectures`, or is told from the names of the tensors. Where neither says it, "
        "or a class of your own is named there, say it with `--model-class`.",
        "$ perceiver-graph import checkpoint/ -o imported --model-class PerceiverModel",
        "$ perceiver-graph import checkpoint/ -o imported --model-class PerceiverForMaskedLM",
    ),
    Entry(
        "PG312",
        "pickle holds more than data",
        "A pickle is a program that builds objects. Of the files that DeepMind released, and of "
        "those of PyTorch, only "
        "what makes arrays, dictionaries, lists, tuples, text and numbers is followed, and "
        "nothing that a pickle names is ever imported or called. This one asks for something "
        "else, which the message names. That is no proof of bad intent, but it cannot be read.",
        "$ perceiver-graph import training_state_with_optimizer.pickle -o imported",
        "$ perceiver-graph import language_perceiver_io_bytes.pickle -o imported",
    ),
    Entry(
        "PG313",
        "head cannot be replaced",
        "`--replace-head OUTPUT=CLASSES` gives an output a new head. The output has to be one of "
        "the model's, and its head a `linear` or `mlp` one, whose size can be chosen: logits over "
        "a vocabulary have the size of its embedding.",
        "$ perceiver-graph import language-perceiver/ -o imported --replace-head text=2",
        "$ perceiver-graph import vision-perceiver-conv/ -o imported --replace-head label=10",
    ),
    Entry(
        "PG314",
        "no such model on the hub",
        "The hub has no model of this name, or the model no such revision. A name has an owner and "
        "a model: deepmind/language-perceiver. What a hub does not show to everybody it calls absent: "
        "a private model needs a token of somebody who may read it.",
        "$ perceiver-graph import deepmind/language_perceiver",
        "$ perceiver-graph import deepmind/language-perceiver --revision main",
    ),
    Entry(
        "PG315",
        "the hub does not let you in",
        "The model is there, and not for everybody. A gated model is given to those who have asked "
        "its owner, on its page; who asks is told by a token, from `hf auth login`, HF_TOKEN or "
        "`--token`. A token may be out of date, or made without the right to read this model.",
        "$ HF_TOKEN= perceiver-graph import somebody/gated-perceiver",
        "$ hf auth login\n$ perceiver-graph import somebody/gated-perceiver",
    ),
    Entry(
        "PG316",
        "the hub cannot be reached",
        "There is no network, the hub is out of order, a download was cut off, or the hub may not be "
        "asked (`--offline`, HF_HUB_OFFLINE) and the cache has not got the model. What was "
        "downloaded once is read without a network; HF_ENDPOINT names a mirror, HF_HOME or `--cache` "
        "the folder of the cache. A folder that was downloaded elsewhere can be imported as it is.",
        "$ perceiver-graph import deepmind/language-perceiver --offline",
        "$ perceiver-graph import deepmind/language-perceiver\n"
        "$ perceiver-graph import deepmind/language-perceiver --offline",
    ),
    Entry(
        "PG317",
        "transformers has no such model",
        "`export --to transformers` writes one of the seven Perceiver classes of transformers, whose "
        "configuration says less than a spec can: no dropout in the middle of an MLP, no other "
        "normalisation, no other heads. The message names the class that is nearest and every key "
        "that it has otherwise. Names, media, what parameters start from and the number of chunks "
        "may be as they like.",
        "$ perceiver-graph export my_spec.yaml --to transformers --weights trained.safetensors",
        "$ perceiver-graph import deepmind/vision-perceiver-conv --replace-head label=10 -o start\n"
        "$ perceiver-graph export start/spec.yaml --to transformers --weights trained.safetensors",
    ),
)
