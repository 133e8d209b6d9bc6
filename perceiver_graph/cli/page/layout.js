"use strict";
// Where the boxes of a picture stand: in columns from left to right, each behind what it reads.

/**
 * Places `nodes` ({width, height, above, rank}) and `edges` ({from, to, label}: nodes, and the width of
 * what is written on it). A node with `above` stands over the one that it names; `rank` "first" and
 * "last" are the first and the last column. Nodes get x, y; edges get points and `isBack`.
 */
function layOut(nodes, edges, space) {
  const hosts = nodes.filter((node) => !node.above);
  for (const node of hosts) Object.assign(node, { over: [], before: [], after: [], column: 0 });
  for (const node of nodes) if (node.above) node.above.over.push(node);
  const host = (node) => node.above || node;
  const chains = [];
  for (const edge of edges) {
    const from = host(edge.from), to = host(edge.to);
    if (from !== to) chains.push({ edge, from, to });
  }
  markBack(hosts, chains);
  rankColumns(hosts, chains.filter((chain) => !chain.edge.isBack));
  const columns = fill(hosts, chains);
  for (let sweep = 0; sweep < 4; sweep++) order(columns, sweep % 2 === 1);
  for (let sweep = 0; sweep < 6; sweep++) settle(columns, sweep % 2 === 1, space);
  settle(columns, false, space);
  placeColumns(columns, chains, space);
  let bottom = 0;
  for (const column of columns) {
    for (const node of column) {
      if (node.isBend) continue;
      let top = node.y;
      for (const over of node.over) {
        over.x = node.x + Math.max(0, (node.width - over.width) / 2);
        over.y = top -= over.height + space.over;
      }
      bottom = Math.max(bottom, node.y + node.height);
    }
  }
  const size = { bottom, right: Math.max(...columns.flat().map((node) => node.x + node.width)) };
  for (const chain of chains) route(chain, size, space);
  for (const edge of edges) {
    if (host(edge.from) === host(edge.to)) {
      const x = edge.from.x + edge.from.width / 2;
      edge.points = [[x, edge.from.y + edge.from.height], [x, edge.to.y]];
      edge.isDown = true;
    }
  }
  return { width: size.right, height: size.bottom, columns: columns.map((c) => c.filter((n) => !n.isBend)) };
}

/** Marks the edges that lead back to where the flow has been, so that the others make no circle. */
function markBack(hosts, chains) {
  const out = new Map(hosts.map((node) => [node, []]));
  for (const chain of chains) out.get(chain.from).push(chain);
  const state = new Map();
  for (const start of hosts) {
    if (state.has(start)) continue;
    const stack = [[start, 0]];
    state.set(start, "open");
    while (stack.length) {
      const top = stack[stack.length - 1];
      const chain = out.get(top[0])[top[1]++];
      if (!chain) {
        state.set(top[0], "done");
        stack.pop();
      } else if (state.get(chain.to) === "open") {
        chain.edge.isBack = true;
      } else if (!state.has(chain.to)) {
        state.set(chain.to, "open");
        stack.push([chain.to, 0]);
      }
    }
  }
}

function rankColumns(hosts, chains) {
  const into = new Map(hosts.map((node) => [node, 0])), out = new Map(hosts.map((node) => [node, []]));
  for (const { from, to } of chains) {
    into.set(to, into.get(to) + 1);
    out.get(from).push(to);
  }
  const ready = hosts.filter((node) => !into.get(node)), done = [];
  while (ready.length) {
    const node = ready.shift();
    done.push(node);
    for (const next of out.get(node)) {
      next.column = Math.max(next.column, node.column + 1);
      into.set(next, into.get(next) - 1);
      if (!into.get(next)) ready.push(next);
    }
  }
  const readers = new Set(chains.map(({ to }) => to));
  for (const node of done.reverse()) { // what reads nothing stands right before its first reader
    const reads = readers.has(node);
    const first = Math.min(...out.get(node).map((next) => next.column));
    if (!reads && node.rank !== "first" && Number.isFinite(first)) node.column = first - 1;
  }
  const last = Math.max(0, ...hosts.map((node) => node.column));
  for (const node of hosts) if (node.rank === "last") node.column = last;
}

