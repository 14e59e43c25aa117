"use strict";
// What the reader does: fold, point, search, choose.

const byId = (id) => document.getElementById(id);
let shown = null; // what `layOut` gave last
let turn = 0; // a layout that comes after a newer one was asked for is dropped

/** Lay out and draw again; `anchor` stays where it is on the screen, and keeps the focus. */
async function show(anchor = null, keyboard = false) {
  const mine = ++turn, began = performance.now();
  byId("tip").hidden = true;
  byId("busy").hidden = false;
  await new Promise((resolve) => setTimeout(resolve));
  const found = await layOut();
  if (mine !== turn) return;
  const before = anchor && find(shown, anchor);
  shown = found;
  draw(found);
  const after = anchor && find(found, anchor);
  if (before && after) {
    svg.call(zoom.translateBy, before.x - after.x, before.y - after.y);
  }
  byId("busy").hidden = true;
  if (after && keyboard) world.selectAll("g.box, g.block").filter((item) => item === after).node().focus();
  document.body.dataset.layout = String(Math.round(performance.now() - began));
}
function find(found, { part, net }) {
  return [...found.blocks, ...found.boxes].find((item) => item.part.key === part.key && item.net === net);
}

/** The scale at which all is seen, beside the legend. */
function scaleToFit(found) {
  const { width, height } = svg.node().getBoundingClientRect();
  const beside = byId("legend").offsetWidth + 20;
  return { k: Math.min((width - beside - 30) / found.width, (height - 40) / (found.height + 70), 1.2), beside, width, height };
}
function fit(least = 0) {
  const { k, beside, width, height } = scaleToFit(shown);
  const scale = Math.max(k, least);
  const x = beside + Math.max(0, (width - beside - shown.width * scale) / 2);
  const y = 20 + 55 * scale + Math.max(0, (height - 40 - (shown.height + 70) * scale) / 2);
  svg.call(zoom.transform, d3.zoomIdentity.translate(x, y).scale(scale));
}

/** Open the blocks down to a depth. */
function openTo(depth) {
  STATE.open = new Set(NETS.flatMap((net) => net.blocks).filter((block) => block.depth < depth).map((block) => block.key));
}
const deepest = () => d3.max(NETS, (net) => net.depth());
/** How many levels of blocks are open, all their blocks. */
function depthShown() {
  const closed = NETS.flatMap((net) => net.blocks).filter((block) => !STATE.open.has(block.key));
  return d3.min(closed, (block) => block.depth) ?? deepest();
}

function toggle(item, keyboard = false) {
  if (!item.part.isBlock) return;
  if (!STATE.open.delete(item.part.key)) STATE.open.add(item.part.key);
  show(item, keyboard);
}

/** Boxes and blocks: a click or Enter folds, pointing or focus explains. */
function behave(selection) {
  selection.on("click", (event, item) => toggle(item))
    .on("keydown", (event, item) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      toggle(item, true);
    });
  explain(selection);
}
function explain(selection) {
  selection.on("pointerenter focus", (event, item) => {
    byId("tip").replaceChildren(...explanation(item));
    byId("tip").hidden = false;
    d3.selectAll("g.edge").classed("lit", (edge) => edge.source === item.part || edge.target === item.part);
    moveTip(event);
  }).on("pointermove", moveTip).on("pointerleave blur", () => {
    byId("tip").hidden = true;
    d3.selectAll("g.edge").classed("lit", false);
  });
}
function moveTip(event) {
  const tip = byId("tip"), frame = svg.node().getBoundingClientRect();
  const box = event.currentTarget.getBoundingClientRect();
  const x = (event.clientX ?? box.right) - frame.left, y = (event.clientY ?? box.bottom) - frame.top;
  tip.style.left = `${Math.min(x + 16, frame.width - tip.offsetWidth - 8)}px`;
  tip.style.top = `${y + 18 + tip.offsetHeight > frame.height ? Math.max(4, y - tip.offsetHeight - 10) : y + 18}px`;
}

function explanation(item) {
  const part = item.part, title = document.createElement("b"), list = document.createElement("dl");
  const row = (name, value) => {
    const [dt, dd] = ["dt", "dd"].map((tag) => document.createElement(tag));
    dt.textContent = name;
    dd.textContent = value;
    list.append(dt, dd);
  };
  if (!part) {
    title.textContent = `${item.source.name} → ${item.target.name}`;
    row(item.shapes.length > 1 ? "arrays" : "array", item.shapes.map(shape).join(", "));
    return [title, list];
  }
  const path = part.isBlock ? part.key.split("/") : part.path;
  title.textContent = path.filter((name) => path.length === 1 || !isStage(name)).join("/") || part.name;
  const last = part.last ?? part, first = part.nodes[0];
  row(part.isBlock ? "block" : "operation", part.isBlock ? `${part.layers} layers` : part.operation);
  if (part.family !== "input") row("input", shape(first.input));
  if (part.family !== "output") row("output", shape(last.output));
  if (part.layers) {
    row("MACs", share(part, "macs", item.net));
    row("parameters", share(part, "parameters", item.net));
    row("memory", `${share(part, "memory", item.net)} elements read + written`);
  }
  if (last.sees) {
    row("receptive field", `${last.sees.size} pixels`);
    if (last.sees.stride) row("stride", `${last.sees.stride} pixels, first center at ${last.sees.offset}`);
  }
  if (part.note) row("note", part.note);
  for (const [mark, text] of tags(part)) row("ablation", mark === "changed" ? `${text}: shape or operation` : text);
  return [title, list];
}
function share(part, cost, net) {
  const value = part.total(cost), all = net.root.total(cost);
  return value && all ? `${number(value)} (${d3.format(".1%")(value / all)})` : number(value);
}

