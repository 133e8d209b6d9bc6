"use strict";
// One picture: boxes in columns, arrows whose width is what they carry, and a way through it by keyboard.

const WIDE = { gap: 22, arrow: 22, row: 22, bend: 6, over: 30, back: 26 };
const DENSE = { gap: 20, arrow: 22, row: 14, bend: 6, over: 26, back: 22 };
const MOST_BOXES = 600;

/** The picture of a whole model: latents and queries stand over what they read with. */
function modelPicture(level, measure, total, act) {
  const boxes = pictured(level).slice(0, MOST_BOXES * 4);
  const found = flow(level, boxes), edges = found.edges.filter(carries), { loops } = found;
  const nodes = new Map(boxes.map((box) => [box, {
    box, ...measureBox(box, measure, total),
    rank: box.kind === "input" ? "first" : box.kind === "output" ? "last" : "",
  }]));
  for (const box of boxes) {
    const isAsked = box.kind === "parameter" || stage(box) === "queries";
    const reader = isAsked && edges.find((edge) => edge.from === box);
    const isRead = edges.some((edge) => edge.to === box && edge.from.kind !== "input");
    if (reader && (!isRead || stage(box) === "queries")) nodes.get(box).above = nodes.get(reader.to);
  }
  markShared(level, boxes, nodes);
  return paint({ level, nodes, edges, loops, measure, total, act, space: WIDE,
    label: `${level.name}: the whole model, ${boxes.length} boxes` });
}

/** The picture of what is inside a block, with what it reads at the left and what reads it at the right. */
function insidePicture(box, measure, total, act) {
  const { level } = box, boxes = box.inside.slice(0, MOST_BOXES);
  const { edges, outer, loops } = flow(level, boxes);
  const nodes = new Map(boxes.map((one) => [one, { box: one, ...measureBox(one, measure, total) }]));
  const ports = new Map();
  const port = (far, side) => {
    const key = `${side} ${far.id}`;
    if (!ports.has(key)) {
      const text = far.number >= 0 ? far.path.replaceAll(" / ", "/") : "";
      ports.set(key, { port: far, side, text, width: Math.min(150, widthOf(text, SMALL) + 18), height: 24,
        rank: side === "to" ? "last" : "" });
    }
    return ports.get(key);
  };
  const all = edges.map((edge) => ({ ...edge, from: nodes.get(edge.from), to: nodes.get(edge.to) }));
  for (const edge of outer) {
    if (nodes.has(edge.to)) all.push({ ...edge, from: port(edge.from, "from"), to: nodes.get(edge.to) });
    else all.push({ ...edge, from: nodes.get(edge.from), to: port(edge.to, "to") });
  }
  markShared(level, boxes, nodes);
  return paint({ level, nodes, edges, all, ports: [...ports.values()], loops, measure, total, act, space: DENSE,
    label: `${level.name}: inside ${box.path}, ${boxes.length} boxes` });
}

/** Gives each set of boxes that have weights in common a letter. */
function markShared(level, boxes, nodes) {
  let letter = 0;
  for (const box of boxes) {
    if (nodes.get(box).mark || !box.parameters) continue;
    const others = sharers(box).filter((other) => nodes.has(other));
    if (!others.length) continue;
    const name = String.fromCharCode(65 + (letter++ % 26));
    for (const one of [box, ...others]) nodes.get(one).mark = name;
  }
}

