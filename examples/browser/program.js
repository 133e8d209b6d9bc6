// Runs what `perceiver-graph compile --target onnx-standard` has written, in a browser or in node, on
// onnxruntime-web: encode and then decode, as manifest.json says what goes into them and comes out.
//
//   const program = await PerceiverProgram.load(ort, name => bytes of a file of the artifact);
//   const {label} = await program.run({text: new ort.Tensor("int64", ids, [1, ids.length])});
//
// Inputs that may be left out, masks and queries are filled in. What no array tells is given beside them:
// `run(inputs, {frames: 16})`. Texts are not written, nor is anything read from files.

const CONSTANTS = "constants.safetensors";
const ARRAYS = {float32: Float32Array, int64: BigInt64Array, bool: Uint8Array};

class PerceiverProgram {
  static async load(ort, read) {
    const manifest = JSON.parse(new TextDecoder().decode(await read("manifest.json")));
    const externalData = [{path: CONSTANTS, data: await read(CONSTANTS)}];
    const sessions = {};
    for (const name of ["encode", "decode"]) {
      const program = await read(manifest.programs[name].file);
      sessions[name] = await ort.InferenceSession.create(program, {externalData});
    }
    return new PerceiverProgram(ort, manifest, sessions);
  }

  constructor(ort, manifest, sessions) {
    Object.assign(this, {ort, manifest, sessions});
  }

  // Tensors by the names of the inputs, masks as `NAME.attention_mask`; tensors by the names of the outputs.
  async run(inputs, sizes = {}) {
    sizes = {batch: 1, ...this.sizes(inputs), ...sizes};
    let found = {};
    const named = {};  // an output is called otherwise inside where an input has its name
    for (const [name, session] of Object.entries(this.sessions)) {
      const feeds = {};
      for (const port of this.manifest.programs[name].inputs)
        feeds[port.name] = found[port.name] ?? this.given(port, inputs, sizes);
      const {outputs} = this.manifest.programs[name];
      for (const port of outputs) named[port.of] = port.name;
      found = outputs.length ? {...found, ...await session.run(feeds)} : found;
    }
    const results = {};
    for (const [name, {dtype, shape}] of Object.entries(this.manifest.outputs))
      results[name] = new this.ort.Tensor(dtype, found[named[name]].data, this.known(shape, sizes));
    return results;
  }

  // What the shapes of arrays say of the sizes that the spec leaves open.
  sizes(inputs) {
    const found = {};
    for (const [name, {shape}] of Object.entries(this.manifest.inputs))
      shape.forEach((size, axis) => {
        if (typeof size === "string" && inputs[name]) found[size] = inputs[name].dims[axis];
      });
    return found;
  }

  // What goes into a program where no other program has left it.
  given(port, inputs, sizes) {
    switch (port.role) {
      case "data":
        return inputs[port.of] ?? this.filled(port, sizes, 0);
      case "points":
        return inputs[port.name];
      case "attention_mask":
        return inputs[port.name] ?? this.filled(port, sizes, 1);
      case "present":
        return this.filled(port, sizes, port.of in inputs ? 1 : 0);
      case "size":
        return this.integers([this.known([port.of], sizes)[0]]);
      case "queries":
        return this.integers([...Array(this.queries(port.of, sizes)).keys()]);
    }
    throw new Error(`${port.name} is of a role that is not known here: ${port.role}`);
  }

  // How many queries an output has: all of them are asked.
  queries(output, sizes) {
    const {queries, places, shape} = this.manifest.outputs[output];
    return queries ?? this.known(shape.slice(1 + (places ?? 0), -1), sizes).reduce((a, b) => a * b, 1);
  }

  filled({dtype, shape}, sizes, number) {
    const dims = this.known(shape, sizes);
    const data = new ARRAYS[dtype](dims.reduce((a, b) => a * b, 1));
    return new this.ort.Tensor(dtype, data.fill(dtype === "int64" ? BigInt(number) : number), dims);
  }

  integers(numbers) {
    return new this.ort.Tensor("int64", BigInt64Array.from(numbers.map(BigInt)), [numbers.length]);
  }

  known(shape, sizes) {
    return shape.map(size => {
      const found = typeof size === "number" ? size : sizes[size];
      if (found === undefined) throw new Error(`the size ${size} is not known: run(inputs, {"${size}": ...})`);
      return found;
    });
  }
}

globalThis.PerceiverProgram = PerceiverProgram;
