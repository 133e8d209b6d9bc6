"""PG5xx: what a compiled model is fed, and where its results go."""

from __future__ import annotations

from perceiver_graph.diagnostics.codes.entry import Entry

ENTRIES = (
    Entry(
        "PG501",
        "input missing",
        "The model has an input for which nothing was given. Inputs that the spec declares with "
        "`mask: always` are filled in, unless an output's query is made of them; all others need an "
        "array or a file. Some take several files each: optical flow is between two pictures. An "
        "attention mask needs the input it is of.",
        "$ perceiver-graph run build/flow first_frame.png",
        "$ perceiver-graph run build/flow first_frame.png second_frame.png",
    ),
    Entry(
        "PG502",
        "unknown input",
        "An array or a file is given under a name that is not an input of this model. The "
        "message lists the inputs that it has; `manifest.json` gives their axes and dtypes.",
        "$ perceiver-graph run build/kinetics --inputs arrays_named_video.npz",
        "$ perceiver-graph run build/kinetics --inputs arrays_named_image_and_audio.npz",
    ),
    Entry(
        "PG503",
        "input has the wrong shape",
        "The axes of the array are not those of the manifest, or a size breaks a constraint "
        "such as a maximal length or a multiple. Arrays carry the batch axis first. The message "
        "names the axis that is to blame.",
        '>>> program.encode({"image": np.zeros((16, 224, 224, 3), "float32")})',
        '>>> program.encode({"image": np.zeros((1, 16, 224, 224, 3), "float32")})',
    ),
    Entry(
        "PG504",
        "input has the wrong dtype",
        "The array's dtype cannot be converted to the input's without loss: real numbers for "
        "token ids, text or objects for pixels. Integers are accepted for real-valued inputs, "
        "and float64 for float32. Attention masks are booleans, or integers that are 0 or 1.",
        '>>> program.encode({"tokens": np.array([[1.5, 2.0]])})',
        '>>> program.encode({"tokens": np.array([[1, 2]], dtype="int64")})',
    ),
    Entry(
        "PG505",
        "input is not finite",
        "The array holds NaN or infinite values. Attention mixes every position with every "
        "other, so a single NaN makes the whole result NaN. Replace or mask missing measurements. Numbers "
        "beyond 1e17 are refused as well: norms sum squares, and those of 1e19 are infinite in float32.",
        '>>> program.encode({"points": np.full((1, 1024, 3), np.nan, "float32")})',
        '>>> program.encode({"points": np.where(np.isfinite(points), points, 0)})',
    ),
    Entry(
        "PG506",
        "bad decode request",
        "`--decode OUTPUT` or `--decode OUTPUT=START:STOP` names an output and, if wanted, a "
        "range of its query positions: 0 <= START < STOP <= the number of queries. The message "
        "gives the outputs and their sizes.",
        "$ perceiver-graph run build/kinetics video.mp4 --decode image=6272:0",
        "$ perceiver-graph run build/kinetics video.mp4 --decode image=0:6272",
    ),
    Entry(
        "PG507",
        "media file cannot be decoded",
        "The file is not of a known format, is damaged, ends before its header says, or holds more than "
        "that; a text is not UTF-8; a number in it can be read in two ways (1,5), or columns have "
        "names that do not say which are x, y and z. Results from half a file would be silently wrong, "
        "so it is refused, and so are values of which nothing says what they mean, and lists of other "
        "files. Streams do not say how much there is (MPEG-TS and -PS, NUT, YUV4MPEG2, ADTS, AC-3, MP3 "
        "without a count, raw H.264, HEVC and MPEG): they are read as far as they go. Where one ends "
        "within a frame or a packet, a note says so; one that was cut off between two, or in raw "
        "pictures, cannot be told from one that is complete. Damage that FFmpeg sees and plays all "
        "the same, and gaps in sound, are notes, too.",
        "$ head -c 10000 video.mp4 > cut.mp4\n$ perceiver-graph run build/kinetics cut.mp4",
        "$ perceiver-graph run build/kinetics video.mp4",
    ),
    Entry(
        "PG508",
        "media file lacks a stream",
        "The model takes video or audio from the file, and the file does not contain it. Give a "
        "file that has it, or, where both are inputs of the model, a file for each by its name.",
        "$ perceiver-graph run build/kinetics silent.mp4",
        "$ perceiver-graph run build/kinetics image=silent.mp4 audio=sound.wav",
    ),
    Entry(
        "PG509",
        "optional package not installed",
        "This needs a package that the base install leaves out: `torch` for the PyTorch "
        "backend, `av` and `pillow` (extra `media`) to read videos and images, `huggingface_hub` "
        "(extra `hub`) for models by name. The help line "
        "has the command that installs it.",
        "$ pip install perceiver-graph\n$ perceiver-graph run build/kinetics video.mp4",
        "$ pip install 'perceiver-graph[media]'\n$ perceiver-graph run build/kinetics video.mp4",
    ),
    Entry(
        "PG510",
        "memory budget too small",
        "Decoding goes in chunks that fit the memory budget, but not even the encoder, or a "
        "chunk of a single query, fits this one. The message says how many bytes are needed at "
        "the least. Reading counts as well: a picture or a video that takes more than the budget "
        "leaves is refused, with the size that would fit.",
        "$ perceiver-graph run build/kinetics video.mp4 --memory 1MB",
        "$ perceiver-graph run build/kinetics video.mp4 --memory 2GB",
    ),
    Entry(
        "PG511",
        "result cannot be written",
        "The output file or folder cannot be written: its folder is absent, permission is "
        "missing, or the disk is full. Nothing was left half-written.",
        "$ perceiver-graph run build/kinetics video.mp4 -o /no/such/folder/out.npz",
        "$ perceiver-graph run build/kinetics video.mp4 -o out.npz",
    ),
    Entry(
        "PG512",
        "file does not match an input",
        "The file is absent, or it cannot be told which input it is for: no input of the model "
        "takes this kind of file, or several do. Say it outright with INPUT=FILE. A model that "
        "reads texts takes them literally, but not what looks like the path of a file (`notes.txt`, "
        "`docs/notes`) and is none: such a text can be given on standard input, as `-`, or from a pipe. What "
        "comes through a pipe can be read once, for one input. Folders, sockets and devices are no files.",
        "$ perceiver-graph run build/stereo a.png b.png c.png",
        "$ perceiver-graph run build/stereo left=a.png right=b.png",
    ),
    Entry(
        "PG513",
        "arrays cannot be read",
        "`run --inputs` takes an .npz archive with one plain array per input name, and `batch` takes such "
        "files. The file is absent, is not such an archive, or holds Python objects, which are never "
        "unpickled.",
        '>>> np.savez("in.npz", image=[[1], [1, 2]])   # rows of unequal length: an object array',
        '>>> np.savez("in.npz", image=np.zeros((1, 16, 224, 224, 3), "float32"))',
    ),
    Entry(
        "PG514",
        "input value out of range",
        "A value is of the right dtype but has no meaning for this input: a token id that is "
        "negative or not below the vocabulary size, a mask value other than 0 and 1, the number of a "
        "token that is not there, or a text (or a table) longer than the model's maximal length.",
        '>>> program.encode({"tokens": np.array([[262]], dtype="int64")})   # vocabulary: 262, ids '
        "0..261",
        '>>> program.encode({"tokens": np.array([[261]], dtype="int64")})',
    ),
    Entry(
        "PG515",
        "names do not fit the classes",
        "`--names FILE` gives the classes of an output their names: a line each, in the order of the "
        "classes. The file cannot be read, or has not as many lines as the output has classes. "
        "Where several outputs have classes, say which: `--names OUTPUT=FILE`.",
        "$ perceiver-graph run build/imagenet cat.jpg --names label=21k_names.txt",
        "$ perceiver-graph run build/imagenet cat.jpg --names label=1000_names.txt",
    ),
    Entry(
        "PG516",
        "bad size",
        "`--size NAME=NUMBER`, or `sizes={...}` in Python, says how large a symbol of the spec is "
        "that no input says, such as the number of steps to predict. The name is not that of such a "
        "symbol, or the number is not one that the spec permits. Left out, it is the largest.",
        "$ perceiver-graph run build/forecast series.csv --size steps=0",
        "$ perceiver-graph run build/forecast series.csv --size steps=12",
    ),
    Entry(
        "PG517",
        "coordinates outside of their range",
        "The spec says with `range` where the coordinates of tokens or points lie, and maps that to "
        "[-1, 1]. Values beyond it are positions that the model has never seen, mostly because they "
        "are in another unit. Those of masked tokens, and periodic ones, are not held against it.",
        "$ perceiver-graph run build/stations --inputs in.npz    # stations.position in radians x 1000",
        "$ perceiver-graph run build/stations --inputs in.npz    # stations.position in degrees",
    ),
    Entry(
        "PG518",
        "model writes no text",
        "A model goes on with a text where its latents are the last tokens of it, each of which reads "
        "only what came before: `latents: {of: text, last: 512}`, and `causal: true` under `encode` and "
        "`process`. The text has one axis, whose size is a symbol of `dims`, and steps that make a token "
        "of one id each; its positions are counted from the beginning. An output with `query: latents` "
        "has scores for each id of the vocabulary.",
        '$ perceiver-graph run build/language "Once upon a time" --generate 200',
        """dims: {length: {min: 512, max: 4096}}
inputs:
  text:
    shape: {place: length}
    steps: [{embedding: {vocabulary: 262, width: 512}}]
    position: {learned: {}, combine: add}
    media: {text: {}}
latents: {of: text, last: 512}
encode: {heads: 8, causal: true}
process: {layers: 8, heads: 8, causal: true}
outputs:
  next: {query: latents, head: {tied_embedding: text}}""",
    ),
    Entry(
        "PG519",
        "scores are not finite",
        "A model that writes gave NaN or infinite scores for the next token, so none can be drawn. The "
        "weights are damaged, or numbers overflow in the precision that it is compiled for.",
        '$ perceiver-graph run build/writer_fp16 "Once upon a time" --generate 200',
        '$ perceiver-graph run build/writer "Once upon a time" --generate 200',
    ),
    Entry(
        "PG520",
        "inputs of a batch",
        "`batch` takes files, folders of them, patterns and tables. A pattern matches nothing, a folder "
        "has no file of a kind that the model reads, a row of a table does not fit the inputs of the "
        "model, or the results of two files would go to one folder: those of a file are called as the "
        "file, and below a folder or a pattern that was named, as the path there. A model that reads "
        "several files at a time takes a table, whose columns are its inputs; inputs that are arrays come "
        "from `.npz` files, or from columns that name `.npy` files or have lists of numbers.",
        "$ perceiver-graph batch build/kinetics monday/a.mp4 tuesday/a.mp4",
        "$ perceiver-graph batch build/kinetics '*day/*.mp4'",
    ),
    Entry(
        "PG521",
        "inputs of a batch failed",
        "Some files of a batch could not be run on; all others were. The notes say why, with the codes "
        "that `run` would give; `batch.jsonl` in the folder of the results has a line for each. The same "
        "command does what is missing, once the files are mended or left out.",
        "$ perceiver-graph batch build/kinetics good.mp4 cut.mp4 -o out",
        "$ perceiver-graph batch build/kinetics good.mp4 -o out",
    ),
    Entry(
        "PG522",
        "worker process ended",
        "A process that ran on files of a batch has ended without an answer, mostly because memory ran "
        "out. What it had in hand was given to others; a file with which two have ended in succession is "
        "left out, and so is the batch where processes end before they have begun. Fewer workers take "
        "less memory.",
        "$ perceiver-graph batch build/kinetics clips --workers 64",
        "$ perceiver-graph batch build/kinetics clips --workers 8",
    ),
    Entry(
        "PG523",
        "attention cannot be shown",
        "What latents read of the inputs, and outputs of the latents, is computed by programs that "
        "`compile --attention` writes beside the others: optimised programs have no scores as the paper "
        "has them, and artifacts no weights to make them of. They are in fp32, and of models in which "
        "one set of latents reads all inputs; a model whose latents read nothing, and whose outputs do "
        "not read them, has nothing to show.",
        "$ perceiver-graph compile imagenet_conv --precision int8 --attention -o build/imagenet",
        "$ perceiver-graph compile imagenet_conv --attention -o build/imagenet",
    ),
    Entry(
        "PG530",
        "port cannot be listened on",
        "`serve` could not open a port: another program has it, this machine has no such address, or "
        "ports below 1024 are reserved. `--port 0` takes any that is free and says which.",
        "$ perceiver-graph serve build/kinetics --port 80",
        "$ perceiver-graph serve build/kinetics --port 8080",
    ),
    Entry(
        "PG531",
        "request is not one of the protocol",
        "A request to `serve` is not as the Open Inference Protocol v2 has it: no JSON, no `inputs`, an "
        "unknown type, or data of another number or type than its own shape and `datatype` say. What "
        "is of the protocol but does not fit the model has the codes that `run` would give. The "
        "answer is 400.",
        '$ curl localhost:8000/v2/models/digits/infer -d \'{"inputs": [{"name": "image", "datatype": '
        '"FP32", "shape": [1, 8, 8, 1], "data": [0.5]}]}\'',
        '$ curl localhost:8000/v2/models/digits/infer -d \'{"inputs": [{"name": "pixel", "datatype": '
        '"FP32", "shape": [1, 1], "data": [0.5]}]}\'',
    ),
    Entry(
        "PG532",
        "model is not served",
        "A request names a model that `serve` was not given. Models have the names of their specs, or "
        "those of `NAME=ARTIFACT`; `/v2/models` lists them. The answer is 404.",
        "$ curl localhost:8000/v2/models/kinetic",
        "$ curl localhost:8000/v2/models/kinetics",
    ),
    Entry(
        "PG533",
        "limit of the server",
        "`serve` answers a request that is larger than `--max-request-bytes` with 413, one for which "
        "there is no answer within `--timeout` with 504, and one that comes while `--queue` others are "
        "inside with 503, after which a client tries again later.",
        "$ perceiver-graph serve build/kinetics --max-request-bytes 1MB",
        "$ perceiver-graph serve build/kinetics --max-request-bytes 64MiB",
    ),
    Entry(
        "PG534",
        "state is not there",
        "NAME.decode was asked of a state that the server does not have: it was not used for "
        "`--state-seconds`, more than `--states` others came after it, the server was started anew, or it "
        "belongs to another model. Encode again; the answer has another handle.",
        "$ perceiver-graph serve build/kinetics --states 1     # two clients, one state",
        "$ perceiver-graph serve build/kinetics --states 100",
    ),
)
