// Runs cases on onnxruntime-web in node: `node engine.mjs ENGINE RUNNER CASES`. Each folder of CASES has the
// artifact and case.json, with the arrays that its programs and the whole are given; result.json has what
// comes out, or why nothing did.
import {existsSync, readFileSync, readdirSync, writeFileSync} from "node:fs";
import {createRequire} from "node:module";
import {join} from "node:path";
import {pathToFileURL} from "node:url";

const [engine, runner, cases] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const ort = require(join(engine, "ort.wasm.min.js"));
require(runner);
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmBinary = readFileSync(join(engine, "ort-wasm-simd-threaded.wasm"));
ort.env.wasm.wasmPaths = {mjs: pathToFileURL(join(engine, "ort-wasm-simd-threaded.mjs")).href};

const KINDS = {float32: Float32Array, int64: BigInt64Array, bool: Uint8Array};
const each = (object, change) =>
  Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value)]));

function read({dtype, dims, data}) {
  const bytes = new Uint8Array(Buffer.from(data, "base64"));
  return new ort.Tensor(dtype, new KINDS[dtype](bytes.buffer, 0), dims);
}

function written({type, dims, data}) {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return {dtype: type, dims, data: bytes.toString("base64")};
}

async function results(folder) {
  const {runs, call} = JSON.parse(readFileSync(join(folder, "case.json")));
  const file = async name => new Uint8Array(readFileSync(join(folder, "artifact", name)));
  const program = await PerceiverProgram.load(ort, file);
  const found = [];
  for (const {name, inputs} of runs)
    found.push(each(await program.sessions[name].run(each(inputs, read)), written));
  const whole = call && each(await program.run(each(call.inputs, read), call.sizes), written);
  return {runs: found, call: whole};
}

for (const name of readdirSync(cases)) {
  const folder = join(cases, name);
  if (!existsSync(join(folder, "case.json"))) continue;
  const found = await results(folder).catch(error => ({error: String(error.stack)}));
  writeFileSync(join(folder, "result.json"), JSON.stringify(found));
}
