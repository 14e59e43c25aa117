"use strict";
// The network as a tree of blocks with edges between its leaves, and what of it is visible.

const DATA = JSON.parse(document.getElementById("data").textContent);

/** A node of the graph, or a block of them. */
class Part {
  constructor(name, parent, key) {
    Object.assign(this, { name, parent, key });
    this.depth = parent ? parent.depth + 1 : -1;
    this.nodes = [this]; // the nodes inside, in the order of execution
  }
  get isBlock() { return false; }
  get layers() { return this.nodes.filter((node) => node.macs !== undefined).length; }
  total(cost) { return d3.sum(this.nodes, (node) => node[cost] ?? 0); }
  marked(mark) { return this.nodes.filter((node) => (node.mark ?? "") === mark).length; }
  within(other) { return other === this || (this.parent?.within(other) ?? false); }
}

class Block extends Part {
  constructor(name, parent, key) {
    super(name, parent, key);
    this.inside = new Map();
    this.nodes = [];
  }
  get isBlock() { return true; }
  /** The mark that all nodes inside share, or "". */
  get mark() {
    const first = this.nodes[0].mark ?? "";
    return this.marked(first) === this.nodes.length ? first : "";
  }
  /** The family of most of its MACs, or of most of its layers. */
  get family() {
    const sums = d3.rollup(this.nodes, (all) => d3.sum(all, (n) => (n.macs ?? 0) + 1e-6), (n) => n.family);
    return d3.greatest(sums, ([, sum]) => sum)[0];
  }
  /** The node that gives what the block gives: the last that others read. */
  get last() { return this.nodes.findLast((node) => node.leaves(this)) ?? this.nodes.at(-1); }
}

/** One network: its tree and its edges. */
class Net {
  constructor(described, number) {
    this.name = described.name;
    this.number = number;
    this.unread = described.unread;
    this.root = new Block(described.name, null, "");
    const held = new Map(); // how many nodes stand under each path; one alone needs no block
    for (const { path } of described.nodes)
      path.forEach((_, i) => {
        const key = path.slice(0, i + 1).join("/");
        held.set(key, (held.get(key) ?? 0) + 1);
      });
    const isBlock = (path) => held.get(path.join("/")) > 1;
    this.nodes = described.nodes.map((node, i) => this.place(node, i, isBlock));
    this.edges = described.edges.map(([source, target, shape]) =>
      ({ source: this.nodes[source], target: this.nodes[target], shape }));
    const readers = d3.group(this.edges, (edge) => edge.source);
    for (const part of this.nodes)
      part.leaves = (block) => (readers.get(part) ?? []).some((edge) => !block.within(edge.target));
    this.blocks = [...this.parts()].filter((part) => part.isBlock);
  }
  place(node, i, isBlock) {
    let above = this.root, key = "";
    const around = node.path.filter((_, depth) => isBlock(node.path.slice(0, depth + 1)));
    for (const name of around) {
      key = key ? `${key}/${name}` : name;
      if (!above.inside.has(name)) above.inside.set(name, new Block(name, above, key));
      above = above.inside.get(name);
    }
    const own = node.path[around.length] ?? node.operation;
    const part = Object.assign(new Part(own, above, `${key}#${i}`), node, { index: i });
    above.inside.set(`#${i}`, part);
    for (let holder = above; holder; holder = holder.parent) holder.nodes.push(part);
    return part;
  }
  *parts(above = this.root) {
    for (const part of above.inside.values()) {
      yield part;
      if (part.isBlock) yield* this.parts(part);
    }
  }
  /** What stands for a node while some blocks around it are folded. */
  standsFor(node, open) {
    let shown = node;
    for (let part = node.parent; part.parent; part = part.parent) if (!open.has(part.key)) shown = part;
    return shown;
  }
  /** Edges between what is visible; those inside a folded block are left out. */
  visibleEdges(open) {
    const found = new Map();
    for (const edge of this.edges) {
      const source = this.standsFor(edge.source, open), target = this.standsFor(edge.target, open);
      if (source === target) continue;
      const key = `${source.key}>${target.key}`;
      if (!found.has(key)) found.set(key, { key, source, target, shapes: [], removed: true });
      const seen = found.get(key);
      if (!seen.shapes.some((shape) => String(shape) === String(edge.shape))) seen.shapes.push(edge.shape);
      seen.removed &&= edge.source.mark === "removed" || edge.target.mark === "removed";
    }
    return [...found.values()];
  }
  depth() { return d3.max(this.blocks, (block) => block.depth + 1) ?? 0; }
}

/** Whether a name is of a stage: layers that `page.py` took together. */
const isStage = (name) => name.endsWith(" ...");
const number = d3.format(",");
const shape = (sizes) => sizes.join("x") || "1";
/** A short number: 1.8G, 12M, 4.1k. */
function short(value) {
  if (value < 1000) return String(value);
  return d3.format(".3~s")(value).replace("k", " k").replace("M", " M").replace("G", " G");
}
