import { boardView } from "./board.js";
import { compareView, storing } from "./compare.js";
import { imagesView } from "./images.js";
import { html } from "./parts.js";
import { loadImages } from "./pixels.js";
import { rowOf, runs } from "./records.js";
import { runView } from "./run.js";
import { readAddress, state, to } from "./state.js";

const $ = (id) => document.getElementById(id);
const comparable = (a, b) => a && b && a !== b && a.board === b.board;

// Of each view: whether its ids exist, its content, and the runs whose images it shows.
const VIEWS = {
  "": { has: () => true, view: boardView, images: () => [] },
  run: { has: ([id]) => id in runs, view: runView, images: (ids) => ids },
  images: { has: ([id]) => id in runs, view: imagesView, images: (ids) => ids },
  compare: {
    has: (ids) => comparable(...ids.map(rowOf)), view: compareView, images: (ids) => ids.map(rowOf).flatMap(storing),
  },
};
const lost = () => html`<h1>Not on this page</h1><p>No such run or comparison: <a href=${to("")}>Leaderboard</a></p>`;

const scrolled = new Map();
let before;

async function show() {
  if (before !== undefined) scrolled.set(before, scrollY);
  readAddress();
  const { path, ids } = state, wanted = VIEWS[state.view], known = wanted?.has(ids);
  if (known) await loadImages(wanted.images(ids));
  if (path !== state.path) return; // the next view is on its way
  vendor.render(known ? wanted.view(ids) : lost(), $("view"));
  document.title = `${document.querySelector("h1").innerText} · purebench`;
  document.querySelector("dialog:not([open])")?.showModal();
  measure();
  if (before !== undefined && before !== path) {
    scrollTo(0, path ? 0 : scrolled.get(path) ?? 0);
    $("main").focus({ preventScroll: true });
  }
  before = path;
}

// A table that is wider than its place scrolls in a box of its own; others leave the header to the window.
function measure() {
  for (const box of document.querySelectorAll(".scroll:has(.rows)")) {
    box.classList.remove("wide");
    box.classList.toggle("wide", box.scrollWidth > box.clientWidth);
  }
}

// Tips of headers and of points, for pointer and keyboard; a point and its row are lit together.
function explain(target) {
  const tip = $("tip"), explained = target?.closest?.("[data-tip]"), row = target?.closest?.("[data-row]")?.dataset.row;
  for (const one of document.querySelectorAll("[data-row]")) one.classList.toggle("lit", one.dataset.row === row);
  document.querySelector("[aria-describedby=tip]")?.removeAttribute("aria-describedby");
  tip.hidden = !explained;
  if (!explained) return;
  tip.textContent = explained.dataset.tip;
  if (explained.matches("button")) explained.setAttribute("aria-describedby", "tip");
  const { left, top, bottom } = explained.getBoundingClientRect(), { offsetWidth: width, offsetHeight: height } = tip;
  tip.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
  tip.style.top = `${bottom + height + 8 > innerHeight ? top - height - 6 : bottom + 6}px`;
}

function closeMenus(but) {
  for (const menu of document.querySelectorAll(".menu[open]")) if (!menu.contains(but)) menu.open = false;
}

function remembered(theme) {
  try {
    if (theme) localStorage.setItem("purebench-theme", theme);
    return localStorage.getItem("purebench-theme");
  } catch { // a page without storage
    return theme;
  }
}

function switchTheme() {
  const { dataset } = document.documentElement, preferred = matchMedia("(prefers-color-scheme: dark)").matches;
  dataset.theme = remembered((dataset.theme ? dataset.theme === "dark" : preferred) ? "light" : "dark");
}

addEventListener("hashchange", show);
addEventListener("resize", measure);
document.addEventListener("pointerover", (event) => explain(event.target));
document.addEventListener("focusin", (event) => explain(event.target));
document.addEventListener("click", (event) => closeMenus(event.target));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  explain(null);
  document.querySelector(".menu[open] summary")?.focus();
  closeMenus(null);
});
$("skip").addEventListener("click", (event) => { event.preventDefault(); $("main").focus(); });
$("theme").addEventListener("click", switchTheme);
if (remembered()) document.documentElement.dataset.theme = remembered();
history.scrollRestoration = "manual";
show();
