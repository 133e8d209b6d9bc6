"use strict";
// The page: what is chosen, and the pictures of it.

const data = JSON.parse(document.getElementById("data").textContent);
const levels = data.levels.map(readLevel);
const total = levels[0].total;
const state = { shown: [levels[0]], measure: "flops", id: "" };
const byId = (id) => document.getElementById(id);

/** The box of this name in a graph, or the nearest block around it that there is; null for none. */
function boxIn(level, id) {
  for (let name = id; name; name = name.slice(0, Math.max(0, name.lastIndexOf("/")))) {
    const found = level.ids.get(name);
    if (found && (name === id || found.kind === "block")) return found;
  }
  return null;
}

/** The block whose inside is shown: a box itself, or the one around an operation. */
function viewOf(box) {
  const view = opens(box) ? box : box.parent;
  return view.number >= 0 && view.kind !== "group" ? view : opens(box) ? box : null;
}

function choose(box, { focus = false } = {}) {
  state.id = box.id;
  const hash = `#${encodeURIComponent(box.id)}`;
  if (location.hash !== hash) history.pushState(null, "", hash);
  showChoice();
  if (focus) focusOn(box);
}

/** Moves the keyboard to the first box inside one, or to the box itself where it does not open. */
function focusOn(box) {
  const inside = byId("inside"), id = opens(box) ? box.inside[0].id : box.id;
  const target = inside.querySelector(`.box[data-id="${CSS.escape(id)}"]`)
    || byId("pictures").querySelector(`.box[data-id="${CSS.escape(id)}"]`);
  (target || inside).focus();
}

function showPictures() {
  const figures = state.shown.map((level) => {
    const { flops } = level.total, saved = total.flops ? 1 - flops / total.flops : 0;
    const what = level.number ? "after the passes" : "as the spec says";
    const change = level.number && saved > 0 ? `, ${percent(saved)} fewer` : "";
    const title = state.shown.length > 1 || level.number ? `${level.name}, ${what}: ` : "";
    const svg = modelPicture(level, state.measure, total, choose);
    return make("figure", { class: "picture" },
      make("figcaption", {}, title && make("b", {}, title),
        `${scaled(flops)} FLOPs a run${change}; at most ${scaled(level.peak, UNITS)} in use at once`,
        svg.querySelector(".mark") ? "; boxes with one letter share weights" : ""),
      make("div", { class: "scroll" }, svg));
  });
  byId("pictures").replaceChildren(...figures);
}

function showChoice() {
  const parts = state.shown.map((level) => {
    const box = boxIn(level, state.id);
    if (!box) {
      return make("div", { class: "one" }, make("p", { class: "none" }, `${level.name}: nothing is left of it`));
    }
    return tell(box, level);
  });
  const inside = byId("inside");
  inside.replaceChildren(...parts);
  inside.parentElement.classList.toggle("both", parts.length > 1);
  fit();
  mark();
}

/** What is told of a box and drawn of its inside. */
function tell(box, level) {
  const view = viewOf(box);
  const what = [box.what, box.times ? `${box.times} times` : ""].filter(Boolean).join(", ");
  return make("div", { class: "one" },
    state.shown.length > 1 ? make("h3", {}, level.name) : "",
    crumbs(data.name, box, choose),
    make("h2", {}, box.label, what && box.what !== box.label ? make("span", {}, what) : ""),
    box.about ? make("p", { class: box.kind === "op" ? "says op" : "says" }, box.about) : "",
    facts(box, total, choose),
    view ? make("div", { class: "scroll" }, insidePicture(view, state.measure, total, choose)) : "");
}

/** Marks what is chosen, in the pictures and in the spec. */
function mark() {
  const ids = new Set(), lines = new Set();
  for (const level of state.shown) {
    const box = boxIn(level, state.id);
    if (!box) continue;
    for (const one of trail(box)) ids.add(one.id);
    for (const line of linesOf(box, data.spec.lines)) lines.add(line);
  }
  for (const element of document.querySelectorAll(".box")) {
    const isChosen = ids.has(element.dataset.id);
    element.classList.toggle("chosen", isChosen);
    if (element.hasAttribute("aria-expanded")) element.setAttribute("aria-expanded", String(isChosen));
  }
  [...byId("lines").children].forEach((item, index) => item.classList.toggle("lit", lines.has(index + 1)));
  const first = byId("lines").children[Math.min(...lines) - 1], list = byId("lines");
  if (first && (first.offsetTop < list.scrollTop || first.offsetTop + 40 > list.scrollTop + list.clientHeight)) {
    list.scrollTop = first.offsetTop - list.clientHeight / 3;
  }
  const box = boxIn(state.shown[0], state.id);
  if (box) byId("said").textContent = `${box.path}: ${opens(box) ? `${box.inside.length} inside` : "no parts"}`;
}

