"use strict";
/* Unpacks plotly, draws the charts in the page's colours, and draws them again when the colours change. */
(() => {
  const root = document.documentElement;
  const style = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const named = () => ({ $ink: style("--ink"), $accent: style("--accent"), $second: style("--second"), $good: style("--good"), $bad: style("--bad"), $soft: style("--soft") });
  const coloured = (value, colours, key = "") => { // only what stands under the key `color` names one: a category may be called $ink
    if (typeof value === "string") return key === "color" ? colours[value] || value : value;
    if (Array.isArray(value)) return value.map((each) => coloured(each, colours, key));
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, coloured(inner, colours, name)]));
    return value;
  };
  function layout(own, colours) {
    const axis = { gridcolor: style("--line"), zerolinecolor: style("--line"), linecolor: style("--line"), automargin: true, title: { standoff: 10, font: { size: 12, color: colours.$soft } } };
    const merged = (name) => ({ ...axis, ...own[name], title: { ...axis.title, ...(own[name] || {}).title } });
    return { height: 320, margin: { l: 52, r: 16, t: 46, b: 46 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: "system-ui, sans-serif", size: 12, color: colours.$ink }, legend: { orientation: "h", y: -0.28, x: 0, yanchor: "top" },
      hoverlabel: { font: { size: 12 } }, ...own, title: { x: 0, xref: "paper", font: { size: 15 }, ...own.title }, xaxis: merged("xaxis"), yaxis: merged("yaxis") };
  }
  function draw() {
    const colours = named();
    for (const place of document.querySelectorAll(".chart")) {
      const figure = coloured(JSON.parse(place.nextElementSibling.textContent), colours);
      Plotly.react(place, figure.data, layout(figure.layout, colours), { displayModeBar: false, responsive: true });
    }
    const tester = document.getElementById("js-plotly-tester"); // plotly's own ruler, nothing to read
    if (tester) tester.setAttribute("aria-hidden", "true");
    root.dataset.charts = "drawn";
  }
  async function unpack(text) {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  }
  const packed = document.getElementById("plotly");
  const charts = document.querySelectorAll(".chart");
  if (charts.length && window.Plotly) draw();
  else if (charts.length && packed && packed.textContent && "DecompressionStream" in window) unpack(packed.textContent).then(draw);
  else { charts.forEach((place) => { place.textContent = "Charts need a browser of 2023 or newer; the tables hold the numbers."; }); root.dataset.charts = "none"; }

  const themes = ["auto", "light", "dark"], button = document.getElementById("theme");
  let theme = root.dataset.theme || "auto"; // theme.js of the pages has set it where one was chosen before
  const label = () => { button.textContent = `Theme: ${theme}`; };
  const choose = (name) => {
    theme = name;
    if (theme === "auto") delete root.dataset.theme; else root.dataset.theme = theme;
    label();
    if (window.Plotly) draw();
  };
  label();
  button.addEventListener("click", () => {
    choose(themes[(themes.indexOf(theme) + 1) % 3]);
    try { localStorage.setItem("taxiway-theme", theme); } catch { /* a frame without an origin, or a browser that keeps nothing */ }
  });
  addEventListener("message", (event) => { if (event.data && themes.includes(event.data.theme)) choose(event.data.theme); }); // of the page around a report
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (window.Plotly) draw(); });
  document.querySelectorAll(".copy button").forEach((each) => each.addEventListener("click", async () => {
    const text = each.parentElement.querySelector("pre").textContent;
    try { await navigator.clipboard.writeText(text); each.textContent = "Copied"; }
    catch { const range = document.createRange(); range.selectNodeContents(each.parentElement.querySelector("pre")); getSelection().removeAllRanges(); getSelection().addRange(range); each.textContent = "Selected"; }
  }));
  const links = [...document.querySelectorAll("nav a[href^='#']")];
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, textarea, svg") || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = links.findIndex((link) => document.querySelector(link.hash).getBoundingClientRect().bottom > 90);
    const to = { j: at + 1, k: Math.max(at - 1, 0) }[event.key];
    if (to !== undefined && links[to]) document.querySelector(links[to].hash).scrollIntoView();
  });
  const showPlace = new IntersectionObserver((entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
    for (const link of links) if (link.hash === "#" + entry.target.id) { link.setAttribute("aria-current", "true"); link.parentElement.scrollTo({ left: link.offsetLeft - link.parentElement.offsetLeft - 40 }); } else link.removeAttribute("aria-current");
  }), { rootMargin: "-100px 0px -70% 0px" });
  links.forEach((link) => showPlace.observe(document.querySelector(link.hash)));
  const resized = (size) => window.Plotly && document.querySelectorAll(".chart").forEach((place) => Plotly.relayout(place, size(place)));
  const height = (place) => JSON.parse(place.nextElementSibling.textContent).layout.height || 320;
  addEventListener("beforeprint", () => resized((place) => place.classList.contains("wide") ? { width: 690 } : { width: 340, height: 270 }));
  addEventListener("afterprint", () => resized((place) => ({ width: null, height: height(place), autosize: true })));
})();