/** The nodes of each column, with a bend in each column that an edge passes. */
function fill(hosts, chains) {
  const columns = Array.from({ length: 1 + Math.max(0, ...hosts.map((n) => n.column)) }, () => []);
  for (const node of hosts) columns[node.column].push(node);
  for (const chain of chains) {
    chain.bends = [];
    if (chain.edge.isBack) continue;
    let before = chain.from;
    for (let column = chain.from.column + 1; column < chain.to.column; column++) {
      const bend = { isBend: true, column, width: 0, height: 8, over: [], before: [before], after: [] };
      before.after.push(bend);
      columns[column].push(bend);
      chain.bends.push(bend);
      before = bend;
    }
    before.after.push(chain.to);
    chain.to.before.push(before);
  }
  columns.forEach((column) => column.forEach((node, place) => { node.place = place; }));
  return columns;
}

/** Orders each column by where the neighbours stand, so that few edges cross. */
function order(columns, isBackwards) {
  for (const column of isBackwards ? [...columns].reverse() : columns) {
    for (const node of column) {
      const near = isBackwards ? node.after : node.before;
      node.wish = near.length ? mean(near.map((one) => one.place)) : node.place;
    }
    column.sort((a, b) => a.wish - b.wish || a.place - b.place);
    column.forEach((node, place) => { node.place = place; });
  }
}

/** Moves the nodes of each column as near to the middle of their neighbours as their order permits. */
function settle(columns, isBackwards, space) {
  for (const column of isBackwards ? [...columns].reverse() : columns) {
    let offset = 0;
    const offsets = [], wishes = [];
    for (const node of column) {
      const above = node.over.reduce((sum, over) => sum + over.height + space.over, 0);
      offset += above;
      offsets.push(offset);
      const near = isBackwards ? node.after : node.before;
      const own = node.y === undefined ? 0 : middle(node);
      const wish = near.length ? mean(near.map((one) => (one.y === undefined ? 0 : middle(one)))) : own;
      wishes.push(wish - node.height / 2 - offset);
      offset += node.height + (node.isBend ? space.bend : space.row);
    }
    const tops = rising(wishes);
    column.forEach((node, place) => { node.y = tops[place] + offsets[place]; });
  }
}

/** The rising numbers that are nearest to some numbers: neighbours that fall are levelled. */
function rising(wishes) {
  const pools = [];
  for (const wish of wishes) {
    pools.push([wish, 1]);
    while (pools.length > 1 && pools[pools.length - 2][0] > pools[pools.length - 1][0]) {
      const [value, count] = pools.pop(), before = pools[pools.length - 1];
      before[0] = (before[0] * before[1] + value * count) / (before[1] + count);
      before[1] += count;
    }
  }
  return pools.flatMap(([value, count]) => Array(count).fill(value));
}

function placeColumns(columns, chains, space) {
  const gaps = columns.map(() => space.gap);
  for (const { edge, from, to, bends } of chains) {
    if (edge.isBack) continue;
    const gap = edge.atStart ? from.column : (bends.length ? bends[bends.length - 1] : from).column;
    gaps[gap] = Math.max(gaps[gap], (edge.label || 0) + space.arrow);
  }
  const top = Math.min(...columns.flat().map((node) => node.y - overhead(node, space)));
  let x = 0;
  columns.forEach((column, index) => {
    const width = Math.max(0, ...column.map((node) => node.width));
    for (const node of column) {
      node.x = x + (width - node.width) / 2;
      node.y -= top;
      if (node.isBend) Object.assign(node, { x, width });
    }
    x += width + gaps[index];
  });
}

function overhead(node, space) {
  return node.over.reduce((sum, over) => sum + over.height + space.over, 0);
}

/** The points through which an edge goes: flat through the columns, and below all where it leads back. */
function route(chain, size, space) {
  const { edge, bends } = chain, { from, to } = edge;
  if (edge.isBack) {
    const below = (size.back = (size.back || size.bottom) + space.back);
    const x0 = from.x + from.width / 2, x1 = to.x + to.width / 2;
    edge.points = [[x0, from.y + from.height], [x0, below], [x1, below], [x1, to.y + to.height]];
    size.bottom = Math.max(size.bottom, below + 6);
    return;
  }
  const points = [[from.x + from.width, middle(from)]];
  for (const bend of bends) points.push([bend.x, middle(bend)], [bend.x + bend.width, middle(bend)]);
  points.push([to.x, middle(to)]);
  edge.points = points;
}

function middle(node) {
  return node.y + node.height / 2;
}

function mean(numbers) {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}
