// The model of docs/browser.md: loads what `make in-browser` has made once the reader asks for it, and says of
// what is typed which language it is in. Everything comes from scripts, so that the page works from the disk.
(() => {
  const FILES = "in-browser/";
  const CLS = 4, SEP = 5, FIRST_BYTE = 6, LONGEST = 256;  // of the byte tokenizer, and of the model
  const place = document.getElementById("languages");

  const script = path => new Promise((loaded, failed) => {
    const element = document.createElement("script");
    Object.assign(element, {src: path, onload: loaded, onerror: () => failed(new Error(path))});
    document.head.append(element);
  });

  const unpacked = async name => {
    const bytes = Uint8Array.from(atob(globalThis.perceiverFiles[name]), one => one.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };

  const load = async () => {
    for (const name of ["ort.wasm.min.js", "program.js", "files.js"]) await script(FILES + name);
    const glue = new Blob([await unpacked("ort-wasm-simd-threaded.mjs")], {type: "text/javascript"});
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmBinary = await unpacked("ort-wasm-simd-threaded.wasm");
    ort.env.wasm.wasmPaths = {mjs: URL.createObjectURL(glue)};
    return PerceiverProgram.load(ort, unpacked);
  };

  const scores = async (program, text) => {
    const bytes = [...new TextEncoder().encode(text)].slice(0, LONGEST - 2);
    const ids = [CLS, ...bytes.map(byte => byte + FIRST_BYTE), SEP].map(BigInt);
    const given = new ort.Tensor("int64", BigInt64Array.from(ids), [1, ids.length]);
    return [...(await program.run({text: given})).label.data];
  };

  const shares = scores => {
    const powers = scores.map(score => Math.exp(score - Math.max(...scores)));
    return powers.map(power => power / powers.reduce((a, b) => a + b));
  };

  const show = (list, names, found) => {
    const order = [...found.keys()].sort((a, b) => found[b] - found[a]).slice(0, 5);
    list.replaceChildren(...order.map(one => {
      const row = document.createElement("li");
      const percent = `${(100 * found[one]).toFixed(1)} %`;
      row.textContent = `${names[one]}, ${percent}`;
      const colour = "color-mix(in srgb, currentColor 15%, transparent)";
      row.style.background = `linear-gradient(90deg, ${colour} ${percent.replace(" ", "")}, transparent 0)`;
      return row;
    }));
  };

  const begin = async button => {
    button.disabled = true;
    button.textContent = "loading ...";
    let program;
    try {
      program = await load();
    } catch (error) {
      button.textContent = `not loaded: ${error.message} (a site that is built by make in-browser docs has it)`;
      return;
    }
    const text = document.createElement("textarea"), list = document.createElement("ol");
    text.setAttribute("aria-label", "A text");
    text.style.cssText = "width: 100%; border: 1px solid currentColor; padding: .5em; font: inherit";
    text.value = "Hvad hedder det sprog, som denne sætning er skrevet på?";
    const {names} = program.manifest.outputs.label.media.classes;
    let waiting = Promise.resolve();  // one run at a time
    place.scores = written => (waiting = waiting.then(() => scores(program, written)));
    const tell = async () => {
      const written = text.value, found = await place.scores(written);
      if (written === text.value) show(list, names, shares(found));
    };
    text.addEventListener("input", tell);
    await tell();
    button.replaceWith(text, list);
  };

  const button = document.createElement("button");
  button.className = "md-button";
  button.textContent = "Load the model (7 MB)";
  button.addEventListener("click", () => begin(button));
  place.replaceChildren(button);
})();
