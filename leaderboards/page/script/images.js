import { percent, plural } from "./format.js";
import { controls, facts, html, nothing, option, rowHead, select } from "./parts.js";
import { canvas, fitting, magnified, picturesOf } from "./pixels.js";
import { className, data, runs } from "./records.js";
import { choose, open, state, to } from "./state.js";

const FATES = { broken: "broken by the attack", unbroken: "unbroken", wrong: "wrong without the attack" };
const FACTORS = [1, 2, 5, 10, 20, 50];

export const timesOf = (pictures) => Number(state.times) || fitting(pictures);

function guess(board, predictions, label) {
  const counts = new Map();
  for (const one of predictions) counts.set(one, (counts.get(one) ?? 0) + 1);
  const [[top]] = [...counts].sort((a, b) => b[1] - a[1]), share = (counts.get(label) ?? 0) / predictions.length;
  const right = share >= 0.5, votes = predictions.length > 1 ? ` ${percent(share, 0)} % right` : "";
  return html`<b class=${right ? "right" : "wrong"}>${right ? "✓" : "✗"} ${className(board, top)}</b>${votes}`;
}

// Clean, attacked, difference and purified, with predictions.
export function tiles(picture, times) {
  const { board } = runs[picture.run].row, { id, shape, label, original, attacked, purified = [] } = picture;
  const tile = (pixels, what, predictions) => html`<figure>${canvas(pixels, shape, `image ${id}: ${what}`)}
    <figcaption>${what} ${predictions ? guess(board, predictions, label) : nothing}</figcaption></figure>`;
  return html`<div class="tiles">
    ${original ? tile(original, "clean", picture.clean) : nothing}${tile(attacked, "attacked", picture.adversarial)}
    ${original ? tile(magnified(picture, times), `difference × ${times}`) : nothing}
    ${purified.map((pixels, k) => tile(pixels, ["clean, purified", "attacked, purified"][k]))}</div>`;
}

export function card(picture, times) {
  const { id, run, fate } = picture, truth = className(runs[run].row.board, picture.label);
  const address = to(`images/${run}`, { image: `${id}` });
  return html`<li class="card"><a href=${address}><b>${truth}</b> <span class="none">image ${id}</span></a>
    <span class="tag ${fate}">${FATES[fate]}</span>${tiles(picture, times)}</li>`;
}

function imageFilters(id, all) {
  const { row } = runs[id], labels = [...new Set(all.map(({ label }) => label))].sort((a, b) => a - b);
  const count = (fate) => all.filter((picture) => picture.fate === fate).length;
  const fates = Object.entries(FATES).map(([fate, text]) => [fate, `${text}: ${count(fate)}`]);
  const factors = FACTORS.map((factor) => [`${factor}`, `× ${factor}`]);
  const others = row.runs.filter((other) => runs[other].evidence);
  return controls("Filter the images", html`
    <label>Run<select @change=${(event) => open(`images/${event.target.value}`)}>
      ${others.map((other) => option(other, `${runs[other].attack}, seed ${runs[other].seed}`, id))}</select></label>
    ${select("Show", "show", [["", `all: ${all.length}`], ...fates])}
    ${select("Class", "label", [["", "all"], ...labels.map((label) => [`${label}`, className(row.board, label)])])}
    ${select("Difference", "times", [["", `× ${fitting(all)}, fills the range`], ...factors])}`);
}

// All stored images of a run, by what became of them and by class.
export function imagesView([id]) {
  const { row, attack, evidence, n } = runs[id], all = evidence ? picturesOf(id) : [], times = timesOf(all);
  const fits = ({ fate, label }) => [fate, ""].includes(state.show) && [`${label}`, ""].includes(state.label);
  const shown = all.filter(fits), hint = data.purified ? "" : " Purified images: build the page with --purified.";
  return html`${rowHead(row, `Images of ${row.title} under ${attack}`)}${imageFilters(id, all)}
    <p class="count" role="status">${shown.length} of ${plural(all.length, "image")} on this page;
      the <a href=${to(`run/${id}`)}>run</a> has ${n}</p>
    <p class="note">Predictions: those of the record, after the purifier. Grey in the difference: no change.${hint}</p>
    <ul class="cards">${shown.map((picture) => card(picture, times))}</ul>
    ${zoom(all.find((picture) => `${picture.id}` === state.image), shown, times)}`;
}

// One image large; buttons and arrow keys go to its neighbours.
function zoom(picture, shown, times) {
  if (!picture) return nothing;
  const { board } = runs[picture.run].row, place = shown.indexOf(picture);
  const names = (predictions) => predictions.map((one) => className(board, one)).join(", ");
  const step = (by) => { if (shown[place + by]) choose({ image: `${shown[place + by].id}` }, { quietly: true }); };
  const keys = (event) => { if (event.key === "ArrowLeft") step(-1); else if (event.key === "ArrowRight") step(1); };
  const closed = () => choose({ image: "" }, { quietly: true });
  return html`<dialog class="zoom" aria-label="Image ${picture.id}" @close=${closed} @keydown=${keys}>
    <h2>${className(board, picture.label)}, image ${picture.id}: ${FATES[picture.fate]}</h2>${tiles(picture, times)}
    ${facts([["Predicted, clean", names(picture.clean)], ["Predicted, attacked", names(picture.adversarial)]])}
    <p><button type="button" ?disabled=${!shown[place - 1]} @click=${() => step(-1)}>← Previous</button>
      <button type="button" ?disabled=${!shown[place + 1]} @click=${() => step(1)}>Next →</button>
      <button type="button" @click=${(event) => event.target.closest("dialog").close()}>Close</button></p></dialog>`;
}
