import { percent, range } from "./format.js";
import { openRanks } from "./records.js";
import { choose, state, to } from "./state.js";

// Pieces that several views share.
export const { html, nothing } = vendor;

// A share or a difference with its interval below it.
export const interval = (part, { text = percent, value = text(part.value), note = "" } = {}) =>
  html`${value}<span class="range">${range(part, text)}${note}</span>`;

export function whisker({ low, value, high }) {
  const style = `--low:${100 * low};--value:${100 * value};--high:${100 * high}`;
  return html`<span class="whisker" aria-hidden="true" style=${style}></span>`;
}

const TONES = { believed: "yes", passed: "yes", pass: "yes", suspect: "warn", refuted: "no" };
export const tag = (text, verdict) => html`<span class="tag ${TONES[verdict] ?? ""}">${text}</span>`;
export const verdict = (part) =>
  html`${tag(part.badge, part.verdict)}${part.flags.map((flag) => html` <span class="tag warn">${flag}</span>`)}`;

// A link to another site, if its address is one.
export const outside = (url, text) =>
  /^https?:\/\//.test(url ?? "") ? html`<a href=${url} rel="noreferrer">${text}</a>` : nothing;

export function sourceLinks({ url, code, venue, year }) {
  const place = venue?.includes(year) ? venue : [venue, year].filter(Boolean).join(" ");
  return html`${outside(url, "paper")} ${outside(code, "code")} ${place}`;
}

export const facts = (pairs) => html`<dl class="facts">${pairs.map(([name, value, state = ""]) =>
  html`<dt>${name}</dt><dd class=${state}>${value}</dd>`)}</dl>`;

export const figure = (title, part, note = "") =>
  html`<div class="figure"><dt>${title}</dt>
    <dd>${percent(part.value)} %<small>${range(part)} %${note}</small></dd></div>`;

const heading = (title) =>
  (title ? html`<th scope="col" class=${/%$|^n$|^Seed$/.test(title) ? "" : "text"}>${title}</th>` : html`<td></td>`);
export const table = (name, head, body) => html`<div class="scroll" role="region" aria-label=${name} tabindex="0">
  <table><caption>${name}</caption><thead><tr>${head.map(heading)}</tr></thead><tbody>${body}</tbody></table></div>`;

export const option = (value, text, chosen) =>
  html`<option value=${value} .selected=${value === chosen}>${text}</option>`;

export const select = (label, key, options) => html`<label>${label}
  <select id=${key} @change=${(event) => choose({ [key]: event.target.value })}>
    ${options.map(([value, text]) => option(value, text, state[key]))}</select></label>`;

const stay = (event) => event.preventDefault();
export const controls = (label, content) =>
  html`<form class="controls" role="search" aria-label=${label} @submit=${stay}>${content}</form>`;

export const commandBox = (command) => html`<div class="command"><code>${command}</code>
  <button type="button" @click=${(event) => copy(event.target, command)}>Copy</button></div>`;

async function copy(button, command) {
  try {
    await navigator.clipboard.writeText(command);
    button.textContent = "Copied";
  } catch { // a page without the right to write there
    getSelection().selectAllChildren(button.previousElementSibling);
    button.textContent = "Selected";
  }
}

export const crumb = () => html`<p class="crumb"><a href=${to("")}>← Leaderboard</a></p>`;

export const standing = (row) => (row.rank === null
  ? `not ranked: lacks ${row.missing.join(", ")}` : `rank ${row.rank} (${openRanks(row)}) of ${row.board.ranked}`);

// The head of a view of one row: where it stands, and whether it can be believed.
export const rowHead = (row, title, figures = nothing) => html`${crumb()}<h1>${title}</h1>
  <p class="lead"><b>${row.board.name}, ${standing(row)}</b> ${verdict(row)}</p>
  <dl class="figures">${figure("Worst case over attacks", row.worst_case, `, n = ${row.n}`)}
    ${figure("Clean", row.clean)}${figures}</dl>`;
