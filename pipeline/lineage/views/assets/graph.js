"use strict";
/* The interactive lineage graph: pan, zoom, search, click for properties, arrow keys from node to node.
   Positions come laid out; nothing is fetched. */
function lineageGraph(host, graph) {
  const NS = "http://www.w3.org/2000/svg";
  const svg = host.querySelector("svg"), side = host.querySelector(".lineage-side");
  const view = { x: 0, y: 0, k: 1 };
  const READABLE = 0.62;
  const byKey = new Map(graph.nodes.map((node) => [node.key, node]));
  const parents = new Map(), children = new Map();
  graph.nodes.forEach((node) => { parents.set(node.key, []); children.set(node.key, []); });
  graph.edges.forEach((edge) => { parents.get(edge.target).push(edge.source); children.get(edge.source).push(edge.target); });
  let chosen = null;

  const make = (tag, attributes, parent) => {
    const made = document.createElementNS(NS, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    parent.append(made);
    return made;
  };
  const layer = make("g", {}, svg);
  const paths = graph.edges.map((edge) => {
    const a = byKey.get(edge.source), b = byKey.get(edge.target);
    const x1 = a.x + a.w / 2, y1 = a.y + a.h, x2 = b.x + b.w / 2, y2 = b.y, mid = Math.max(20, Math.abs(y2 - y1) / 2);
    const path = make("path", { class: "edge", d: `M${x1},${y1} C${x1},${y1 + mid} ${x2},${y2 - mid} ${x2},${y2}` }, layer);
    if (edge.label) make("title", {}, path).textContent = edge.label;
    return [edge, path];
  });
  const groups = new Map(graph.nodes.map((node) => [node.key, draw(node)]));

  function draw(node) {
    const failed = ["FAILED", "CANCELED", "DELETED", "ABANDONED"].includes(node.state) ? " failed" : "";
    const group = make("g", { class: `node ${node.kind}${failed}`, transform: `translate(${node.x},${node.y})`, tabindex: "-1",
      role: "button", "aria-label": `${short(node.name, 24)} ${short(node.sub, 30)}, ${node.kind}`, "data-key": node.key }, layer);
    make("rect", { width: node.w, height: node.h }, group);
    make("text", { x: 10, y: 17, "aria-hidden": "true" }, group).textContent = short(node.name, 24) + " "; // apart from the next text where both are read as one
    make("text", { x: 10, y: 31, class: "sub", "aria-hidden": "true" }, group).textContent = short(node.sub, 30);
    group.addEventListener("click", (event) => { event.stopPropagation(); choose(node.key); });
    group.addEventListener("focus", () => { if (chosen !== node.key) choose(node.key); });
    return group;
  }
  function short(text, most) { return text.length > most ? text.slice(0, most - 1) + "…" : text; }

  function reached(key, neighbours) {
    const found = new Set([key]), waiting = [key];
    while (waiting.length) for (const next of neighbours.get(waiting.pop())) if (!found.has(next)) { found.add(next); waiting.push(next); }
    return found;
  }
  function choose(key) {
    chosen = key;
    const lit = key && new Set([...reached(key, parents), ...reached(key, children)]);
    for (const [name, group] of groups) {
      group.classList.toggle("faded", Boolean(key) && !lit.has(name));
      group.classList.toggle("chosen", name === key);
    }
    for (const [edge, path] of paths) {
      const on = Boolean(key) && lit.has(edge.source) && lit.has(edge.target);
      path.classList.toggle("lit", on);
      path.classList.toggle("faded", Boolean(key) && !on);
    }
    describe(key ? byKey.get(key) : null);
  }
  function describe(node) {
    side.replaceChildren();
    if (!node) { side.append(text("p", `${graph.nodes.length} nodes. Click one for its properties; scroll to zoom, drag to move.`)); return; }
    side.append(text("h4", node.name), text("p", node.sub));
    const list = document.createElement("dl");
    for (const [name, value] of node.facts) list.append(text("dt", name), text("dd", value));
    side.append(list);
  }
  function text(tag, content) { const made = document.createElement(tag); made.textContent = content; return made; }

  const apply = () => layer.setAttribute("transform", `translate(${view.x},${view.y}) scale(${view.k})`);
  function fit(least = 0.03) {
    const box = { w: svg.clientWidth || 800, h: svg.clientHeight || 420 };
    const whole = Math.min(1.1, (box.w - 40) / graph.width, (box.h - 40) / graph.height);
    view.k = Math.max(least, whole);
    const anchor = { x: graph.width / 2, y: graph.height / 2 };
    const start = whole < least && opening();
    if (start) { // it does not fit: where it starts, at the edge; across, all of it where that fits
      const below = start.y + start.h / 2 > graph.height / 2;
      anchor.y = below ? start.y + start.h + 16 - box.h / view.k / 2 : start.y - 16 + box.h / view.k / 2;
      if (graph.width * view.k > box.w - 20) anchor.x = start.x + start.w / 2;
    }
    view.x = box.w / 2 - anchor.x * view.k; view.y = box.h / 2 - anchor.y * view.k;
    apply();
  }
  function opening() { // what was asked for; or the first of what all began with: the topmost nodes' middle one
    if (host.dataset.start === "focus" && graph.focus.length) return byKey.get(graph.focus[0]);
    const top = graph.nodes.filter((node) => node.y === Math.min(...graph.nodes.map((each) => each.y))).sort((a, b) => a.x - b.x);
    return top[Math.floor(top.length / 2)];
  }
  function zoom(by, x, y) {
    const k = Math.min(4, Math.max(0.03, view.k * by));
    view.x = x - (x - view.x) * (k / view.k); view.y = y - (y - view.y) * (k / view.k); view.k = k;
    apply();
  }
  function show(key) {
    const node = byKey.get(key);
    if (view.k < 0.6) view.k = 0.9;
    view.x = svg.clientWidth / 2 - (node.x + node.w / 2) * view.k; view.y = svg.clientHeight / 2 - (node.y + node.h / 2) * view.k;
    apply(); choose(key);
  }
  svg.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && document.activeElement !== svg && !host.classList.contains("alone")) return;
    event.preventDefault(); zoom(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
  }, { passive: false });
  let drag = null;
  svg.addEventListener("pointerdown", (event) => { drag = { x: event.clientX - view.x, y: event.clientY - view.y, moved: false, from: event }; });
  svg.addEventListener("pointermove", (event) => {
    if (!drag || !event.buttons) return;
    if (Math.hypot(event.clientX - drag.from.clientX, event.clientY - drag.from.clientY) < 4) return;
    view.x = event.clientX - drag.x; view.y = event.clientY - drag.y; drag.moved = true; apply();
  });
  svg.addEventListener("click", () => { if (!drag || !drag.moved) choose(null); });
  svg.addEventListener("keydown", (event) => {
    const node = chosen && byKey.get(chosen);
    const steps = { ArrowUp: () => node && parents.get(chosen)[0], ArrowDown: () => node && children.get(chosen)[0],
      ArrowRight: () => beside(1), ArrowLeft: () => beside(-1) };
    if (event.key === "+" || event.key === "-") zoom(event.key === "+" ? 1.25 : 0.8, svg.clientWidth / 2, svg.clientHeight / 2);
    else if (event.key === "0") fit();
    else if (event.key === "Escape") choose(null);
    else if (steps[event.key]) { const next = steps[event.key]() || (chosen ? null : first()); if (next) show(next); }
    else return;
    event.preventDefault();
  });
  function first() { return graph.focus[0] || (graph.nodes[0] && graph.nodes[0].key); }
  function beside(by) {
    if (!chosen) return first();
    const layer = graph.nodes.filter((node) => node.y === byKey.get(chosen).y).sort((a, b) => a.x - b.x);
    const next = layer[layer.findIndex((node) => node.key === chosen) + by];
    return next && next.key;
  }
  const search = host.querySelector("input");
  search.addEventListener("input", () => {
    const words = search.value.trim().toLowerCase();
    const found = words ? graph.nodes.filter((node) => (node.name + " " + node.sub + " " + node.key).toLowerCase().includes(words)) : [];
    if (!words) { choose(null); return; }
    const hits = new Set(found.map((node) => node.key));
    for (const [key, group] of groups) { group.classList.toggle("faded", !hits.has(key)); group.classList.remove("chosen"); }
    for (const [, path] of paths) { path.classList.remove("lit"); path.classList.add("faded"); }
    side.replaceChildren(text("p", `${found.length} of ${graph.nodes.length} nodes match. Enter goes to the next one.`));
  });
  let at = 0;
  search.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    const words = search.value.trim().toLowerCase();
    const found = graph.nodes.filter((node) => (node.name + " " + node.sub + " " + node.key).toLowerCase().includes(words));
    if (words && found.length) show(found[at++ % found.length].key);
  });
  host.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", () => {
    const by = button.dataset.zoom;
    if (by === "fit") fit(); else zoom(Number(by), svg.clientWidth / 2, svg.clientHeight / 2);
  }));
  new ResizeObserver(() => fit(READABLE)).observe(svg);
  describe(null);
}
document.querySelectorAll("[data-lineage]").forEach((host) =>
  lineageGraph(host, JSON.parse(document.getElementById(host.dataset.lineage).textContent)));
