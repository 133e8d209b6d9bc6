"""PG2xx: names, shapes, divisibility and the rules between distant parts of a spec."""

from __future__ import annotations

from perceiver_graph.diagnostics.codes.entry import Entry

ENTRIES = (
    Entry(
        "PG201",
        "unknown name",
        "The spec refers to an input, an output or another named part that it does not declare. "
        "Names are compared exactly; the help line gives the nearest one that exists.",
        "outputs:\n  image: {query: {inputs: imge}, head: {linear: 3}}",
        "outputs:\n  image: {query: {inputs: image}, head: {linear: 3}}",
    ),
    Entry.mended(
        "PG202",
        "axis does not match",
        "A step, a position or a grid names an axis that the data does not have at that point, "
        "or leaves out one that it needs. Steps change the axes: after `patch: {time: 16}` the "
        "axis `time` is there still, but shorter. The note shows the axes known so far.",
        "inputs:\n"
        "  image:\n"
        "    shape: {height: 224, width: 224, channel: 3}\n"
        "    steps: [{patch: {depth: 4}}]\n"
        "    position: {fourier: {bands: 64}}",
        "depth: 4",
        "height: 4, width: 4",
    ),
    Entry.mended(
        "PG203",
        "size does not divide",
        "An axis is cut into equal parts, and its size is not a multiple of the part. Sizes are "
        "never rounded or padded silently. For a symbolic axis, declare what it is a multiple "
        "of: `dims: {time: {multiple_of: 16}}`; the same holds for a division in a size, `length / 50`.",
        "inputs:\n"
        "  image:\n"
        "    shape: {height: 225, width: 224, channel: 3}\n"
        "    steps: [{patch: {height: 4, width: 4}}]\n"
        "    position: {fourier: {bands: 64}}",
        "height: 225",
        "height: 224",
    ),
    Entry(
        "PG204",
        "width is not divisible by the number of heads",
        "Multi-head attention splits the query/key width and the value width into equal heads, "
        "so each must be a multiple of `heads`. Unless it is given, the width is that of the "
        "latents, or of the inputs in a cross-attend. Change the width or the number of heads; "
        "the help line names the nearest widths that work.",
        "latents: {count: 512, width: 1023}\nprocess: {layers: 6, heads: 8}",
        "latents: {count: 512, width: 1024}\nprocess: {layers: 6, heads: 8}",
    ),
    Entry.mended(
        "PG205",
        "widths differ",
        "Two arrays are added or joined along their tokens, and their widths (channels) differ. "
        "A residual connection adds the result of attention to its query; `combine: add` adds "
        "positions to the channels of the data, and a linear map of the positions, `project`, "
        "can give them the width that is needed.",
        "inputs:\n"
        "  image:\n"
        "    shape: {height: 224, width: 224, channel: 3}\n"
        "    steps: [{linear: 64}]\n"
        "    position: {fourier: {bands: 64}, combine: add}",
        "combine: add",
        "combine: add, project: 64",
    ),
    Entry.mended(
        "PG206",
        "channel axis missing or not last",
        "The last axis of an input is `channel`: what is known about one position. All axes "
        "before it are positions and become the index dimensions. Data without channels has "
        "`channel: 1`, and a `position` that tells the places apart; a few numbers that belong together are "
        "the channels of one token, `{channel: 7}`.",
        "inputs:\n"
        "  image:\n"
        "    shape: {channel: 3, height: 224, width: 224}\n"
        "    position: {fourier: {bands: 64}}",
        "{channel: 3, height: 224, width: 224}",
        "{height: 224, width: 224, channel: 3}",
    ),
    Entry(
        "PG207",
        "symbol not declared or constraint broken",
        "A size given as a word is a symbol, and every symbol is declared once under `dims` "
        "with what is known about it: `min`, `max`, `multiple_of`. Either the declaration is "
        "absent, or it contradicts itself or its use.",
        "inputs:\n  points:\n    shape: {points: n, channel: 3}",
        "dims: {n: {max: 4096}}\ninputs:\n  points:\n    shape: {points: n, channel: 3}",
    ),
    Entry(
        "PG208",
        "fixed size needed",
        "Something here depends on the number itself: channels, a table that is resized, an input that "
        "is always masked. A symbol, whose value is known only at run time, cannot stand here: write a "
        "number. A learned table of positions, and the highest frequency of Fourier features, need a "
        "largest size: a `max` of the symbol will do.",
        "dims: {n: {max: 4096}}\n"
        "inputs:\n"
        "  points:\n"
        "    shape: {points: n, channel: 3}\n"
        "    position: {learned: {width: 64, trained_on: {points: 1024}}}",
        "inputs:\n"
        "  points:\n"
        "    shape: {points: 4096, channel: 3}\n"
        "    position: {learned: {width: 64, trained_on: {points: 1024}}}",
    ),
    Entry(
        "PG209",
        "modalities differ in width",
        "The tokens of all inputs are joined into one array, so they need one width. With "
        "`join: {padding: {min: 4}}` a learned vector fills each modality up to a common width, "
        "at least 4 more than the widest one has. Without it, the widths must be equal by "
        "themselves.",
        "inputs:\n"
        "  image: {shape: {height: 32, width: 32, channel: 3}, position: {fourier: {bands: "
        "16}}}\n"
        "  audio: {shape: {time: 1024, channel: 1}, position: {fourier: {bands: 16}}}",
        "inputs:\n"
        "  image: {shape: {height: 32, width: 32, channel: 3}, position: {fourier: {bands: "
        "16}}}\n"
        "  audio: {shape: {time: 1024, channel: 1}, position: {fourier: {bands: 16}}}\n"
        "join: {padding: {min: 4}}",
    ),
    Entry.mended(
        "PG210",
        "nothing is left",
        "A step leaves an axis with no positions, because the axis is smaller than what the "
        "step takes at a time: a window larger than the image, a stride beyond the end.",
        "inputs:\n"
        "  image:\n"
        "    shape: {height: 8, width: 8, channel: 3}\n"
        "    steps: [{max_pool: {window: {height: 16, width: 16}}}]\n"
        "    position: {fourier: {bands: 64}}",
        "{height: 8, width: 8,",
        "{height: 32, width: 32,",
    ),
    Entry.mended(
        "PG211",
        "wrong dtype for a step",
        "A step works on real numbers and is given token ids, or the other way round. Token ids "
        "are embedded before anything else is done with them.",
        "inputs:\n"
        "  text:\n"
        "    shape: {length: 2048}\n"
        "    steps: [{embedding: {vocabulary: 262, width: 768}}, {one_hot: 10}]\n"
        "    position: {learned: {}, combine: add}",
        ", {one_hot: 10}",
        "",
    ),
    Entry(
        "PG213",
        "too large",
        "An array (at batch 1), or the parameters together, would have more than 2**40 elements, "
        "an axis or an output more than 2**31 - 1 places, or the model more than 10,000 layers. "
        "The message gives the number. Usually an axis was given in the wrong unit, or a patch was "
        "forgotten.",
        "latents: {count: 2000000000, width: 2000000000}",
        "latents: {count: 512, width: 1024}",
    ),
    Entry(
        "PG214",
        "bad --set override",
        "`--set KEY=VALUE` replaces one value of the spec before it is checked. KEY is the path "
        "to it with dots, list entries counted from 0; VALUE is YAML. The override has no `=`, "
        "its path does not lead anywhere, or its value is not valid YAML.",
        "$ perceiver-graph check kinetics --set latents.count",
        "$ perceiver-graph check kinetics --set latents.count=392\n"
        "$ perceiver-graph check kinetics --set inputs.audio.steps.0.patch.time=32",
    ),
    Entry.mended(
        "PG215",
        "media do not fit",
        "`media` says how `perceiver-graph run` fills an input from files, or writes an output to "
        "one, and the array is not of the shape that this kind is made of: a picture has height, "
        "width and 3 channels, a text is a row of ids, and what is said of its tokens has as many. "
        "The model itself would run, but not on files. A model that is only run on arrays needs no "
        "`media`.",
        "inputs:\n"
        "  image:\n"
        "    shape: {height: 28, width: 28, channel: 1}\n"
        "    position: {fourier: {bands: 8}}\n"
        "    media: {image: {}}",
        "channel: 1",
        "channel: 3",
    ),
    Entry(
        "PG216",
        "not a size",
        "A size is a number, a symbol declared under `dims`, or arithmetic on them: sums, products, "
        "quotients and brackets. What it says is not readable, or could be zero or less at some "
        "permitted value of its symbols. Declare a larger `min` where that is the cause.",
        "dims: {length: {max: 3000}}\ninputs:\n  ecg:\n    shape: {time: length - 1, channel: 1}\n"
        "    position: {fourier: {bands: 64}}",
        "dims: {length: {min: 2, max: 3000}}\n"
        "inputs:\n"
        "  ecg:\n"
        "    shape: {time: length - 1, channel: 1}\n"
        "    position: {fourier: {bands: 64}}",
    ),
    Entry.mended(
        "PG217",
        "nothing says how large a symbol is",
        "The shapes of the inputs say at run time what a symbol stands for, if each can be told from "
        "an axis: `5 * n` says what `n` is, `n * m` says nothing unless another axis is `n` or `m`. "
        "A symbol of no input is given with the call (`--size n=30`); it needs a `max`, which it is "
        "when nothing is given.",
        "dims: {rows: {max: 64}, columns: {max: 64}}\n"
        "inputs:\n"
        "  board:\n"
        "    shape: {cell: rows * columns, channel: 3}\n"
        "    position: {fourier: {bands: 64}}",
        "cell: rows * columns",
        "row: rows, column: columns",
    ),
    Entry.mended(
        "PG218",
        "fewer positions than places",
        "`of` says how many places positions are counted to, the rows of a table or the coordinates of "
        "an index, and the axis can be longer. It is needed only where that is more than the largest "
        "size, say to load weights that were trained on longer ones.",
        "dims: {length: {max: 3000}}\n"
        "inputs:\n"
        "  ecg:\n"
        "    shape: {time: length, channel: 1}\n"
        "    position: {fourier: {bands: 16, of: 1000}}",
        "of: 1000",
        "of: 3000",
    ),
)
