// The compare page: loads the data of the chosen runs and draws them. Texts are set as text, never as markup.
"use strict";

const MOST = 6; // as many as there are colours
const DASHES = ["", "7 2", "2 2", "7 2 2 2", "10 3", "4 4"]; // so that colour is not the only sign
const SHOWN = 10; // sentences at either end
const MINUS = "\u2212";
const known = new Map(); // runs by name
const sentences = new Map(); // test texts by data hash
const awaited = new Map(); // what a script that was asked for resolves

function arrived(store, key, value) {
  store.set(key, value);
  awaited.get(key)?.();
}

globalThis.benchRun = (name, data) => arrived(known, name, data);
globalThis.benchTexts = (name, data) => arrived(sentences, name, data);

/** Load a data file of the report once; `name` must be one that the page itself offers. */
function load(store, name, file) {
  if (store.has(name)) return Promise.resolve();
  return new Promise((resolve, reject) => {
    awaited.set(name, resolve);
    const script = document.createElement("script");
    script.src = `compare/${encodeURIComponent(file)}.js`;
    script.onerror = () => reject(new Error(`${file}.js is not there`));
    document.head.append(script);
  });
}

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function shape(name, attributes = {}, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

const colour = (i) => `var(--s${i})`;
const letter = (i) => String.fromCharCode(65 + i);
const number = (value, digits) => value.toFixed(digits).replace("-", MINUS);
const signed = (value, digits) => (value > 0 ? "+" : "") + number(value, digits);

/** Round numbers that divide [low, high] into about four. */
function ticks(low, high) {
  const raw = (high - low) / 4 || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
  const found = [];
  for (let t = Math.ceil(low / step) * step; t <= high + step * 1e-6; t += step) found.push(Number(t.toPrecision(6)));
  return found;
}

function extent(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  const slack = (high - low || 1) * 0.04;
  return [low - slack, high + slack];
}

/** Axes with their grid; returns the drawing and the two scales. */
function axes(xs, ys, xName, yName, label, height = 250) {
  const [width, left, right, top, bottom] = [420, 52, 8, 8, 38];
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, class: "drawn" });
  const x = (v) => left + ((v - xs[0]) / (xs[1] - xs[0])) * (width - left - right);
  const y = (v) => height - bottom - ((v - ys[0]) / (ys[1] - ys[0])) * (height - top - bottom);
  const text = (v) => String(v).replace("-", MINUS);
  for (const t of ticks(...xs)) {
    svg.append(shape("path", { class: "grid", d: `M${x(t)} ${top}V${height - bottom}` }));
    svg.append(shape("text", { x: x(t), y: height - bottom + 14, "text-anchor": "middle" }, text(t)));
  }
  for (const t of ticks(...ys)) {
    svg.append(shape("path", { class: "grid", d: `M${left} ${y(t)}H${width - right}` }));
    svg.append(shape("text", { x: left - 5, y: y(t) + 4, "text-anchor": "end" }, text(t)));
  }
  svg.append(shape("path", { class: "axis", d: `M${left} ${top}V${height - bottom}H${width - right}` }));
  svg.append(shape("text", { x: (left + width) / 2, y: height - 4, "text-anchor": "middle" }, xName));
  const middle = (height - bottom + top) / 2;
  const turned = { x: 11, y: middle, "text-anchor": "middle", transform: `rotate(-90 11 ${middle})` };
  svg.append(shape("text", turned, yName));
  return { svg, x, y };
}

function figure(svg, caption) {
  return element("figure", {}, svg, element("figcaption", {}, caption));
}

function key(runs) {
  const line = element("p", { class: "keys" });
  runs.forEach((run, i) => {
    const svg = shape("svg", { viewBox: "0 0 32 12", "aria-hidden": "true" });
    const style = { d: "M0 6H32", stroke: colour(i), "stroke-width": 2.5, "stroke-dasharray": DASHES[i] };
    svg.append(shape("path", style));
    line.append(element("span", { class: "key" }, svg, `${letter(i)}: ${run.title} (${run.name})`));
  });
  return line;
}

function curves(runs) {
  const names = [...new Set(runs.flatMap((run) => Object.keys(run.curves)))];
  const figures = names.map((name) => {
    const lines = runs.map((run) => run.curves[name]).map((curve, i) => ({ curve, i })).filter((line) => line.curve);
    const xs = extent(lines.flatMap(({ curve }) => curve[0]));
    const ys = extent(lines.flatMap(({ curve }) => curve[1]));
    const missing = runs.map((_, i) => i).filter((i) => !runs[i].curves[name]).map(letter);
    const { svg, x, y } = axes(xs, ys, "step", "nats per text", `${name}, over training`);
    for (const { curve, i } of lines) {
      const d = curve[0].map((step, j) => `${j ? "L" : "M"}${x(step).toFixed(1)} ${y(curve[1][j]).toFixed(1)}`).join("");
      svg.append(shape("path", { class: "curve", d, stroke: colour(i), "stroke-dasharray": DASHES[i], "data-run": letter(i) }));
    }
    return figure(svg, `${name}.${missing.length ? ` Not recorded by ${missing.join(", ")}.` : ""}`);
  });
  return element("div", { class: "figures" }, ...figures);
}

