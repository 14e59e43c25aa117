"use strict";
// Layout by ELK, drawing by D3.

const NETS = DATA.networks.map((described, i) => new Net(described, i));
const STATE = { open: new Set(), color: "family", height: "", match: new Set(), current: null };
const ELKJS = new ELK();
const LEAST = 40, HIGHEST = 150, GAP = 90;
// Okabe & Ito's and Tol's colors, told apart by the color-blind; light enough for black text
const FAMILIES = {
  convolution: "#8ec9f0", dense: "#f0c04a", product: "#f0c04a", pool: "#7fd0b0", normalization: "#d9d9d9",
  "response normalization": "#bdbdbd", nonlinearity: "#f7f3a8", softmax: "#f7f3a8", elementwise: "#f2a987",
  reduction: "#e3b4d4", rearrangement: "#c9b8e8", input: "#ffffff", output: "#ffffff",
};
const UNITS = { macs: "MACs", parameters: "parameters", memory: "elements read + written" };
const LAYOUT = {
  "elk.algorithm": "layered", "elk.direction": "DOWN", "elk.hierarchyHandling": "INCLUDE_CHILDREN",
  "elk.edgeRouting": "ORTHOGONAL", "elk.json.edgeCoords": "ROOT", "elk.json.shapeCoords": "ROOT",
  "elk.layered.considerModelOrder.strategy": "NODES_AND_EDGES",
  "elk.layered.nodePlacement.strategy": "BRANDES_KOEPF",
  "elk.layered.nodePlacement.bk.fixedAlignment": "BALANCED",
  "elk.layered.spacing.nodeNodeBetweenLayers": String(BETWEEN), "elk.layered.spacing.edgeNodeBetweenLayers": "12",
  "elk.layered.spacing.edgeEdgeBetweenLayers": "9", "elk.spacing.nodeNode": "18",
  "elk.spacing.edgeNode": "14", "elk.spacing.edgeEdge": "9",
  "elk.padding": `[top=${HEAD + 10},left=${SIDE},bottom=${SIDE},right=${SIDE}]`,
};

const svg = d3.select("#drawing"), world = d3.select("#world");
const zoom = d3.zoom().scaleExtent([0.02, 4]).on("zoom", (event) => world.attr("transform", event.transform));
svg.call(zoom).on("dblclick.zoom", null);

const pen = document.createElement("canvas").getContext("2d");
function textWidth(text, font) {
  pen.font = `${font} system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif`;
  return pen.measureText(text).width;
}

/** The second line of a box: what it does, or how much it holds; and what it gives. */
function line(part) {
  if (part.family === "input" && !part.isBlock) return shape(part.output);
  if (part.family === "output" && !part.isBlock) return shape(part.input);
  const gives = shape(part.last?.output ?? part.output);
  const does = part.isBlock ? `${part.layers} layers` : part.operation === part.name ? "" : part.operation;
  return does ? `${does}, ${gives}` : gives;
}

/** The largest value of a cost among the boxes, by which heights and colors are measured. */
function largest(boxes, cost) { return d3.max(boxes, (part) => part.total(cost)) || 1; }

function boxesOf(net) {
  const found = [];
  const visit = (above) => {
    for (const part of above.inside.values())
      if (part.isBlock && STATE.open.has(part.key)) visit(part);
      else found.push(part);
  };
  visit(net.root);
  return found;
}

/** Width and height of a box. */
function sizeOf(part, most) {
  const arrow = part.isBlock ? 16 : 0;
  const width = Math.max(textWidth(part.name, "600 13.5px") + arrow, textWidth(line(part), "11.5px"));
  const extra = STATE.height ? HIGHEST * (part.total(STATE.height) / most) : 0;
  return [Math.max(Math.ceil(width) + 22, 84), LEAST + extra];
}

/** The graph of a column as ELK takes it; arrays enter and leave at points of their own. */
function elkGraph(column, number, edges, leaving, size) {
  const block = (part, inside) => ({
    id: part.key, part, children: inside.map(child), layoutOptions: {
      "elk.padding": LAYOUT["elk.padding"], "elk.nodeSize.constraints": "MINIMUM_SIZE",
      "elk.nodeSize.minimum": `(40,${Math.ceil(textWidth("▾ " + part.name, "600 13px")) + 26})` } }); // ELK takes them transposed
  const child = (part) => {
    if (part.isBlock && STATE.open.has(part.key)) return block(part, [...part.inside.values()]);
    const [width, height] = size(part);
    return { id: part.key, part, width, height };
  };
  const stages = d3.group(column.items, (item) => item.stage ?? item.part);
  const children = [...stages].map(([part, items]) =>
    items[0].stage ? block(part, items.map((item) => item.part)) : child(part));
  const point = (id, where) => ({ id, width: 1, height: 1, layoutOptions: { "elk.layered.layering.layerConstraint": where } });
  const inner = edges.filter((edge) => column.holds(edge.source) && column.holds(edge.target))
    .map((edge) => ({ id: edge.key, sources: [edge.source.key], targets: [edge.target.key] }));
  if (column.from) {
    children.unshift(point("enter", "FIRST"));
    for (const edge of edges) if (edge.source === column.from && column.holds(edge.target))
      inner.push({ id: edge.key, sources: ["enter"], targets: [edge.target.key] });
  }
  if (leaving) {
    children.push(point("leave", "LAST"));
    inner.push({ id: "leaving", sources: [leaving.key], targets: ["leave"] });
  }
  return { id: `column${number}`, layoutOptions: LAYOUT, children, edges: inner };
}

