"use strict";
// Elements: of HTML and of SVG. Text only ever becomes text.

const SVG = "http://www.w3.org/2000/svg";

/** An element of HTML with attributes and children; what is no element becomes text. */
function make(tag, attributes = {}, ...children) {
  return dress(document.createElement(tag), attributes, children);
}

/** The same of SVG. */
function draw(tag, attributes = {}, ...children) {
  return dress(document.createElementNS(SVG, tag), attributes, children);
}

function dress(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== "" && child !== null));
  return element;
}

const FONT = "system-ui, sans-serif";
const pen = document.createElement("canvas").getContext("2d");
const widths = new Map();

/** How wide a text is, in a font of the picture's. */
function widthOf(text, font) {
  const key = `${font} ${text}`;
  if (!widths.has(key)) {
    pen.font = `${font} ${FONT}`;
    widths.set(key, pen.measureText(text).width);
  }
  return widths.get(key);
}

/** The text, or as much of it as is not wider than that. */
function cut(text, font, width) {
  if (widthOf(text, font) <= width) return text;
  let end = Math.max(1, Math.floor((text.length * width) / widthOf(text, font)));
  while (end > 1 && widthOf(`${text.slice(0, end)}\u2026`, font) > width) end--;
  return `${text.slice(0, end)}\u2026`;
}

/** The shape of an array, or its last sizes where all of them are wider than that. */
function sizesWithin(box, width) {
  let less = 0;
  while (box.shape && less < box.shape.length - 1 && widthOf(sizes(box, less), SMALL) > width) less++;
  return sizes(box, less);
}

const TITLE = "600 13px", SMALL = "11px", MOST_SIZES = 150;
const NAMED = new Set(["inputs", "latents", "rotary", "encode", "within", "process", "bottleneck", "queries",
  "decode", "heads"]);

/** The class that colours a box: by the stage of the model that it is in. */
function stage(box) {
  if (box.kind === "input" || box.kind === "output") return box.kind;
  if (box.kind === "parameter") return "latents";
  const top = trail(box)[0].id.split("/")[0];
  return NAMED.has(top) ? top : "other";
}

/** What is written in a box: a title, what it is, and what it costs. */
function texts(box, measure) {
  if (box.kind === "input" || box.kind === "output") return [box.label, sizesWithin(box, MOST_SIZES), ""];
  const only = box.inside.length === 1 ? box.inside[0] : null;
  const times = box.times || (only && only.times);
  let what = box.kind === "parameter" ? sizesWithin(box, MOST_SIZES) : box.what;
  if (times) what = `${times} \u00d7 ${only ? only.what : box.what}`;
  if (box.kind === "group" && !what) what = `${box.inside.length} operations`;
  return [box.label, what, box.once ? "computed once" : cost(box, measure)];
}

/** How large a box is drawn: as its texts need, and wider by its part of the whole. */
function measureBox(box, measure, total) {
  const [title, what, price] = texts(box, measure);
  const text = Math.max(widthOf(title, TITLE), widthOf(what, SMALL), widthOf(price, SMALL) + (price && !box.once ? 44 : 0));
  const least = Math.min(190, Math.max(box.kind === "op" ? 64 : 92, text + 24));
  return {
    width: Math.round(least + 110 * share(box, measure, total)),
    height: price ? 62 : what ? 44 : 32,
  };
}

/** A box of a picture: for the mouse, for the keyboard and for those who hear it. */
function drawBox(node, measure, total, act) {
  const { box, x, y, width, height } = node;
  const [title, what, price] = texts(box, measure);
  const part = share(box, measure, total);
  const round = box.kind === "input" || box.kind === "output" ? height / 2 : box.kind === "op" ? 14 : 7;
  const copies = box.times || (box.inside.length === 1 && box.inside[0].times) ? [8, 4] : [];
  const card = (by) => draw("rect", { x: by, y: -by, width, height, rx: round, class: by ? "card behind" : "card" });
  const left = 13, room = width - left - 10;
  const words = (text, font, at, kind) => draw("text", { x: left, y: at, class: kind }, cut(text, font, room));
  const group = draw("g", {
    class: `box ${box.kind} ${stage(box)}${box.once ? " once" : ""}`, transform: `translate(${x} ${y})`,
    role: "button", tabindex: -1, "data-id": box.id, "aria-label": spoken(box, measure),
    "aria-expanded": opens(box) ? "false" : null, click: () => act(box),
  }, copies.map(card), card(0));
  group.append(words(title, TITLE, what ? 18 : 21, "title"));
  if (what) group.append(words(what, SMALL, 33, "what"));
  if (price) {
    group.append(words(price, SMALL, 49, "price"));
    if (part && !box.once) {
      group.append(
        draw("text", { x: width - 10, y: 49, class: "part", "text-anchor": "end" }, percent(part)),
        draw("rect", { x: left, y: 54, width: width - left - 10, height: 3, rx: 1.5, class: "track" }),
        draw("rect", { x: left, y: 54, width: Math.max(2, (width - left - 10) * part), height: 3, rx: 1.5, class: "bar" }),
      );
    }
  }
  if (node.mark) group.append(sharedMark(node.mark, width));
  group.append(draw("title", {}, spoken(box, measure)));
  return group;
}

/** Boxes with the same letter have weights in common. */
function sharedMark(letter, width) {
  return draw("g", { class: "mark", transform: `translate(${width - 9} -2)` },
    draw("circle", { r: 8 }), draw("text", { "text-anchor": "middle", y: 3.5 }, letter));
}

function spoken(box, measure) {
  const times = box.times ? `${box.times} times` : "";
  return [box.path, box.what, sizes(box), box.kind === "op" ? "" : cost(box, measure), times]
    .filter(Boolean).join(", ");
}