/** Values of both runs for the texts of which both have one. */
function pairs(first, second, quantity) {
  const [a, b] = [first.texts[quantity] ?? [], second.texts[quantity] ?? []];
  const found = [];
  for (let i = 0; i < Math.min(a.length, b.length); i++)
    if (a[i] !== null && b[i] !== null) found.push({ i, a: a[i] / 100, b: b[i] / 100 });
  return found;
}

function dots(found, x, y, index) {
  const d = found.map(([u, v]) => `M${(x(u) - 1.2).toFixed(1)} ${(y(v) - 1.2).toFixed(1)}h2.4v2.4h-2.4z`).join("");
  return shape("path", { class: "dots", d, fill: colour(index) });
}

/** Ours against theirs with the line of equality, and the same as differences, where the line lies flat. */
function scatter(found, index, quantity) {
  const range = extent(found.flatMap(({ a, b }) => [a, b]));
  const name = (i) => `${letter(i)}: ${quantity}, nats`;
  const both = axes(range, range, name(0), name(index), `${quantity} of each test text: ${letter(index)} over A`, 400);
  both.svg.append(dots(found.map(({ a, b }) => [a, b]), both.x, both.y, index));
  const [from, to] = range;
  const line = `M${both.x(from)} ${both.y(from)}L${both.x(to)} ${both.y(to)}`;
  both.svg.append(shape("path", { class: "identity", d: line }));
  const heights = extent([0, ...found.map(({ a, b }) => b - a)]);
  const what = `${letter(index)} ${MINUS} A`;
  const apart = axes(range, heights, name(0), `${what}, nats`, `${what} of each test text`, 400);
  apart.svg.append(dots(found.map(({ a, b }) => [a, b - a]), apart.x, apart.y, index));
  apart.svg.append(shape("path", { class: "identity", d: `M${apart.x(from)} ${apart.y(0)}H${apart.x(to)}` }));
  return element(
    "div",
    { class: "figures" },
    figure(both.svg, `One dot for each of ${found.length} test texts; on the dashed line both spend the same.`),
    figure(apart.svg, `The same texts: below the dashed line ${letter(index)} spends less.`),
  );
}