/** The networks side by side, each in columns: blocks outermost first, boxes, edges. */
async function layOut() {
  const parts = NETS.flatMap(boxesOf), most = STATE.height ? largest(parts, STATE.height) : 1;
  const size = (part) => sizeOf(part, most);
  const found = { blocks: [], boxes: [], edges: [], titles: [], width: 0, height: 0 };
  const window = svg.node().getBoundingClientRect();
  const room = { width: (window.width - 240) / NETS.length, height: window.height - 90 };
  for (const net of NETS) {
    const edges = net.visibleEdges(STATE.open), columns = columnsOf(net, edges, size, room);
    const left = found.width ? found.width + GAP : 0;
    let x = left, leaves = null;
    for (const [number, column] of columns.entries()) {
      const leaving = columns[number + 1]?.from ?? null;
      const placed = await ELKJS.layout(elkGraph(column, number, edges, leaving, size));
      leaves = collect(placed, net, edges, x, leaves, found);
      x += placed.width + 14;
      found.height = Math.max(found.height, placed.height);
    }
    const width = Math.max(x - left - 14, textWidth(totals(net), "13px") + 20, textWidth(net.name, "600 17px") + 20);
    found.titles.push({ net, x: left + width / 2 });
    const shift = (width - (x - left - 14)) / 2; // a narrow network stands under the middle of its title
    found.width = left + width;
    if (shift > 0) for (const item of [...found.blocks, ...found.boxes, ...found.edges]) if (item.net === net) move(item, shift);
  }
  return found;
}
function move(item, shift) {
  if (item.points) item.points = item.points.map((line) => line.map(([x, y]) => [x + shift, y]));
  else item.x += shift;
}

/** Take over what ELK placed in a column; where the array for the next column leaves. */
function collect(placed, net, edges, left, leaves, found) {
  const visit = (node) => {
    const item = { id: `${net.number}:${node.id}@${node.children?.length ? left : ""}`, part: node.part, net,
      x: node.x + left, y: node.y, width: node.width, height: node.height };
    if (node.part) (node.children?.length ? found.blocks : found.boxes).push(item);
    node.children?.forEach(visit);
  };
  placed.children.forEach(visit);
  const byKey = new Map(edges.map((edge) => [edge.key, edge]));
  const lines = (edge) => edge.sections.map((section) =>
    [section.startPoint, ...(section.bendPoints ?? []), section.endPoint].map((p) => [p.x + left, p.y]));
  for (const each of placed.edges) {
    if (each.id === "leaving") continue;
    let points = lines(each);
    if (each.sources[0] === "enter")
      points = [[...leaves, ...between(leaves.at(-1), points[0][0], left - 7), ...points[0]]];
    const edge = byKey.get(each.id);
    found.edges.push({ ...edge, id: `${net.number}:${edge.key}`, net, points });
  }
  const leaving = placed.edges.find((edge) => edge.id === "leaving");
  return leaving ? lines(leaving)[0] : null;
}

function totals(net) {
  const unread = net.unread ? ` and ${number(net.unread)} that nothing here reads` : "";
  return ["macs", "parameters"].map((cost) => `${number(net.root.total(cost))} ${UNITS[cost]}`).join(", ") + unread;
}

/** A path through right angles, its corners rounded. */
function rounded(points) {
  const path = d3.path();
  path.moveTo(...points[0]);
  for (let i = 1; i < points.length - 1; i++) path.arcTo(...points[i], ...points[i + 1], corner(points, i));
  path.lineTo(...points.at(-1));
  return path.toString();
}
function corner(points, i) {
  const long = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
  return Math.min(6, long(points[i - 1], points[i]) / 2, long(points[i], points[i + 1]) / 2);
}

function classes(kind, part) {
  return [kind, part.isBlock && kind === "box" ? "folded" : "", part.mark,
    part.nodes.some((node) => STATE.match.has(node)) && kind === "box" ? "match" : "",
    STATE.current && part === STATE.current ? "current" : ""].filter(Boolean).join(" ");
}

