"""Codes of positions, and of the order in which tokens are read."""

from __future__ import annotations

from perceiver_graph.diagnostics.codes.entry import Entry

ENTRIES = (
    Entry.mended(
        "PG220",
        "coordinates do not fit",
        "Coordinates that the caller gives are one position for each token of an input (`given: [x, "
        "y]`, or `inputs: NAME` for another input that holds them in its channels), or the points at "
        "which an output is asked. An input of coordinates has the axes that the tokens have after "
        "their steps, and `channel` last; it is read as it is, without steps, positions and masks of "
        "its own. What is said of coordinates has no meaning for the positions of a grid, and the "
        "other way round.",
        "inputs:\n"
        "  events:\n"
        "    shape: {event: 64}\n"
        "    steps: [{embedding: {vocabulary: 5000, width: 96}}]\n"
        "    position: {inputs: times, fourier: {bands: 16, max_resolution: 256}}\n"
        "  times:\n"
        "    shape: {event: 32, channel: 1}",
        "event: 32",
        "event: 64",
    ),
    Entry.mended(
        "PG221",
        "features that cannot be formed",
        "Coordinates that are given have no grid to take `max_resolution` from, so it is needed, of "
        "each of them, where frequencies are linear: octaves and wavelengths go without, and each "
        "says alone how waves are spaced. A `range` has its least value first, and no numbers so "
        "large that float32 tells few of them apart. Of a periodic axis or coordinate the "
        "frequencies are whole numbers up to half of `max_resolution`, so there are no more bands "
        "than that; and its last point is not its first, as `endpoint` would have it.",
        "inputs:\n"
        "  stations:\n"
        "    shape: {station: 100, channel: 5}\n"
        "    position:\n"
        "      given: [latitude, longitude]\n"
        "      fourier: {bands: 16, max_resolution: 24, periodic: [longitude]}\n"
        "      range: {latitude: [-90, 90], longitude: [-180, 180]}",
        "max_resolution: 24",
        "max_resolution: 64",
    ),
    Entry.mended(
        "PG222",
        "weights cannot be shared",
        "An input that is `like` another has the steps and the position of that one, with the same "
        "weights, so these must fit both: as many channels, and as many places where a table of "
        "positions has a row for each. Another number of pixels is fine for patches, convolutions, "
        "linear maps and Fourier features, and for a table with `trained_on`.",
        "inputs:\n"
        "  front:\n"
        "    shape: {height: 64, width: 64, channel: 3}\n"
        "    steps: [{patch: {height: 8, width: 8}}, {linear: 128}]\n"
        "    position: {fourier: {bands: 16}}\n"
        "  depth: {like: front, shape: {height: 64, width: 64, channel: 1}}",
        "depth: {like: front, shape: {height: 64, width: 64, channel: 1}}",
        "rear: {like: front, shape: {height: 32, width: 64, channel: 3}}",
    ),
    Entry.mended(
        "PG223",
        "what comes later leaks",
        "Latents that are the last tokens of an input read only what comes before them where both `encode` "
        "and `process` are causal. With one of them alone, what a token becomes depends on those behind "
        "it: a model that learns to predict the next token sees it, is nearly always right in training, "
        "and writes no text (PG518). So do queries for the tokens of that input, which read all latents; "
        "`query: latents` takes the latents as they are. Outputs with one answer for all tokens, or with "
        "fewer channels than there are ids, labels say, predict no token, and nothing leaks into them.",
        "dims: {length: {min: 512, max: 4096}}\n"
        "inputs:\n"
        "  text:\n"
        "    shape: {place: length}\n"
        "    steps: [{embedding: {vocabulary: 262, width: 512}}]\n"
        "    position: {learned: {}, combine: add}\n"
        "latents: {of: text, last: 512}\n"
        "encode: {heads: 8}\n"
        "process: {layers: 8, heads: 8, causal: true}\n"
        "outputs:\n"
        "  next: {query: latents, head: {tied_embedding: text}}",
        "encode: {heads: 8}",
        "encode: {heads: 8, causal: true}",
    ),
    Entry.mended(
        "PG224",
        "order is not seen",
        "Attention reads tokens as a set: what tells the first from the last is a position, attached to "
        "each of them or that attention turns by. A text without one is a bag of bytes, seven joints are "
        "seven numbers of which nobody knows whose each is, a picture is a heap of pixels: in any order the "
        "same. Texts whose latents are their last tokens, and read in order, are told apart by that; points "
        "by the coordinates in their channels. Numbers that are few, and always the same ones, can be the "
        "features of one token: `shape: {channel: 7}`. Where the tokens are a set, or their channels say by "
        "themselves where each is, as features of another model may, write `position: none`.",
        "dims: {length: {max: 512}}\n"
        "inputs:\n"
        "  text:\n"
        "    shape: {byte: length}\n"
        "    steps: [{embedding: {vocabulary: 262, width: 64}}]\n"
        "    media: {text: {}}",
        "    media: {text: {}}",
        "    position: {learned: {}, combine: add}\n    media: {text: {}}",
    ),
    Entry.mended(
        "PG225",
        "inputs are not told apart",
        "Tokens of all inputs are read as one set. Two inputs that are made into tokens by the same weights, "
        "as `like` says, or by no weights at all, are then one input of twice as many tokens: a model cannot "
        "tell the left camera from the right. Learned channels for each, of `join`, tell them apart. A "
        "`join` that asks for none, `{padding: {min: 0}}`, says that it is meant: views, in no order.",
        "inputs:\n"
        "  left: {shape: {height: 32, width: 32, channel: 3}, position: {fourier: {bands: 16}}}\n"
        "  right: {like: left}",
        "  right: {like: left}",
        "  right: {like: left}\njoin: {padding: {min: 4}}",
    ),
)