function paint({ level, nodes, edges, all, ports = [], loops, measure, total, act, space, label }) {
  const placed = [...nodes.values(), ...ports];
  const arrows = all || edges.map((edge) => ({ ...edge, from: nodes.get(edge.from), to: nodes.get(edge.to) }));
  const leaving = new Map();
  for (const arrow of arrows) leaving.set(arrow.from, [...(leaving.get(arrow.from) || []), arrow]);
  for (const arrow of arrows) writeOn(arrow, leaving.get(arrow.from));
  const { width, height, columns } = layOut(placed, arrows, space);
  spread(arrows);
  const margin = 14, head = all ? 0 : 22;
  const svg = draw("svg", {
    role: "group", "aria-label": label, class: all ? "inner" : "whole",
    viewBox: `${-margin} ${-margin - head} ${width + 2 * margin} ${height + 2 * margin + head}`,
    "data-width": width + 2 * margin, "data-height": height + 2 * margin + head,
  });
  if (!all) svg.append(captions(columns, head));
  svg.append(draw("g", { class: "arrows" }, arrows.map((arrow) => drawArrow(arrow, level))));
  svg.append(draw("g", { class: "ports" }, ports.map((node) => drawPort(node, act))));
  svg.append(draw("g", { class: "boxes" }, [...nodes.values()].map((node) => drawBox(node, measure, total, act))));
  svg.append(draw("g", { class: "sizes" }, arrows.map((arrow) => arrow.text && drawSize(arrow)).filter(Boolean)));
  for (const box of loops) svg.querySelector(`[data-id="${CSS.escape(box.id)}"]`)?.classList.add("loop");
  walkable(svg, placed.filter((node) => node.box));
  return svg;
}

/** What is written on an arrow, of those that leave one box: the shape of the largest array, where the
 * box at neither end says it. */
function writeOn(arrow, leaving) {
  const { from, to, arrays } = arrow;
  const largest = arrays.reduce((a, b) => ((b.bytes || 0) > (a.bytes || 0) ? b : a));
  arrow.bytes = arrays.reduce((sum, array) => sum + (array.bytes || 0), 0);
  arrow.array = largest;
  const ends = [from.box, to.box].filter(Boolean);
  const isTold = ends.some((box) => ["input", "parameter", "output"].includes(box.kind));
  const same = leaving.filter((other) => other.array === largest);
  if (isTold || (same.length > 2 && same[0] !== arrow)) return;
  arrow.text = sizesWithin(largest, MOST_SIZES - 20) + (arrays.length > 1 ? ` + ${arrays.length - 1} more` : "");
  arrow.label = widthOf(arrow.text, SMALL);
  arrow.atStart = leaving.length === 1;
}

/** Lets the arrows that end at one box end side by side. */
function spread(arrows) {
  const into = new Map();
  for (const arrow of arrows) {
    if (arrow.isBack || arrow.isDown) continue;
    into.set(arrow.to, [...(into.get(arrow.to) || []), arrow]);
  }
  for (const [node, found] of into) {
    const before = (arrow) => arrow.points[arrow.points.length - 2][1];
    found.sort((a, b) => before(a) - before(b));
    const step = Math.min(14, (node.height - 12) / found.length);
    found.forEach((arrow, place) => {
      arrow.points[arrow.points.length - 1][1] += step * (place - (found.length - 1) / 2);
    });
  }
}

/** How wide an arrow is drawn: by the root of its bytes, so that a small one can still be seen. */
function thickness(arrow, level) {
  return 1.4 + 8 * Math.sqrt(Math.min(1, arrow.bytes / level.most));
}

function drawArrow(arrow, level) {
  const wide = (arrow.wide = thickness(arrow, level)), head = 5 + wide * 0.9, points = arrow.points;
  const [x, y] = points[points.length - 1];
  const down = arrow.isDown, up = arrow.isBack;
  let path = `M${points[0]}`;
  for (let i = 1; i < points.length; i++) {
    const [x0, y0] = points[i - 1];
    let [x1, y1] = points[i];
    if (i === points.length - 1) [x1, y1] = down ? [x1, y1 - head + 1] : up ? [x1, y1 + head - 1] : [x1 - head + 1, y1];
    const half = (x1 - x0) / 2;
    path += up || down || y0 === y1 ? `L${x1} ${y1}` : `C${x0 + half} ${y0} ${x1 - half} ${y1} ${x1} ${y1}`;
  }
  const side = 2.5 + wide * 0.75;
  const tip = down ? `M${x} ${y}l${-side} ${-head}h${2 * side}z`
    : up ? `M${x} ${y}l${-side} ${head}h${2 * side}z` : `M${x} ${y}l${-head} ${-side}v${2 * side}z`;
  const name = (node) => (node.box || node.port).path;
  return draw("g", {
    class: `arrow${up ? " back" : ""}`, "data-from": (arrow.from.box || arrow.from.port).id,
    "data-to": (arrow.to.box || arrow.to.port).id,
  }, draw("path", { d: path, class: "line", "stroke-width": wide.toFixed(2) }), draw("path", { d: tip, class: "tip" }),
  draw("title", {}, `${name(arrow.from)} \u2192 ${name(arrow.to)}: ${arrow.arrays.map(sizes).join(", ")}, ${scaled(arrow.bytes, UNITS)}`));
}

