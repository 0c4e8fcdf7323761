import { anyFail } from "./charts.js";
import { DRAW_RULES } from "./columns.js";
import { number, plural } from "./format.js";
import { card, timesOf } from "./images.js";
import {
  commandBox, controls, facts, figure, html, interval, nothing, option, rowHead, sourceLinks, table, tag, verdict,
  whisker,
} from "./parts.js";
import { pictureOf } from "./pixels.js";
import { className, rows, runs } from "./records.js";
import { open, to } from "./state.js";

const IMAGES = 6, EXACT = 1e-4;

function checks(run) {
  const { figures, passed, others } = run.checks;
  const shown = Object.entries(figures).map(([name, value]) => {
    const title = name[0].toUpperCase() + name.slice(1).replaceAll("_", " ");
    if (name === "gradient_error" && value !== null)
      return [title, `${value.toExponential(1)} against finite differences`, value < EXACT ? "ok" : "off"];
    if (value === true) return [title, "yes", "ok"];
    if (value === false) return [title, "no", name === "deterministic" ? "" : "off"];
    return [title, Array.isArray(value) ? value.join(" to ") : JSON.stringify(value)];
  });
  if (passed) shown.push(["Claims", `${passed} passed`, "ok"]);
  const unsettled = others.map(({ check, verdict: found, meaning }) =>
    [check, `${found}: ${meaning}`, found === "failed" ? "off" : ""]);
  return facts([...shown, ...unsettled, ["Audit", verdict(run)]]);
}

function audit(run) {
  if (!run.audit) return nothing;
  const body = run.audit.map(({ name, verdict: found, meaning, command }) => html`<tr>
    <th scope="row">${name}</th><td class="text">${tag(found, found)}</td>
    <td class="text meaning">${meaning} ${command ? html`<code>${command}</code>` : nothing}</td></tr>`);
  return html`<h2>Audit</h2>${table("Audit, check by check", ["Check", "Verdict", "What it means"], body)}`;
}

function attacks(row, current) {
  const several = new Set(row.runs.map((id) => runs[id].seed)).size > 1;
  const body = row.runs.map((id) => {
    const { attack, class: kind, robust, n, seed } = runs[id];
    const name = html`<a href=${to(`run/${id}`)} aria-current=${id === current ? "page" : "false"}>${attack}</a>`;
    const apart = !row.counted || row.counted.includes(id) ? "" : ": does not count, on other images, draws or seed";
    return html`<tr><th scope="row">${name}<span class="range">${kind}${apart}</span></th>
      <td>${interval(robust)}</td><td>${n}</td>${several ? html`<td>${seed}</td>` : nothing}</tr>`;
  });
  const head = ["Attack", "Robust %", "n", ...(several ? ["Seed"] : [])];
  return html`<h2>Attacks on this defense</h2>${table("Attacks on this defense", head, body)}`;
}

// Accuracy by class: of one row clean and in the worst case, of two rows their worst cases.
export function byClass(name, columns) {
  const cell = (part) => html`<td>${part ? html`${interval(part)}${whisker(part)}` : nothing}</td>`;
  const { board, by_class: classes } = columns[0].row;
  const head = ["Class", "n", ...columns.map(({ title }) => `${title} %`)];
  const body = classes.map(({ label, n }, k) => html`<tr><th scope="row">${className(board, label)}</th><td>${n}</td>
    ${columns.map(({ row, key }) => cell(row.by_class[k][key]))}</tr>`);
  return html`<h2>${name}</h2><div class="bars">${table(name, head, body)}</div>`;
}

// A stochastic defense under four rules for its draws, each beside the null attack; and submitted several times.
function draws(row) {
  const known = Object.entries(DRAW_RULES).filter(([key]) => row.draw_figures?.[key]);
  if (!known.length) return anyFail(row);
  const body = known.map(([key, [title, tip]]) => html`<tr>
    <th scope="row">${title}<span class="range">${tip}</span></th>
    <td>${interval(row.draw_figures[key].robust)}</td><td>${interval(row.draw_figures[key].clean)}</td></tr>`);
  const rules = table("Rules for draws", ["Rule", "Attacked %", "Null attack %"], body);
  return html`<h2>Draws</h2><div class="pair"><div>${rules}</div><div>${anyFail(row)}</div></div>`;
}

function images(id) {
  const { evidence } = runs[id];
  if (!evidence) return html`<h2>Images</h2><p class="note">Not stored, or the page was made without them.</p>`;
  const first = evidence.ids.slice(0, IMAGES).map((_, place) => pictureOf(id, place)), times = timesOf(first);
  const address = to(`images/${id}`, { show: "", label: "" });
  const all = plural(evidence.ids.length, "image");
  return html`<h2>Images</h2>
    <p class="note"><a href=${address}>Browse all ${all}</a>: by class, broken or unbroken, enlarged.</p>
    <ul class="cards">${first.map((picture) => card(picture, times))}</ul>`;
}

function comparing(row) {
  const others = rows.filter((other) => other.board === row.board && other !== row);
  const chosen = (event) => open(`compare/${row.id}/${event.target.value}`, { show: "" });
  return others.length ? controls("Compare", html`<label>Compare this row with<select @change=${chosen}>
    ${option("", "choose", "")}${others.map((other) => option(other.id, other.title, ""))}</select></label>`) : nothing;
}

function environment({ purebench, torch, instructions, device_name: name, device }) {
  const parts = [purebench && `purebench ${purebench}`, torch && `torch ${torch}`, instructions ?? name, device];
  return parts.filter(Boolean).join(", ");
}

export function runView([id]) {
  const run = runs[id], { row } = run, averaged = run.draws > 1 ? `, mean over ${run.draws} draws` : "";
  const source = row.source ? html` ${row.source.title}, ${row.source.authors}. ${sourceLinks(row.source)}` : nothing;
  const columns = [{ row, key: "clean", title: "Clean" }, { row, key: "worst_case", title: "Worst case" }];
  const made = [
    ["Environment", run.environments.map(environment).join("; ")],
    ["Score passes", `${number(run.passes)} per image, attack and score`], ...run.notes.map((note) => ["Note", note]),
  ];
  const under = figure("Under this attack", run.robust, `, n = ${run.n}`);
  return html`${rowHead(row, `${row.title} under ${run.attack}`, under)}
    <p class="note">Run <code>${id}</code>: ${plural(run.n, "image")}${averaged}, seed ${run.seed}.${source}</p>
    ${comparing(row)}
    <div class="pair"><div>${attacks(row, id)}</div><div>${byClass("By class", columns)}</div></div>
    ${draws(row)}${images(id)}
    <h2>Reproduce</h2><p class="note">The same command again goes on where it stopped.</p>${commandBox(run.command)}
    ${audit(run)}
    <div class="pair"><div><h2>Checks before the run</h2>${checks(run)}</div>
      <div><h2>Made with</h2>${facts(made)}</div></div>
    <h2>Spec</h2><p class="note">What the run id is computed from.</p>
    <pre class="spec" tabindex="0">${JSON.stringify(run.spec, null, 1)}</pre>`;
}
