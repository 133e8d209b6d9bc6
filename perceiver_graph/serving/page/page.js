"use strict";
// Tries a model: puts together what its form says as a request, and shows the answer.

const models = JSON.parse(document.getElementById("data").textContent);
const LENGTH = "Inference-Header-Content-Length";
const TYPES = { "<f2": "FP16", "<f4": "FP32", "<f8": "FP64", "|b1": "BOOL", "|u1": "UINT8", "<u2": "UINT16",
  "<u4": "UINT32", "<u8": "UINT64", "|i1": "INT8", "<i2": "INT16", "<i4": "INT32", "<i8": "INT64" };
const SHOWN = 60, BEST = 5, LARGEST = 1024;

/** An element; attributes and texts are set as what they are, never as HTML. */
function make(tag, attributes, ...inside) {
  const found = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) found.setAttribute(name, value);
  found.append(...inside);
  return found;
}

const grouped = (number) => number.toLocaleString("en");
const short = (value) => (Number.isFinite(value) ? Number(value.toPrecision(5)).toString() : String(value));

/** What a .npy file holds, as an input of a request and its bytes. */
function npy(name, buffer) {
  const bytes = new Uint8Array(buffer), view = new DataView(buffer);
  if (bytes.length < 12 || bytes[0] !== 0x93 || String.fromCharCode(...bytes.subarray(1, 6)) !== "NUMPY") {
    throw new Error(`the file for ${name} is no .npy file`);
  }
  const start = bytes[6] > 1 ? 12 : 10;
  const end = start + (bytes[6] > 1 ? view.getUint32(8, true) : view.getUint16(8, true));
  const header = new TextDecoder("latin1").decode(bytes.subarray(start, end));
  const type = /'descr':\s*'([^']*)'/.exec(header), shape = /'shape':\s*\(([^)]*)\)/.exec(header);
  if (!type || !shape || !TYPES[type[1]] || /'fortran_order':\s*True/.test(header)) {
    throw new Error(`the file for ${name} holds ${type ? type[1] : "no array"}: numbers are taken, the last axis first`);
  }
  const sizes = shape[1].split(",").filter((one) => one.trim()).map(Number);
  return { tensor: { name, datatype: TYPES[type[1]], shape: sizes }, bytes: bytes.subarray(end) };
}

/** What nested lists of JSON hold. */
function listed(input, text) {
  let data;
  try { data = JSON.parse(text); } catch (error) { throw new Error(`${input.name} is no JSON: ${error.message}`); }
  const shape = [];
  for (let inner = data; Array.isArray(inner); inner = inner[0]) shape.push(inner.length);
  return { tensor: { name: input.name, datatype: input.datatype, shape, data } };
}

/** An input of the form as what goes into a request, null where nothing is given. */
async function given(input, box) {
  const typed = box.querySelector("textarea").value, file = box.querySelector("input").files[0];
  const text = (data) => ({ tensor: { name: input.name, datatype: "BYTES", shape: [1], data: [data] } });
  let found = null;
  if (file && file.name.endsWith(".npy")) found = npy(input.name, await file.arrayBuffer());
  else if (file && input.text && !file.name.endsWith(".json")) return text((await file.text()).replace(/\r?\n$/, ""));
  else if (file) found = listed(input, await file.text());
  else if (typed && input.text) return text(typed);
  else if (typed.trim()) found = listed(input, typed);
  // An element of a batch may come without that axis.
  if (found && found.tensor.shape.length === input.shape.length - 1) found.tensor.shape.unshift(1);
  return found;
}

/** The outputs that are asked for. */
function asked(form) {
  return [...form.querySelectorAll(".choice")].filter((one) => one.querySelector("[type=checkbox]").checked).map((one) => {
    const some = one.querySelector(".queries"), parameters = some && some.value.trim() ? { queries: some.value.trim() } : {};
    return { name: one.dataset.output, parameters };
  });
}

/** A request of what the form says. */
async function typedIn(model, form) {
  const inputs = [], behind = [];
  for (const input of model.inputs) {
    const box = [...form.querySelectorAll(".input")].find((one) => one.dataset.input === input.name);
    const one = box && await given(input, box);
    if (!one) continue;
    if (one.bytes) {
      one.tensor.parameters = { binary_data_size: one.bytes.length };
      behind.push(one.bytes);
    }
    inputs.push(one.tensor);
  }
  if (!inputs.length) throw new Error("nothing is given: fill an input in, choose a file, or take random input");
  return { inputs, behind };
}

/** A request of random input, which the server makes. */
async function drawn(model) {
  const answer = await fetch(`random/${encodeURIComponent(model.name)}?seed=${Math.floor(Math.random() * 1e6)}`);
  const { json, rest } = await parts(answer);
  return { inputs: json.inputs, behind: [rest] };
}

/** The JSON of an answer and the bytes behind it. */
async function parts(answer) {
  const buffer = await answer.arrayBuffer(), length = answer.headers.get(LENGTH);
  const size = length === null ? buffer.byteLength : Number(length);
  let json;
  try { json = JSON.parse(new TextDecoder().decode(buffer.slice(0, size))); } catch { json = { error: `HTTP ${answer.status}` }; }
  if (!answer.ok || json.error) throw new Error(json.error);
  return { json, rest: buffer.slice(size) };
}