function drawSize(arrow) {
  const points = arrow.points, { text } = arrow;
  if (arrow.isDown) {
    const [x, y] = points[0];
    return draw("text", { x: x + 7 + arrow.wide / 2, y: (y + points[1][1]) / 2 + 3, class: "size" }, text);
  }
  if (arrow.isBack) {
    const x = (points[1][0] + points[2][0]) / 2;
    return draw("text", { x, y: points[1][1] - 5, class: "size", "text-anchor": "middle" }, text);
  }
  const [x, y] = arrow.atStart ? points[0] : points[points.length - 1];
  const over = y - 4 - arrow.wide / 2;
  const at = arrow.atStart ? { x: x + 6, y: over } : { x: x - 14, y: over, "text-anchor": "end" };
  return draw("text", { ...at, class: "size" }, text);
}

/** The names of the stages over their columns. */
function captions(columns, head) {
  const group = draw("g", { class: "captions", "aria-hidden": "true" });
  let before = "";
  for (const column of columns) {
    const [first] = column;
    if (!first) continue;
    const { box } = first;
    const name = box.kind === "input" ? "" : box.kind === "output" ? "outputs" : trail(box)[0].id.split("/")[0];
    const left = Math.min(...column.map((node) => node.x));
    if (name && name !== before) group.append(draw("text", { x: left, y: -head + 4 }, name));
    before = name;
  }
  return group;
}

function drawPort(node, act) {
  const { x, y, width, height, port, text } = node;
  return draw("g", { class: `port ${stage(port)}`, transform: `translate(${x} ${y})`, click: () => act(port) },
    draw("rect", { width, height, rx: 12 }),
    draw("text", { x: width / 2, y: 16, "text-anchor": "middle" }, cut(text, SMALL, width - 12)),
    draw("title", {}, port.path));
}

/** Makes one stop of Tab of a picture, in which the arrows lead from box to box. */
function walkable(svg, nodes) {
  const elements = new Map([...svg.querySelectorAll(".box")].map((element, i) => [nodes[i], element]));
  const show = (node) => {
    for (const element of elements.values()) element.setAttribute("tabindex", -1);
    elements.get(node)?.setAttribute("tabindex", 0);
  };
  if (nodes.length) show(nodes[0]);
  svg.addEventListener("focusin", (event) => {
    for (const [node, element] of elements) if (element === event.target) show(node);
  });
  svg.addEventListener("keydown", (event) => {
    const here = nodes.find((node) => elements.get(node) === document.activeElement);
    const way = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
    const ends = { Home: nodes[0], End: nodes[nodes.length - 1] };
    const next = here && (way ? nearest(here, nodes, way) : ends[event.key]);
    if (!way && !(event.key in ends)) return;
    event.preventDefault();
    if (next) elements.get(next).focus();
  });
}

/** The next box in a direction: near, and not far to the side. */
function nearest(here, nodes, [dx, dy]) {
  const centre = (node) => [node.x + node.width / 2, node.y + node.height / 2];
  const [x0, y0] = centre(here);
  let best = null, least = Infinity;
  for (const node of nodes) {
    const [x, y] = centre(node), ahead = (x - x0) * dx + (y - y0) * dy;
    if (node === here || ahead < 4) continue;
    const aside = Math.abs((x - x0) * dy) + Math.abs((y - y0) * dx);
    const far = ahead + 2.2 * aside;
    if (far < least) [best, least] = [node, far];
  }
  return best;
}
