import { pText, percent, plural, signed } from "./format.js";
import { tiles, timesOf } from "./images.js";
import { controls, crumb, html, interval, nothing, option, select, standing, table, verdict } from "./parts.js";
import { pictureOf } from "./pixels.js";
import { className, rowOf, rows, runs } from "./records.js";
import { byClass } from "./run.js";
import { open, state, to } from "./state.js";

const MEASURES = [
  { key: "worst_case", shares: "shares", title: "Worst case" },
  { key: "clean", shares: "clean_shares", title: "Clean" },
];

// B - A with its interval and p, and both on their common images; the board lists each row minus those before it.
function pairOf(a, b, measure) {
  const members = rows.filter((row) => row.board === a.board), [i, j] = [members.indexOf(a), members.indexOf(b)];
  const found = a.board.pairs[measure][Math.max(i, j)][Math.min(i, j)];
  if (!found) return null;
  const { row, other, value, low, high, ...rest } = found;
  if (i < j) return { ...rest, value, low, high, of: [other ?? a[measure], row ?? b[measure]] };
  return { ...rest, value: -value, low: -high, high: -low, of: [row ?? a[measure], other ?? b[measure]] };
}

// Images on which one of the rows is right in more draws than the other.
function flips(a, b, shares) {
  const { ids, labels } = a.board;
  const known = ids.map((id, k) => ({ id, label: labels[k], of: [a[shares][k], b[shares][k]] }))
    .filter(({ of }) => of.every((share) => share !== null));
  return [known.filter(({ of: [x, y] }) => x > y), known.filter(({ of: [x, y] }) => x < y)];
}

// The image that shows a row's outcome: under the strongest run that breaks it, else under one that changes it.
function pictureIn(row, id) {
  const places = storing(row).map((run) => [run, runs[run].evidence.ids.indexOf(id)]);
  const found = places.filter(([, place]) => place >= 0).map(([run, place]) => pictureOf(run, place));
  const changed = ({ attacked, original }) => attacked.some((value, k) => value !== original?.[k]);
  return found.find(({ fate }) => fate !== "unbroken") ?? found.find(changed) ?? found[0];
}

export const storing = (row) => row.runs.filter((id) => runs[id].evidence);

function side(letter, row, other, address) {
  const choices = rows.filter((one) => one.board === row.board && one !== other);
  return html`<div class="side"><label>${letter}<select @change=${(event) => open(address(event.target.value))}>
      ${choices.map((one) => option(one.id, one.title, row.id))}</select></label>
    <p><b>${standing(row)}, worst case ${percent(row.worst_case.value)} %</b>
      <a href=${to(`run/${row.runs[0]}`)}>run</a><br>${verdict(row)}</p></div>`;
}

function figures(a, b) {
  const parts = MEASURES.map(({ key, shares }) => ({ pair: pairOf(a, b, key), only: flips(a, b, shares) }));
  const lines = [
    [`A: ${a.title}`, ({ pair }) => interval(pair.of[0])],
    [`B: ${b.title}`, ({ pair }) => interval(pair.of[1])],
    ["B − A, points", ({ pair }) => interval(pair, { text: signed })],
    ["Only A right", ({ only }) => only[0].length],
    ["Only B right", ({ only }) => only[1].length],
    ["Images of both", ({ pair }) => pair.n],
    ["p", ({ pair }) => pText(pair.p)],
  ];
  const body = lines.map(([title, cell]) => html`<tr><th scope="row">${title}</th>
    ${parts.map((part) => html`<td>${part.pair ? cell(part) : "no common images"}</td>`)}</tr>`);
  const stochastic = a.draws > 1 || b.draws > 1 ? " Right: in more of its draws." : "";
  return html`${table("Comparison", ["", ...MEASURES.map(({ title }) => `${title} %`)], body)}
    <p class="note">All on the images of both, paired, with 95 % intervals; p: exact, two-sided, of this pair alone,
      while ranks correct for all pairs.${stochastic}</p>`;
}

function flipCard({ id, label, of }, a, b) {
  const pictures = [a, b].map((row) => pictureIn(row, id)), times = timesOf(pictures.filter(Boolean));
  const address = (run) => to(`images/${run}`, { show: "", label: "", image: `${id}` });
  const shown = (picture) => html`<a href=${address(picture.run)}>under ${runs[picture.run].attack}</a>
    ${tiles(picture, times)}`;
  return html`<li class="card"><b>${className(a.board, label)}</b> <span class="none">image ${id}</span>
    ${pictures.map((picture, k) => html`<div>${"AB"[k]}: <b>${percent(of[k], 0)} % right</b>,
      ${picture ? shown(picture) : "no image on this page"}</div>`)}</li>`;
}

export function compareView(ids) {
  const [a, b] = ids.map(rowOf), [onlyA, onlyB] = flips(a, b, "shares");
  const groups = [["", "all", [...onlyA, ...onlyB]], ["A", "only A right", onlyA], ["B", "only B right", onlyB]];
  const options = groups.map(([key, text, part]) => [key, `${text}: ${part.length}`]);
  const [, , shown] = groups.find(([key]) => key === state.show) ?? groups[0];
  return html`${crumb()}<h1>${a.title} and ${b.title}</h1><p class="lead">${a.board.name}</p>
    <div class="sides">${side("A", a, b, (id) => `compare/${id}/${b.id}`)}
      ${side("B", b, a, (id) => `compare/${a.id}/${id}`)}</div>${figures(a, b)}
    <h2>Images that changed sides</h2>
    ${controls("Filter the images", select("Show", "show", options))}
    <p class="count" role="status">${plural(shown.length, "image")}, by the worst case</p>
    <ul class="cards">${shown.map((flip) => flipCard(flip, a, b))}</ul>
    ${byClass("Worst case by class", [a, b].map((row) => ({ row, key: "worst_case", title: row.title })))}`;
}