/** Scales each picture to its frame, as far as it can still be read; the rest is scrolled. */
function fit() {
  const all = [...document.querySelectorAll(".scroll > svg")];
  const rooms = all.map((svg) => svg.parentElement.clientWidth); // before any is changed
  for (const [place, svg] of all.entries()) {
    const { width, height } = svg.dataset, isWhole = svg.classList.contains("whole");
    const room = rooms[place] / width;
    const scale = Math.max(0.74, Math.min(isWhole ? 1.2 : 1, room));
    svg.setAttribute("width", Math.round(width * scale));
    svg.setAttribute("height", Math.round(height * scale));
  }
}

/** Lights the arrows of the box under the mouse or the keyboard. */
function light(event) {
  const svg = event.target.closest?.("svg");
  if (!svg) return;
  const id = event.target.closest(".box")?.dataset.id;
  for (const arrow of svg.querySelectorAll(".arrow")) {
    arrow.classList.toggle("lit", id !== undefined && (arrow.dataset.from === id || arrow.dataset.to === id));
  }
}

function keys(event) {
  const element = event.target.closest?.(".box");
  if (element && (event.key === "Enter" || event.key === " ")) {
    event.preventDefault();
    const figures = [...document.querySelectorAll(".picture, .one")];
    const place = figures.findIndex((figure) => figure.contains(element)) % state.shown.length;
    const box = state.shown[place].ids.get(element.dataset.id);
    if (box) choose(box, { focus: true });
  } else if (event.key === "Escape") {
    const box = boxIn(state.shown[0], state.id), view = box && viewOf(box);
    if (!view || !byId("inside").contains(event.target)) return;
    const back = byId("pictures").querySelector(`.box[data-id="${CSS.escape(view.id)}"]`);
    if (back) back.focus();
    else choose(view.parent);
    if (!back) byId("inside").querySelector(`.box[data-id="${CSS.escape(view.id)}"]`)?.focus();
  }
}

/** One stop of Tab for all lines of the spec; arrows lead from line to line. */
function walkLines() {
  const buttons = [...byId("lines").querySelectorAll("button")];
  if (buttons.length) buttons[0].tabIndex = 0;
  byId("lines").addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const next = buttons[buttons.indexOf(document.activeElement) + step];
    if (!step) return;
    event.preventDefault();
    if (!next) return;
    for (const button of buttons) button.tabIndex = button === next ? 0 : -1;
    next.focus();
  });
}

/** A line of the spec shows the first block that came from it, then the next. */
function chooseLine(boxes) {
  const blocks = boxes.filter((box) => box.kind !== "op" && trail(box).length < 3);
  const all = blocks.length ? blocks : boxes, here = all.findIndex((box) => box.id === state.id);
  choose(all[(here + 1) % all.length]);
}

function fromAddress() {
  const id = decodeURIComponent(location.hash.slice(1));
  const boxes = pictured(levels[0]).filter(opens);
  const costliest = boxes.reduce((a, b) => ((b.flops || 0) > (a.flops || 0) ? b : a), boxes[0]);
  state.id = (levels.some((level) => level.ids.has(id)) && id) || costliest?.id || levels[0].boxes[0].id;
  showChoice();
}

function start() {
  for (const radio of document.querySelectorAll("input[name=measure], input[name=level]")) {
    radio.addEventListener("change", () => {
      if (radio.name === "measure") state.measure = radio.value;
      else state.shown = radio.value === "both" ? levels : [levels[Number(radio.value)]];
      showPictures();
      showChoice();
    });
  }
  byId("lines").replaceChildren(...specLines(data.spec, levels, chooseLine));
  walkLines();
  searchField(() => state.shown[0], choose);
  document.addEventListener("keydown", keys);
  document.addEventListener("mouseover", light);
  document.addEventListener("focusin", light);
  window.addEventListener("resize", fit);
  window.addEventListener("popstate", fromAddress);
  window.addEventListener("hashchange", fromAddress);
  showPictures();
  fromAddress();
  document.documentElement.dataset.ready = "true";
  performance.mark("ready");
}

start();
