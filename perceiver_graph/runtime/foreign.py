"""What those who know torch and transformers try on a program, and what there is instead."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

from perceiver_graph.diagnostics.text import quote
from perceiver_graph.diagnostics.words import slips_of
from perceiver_graph.runtime.called import called_otherwise

_DEVICE = '`load(PATH, device="cuda")` or `"cpu"` says where it runs'
_MODULE = "a program only runs: `compile(SPEC).to_torch(WEIGHTS)` is a torch.nn.Module"
_READ = "`read(FILE_OR_TEXT)` makes arrays of files and texts, which `run` takes"
_GIVEN = "it is given with the arrays: `load(PATH).run({NAME: ARRAY}, ...)`"
_ANY_BATCH = "a program takes any: it is the first axis of what it runs on"
_RUN = "`run({NAME: ARRAY})`, or the program itself, is called"
_ENCODED = "`encode({NAME: ARRAY}).latents` has what the model makes of its inputs"
_NUMBERS = "numbers are those of `compile(SPEC, precision=...)`"
OF_PROGRAMS = {
    "close release unload dispose shutdown": "nothing has to be closed: its memory is given back with it",
    "warmup warm_up": "`run({NAME: ARRAY})` once on arrays of the sizes to come",
    "embed embeddings embedding features extract_features latents hidden_states last_hidden_state "
    "encode_image encode_text get_image_features get_text_features": _ENCODED,
    "attentions attention_weights get_attention attention_maps": "`attention({NAME: ARRAY})` has them",
    "batch batch_size max_batch_size": _ANY_BATCH,
    "path directory folder file dir": "`artifact.directory` has it",
    "version": "`manifest.tool` has it",
    "flops memory cost": "`manifest.flops`, and `manifest.decode_memory`",
    "quantize compile optimize bfloat16": _NUMBERS,
    "prefill step": "`generate(TEXT, 20)` goes on with a text, if the model writes",
    "keys items values": "`manifest.inputs` and `manifest.outputs` have the names",
    "training requires_grad grad backward optimizer loss": _MODULE,
    "copy clone": "`load(PATH)` makes another",
    "predict forward infer predict_on_batch predict_step": _RUN,
    "to cuda cpu half float": _DEVICE,
    "get_inputs input_names input_shape inputs": "`manifest.inputs` has them, with their axes",
    "get_outputs output_names output_shape outputs": "`manifest.outputs` has them, with their axes",
    "get_modelmeta metadata config model_config get_config cfg": "`manifest` has what is known of it",
    "summary inspect info describe": "`print` it; `manifest` has more, and `perceiver-graph inspect SPEC`",
    "name precision dtype": "`manifest.name`, and `manifest.precision`",
    "num_parameters count_params parameter_count": "`manifest.parameters` has it",
    "sizes dims symbols": "`manifest.dims` has them, with what each may be",
    "get_providers providers provider session": "`device` and `engine` say what runs it",
    "save save_pretrained export to_onnx": "it is written already, in `artifact.directory`",
    "spec graph": "`artifact.directory` has its spec, for `compile(SPEC).graph`",
    "preprocess processor tokenizer tokenize feature_extractor image_processor": _READ,
    "eval": "it needs none: a program computes as a module does in eval mode",
    "train fit parameters state_dict weights load_state_dict "
    "named_parameters modules children layers get_weights requires_grad_ zero_grad": _MODULE,
}
OF_STATES = {
    "last_hidden_state hidden_states hidden": "`latents` has them",
    "logits outputs output predictions": "`program.decode(STATE)` answers with the outputs by name",
    "shape size": "`latents.shape`",
    "numpy tensor array cpu detach to": "`latents` is an array of numpy",
    "pooler_output embeddings embedding features": "`latents` has them",
    "mean dtype flatten reshape": "`latents` is an array of numpy",
    "decode": "`program.decode(STATE)` answers with the outputs by name",
    "save copy clone": "it lies in the memory of the device; `latents` is an array of numpy",
    "keys items values": "its values stay on the device; `latents` is an array of numpy",
}
OF_RUN = {
    "output_names": "it is called `decode`: `decode={NAME: None}`",
    "outputs": "it is called `decode`: `decode={NAME: None}`",
    "input_feed": "inputs come first: `run({NAME: ARRAY})`",
    "batch_size": "it is the first axis of the arrays",
    "device": _DEVICE,
}
OF_LOAD = {
    "map_location": _DEVICE,
    "device_map": _DEVICE,
    "dtype": _NUMBERS,
    "torch_dtype": _NUMBERS,
    "precision": "`compile(SPEC, precision=...)` says it",
    "weights": "`compile(SPEC).save(PATH, weights=WEIGHTS)` writes them into what is loaded",
    "providers": _DEVICE,
    "backend": 'it is called `engine`: `"onnxruntime"` or `"openvino"`',
    "batch": _ANY_BATCH,
    "batch_size": _ANY_BATCH,
    "sizes": _GIVEN,
    "decode": _GIVEN,
    "memory": _GIVEN,
    "num_threads": "it is called `threads`",
    "n_threads": "it is called `threads`",
}
OF_GENERATE = {
    "max_new_tokens": "it is called `tokens`: `generate(TEXT, 20)`",
    "max_length": "how many come is `tokens`: `generate(TEXT, 20)`",
    "do_sample": "`temperature=0` takes the most probable token, more than 0 draws one",
    "num_beams": "there is no beam search: `temperature=0` takes the most probable token",
    "eos_token_id": "it is called `stop`, a list of ids",
    "attention_mask": 'it is among the inputs: `inputs={"NAME.attention_mask": MASK}`',
    "input_ids": "it is called `begin`, a text or its ids, and comes first",
    "prompt": "it is called `begin`, a text or its ids, and comes first",
    "text": "it is called `begin`, a text or its ids, and comes first",
}


def refuse_item(program: Any, key: object) -> NoReturn:
    """A program is taken for what it answers, or for a mapping of its inputs. Raises TypeError."""
    call = f"`run({form(program.manifest.inputs)})`"
    raise TypeError(
        f"a program has no items: {call} answers with the outputs by name, and `manifest.inputs` and "
        "`manifest.outputs` have the names"
    )


_ARGUMENTS = ("inputs", "decode", "sizes", "memory", "progress", "note")
_MOST = 4


def inputs_in_one(program: Any, name: str) -> str | None:
    """How inputs are given, to who gives them by keyword; None for what is a slip of an argument."""
    inputs = program.manifest.inputs
    if name not in inputs and (meant := called_otherwise(program.manifest, name)):
        return meant
    if name not in inputs and slips_of(name, _ARGUMENTS):
        return None
    return f"inputs are given in one mapping, `{form(inputs)}`, or by `read` from files and texts"


def form(names: Iterable[str]) -> str:
    """A mapping of arrays by these names, as it is written."""
    known = list(names)
    shown = ", ".join(f"{quote(name)[1:-1]!r}: ARRAY" for name in known[:_MOST])
    return f"{{{shown}{', ...' if len(known) > _MOST else ''}}}".replace("'", '"')
