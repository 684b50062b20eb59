/* Texts whose contrast with what is behind them is below `least`, by WCAG 2's formula: [[ratio, text, place], ...]. */
(least) => {
  const parse = (css) => {
    const numbers = (css.match(/-?[\d.]+(e-?\d+)?%?/g) || []).map((each) => parseFloat(each));
    if (css.startsWith("color(srgb")) return [...numbers.slice(0, 3).map((each) => 255 * each), numbers[3] ?? 1];
    return [...numbers.slice(0, 3), numbers[3] ?? 1];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const light = (c) => [0, 1, 2].map((i) => c[i] / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const opacity = (element) => { let all = 1; for (let at = element; at; at = at.parentElement) all *= parseFloat(getComputedStyle(at).opacity); return all; };
  const bad = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement, text = walk.currentNode.textContent.trim();
    if (!text || ["SCRIPT", "STYLE", "OPTION", "TITLE", "DATALIST"].includes(element.tagName) || !element.getClientRects().length) continue;
    const style = getComputedStyle(element), svg = element instanceof SVGElement;
    if (style.visibility === "hidden" || element.closest("[aria-disabled=true], .hidden, .skip")) continue;
    const below = behind(element), ink = parse(svg ? style.fill : style.color);
    const seen = over([...ink.slice(0, 3), ink[3] * opacity(element)], below);
    const [a, b] = [light(seen), light(below)], ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < least) bad.push([Math.round(100 * ratio) / 100, text.slice(0, 40), element.tagName + "." + (element.getAttribute("class") || "")]);
  }
  return bad;
}
