"""PG0xx: the spec file itself, before any of its keys has a meaning."""

from __future__ import annotations

from perceiver_graph.diagnostics.codes.entry import Entry

ENTRIES = (
    Entry(
        "PG001",
        "spec not found",
        "A spec is given as the path of a YAML file or as the name of a spec that ships with "
        "the package. Neither a file nor a shipped spec of this name exists. The help line "
        "lists the shipped names and files nearby that look alike.",
        "$ perceiver-graph check kinetcs",
        "$ perceiver-graph check kinetics\n$ perceiver-graph check ./my_model.yaml",
    ),
    Entry(
        "PG002",
        "file cannot be read",
        "The path exists but the operating system does not let it be read as a file: it is a "
        "folder, permission is missing, or the disk reported an error. To compile every spec of "
        "a folder, let the shell list the files.",
        "$ perceiver-graph check specs/",
        "$ perceiver-graph check specs/*.yaml",
    ),
    Entry(
        "PG003",
        "file is not UTF-8 text",
        "A spec is YAML text in UTF-8. This file holds bytes that are not UTF-8, or control "
        "characters that YAML does not allow: often a checkpoint or an archive was given in "
        "place of the spec, or an editor saved the file as UTF-16 or Latin-1. Re-save it as "
        "UTF-8.",
        "$ perceiver-graph check weights.safetensors",
        "$ iconv -f LATIN1 -t UTF-8 old.yaml > new.yaml\n$ perceiver-graph check new.yaml",
    ),
    Entry(
        "PG004",
        "spec is empty",
        "The file holds nothing but blank lines and comments. A spec is a mapping that has at "
        "least the keys `perceiver`, `name`, `inputs`, `latents`, `process` and `outputs`; "
        "`perceiver-graph new NAME` writes one to start from.",
        "# my model",
        "$ perceiver-graph new my_model --from kinetics",
    ),
    Entry(
        "PG005",
        "spec is too large",
        "Specs are limited to 1 MiB, some five hundred times the size of the largest shipped "
        "one, so that a file given by mistake is refused at once and not parsed for minutes. "
        "Weights and data do not belong in a spec.",
        "$ perceiver-graph check dump_of_everything.yaml",
        "$ perceiver-graph compile my_model.yaml --weights weights.safetensors",
    ),
    Entry(
        "PG006",
        "YAML syntax error",
        "The text is not well-formed YAML 1.2. The usual causes: a tab used for indentation, a "
        "missing space after a colon, a bracket or quote that is never closed, lines of one "
        "mapping that are indented differently, or an alias `*name` without an anchor `&name` "
        "before it.",
        "latents: {count: 512, width: 1024",
        "latents: {count: 512, width: 1024}",
    ),
    Entry(
        "PG007",
        "duplicate key",
        "The same key is given twice in one mapping. Many YAML readers silently keep the last "
        "one; here it is an error, because one of the two values would be ignored. Remove or "
        "rename one.",
        "latents:\n  count: 512\n  width: 1024\n  count: 256",
        "latents:\n  count: 256\n  width: 1024",
    ),
    Entry(
        "PG008",
        "YAML tag",
        "Tags such as `!!python/object`, `!include` or `!!float` ask the reader to build "
        "something special. A spec is plain data: text, numbers, true, false, null, lists and "
        "mappings. Write the plain value.",
        "latents: {count: !!int '512', width: 1024}",
        "latents: {count: 512, width: 1024}",
    ),
    Entry(
        "PG009",
        "merge key",
        "`<<` is not part of YAML 1.2: some readers merge a mapping there and others keep a key "
        "called `<<`. Write the keys out, or give the whole value by an alias.",
        "process: &attention {layers: 6, heads: 8}\nencode: {<<: *attention, heads: 1}",
        "process: {layers: 6, heads: 8}\nencode: {heads: 1}",
    ),
    Entry(
        "PG010",
        "nesting too deep",
        "Lists and mappings are nested more than 50 levels deep. No spec needs more than about "
        "ten; this is most often a run of unclosed brackets.",
        "name: "
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
        "]]]]]]]]]]]]]]]",
        "name: example",
    ),
    Entry(
        "PG011",
        "too many values",
        "With every alias written out, the document has more than 20,000 values. A few lines of "
        "nested aliases can stand for billions of values, so the number is limited. Write the "
        "values out, or use fewer aliases.",
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        "b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
        "c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\n"
        "d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\n"
        "e: [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]",
        "process: {layers: 6, heads: 8}",
    ),
    Entry(
        "PG012",
        "more than one document",
        "A file holds one spec. A line `---` after the first document starts another one, which "
        "would be ignored. Put each spec in a file of its own.",
        "perceiver: 1\nname: first\n---\nperceiver: 1\nname: second",
        "$ perceiver-graph check first.yaml second.yaml",
    ),
    Entry(
        "PG013",
        "key is not text",
        "Every key of a spec is a name. Here a key is a number, true, false, null, a list or a "
        "mapping. If the name really looks like that, put it in quotes.",
        "inputs:\n  1: {shape: {channel: 3}}",
        "inputs:\n  camera_1: {shape: {points: 64, channel: 3}}",
    ),
    Entry(
        "PG014",
        "alias refers to itself",
        "An alias `*name` stands inside the value that its anchor `&name` marks, so the value "
        "would contain itself without end. Write the inner value out.",
        "latents: &l {count: 512, width: *l}",
        "latents: {count: 512, width: 1024}",
    ),
)