/** Means over resampled texts, the same resamples for every run: 32-bit numbers. */
function resampled(draws) {
  const bytes = Uint8Array.from(atob(draws), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

/** The quantile of sorted values, between neighbours by a straight line. */
function quantile(sorted, share) {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

/** The 95 % interval of the mean difference: a bootstrap over texts, as `bench compare` prints it. */
function interval(first, second, quantity) {
  const [a, b] = [first.resampled[quantity], second.resampled[quantity]];
  if (!a || !b) return "";
  const before = resampled(a);
  const draws = resampled(b).map((value, i) => value - before[i]).sort((x, y) => x - y);
  return ` [${signed(quantile(draws, 0.025), 3)}, ${signed(quantile(draws, 0.975), 3)}]`;
}

function summary(found, first, second, quantity, index) {
  const differences = found.map(({ a, b }) => b - a);
  const n = differences.length;
  const mean = differences.reduce((sum, d) => sum + d, 0) / n;
  const lower = differences.filter((d) => d < 0).length;
  return element(
    "p",
    { class: "difference" },
    `${letter(index)} ${MINUS} A: ${signed(mean, 3)} nats per text${interval(first, second, quantity)} ` +
      `(95 %, a bootstrap over texts; these two runs, not the two systems). ` +
      `${letter(index)} is lower on ${lower} of ${n} texts.`,
  );
}

function farthest(found, first, index, quantity) {
  const order = [...found].sort((p, q) => q.b - q.a - (p.b - p.a));
  const ends = [...order.slice(0, SHOWN), ...order.slice(-Math.min(SHOWN, Math.max(order.length - SHOWN, 0)))];
  const texts = sentences.get(first.data);
  const head = element("tr");
  for (const name of [`${letter(index)} ${MINUS} A`, "A", letter(index), "Words", "Text"])
    head.append(element("th", name === "Text" ? { scope: "col" } : { scope: "col", class: "num" }, name));
  const body = element("tbody");
  for (const { i, a, b } of ends) {
    const shown = texts?.[i] ?? `test text ${i}`;
    const cells = [signed(b - a, 2), number(a, 2), number(b, 2), String(first.words[i] ?? "")];
    body.append(
      element("tr", {}, ...cells.map((cell) => element("td", { class: "num" }, cell)), element("td", { class: "sentence" }, shown)),
    );
  }
  const table = element("table", {}, element("thead", {}, head), body);
  const box = element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Sentences, ${letter(index)}` }, table);
  const why = texts ? "" : " The texts of this corpus are not part of a report; bench compare prints them.";
  return [element("h3", {}, `Where ${letter(index)} and A differ most in ${quantity}`), element("p", { class: "small soft" },
    `The ${SHOWN} texts on which ${letter(index)} spends most more than A, then the ${SHOWN} on which it spends most less.${why}`), box];
}

function measured(runs) {
  const names = [...new Set(runs.flatMap((run) => Object.keys(run.measured)))];
  const head = element("tr", {}, element("th", { scope: "col" }, "Nats per text"));
  runs.forEach((run, i) => head.append(element("th", { scope: "col", class: "num" }, `${letter(i)}: ${run.title}`)));
  const body = element("tbody");
  for (const name of names) {
    const row = element("tr", {}, element("th", { scope: "row" }, name));
    for (const run of runs)
      row.append(element("td", { class: "num" }, name in run.measured ? number(run.measured[name], 3) : "–"));
    body.append(row);
  }
  const table = element("table", {}, element("thead", {}, head), body);
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Measurements" }, table);
}

function paired(runs, quantity) {
  const parts = [];
  runs.slice(1).forEach((run, i) => {
    const index = i + 1;
    parts.push(element("h3", {}, `${letter(index)} beside A`));
    if (run.data !== runs[0].data)
      parts.push(element("p", {}, "They were measured on different test texts: nothing can be paired."));
    else {
      const found = pairs(runs[0], run, quantity);
      if (!found.length) parts.push(element("p", {}, `Not both have a ${quantity} for each text.`));
      else parts.push(summary(found, runs[0], run, quantity, index), scatter(found, index, quantity), ...farthest(found, runs[0], index, quantity));
    }
  });
  return parts;
}

function draw(runs, quantity, choose) {
  const into = document.getElementById("compared");
  const quantities = [...new Set(runs.flatMap((run) => Object.keys(run.texts)))];
  const chosen = quantities.includes(quantity) ? quantity : quantities[0];
  const select = element("select", { id: "quantity" });
  for (const name of quantities) select.append(new Option(name, name, false, name === chosen));
  select.addEventListener("change", () => choose(select.value));
  const label = element("label", { class: "filter" }, "Quantity ", select);
  const texts = quantities.length ? [element("h2", {}, "Text by text"), label, ...paired(runs, chosen)] : [];
  into.replaceChildren(key(runs), element("h2", {}, "Measured"), measured(runs), element("h2", {}, "Curves"), curves(runs), ...texts);
}

document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("choose");
  if (!form) return;
  const more = document.getElementById("more");
  const into = document.getElementById("compared");
  const template = document.getElementById("one").content;
  const offered = new Set([...template.querySelectorAll("option")].map((option) => option.value).filter(Boolean));
  const withTexts = new Set(into.dataset.texts.split(" "));
  let quantity = "";
  let turn = 0;

  const selects = () => [...form.querySelectorAll("select")];

  function add(value = "") {
    const label = template.cloneNode(true).firstElementChild;
    label.firstElementChild.textContent = `Run ${letter(selects().length)}`;
    const select = label.querySelector("select");
    select.value = value;
    select.addEventListener("change", show);
    more.before(label);
    more.hidden = selects().length >= MOST;
  }

  function read() {
    const asked = new URLSearchParams(location.hash.slice(1));
    if (!location.hash) into.dataset.pair.split(" ").forEach((name, i) => name && asked.set(letter(i).toLowerCase(), name));
    form.querySelectorAll("label").forEach((label) => label.remove());
    quantity = asked.get("by") ?? "";
    for (let i = 0; i < MOST; i++) {
      const value = asked.get(letter(i).toLowerCase());
      if (i < 2 || value) add(offered.has(value) ? value : "");
    }
  }

  async function show() {
    const mine = ++turn;
    const names = [...new Set(selects().map((select) => select.value).filter((value) => offered.has(value)))];
    const asked = new URLSearchParams(names.map((name, i) => [letter(i).toLowerCase(), name]));
    if (quantity) asked.set("by", quantity);
    if (names.length) history.replaceState(null, "", `#${asked}`);
    if (names.length < 2) {
      into.replaceChildren(element("p", { class: "soft" }, "Choose two runs."));
      return;
    }
    try {
      await Promise.all(names.map((name) => load(known, name, name)));
      const runs = names.map((name) => known.get(name));
      const data = [...new Set(runs.map((run) => run.data))].filter((name) => withTexts.has(name));
      await Promise.all(data.map((name) => load(sentences, name, `texts-${name}`)));
      if (mine !== turn) return; // the reader has chosen others meanwhile
      draw(runs, quantity, (value) => {
        quantity = value;
        show();
      });
    } catch (error) {
      into.replaceChildren(element("p", { class: "banner" }, `The data of a run cannot be loaded: ${error.message}.`));
    }
  }

  more.addEventListener("click", () => add());
  addEventListener("hashchange", () => {
    read();
    show();
  });
  read();
  show();
});
