// Theme, addresses of details, sorting and filtering of tables, buttons that copy a command.
// Every page says all that it has to say without it.
"use strict";

// The theme: the system's unless the reader chose another. Set before anything is drawn.
const THEMES = ["auto", "light", "dark"];

function storedTheme() {
  try {
    return THEMES.includes(localStorage.benchTheme) ? localStorage.benchTheme : "auto";
  } catch {
    return "auto"; // a browser that keeps nothing for files
  }
}

function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

function themeButton() {
  const button = document.querySelector("button.theme");
  let theme = storedTheme();
  const show = () => (button.textContent = `Theme: ${theme}`);
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    setTheme(theme);
    show();
    try {
      localStorage.benchTheme = theme;
    } catch {
      return; // it holds for this page
    }
  });
  show();
  button.hidden = false;
}

// Details: what the address names is opened, and what is opened is named in the address.
function openTarget() {
  const open = document.querySelector(":popover-open");
  if (open && location.hash !== `#${open.id}`) open.hidePopover();
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  if (!target.matches("[popover]")) {
    if (target.closest("details")) target.scrollIntoView();
    return;
  }
  const cell = target.closest("td");
  if (cell) cell.scrollIntoView({ block: "center", inline: "center" });
  if (!target.matches(":popover-open")) target.showPopover();
}

function nameInAddress(event) {
  const opened = event.target;
  if (!(opened instanceof Element) || !opened.matches("[popover]")) return;
  const row = opened.closest("tr");
  if (row) row.classList.toggle("marked", event.newState === "open");
  const plain = location.pathname + location.search;
  if (event.newState === "open") history.replaceState(null, "", `#${opened.id}`);
  else if (location.hash === `#${opened.id}`) history.replaceState(null, "", plain);
}

// Sorting: the first press sorts upwards, the second downwards, the third restores the printed order.
const DURATION = /^(?:(\d+) h )?(?:(\d+) min ?)?(?:([\d.]+) s)?$/;

function sortKey(cell) {
  if (!cell) return null;
  const shown = cell.querySelector(".value") ?? (cell.querySelector("button.cell") ? null : cell);
  const text = (shown ? shown.textContent : "").trim();
  const time = text.match(DURATION);
  if (text && time) return Number(time[1] ?? 0) * 3600 + Number(time[2] ?? 0) * 60 + Number(time[3] ?? 0);
  const number = text.replace(/\u2212/g, "-").replace(/(\d)\u202f(?=\d)/g, "$1").match(/^[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?/);
  if (number) return Number(number[0]);
  return text === "" || text === "\u2013" ? null : text.toLowerCase();
}

function compareKeys(a, b) {
  if (a === null || b === null) return (a === null) - (b === null); // what is unknown comes last
  if (typeof a === typeof b) return a < b ? -1 : Number(a > b);
  return typeof a === "number" ? -1 : 1;
}

function makeSortable(table) {
  const body = table.tBodies[0];
  const heads = [...(table.tHead?.rows[table.tHead.rows.length - 1]?.cells ?? [])];
  const printed = [...body.rows];
  if (printed.length < 3 || printed.some((row) => row.cells.length > heads.length)) return;
  const sort = (column, direction) => {
    heads.forEach((head, i) => head.ariaSort !== null && (head.ariaSort = i === column ? direction : "none"));
    const rows = printed.filter((row) => !row.matches(".reference"));
    if (direction !== "none") {
      const sign = direction === "ascending" ? 1 : -1;
      const keys = new Map(rows.map((row) => [row, sortKey(row.cells[column])]));
      rows.sort((a, b) => {
        const [x, y] = [keys.get(a), keys.get(b)];
        return x === null || y === null ? compareKeys(x, y) : sign * compareKeys(x, y);
      });
    }
    body.append(...printed.filter((row) => row.matches(".reference")), ...rows);
  };
  heads.forEach((head, column) => {
    if (!head.textContent.trim() || head.querySelector("a")) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...head.childNodes);
    head.append(button);
    head.ariaSort = "none";
    button.addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" }[head.ariaSort];
      sort(column, next);
    });
  });
}

function makeFilter(table) {
  const rows = [...table.tBodies[0].rows].filter((row) => !row.matches(".reference"));
  if (rows.length < 10) return;
  const label = document.createElement("label");
  const input = document.createElement("input");
  const count = document.createElement("output");
  label.className = "filter";
  input.type = "search";
  label.append("Filter rows ", input, count);
  const texts = new Map(rows.map((row) => [row, rowText(row)]));
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) row.hidden = !words.every((word) => texts.get(row).includes(word));
    const left = rows.filter((row) => !row.hidden).length;
    count.textContent = words.length ? `${left} of ${rows.length}` : "";
  });
  table.closest(".scroll").before(label);
}

function rowText(row) {
  const copy = row.cloneNode(true);
  copy.querySelectorAll("[popover]").forEach((details) => details.remove());
  return copy.textContent.toLowerCase();
}

// On a narrow window such a table is a list of cards; it stays a table to those who listen.
function makeStackable(table) {
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells].map((cell) => cell.textContent.trim());
  table.classList.add("stacked");
  table.setAttribute("role", "table");
  for (const group of [table.tHead, table.tBodies[0]]) group.setAttribute("role", "rowgroup");
  for (const row of table.rows) {
    row.setAttribute("role", "row");
    [...row.cells].forEach((cell, column) => {
      const scope = cell.getAttribute("scope");
      cell.setAttribute("role", scope === "col" ? "columnheader" : scope === "row" ? "rowheader" : "cell");
      if (cell.matches("tbody td")) cell.dataset.label = heads[column] ?? "";
    });
  }
}

function addCopyButton(pre) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "copy";
  button.addEventListener("click", async () => {
    getSelection().selectAllChildren(pre);
    try {
      await navigator.clipboard.writeText(pre.textContent);
      button.textContent = "copied";
    } catch {
      button.textContent = "selected: press Ctrl+C";
    }
  });
  pre.after(button);
}

setTheme(storedTheme());
document.addEventListener("DOMContentLoaded", () => {
  themeButton();
  document.querySelectorAll("table.stack").forEach(makeStackable);
  document.querySelectorAll(".scroll > table:not(.fixed)").forEach((table) => {
    if (!table.tHead || !table.tBodies.length) return;
    makeFilter(table);
    makeSortable(table);
  });
  document.querySelectorAll("pre.command").forEach(addCopyButton);
  document.addEventListener("toggle", nameInAddress, true);
  addEventListener("beforeprint", () => document.querySelectorAll("details.fold, details.idle").forEach((fold) => (fold.open = true)));
  addEventListener("hashchange", openTarget);
  openTarget();
});
