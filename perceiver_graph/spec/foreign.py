"""What others have on the description of a model, and where it is here."""

from __future__ import annotations

_DUMPED = "`model_dump()` is a dict of all of it"
_EACH = "each of `inputs` and `outputs` has its own"
_PROGRAM = "it is of a program that runs: `load(PATH)`"
OF_MANIFESTS = {
    "input get_inputs input_names input_shape": "`inputs` has them by name, with their axes",
    "output get_outputs output_names output_shape": "`outputs` has them by name, with their axes",
    "to_dict asdict keys items values get": _DUMPED,
    "to_json": "`model_dump_json()`",
    "shape shapes axes axis ndim": _EACH,
    "num_parameters count_params parameter_count": "`parameters` has it",
    "dtype": "`precision` has it",
    "version": "`tool` has it, and `format` that of the artifact",
    "sizes size symbols": "`dims` has them, with what each may be",
    "run encode decode generate read device engine": _PROGRAM,
    "path directory folder spec config": "the spec lies in the folder of the artifact, beside this",
}
_OF_ARRAYS = {
    "ndim dim rank size sizes dims": "`shape` has the sizes, `axes` what they are called",
    "type numpy_dtype": "`dtype` has it",
    "name": "it is the key under which this is found",
}
OF_INPUTS = {
    **_OF_ARRAYS,
    "optional required masked": "`mask` says whether it may be left out",
    "vocab vocab_size num_embeddings": "`vocabulary` has it",
    "min max low high": "`ranges` has them, of coordinates",
    "length max_length channels": "`shape` has it",
    "mean std scale": "`media` says how numbers are scaled",
}
OF_OUTPUTS = {
    **_OF_ARRAYS,
    "classes num_classes num_labels channels vocab vocab_size": "the last of `shape` is how many",
    "labels class_names id2label names": "`media` has what is known of it",
}