async function ask(model, form, request) {
  const outputs = asked(form);
  if (!outputs.length) throw new Error("no output is asked for");
  const { inputs, behind } = await request();
  const text = new TextEncoder().encode(JSON.stringify({ inputs, outputs, parameters: { binary_data_output: true } }));
  const began = performance.now();
  const answer = await fetch(`v2/models/${encodeURIComponent(model.name)}/infer`,
    { method: "POST", body: new Blob([text, ...behind]), headers: { [LENGTH]: String(text.length) } });
  const { json, rest } = await parts(answer);
  const took = performance.now() - began;
  let place = 0;
  const arrays = json.outputs.map((one) => {
    const size = one.parameters.binary_data_size, values = new Float32Array(rest.slice(place, place + size));
    place += size;
    return { name: one.name, shape: one.shape, values };
  });
  return { took, arrays, notes: (json.parameters || {}).notes };
}

/** An array as a picture, where it is one: height, width and one or three channels. */
function picture({ shape, values }, axes) {
  const [height, width, channels] = shape.slice(-3), wanted = axes.slice(-3);
  if (shape.length !== axes.length || wanted[0] !== "height" || wanted[1] !== "width" || ![1, 3].includes(channels)) return null;
  if (!(height * width) || Math.max(height, width) > LARGEST) return null;
  const size = height * width * channels, part = values.subarray(0, size);
  let low = Infinity, high = -Infinity;
  for (const value of part) if (Number.isFinite(value)) { low = Math.min(low, value); high = Math.max(high, value); }
  const canvas = make("canvas", { width, height, role: "img", "aria-label": "the first of them as a picture" });
  const pixels = new ImageData(width, height);
  for (let n = 0; n < height * width; n++) {
    for (let c = 0; c < 3; c++) pixels.data[4 * n + c] = 255 * (part[n * channels + (channels === 3 ? c : 0)] - low) / (high - low || 1);
    pixels.data[4 * n + 3] = 255;
  }
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas;
}

/** The classes with the greatest scores. */
function best({ values, shape }, names) {
  const row = [...values.subarray(0, shape[shape.length - 1])].map((value, place) => [value, place]);
  const rows = row.sort((a, b) => b[0] - a[0]).slice(0, BEST).map(([value, place]) =>
    make("tr", {}, make("td", {}, names && place < names.length ? names[place] : String(place)), make("td", {}, short(value))));
  return make("table", { "aria-label": "the greatest" }, make("tbody", {}, ...rows));
}

function shown(one, output) {
  const { values } = one;
  let low = Infinity, high = -Infinity, sum = 0;
  for (const value of values) { low = Math.min(low, value); high = Math.max(high, value); sum += value; }
  const told = values.length ? `, ${short(low)} to ${short(high)}, mean ${short(sum / values.length)}` : "";
  const found = [make("h4", {}, one.name, make("span", {}, ` float32 [${one.shape.join(", ")}]${told}`))];
  const drawing = picture(one, output.axes);
  if (drawing) return [...found, drawing];
  if (output.single && one.shape[one.shape.length - 1] > 1) found.push(best(one, output.names));
  const more = values.length > SHOWN ? `, and ${grouped(values.length - SHOWN)} more` : "";
  return [...found, make("pre", { tabindex: "0" }, `${[...values.subarray(0, SHOWN)].map(short).join(", ")}${more}`)];
}

async function run(form, request) {
  const model = models[Number(form.dataset.model)], said = form.querySelector(".said");
  const place = form.parentElement.querySelector(".answer"), buttons = form.querySelectorAll("button");
  if (form.getAttribute("aria-busy") === "true") return;
  form.setAttribute("aria-busy", "true");
  for (const one of buttons) one.setAttribute("aria-disabled", "true");
  said.replaceChildren(`${model.name} is at work`);
  try {
    const { took, arrays, notes } = await ask(model, form, () => request(model, form));
    const lines = notes ? [make("p", {}, notes)] : [];
    place.replaceChildren(...lines, ...arrays.flatMap((one) => shown(one, model.outputs[one.name])));
    place.hidden = false;
    said.replaceChildren(`answered in ${grouped(Math.round(took))} ms, the way there and back included`);
  } catch (error) {
    place.hidden = true;
    said.replaceChildren(make("pre", { class: "wrong" }, error.message));
  }
  for (const one of buttons) one.removeAttribute("aria-disabled");
  form.removeAttribute("aria-busy");
}

for (const form of document.querySelectorAll("form")) {
  const model = models[Number(form.dataset.model)];
  for (const input of model.inputs.filter((one) => one.text)) {
    const box = [...form.querySelectorAll(".input")].find((one) => one.dataset.input === input.name);
    if (box) box.querySelector(".what").textContent = "a text";
  }
  form.addEventListener("submit", (event) => { event.preventDefault(); run(form, typedIn); });
  form.querySelector(".random").addEventListener("click", () => run(form, drawn));
}
document.documentElement.dataset.ready = "";
