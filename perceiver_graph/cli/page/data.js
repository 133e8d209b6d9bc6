"use strict";
// What the page knows: the boxes of each graph by number, and which arrays go between some of them.

/** A graph as written by `level.py`, with what is asked of it often worked out. */
function readLevel(raw, number) {
  const level = { number, name: `-O${raw.level}`, boxes: [], ids: new Map(), weights: raw.weights };
  const add = (told, parent) => {
    const box = { reads: [], weights: [], kind: "op", label: "", ...told, parent, level };
    box.number = level.boxes.length;
    box.path = parent.id ? `${parent.path} / ${box.label}` : box.label;
    level.boxes.push(box);
    level.ids.set(box.id, box);
    box.inside = (told.inside || []).map((inner) => add(inner, box));
    box.last = level.boxes.length - 1; // the boxes inside are numbered up to here
    return box;
  };
  const root = { id: "", path: "", label: "", kind: "root", reads: [], number: -1, level };
  root.inside = raw.boxes.map((told) => add(told, root));
  root.last = level.boxes.length - 1;
  level.root = root;
  level.readers = level.boxes.map(() => []);
  level.users = level.weights.map(() => []);
  for (const box of level.boxes) {
    for (const source of box.reads) level.readers[source].push(box.number);
    for (const weight of box.weights) level.users[weight].push(box);
  }
  level.most = level.boxes.reduce((most, box) => Math.max(most, box.bytes || 0), 1);
  level.total = {
    flops: raw.flops,
    memory: Math.max(1, ...root.inside.map((box) => box.memory || 0)),
    parameters: root.inside.reduce((sum, box) => sum + (box.parameters || 0) * many(box), 0),
  };
  level.peak = raw.memory;
  return level;
}

/** How many boxes one stands for, as far as each has parameters of its own. */
function many(box) {
  return box.sets || 1;
}

function isWithin(box, outer) {
  return box.number >= outer.number && box.number <= outer.last;
}

/** Whether anything is inside: of an operation, an input or an output there is not. */
function opens(box) {
  return box.inside.length > 0;
}

/** The boxes of the picture of a whole model: groups are opened, blocks are not. What depends on sizes
 * alone, as positions do, is left out of it. */
function pictured(level) {
  if (level.pictured) return level.pictured;
  const found = [];
  for (const box of level.root.inside) {
    const isList = box.kind === "group" && !box.inside.every((inner) => inner.kind === "op");
    if (isList || (box.kind === "group" && box.inside.length === 1)) found.push(...box.inside);
    else if (!box.minor) found.push(box);
  }
  level.pictured = useful(level, found.filter((box) => !box.table));
  return level.pictured;
}

/** Whether an edge is part of the flow of data: positions are not, and neither is what a block that runs
 * has worked out of weights beforehand. */
function carries(edge) {
  edge.arrays = edge.arrays.filter((array) => !array.table && (!array.once || edge.from.once));
  return edge.arrays.length > 0;
}

/** Those of some boxes from which data flow to an output, or all where nothing does. */
function useful(level, boxes) {
  const edges = flow(level, boxes).edges.filter(carries);
  const kept = new Set(boxes.filter((box) => box.kind === "output"));
  if (!kept.size) return boxes;
  const sources = new Map(boxes.map((box) => [box, []]));
  for (const edge of edges) sources.get(edge.to).push(edge.from);
  const open = [...kept];
  while (open.length) {
    for (const source of sources.get(open.pop())) {
      if (!kept.has(source)) open.push(source);
      kept.add(source);
    }
  }
  return boxes.filter((box) => kept.has(box));
}

/**
 * The arrays between some boxes, none of which is inside another, and from and to what is around them.
 * An edge is `{from, to, arrays}`; `outer` edges have another box at one end, `loops` are the boxes of
 * which one of those that they stand for reads another.
 */
function flow(level, boxes) {
  const owner = new Map();
  for (const box of boxes) for (let n = box.number; n <= box.last; n++) owner.set(n, box);
  const between = new Map(), outer = new Map(), loops = new Set();
  const add = (edges, from, to, array) => {
    const key = `${from.number}>${to.number}`;
    if (!edges.has(key)) edges.set(key, { from, to, arrays: [] });
    const { arrays } = edges.get(key);
    if (!arrays.includes(array)) arrays.push(array);
  };
  for (const [number, to] of owner) {
    for (const source of level.boxes[number].reads) {
      const from = owner.get(source), array = level.boxes[source];
      if (!from) add(outer, neighbour(array, to), to, array);
      else if (from !== to) add(between, from, to, array);
      else if (source >= number) loops.add(to);
    }
    for (const reader of level.readers[number]) {
      const from = owner.get(number);
      if (!owner.has(reader)) add(outer, from, neighbour(level.boxes[reader], from), level.boxes[number]);
    }
  }
  return { edges: [...between.values()], outer: [...outer.values()], loops };
}

/** What a box from elsewhere is called beside another: the outermost block around it that is no group
 * and that does not hold the other. */
function neighbour(far, near) {
  let found = far;
  for (let box = far; box.parent && !isWithin(near, box); box = box.parent) {
    if (box.number >= 0 && box.kind !== "group") found = box;
  }
  return found;
}

/** The boxes around one, outermost first, itself included. */
function trail(box) {
  const found = [];
  for (let one = box; one && one.number >= 0; one = one.parent) found.unshift(one);
  return found;
}

/** Those that read a weight that is also read inside a box, outside of it. */
function sharers(box) {
  const found = new Set();
  for (let n = box.number; n <= box.last; n++) {
    for (const weight of box.level.boxes[n].weights) {
      for (const user of box.level.users[weight]) {
        if (!isWithin(user, box)) found.add(neighbour(user, box));
      }
    }
  }
  return [...found];
}

const PREFIXES = ["", "k", "M", "G", "T", "P"];
const UNITS = ["bytes", "kB", "MB", "GB", "TB"];

/** Three digits and the unit; each unit is a thousand of the one before. */
function scaled(number, units = PREFIXES) {
  let index = 0;
  while (number >= 999.5 && index < units.length - 1) [number, index] = [number / 1000, index + 1];
  const digits = number >= 99.5 ? number.toFixed(0) : String(Number(number.toPrecision(3)));
  return `${digits} ${units[index]}`.trim();
}

function grouped(number) {
  return String(number).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

/** `52,097 \u00d7 704`: what stands in a picture for a shape. The first `less` sizes are left out. */
function sizes(box, less = 0) {
  if (!box.shape) return box.dtype || "";
  const told = box.shape.map((size) => (typeof size === "number" ? grouped(size) : size)).slice(less);
  return (less ? ["\u2026", ...told] : told).join(" \u00d7 ");
}

/** What a box costs, in words: `29.8 G FLOPs`. */
function cost(box, measure) {
  const value = box[measure] || 0;
  if (!value) return "";
  if (measure === "memory") return scaled(value, UNITS);
  if (measure === "flops") return `${scaled(value)} FLOPs`;
  const all = value * many(box);
  return `${all >= 1e4 ? scaled(all) : grouped(all)} parameters`;
}

/** The part that a box has of the whole, from 0 to 1. */
function share(box, measure, total) {
  const value = (box[measure] || 0) * (measure === "parameters" ? many(box) : 1);
  return total[measure] ? Math.min(1, value / total[measure]) : 0;
}

function percent(part) {
  if (part >= 0.995) return "100 %";
  return part < 0.01 ? "< 1 %" : `${Math.round(100 * part)} %`;
}