function legend(most, boxes) {
  const box = d3.select("#legend");
  const items = [];
  if (STATE.color === "family") {
    const present = new Set(boxes.map((item) => item.part.family));
    const list = Object.entries(FAMILIES).filter(([name]) => present.has(name) && !["input", "output"].includes(name));
    items.push(`<h2>operation</h2><ul>${list.map(([name, color]) => `<li><i style="background:${color}"></i>${name}</li>`).join("")}</ul>`);
    if (boxes.some((item) => item.part.isBlock)) items.push("<p>a block: the operation of most of its MACs</p>");
  } else {
    const ramp = d3.range(11).map((i) => RAMP(0.85 * Math.sqrt(i / 10))).join(",");
    items.push(`<h2>${UNITS[STATE.color]}</h2><div class="ramp" style="background:linear-gradient(90deg,${ramp})"></div>` +
      `<div class="ends"><span>0</span><span>${short(most)}</span></div>`);
  }
  if (STATE.height)
    items.push(`<h2>height</h2><p>beyond the least, proportional to ${UNITS[STATE.height]}; the highest ${short(largest(boxes.map((item) => item.part), STATE.height))}</p>`);
  if (STATE.color !== "family" || STATE.height) items.push(`<p>${DATA.convention}</p>`);
  if (NETS.length > 1)
    items.push(`<h2>ablation</h2><ul><li><i class="removed"></i>removed</li><li><i class="added"></i>added</li><li><i class="changed"></i>changed shape or operation</li></ul>`);
  box.html(items.join(""));
}

/** The nodes whose path or operation holds the words. */
function search() {
  const words = byId("search").value.trim().toLowerCase();
  const hits = (node) => `${node.path.join("/")} ${node.operation}`.toLowerCase().includes(words);
  const found = words ? NETS.flatMap((net) => net.nodes.filter(hits)) : [];
  STATE.match = new Set(found);
  STATE.current = null;
  world.classed("searching", words !== "");
  byId("found").textContent = words ? `${found.length} found` : "";
  if (shown) draw(shown);
}
/** Unfold what hides the next match, and go there. */
async function next(step) {
  const found = [...STATE.match];
  if (!found.length) return;
  const place = STATE.current ? found.indexOf(STATE.current) + step : step > 0 ? 0 : -1;
  const node = (STATE.current = found.at(place % found.length));
  let hidden = false;
  for (let part = node.parent; part.parent; part = part.parent) {
    hidden ||= !STATE.open.has(part.key);
    STATE.open.add(part.key);
  }
  byId("found").textContent = `${found.indexOf(node) + 1} of ${found.length}`;
  if (hidden) await show();
  else draw(shown);
  const item = shown.boxes.find((each) => each.part === node);
  const scale = Math.max(d3.zoomTransform(svg.node()).k, 0.9);
  const { width, height } = svg.node().getBoundingClientRect();
  svg.call(zoom.transform, d3.zoomIdentity.translate(width / 2, height / 2).scale(scale)
    .translate(-item.x - item.width / 2, -item.y - item.height / 2));
}

function listen() {
  const then = (id, action) => byId(id).addEventListener("click", async () => {
    action();
    await show();
    fit();
  });
  then("fold", () => openTo(0));
  then("unfold", () => openTo(deepest()));
  then("less", () => openTo(Math.max(0, depthShown() - 1)));
  then("more", () => openTo(depthShown() + 1));
  byId("fit").addEventListener("click", () => fit());
  byId("color").addEventListener("change", (event) => { STATE.color = event.target.value; draw(shown); });
  byId("height").addEventListener("change", async (event) => { STATE.height = event.target.value; await show(); fit(); });
  byId("search").addEventListener("input", search);
  byId("search").addEventListener("keydown", (event) => {
    if (event.key === "Enter") next(event.shiftKey ? -1 : 1);
    if (event.key === "Escape") { event.target.value = ""; search(); event.target.blur(); }
  });
  document.addEventListener("keydown", (event) => {
    if (/INPUT|SELECT/.test(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") { event.preventDefault(); byId("search").focus(); }
    if (event.key === "f") fit();
  });
}

/** Begin as deep as the window can show readably. */
async function begin() {
  byId("what").textContent = DATA.what;
  listen();
  for (let depth = deepest(); depth >= 0; depth--) {
    openTo(depth);
    if (depth && d3.sum(NETS, (net) => boxesOf(net).length) > 45 * NETS.length) continue;
    await show();
    if (scaleToFit(shown).k >= 0.7) break;
  }
  fit(0.45);
  document.body.dataset.ready = "true";
}
begin();
