"use strict";
/* Keeps the parts that say `data-poll` fresh: the server renders them, this puts them in place. */
(() => {
  const said = document.getElementById("said");
  const PAUSE = 2000, LONGEST_PAUSE = 60000, PATIENCE = 30000; // milliseconds
  async function fetchPart(place) { // the part and whether it changes still; an error where the answer is none of ours
    const answer = await fetch(place.dataset.poll, { headers: { accept: "text/html" }, signal: AbortSignal.timeout(PATIENCE) });
    if (answer.redirected) location.reload(); // the server was started again and asks for its token
    const state = answer.headers.get("x-poll");
    if (!answer.ok || !state) throw new Error(`status ${answer.status}`);
    return { html: await answer.text(), again: state === "again" };
  }
  function sayLate(place, pause) { // null: the last answer was good
    let note = place.nextElementSibling;
    if (!note || !note.classList.contains("late")) {
      if (pause === null) return;
      note = Object.assign(document.createElement("p"), { className: "note late" });
      place.after(note);
    }
    if (pause === null) note.remove();
    else note.textContent = `This is not fresh: the server gave no good answer. It is asked again in ${Math.round(pause / 1000)} s.`;
  }
  async function refresh(place, failures = 0) {
    let part;
    try { part = await fetchPart(place); }
    catch { // gone, not back yet, or a file that is damaged for now: asked less and less often, and never given up
      const pause = Math.min(PAUSE * 2 ** (failures + 1), LONGEST_PAUSE);
      sayLate(place, pause);
      setTimeout(refresh, pause, place, failures + 1);
      return;
    }
    sayLate(place, null);
    if (!part.again && "reload" in place.dataset) { location.reload(); return; }
    place.innerHTML = part.html; // rendered by our server, every value escaped
    const words = (place.querySelector("[data-say]") || place).dataset.say || "";
    if (words && said.textContent !== words) said.textContent = words; // a screen reader hears of the next node, not of every second
    if (part.again) setTimeout(refresh, PAUSE, place);
  }
  document.querySelectorAll("form[method=post]").forEach((form) => { // a second click sends nothing
    form.addEventListener("submit", () => form.querySelectorAll("button").forEach((each) => { each.disabled = true; }));
  });
  addEventListener("pageshow", () => document.querySelectorAll("form[method=post] button").forEach((each) => { each.disabled = false; }));
  document.querySelectorAll("[data-poll]").forEach((place) => refresh(place));
  const report = document.querySelector("iframe.report"); // it has an origin of its own, and cannot read what was chosen here
  const tellTheme = () => report.contentWindow.postMessage({ theme: document.documentElement.dataset.theme || "auto" }, "*");
  if (report) {
    report.addEventListener("load", tellTheme);
    new MutationObserver(tellTheme).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    tellTheme();
  }
})();
