"use strict";
// A deep network in columns, as text in lines: cut only where one array crosses, and ELK lays out
// each column.

const BETWEEN = 26, HEAD = 24, SIDE = 12; // pixels: between layers, above and beside what a block holds

/** What may begin a column: a part of the network, or of a stage that is open. */
function itemsOf(net) {
  const found = [];
  for (const part of net.root.inside.values()) {
    const isOpenStage = part.isBlock && isStage(part.name) && STATE.open.has(part.key);
    if (isOpenStage) for (const inner of part.inside.values()) found.push({ part: inner, stage: part });
    else found.push({ part, stage: null });
  }
  return d3.sort(found, (item) => item.part.nodes[0].index);
}

/** About where each item begins, and how wide it is: the longest way to each of its boxes. */
function estimate(net, items, edges, size) {
  const before = d3.group(edges, (edge) => edge.target), end = new Map(), rows = new Map();
  let bottom = 0;
  for (const item of items) {
    item.top = Infinity;
    item.width = 0;
    for (const part of shownInside(item.part)) {
      const [width, height] = size(part);
      const above = d3.max(before.get(part) ?? [], (edge) => (end.get(edge.source) ?? 0) + border(edge.source, part)) ?? 0;
      const y = above + BETWEEN;
      end.set(part, y + height);
      item.top = Math.min(item.top, y);
      bottom = Math.max(bottom, y + height);
      const row = `${items.indexOf(item)} ${Math.round(y / 60)}`;
      rows.set(row, (rows.get(row) ?? 0) + width + 18 + 2 * SIDE * Math.max(0, part.depth - item.part.depth));
      item.width = Math.max(item.width, rows.get(row));
    }
  }
  return bottom;
}
/** Pixels that the frames of blocks take between one box and the next. */
function border(source, target) {
  let sum = 0;
  for (let part = target.parent; part && !source.within(part); part = part.parent) sum += HEAD + SIDE;
  for (let part = source.parent; part && !target.within(part); part = part.parent) sum += SIDE;
  return sum;
}
function* shownInside(part) {
  if (part.isBlock && STATE.open.has(part.key)) for (const inner of part.inside.values()) yield* shownInside(inner);
  else yield part;
}

/** The places before which a column may begin, each with the box whose array crosses. */
function cuts(items, edges) {
  const place = new Map();
  items.forEach((item, i) => { for (const part of shownInside(item.part)) place.set(part, i); });
  const crossing = items.map(() => new Set());
  let broken = -1; // an arrow that goes back forbids the cuts it crosses
  for (const edge of edges) {
    const [from, to] = [place.get(edge.source), place.get(edge.target)];
    for (let i = from + 1; i <= to; i++) crossing[i].add(edge.source);
    for (let i = to + 1; i <= from; i++) crossing[i].add(null).add(edge.source);
  }
  return { place, allowed: d3.range(1, items.length).filter((i) => crossing[i].size === 1), crossing };
}

/** Cut the items into columns so that all is seen as large as the window allows. */
function columnsOf(net, edges, size, room) {
  const items = itemsOf(net), height = estimate(net, items, edges, size);
  const { place, allowed, crossing } = cuts(items, edges);
  let best = null;
  for (let count = 1; count <= Math.min(12, allowed.length + 1); count++) {
    const starts = [0];
    for (let k = 1; k < count; k++) {
      const later = allowed.filter((i) => i > starts.at(-1) && place.get([...crossing[i]][0]) >= starts.at(-1));
      if (!later.length) break;
      const wanted = (k * height) / count;
      starts.push(d3.least(later, (i) => Math.abs(items[i].top - wanted)));
    }
    const ends = [...starts.slice(1), items.length];
    const tops = [...starts.map((i) => items[i].top), height];
    const tallest = d3.max(d3.pairs(tops), ([a, b]) => b - a) + 40;
    const width = d3.sum(starts, (start, c) => d3.max(items.slice(start, ends[c]), (item) => item.width) + 60);
    const scale = Math.min(room.width / width, room.height / tallest);
    if (!best || (scale > 1.15 * best.scale && best.scale < 1)) best = { scale, starts, ends };
  }
  return best.starts.map((start, c) => ({
    items: items.slice(start, best.ends[c]),
    holds: (part) => place.get(part) >= start && place.get(part) < best.ends[c],
    from: c ? [...crossing[start]][0] : null, // whose array enters from the column before
  }));
}

/** From the foot of a column through the gap to the head of the next. */
function between(last, first, gap) {
  const [x1, y1] = last, [x2, y2] = first;
  return [[x1, y1 + 9], [gap, y1 + 9], [gap, y2 - 9], [x2, y2 - 9]];
}
