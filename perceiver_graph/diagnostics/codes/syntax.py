"""PG1xx: the keys and values of a spec, each looked at by itself."""

from __future__ import annotations

from perceiver_graph.diagnostics.codes.entry import Entry

ENTRIES = (
    Entry(
        "PG101",
        "unknown key",
        "The mapping has a key that the spec language does not know at this place. Unknown keys "
        "are errors at every level, because a misspelt key would otherwise be ignored and a "
        "default used in its stead. The help line gives the nearest known key, or all of them.",
        "latents: {count: 512, wdith: 1024}",
        "latents: {count: 512, width: 1024}",
    ),
    Entry(
        "PG102",
        "missing key",
        "A key that has no default is absent. The label shows the mapping in which it belongs.",
        "latents: {count: 512}",
        "latents: {count: 512, width: 1024}",
    ),
    Entry(
        "PG103",
        "wrong type",
        "The value is of another kind than the key takes: text where a number is expected, a "
        "list where a mapping is expected, and so on. Numbers are not taken from quoted text, "
        "and whole numbers are not taken from 8.0.",
        "latents: {count: '512', width: 1024}",
        "latents: {count: 512, width: 1024}",
    ),
    Entry(
        "PG104",
        "value not allowed",
        "The key takes one of a few values, or values of a certain form, and this is not one of "
        "them. The help line lists what is allowed.",
        "dialect: pytorch",
        "dialect: huggingface",
    ),
    Entry(
        "PG105",
        "number out of range",
        "The number is of the right kind but too small, too large or not finite. Counts and "
        "sizes are at least 1.",
        "latents: {count: 0, width: 1024}",
        "latents: {count: 512, width: 1024}",
    ),
    Entry.mended(
        "PG106",
        "unknown alternative",
        "At this place the spec chooses between named alternatives, by a mapping with one key: "
        "`{fourier: {...}}` or `{learned: {...}}`, `{patch: {...}}` or `{linear: ...}`. The key "
        "given is not the name of one of them.",
        "inputs:\n"
        "  image:\n"
        "    shape: {height: 224, width: 224, channel: 3}\n"
        "    position: {furier: {bands: 64}}",
        "furier",
        "fourier",
    ),
    Entry.mended(
        "PG107",
        "not exactly one alternative",
        "At this place the spec takes exactly one of several named alternatives, and none or "
        "more than one is given. Where things are to be done one after the other, as with "
        "`steps`, give a list of mappings with one key each.",
        "inputs:\n"
        "  image:\n"
        "    shape: {height: 224, width: 224, channel: 3}\n"
        "    position: {fourier: {bands: 64}, learned: {width: 256}}",
        ", learned: {width: 256}",
        "",
    ),
    Entry(
        "PG108",
        "spec version not known",
        "`perceiver:` gives the version of the spec language. This release reads version 1; a "
        "spec of a newer version may use keys that it would misread, so it is refused. Install "
        "a newer release to read it.",
        "perceiver: 2",
        "perceiver: 1",
    ),
    Entry(
        "PG109",
        "not a valid name",
        "Names of inputs, outputs, axes and symbols become names of modules, tensors and files. "
        "They begin with a lower-case letter and go on with lower-case letters, digits and "
        "underscores. The name of the spec itself may also have capitals, dots and hyphens.",
        "inputs:\n  Front Camera: {shape: {points: 64, channel: 3}}",
        "inputs:\n  front_camera: {shape: {points: 64, channel: 3}}",
    ),
    Entry(
        "PG110",
        "wrong number of entries",
        "A list, a mapping or a text has too few or too many entries: a spec needs at least one "
        "input and one output, and a shape at least one axis.",
        "inputs: {}",
        "inputs:\n  points: {shape: {points: 1024, channel: 3}}",
    ),
    Entry(
        "PG111",
        "not in the language",
        "The word means something that the spec language cannot say: an architecture that it does "
        "not have so far, or what is no part of a model, such as the loss of its training. The help "
        "line says what there is instead. A model that needs it has to be written, or changed, in "
        "PyTorch.",
        "encode: {heads: 1, alibi: true}",
        "encode: {heads: 1}",
    ),
)