/** What a folded block hides, or the mark of a node, in words. */
function tags(part) {
  if (part.mark) return [[part.mark, part.mark]];
  return ["removed", "added", "changed"].filter((mark) => part.marked(mark))
    .map((mark) => [mark, `${part.marked(mark)} ${mark}`]);
}

const RAMP = d3.scaleSequential(d3.interpolateYlGnBu);
function fill(part, most) {
  if (STATE.color === "family") return FAMILIES[part.family] ?? "#ffffff";
  return RAMP(0.85 * Math.sqrt(part.total(STATE.color) / most));
}
function ink(color) { return d3.lab(color).l > 58 ? "#000" : "#fff"; }

function draw(found) {
  const most = STATE.color === "family" ? 1 : largest(found.boxes.map((box) => box.part), STATE.color);
  const layer = (name) => world.selectAll(`g.${name}`).data([name]).join("g").attr("class", name);
  const place = (item) => `translate(${item.x},${item.y})`;
  drawTitles(layer("titles"), found);
  drawBlocks(layer("blocks").selectAll("g.block").data(found.blocks, (item) => item.id), place);
  drawEdges(layer("edges").selectAll("g.edge").data(found.edges, (item) => item.id));
  layer("names").selectAll("text").data(found.blocks, (item) => item.id).join("text")
    .attr("x", (item) => item.x + 9).attr("y", (item) => item.y + 18).text((item) => `▾ ${item.part.name}`);
  const boxes = layer("boxes").selectAll("g.box").data(found.boxes, (item) => item.id).join((enter) => {
    const box = enter.append("g").attr("tabindex", 0).attr("role", "button").call(behave);
    box.append("rect").attr("class", "behind").attr("x", 4).attr("y", 4).attr("rx", 4);
    box.append("rect").attr("class", "face").attr("rx", 4);
    box.append("rect").attr("class", "hatched").attr("rx", 4);
    box.append("text").attr("class", "name").attr("text-anchor", "middle");
    box.append("text").attr("class", "line").attr("text-anchor", "middle");
    return box;
  });
  boxes.attr("class", (item) => classes("box", item.part)).attr("transform", place)
    .attr("aria-label", (item) => `${item.part.name}, ${line(item.part)}`);
  boxes.selectAll("rect").data((item) => [item, item, item]).attr("width", (item) => item.width).attr("height", (item) => item.height);
  boxes.select(".behind").attr("display", (item) => (item.part.isBlock ? null : "none"));
  boxes.select(".hatched").attr("display", (item) => (item.part.mark === "removed" ? null : "none"));
  boxes.select(".face").attr("fill", (item) => fill(item.part, most));
  const middle = (item) => item.width / 2;
  boxes.select(".name").attr("x", middle).attr("y", (item) => item.height / 2 - 4)
    .attr("fill", (item) => ink(fill(item.part, most))).text((item) => (item.part.isBlock ? "▸ " : "") + item.part.name);
  boxes.select(".line").attr("x", middle).attr("y", (item) => item.height / 2 + 12)
    .attr("fill", (item) => ink(fill(item.part, most))).text((item) => line(item.part));
  boxes.selectAll(".tag").data((item) => (tags(item.part).length ? [item] : [])).join("text")
    .attr("class", (item) => `tag ${tags(item.part)[0][0]}`).attr("x", (item) => item.width / 2 + 9).attr("y", -5)
    .text((item) => tags(item.part).map(([, text]) => text).join(", "));
  legend(most, found.boxes);
}

function drawTitles(layer, found) {
  const titles = layer.selectAll("g").data(found.titles).join((enter) => {
    const title = enter.append("g").attr("text-anchor", "middle");
    title.append("text").attr("class", "title").attr("y", -30);
    title.append("text").attr("class", "totals").attr("y", -10);
    return title;
  });
  titles.attr("transform", (title) => `translate(${title.x},0)`);
  titles.select(".title").text((title) => title.net.name);
  titles.select(".totals").text((title) => totals(title.net));
}

function drawBlocks(joined, place) {
  const blocks = joined.join((enter) => {
    const block = enter.append("g").attr("tabindex", 0).attr("role", "button").call(behave);
    block.append("rect").attr("rx", 6);
    return block;
  }).order();
  blocks.attr("class", (item) => classes("block", item.part)).attr("transform", place);
  blocks.select("rect").attr("width", (item) => item.width).attr("height", (item) => item.height);
}

function drawEdges(joined) {
  const edges = joined.join((enter) => {
    const edge = enter.append("g").call(explain);
    edge.append("path").attr("class", "thin");
    edge.append("path").attr("class", "wide");
    return edge;
  });
  edges.attr("class", (edge) => `edge${edge.removed ? " removed" : ""}`);
  edges.selectAll("path").data((edge) => [edge, edge]).attr("d", (edge) => edge.points.map(rounded).join(""));
}
