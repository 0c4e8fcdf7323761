import { fullest } from "./records.js";

// What is chosen is in the address, as #VIEW/ID?key=value: a reload, a link and the Back button show the same.
export const DEFAULTS = {
  board: fullest, kind: "", q: "", sort: "rank", columns: "worst_case clean verdict n", pick: "", // of the board
  show: "", label: "", times: "", image: "", // of images
};
export const state = {};

export function readAddress() {
  const [path, query] = location.hash.slice(1).split("?");
  const [view, ...ids] = path.split("/");
  Object.assign(state, DEFAULTS, Object.fromEntries(new URLSearchParams(query)), { path, view, ids });
}

// The address of a view with the present choices, but for some changes.
export function to(path, changes = {}) {
  const wanted = { ...state, image: path === state.path ? state.image : "", ...changes };
  const kept = Object.keys(DEFAULTS).filter((key) => wanted[key] !== DEFAULTS[key]);
  const query = String(new URLSearchParams(kept.map((key) => [key, wanted[key]])));
  return `#${path}${query && "?"}${query}`;
}

export const open = (path, changes) => { location.hash = to(path, changes); };

// Other choices in the same view; quietly, as while someone types, without a new step for the Back button.
export function choose(changes, { quietly = false } = {}) {
  if (quietly) location.replace(to(state.path, changes));
  else open(state.path, changes);
}
