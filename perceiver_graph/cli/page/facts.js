"use strict";
// What is told beside a picture: of the block that is open, and of the lines of the spec.

/** The way from the model to a box, each step of which opens. */
function crumbs(model, box, act) {
  const steps = trail(box);
  const step = (one, isLast) => (isLast ? make("b", { "aria-current": "true" }, one.label)
    : make("button", { type: "button", click: () => act(one) }, one.label));
  return make("nav", { class: "crumbs", "aria-label": "Where this is" }, make("span", {}, model),
    steps.flatMap((one, place) => [" / ", step(one, place === steps.length - 1)]));
}

/** A list of what is known of a box. */
function facts(box, total, act) {
  const rows = [];
  const add = (term, ...told) => rows.push(make("div", {}, make("dt", {}, term), make("dd", {}, ...told)));
  if (box.shape) add(box.kind === "input" || box.kind === "parameter" ? "array" : "gives", named(box));
  for (const measure of ["flops", "memory", "parameters"]) {
    const part = share(box, measure, total), price = cost(box, measure);
    if (!price) continue;
    const word = { flops: "FLOPs", memory: "memory at once", parameters: "parameters" }[measure];
    const value = price.replace(/ (FLOPs|parameters)$/, "");
    add(word, make("b", {}, value), measure === "memory" ? "" : `, ${percent(part)} of all`);
  }
  if (box.times) add("stands for", `${box.times} alike${box.parameters ? `, ${weightsOf(box)}` : ""}`);
  if (box.once) add("computed", "once, before any run");
  if (box.weights.length) add("weights", box.weights.map((n) => weight(box.level, n)).join("; "));
  const shared = sharers(box);
  if (shared.length) add("shared weights", "the same as in ", links(shared, act));
  if (!opens(box)) {
    const near = (numbers) => [...new Set(numbers.map((n) => box.level.boxes[n]))];
    const reads = near(box.reads), readers = near(box.level.readers[box.number] || []);
    if (reads.length) add("reads", links(reads, act));
    if (readers.length) add("read by", links(readers, act));
  }
  return make("dl", { class: "facts" }, rows);
}

/** The sizes of an array, with the names of its axes where they have some. */
function named(box) {
  const dtype = box.dtype ? `, ${box.dtype}` : "", text = sizes(box);
  if (!box.axes || !box.shape || box.axes.length !== box.shape.length) return text + dtype;
  return box.shape.map((size, axis) => `${box.axes[axis]} ${typeof size === "number" ? grouped(size) : size}`)
    .join(" \u00d7 ") + dtype;
}

function weightsOf(box) {
  if (box.sets === 1) return "the same weights in each";
  return box.sets === box.times ? "each with weights of its own" : `${box.sets} sets of weights among them`;
}

function weight(level, number) {
  const { name, shape } = level.weights[number], others = level.users[number].length;
  return `${name} (${shape.join(" \u00d7 ")}${others > 1 ? `, read ${others} times` : ""})`;
}

function links(boxes, act) {
  const most = 12, found = boxes.slice(0, most).flatMap((box, place) => [
    place ? ", " : "", make("button", { type: "button", class: "link", click: () => act(box) }, box.path),
  ]);
  return boxes.length > most ? [...found, ` and ${boxes.length - most} more`] : found;
}

/** The spec, line by line; a line that blocks came from is a button that shows the first of them. */
function specLines(spec, levels, act) {
  const found = new Map();
  for (const level of levels) {
    for (const box of level.boxes) {
      if (!box.line) continue;
      if (!found.has(box.line[0])) found.set(box.line[0], new Map());
      const here = found.get(box.line[0]);
      if (!here.has(box.id)) here.set(box.id, box);
    }
  }
  return spec.lines.map((text, index) => {
    const boxes = found.has(index + 1) && [...found.get(index + 1).values()];
    const [, code, comment] = /^(.*?)(\s#.*|#.*)?$/.exec(text);
    const words = [make("span", {}, code), comment ? make("i", {}, comment) : ""];
    if (!boxes) return make("li", {}, make("code", {}, words));
    return make("li", {}, make("button", {
      type: "button", tabindex: -1, title: `${boxes.length} of the graph from here: ${boxes[0].path}`, click: () => act(boxes),
    }, make("code", {}, words)));
  });
}

/** The numbers of the lines that a box came from: from its key to the end of what belongs to it. */
function linesOf(box, lines) {
  if (!box.line) return box.inside ? box.inside.flatMap((inner) => linesOf(inner, lines)) : [];
  const [first, column] = box.line, found = [first];
  for (let n = first + 1; n <= lines.length; n++) {
    const text = lines[n - 1];
    if (text.trim() && text.search(/\S/) < column) break;
    found.push(n);
  }
  while (found.length > 1 && !lines[found[found.length - 1] - 1].trim()) found.pop();
  return found;
}
