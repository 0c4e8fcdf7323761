import { charts } from "./charts.js";
import { missing, optional, shownColumns, sorted } from "./columns.js";
import { saveCsv, saveJson } from "./download.js";
import { percent, plural } from "./format.js";
import { commandBox, controls, html, nothing, outside, select, table, tag } from "./parts.js";
import { boardNames, boards, data, rowOf, rows } from "./records.js";
import { tableOf } from "./table.js";
import { DEFAULTS, choose, open, state, to } from "./state.js";

const onBoard = (board) => state.board === "all" || board.name === state.board;

function found() {
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  const says = (row) => words.every((word) => row.words.includes(word));
  return rows.filter((row) => (!state.kind || row.kind === state.kind) && says(row));
}

// How rows are ranked, on the page itself.
function rule(here, required) {
  const ends = [Math.min(...here.map(({ n }) => n.low)), Math.max(...here.map(({ n }) => n.high))];
  return html`<p class="lead">Ranked by the <b>worst case</b> over all attacks, image by image. Below a rank: the ranks
    that paired tests on the same images leave open, all of them right at once with 95 %.
    Required attacks: <b>${required}</b>. <b>n = ${[...new Set(ends)].join(" to ")}</b> images.</p>`;
}

const menu = (title, content) => html`<details class="menu"><summary>${title}</summary>
  <div role="group" aria-label=${title}>${content}</div></details>`;

function columnBox({ key, title, tip }) {
  const chosen = state.columns.split(" ").filter(Boolean), on = chosen.includes(key);
  const next = on ? chosen.filter((other) => other !== key) : [...chosen, key];
  return html`<label data-tip=${tip}><input type="checkbox" name=${key} .checked=${on}
    @change=${() => choose({ columns: next.join(" ") })}>${title}</label>`;
}

function boardFilters(shown) {
  const [names, kinds] = [boardNames, ["deterministic", "stochastic"]].map((part) => part.map((word) => [word, word]));
  return controls("Filter the table", html`
    ${select("Board", "board", names.length > 1 ? [...names, ["all", "all boards"]] : names)}
    <label class="grow">Search<input type="search" id="q" autocomplete="off" placeholder="name, verdict, threat, attack"
      .value=${state.q} @input=${(event) => choose({ q: event.target.value }, { quietly: true })}></label>
    ${select("Kind", "kind", [["", "all"], ...kinds])}${menu("Columns", optional.map(columnBox))}
    ${menu("Download", html`<button type="button" @click=${() => saveCsv(shown)}>CSV of these rows and columns</button>
      <button type="button" @click=${() => saveJson(shown)}>JSON of these rows</button>`)}
    <button type="button" id="reset" @click=${() => open("", DEFAULTS)}>Reset</button>`);
}

function incomplete(part, required) {
  if (!part.length) return nothing;
  const commands = [...new Set(part.flatMap((row) => row.commands))];
  return html`<h2>Incomplete: not ranked</h2>
    <p class="note">These rows lack required attacks (${required}), or have fewer than ${data.least} images.</p>
    ${tableOf(part, "Incomplete rows", [missing])}
    <details class="complete"><summary>${plural(commands.length, "command")} to complete these rows</summary>
      ${commandBox(commands.join("\n"))}</details>`;
}

function imported(here) {
  const parts = here.flatMap((board) => board.imported.map((row) => ({ ...row, board })));
  if (!parts.length) return nothing;
  const body = parts.map(({ name, link, board, clean, robust, source, unreliable }) => html`<tr>
    <th scope="row">${name} ${outside(link, "paper")}</th><td class="text">${board.name}</td>
    <td>${clean === null ? "" : percent(clean, 2)}</td><td>${percent(robust, 2)}</td>
    <td class="text">${tag(`from ${source}`)} ${unreliable ? tag("unreliable", "refuted") : nothing}</td></tr>`);
  return html`<h2>Imported for reference</h2>
    <p class="note">As published, by other protocols and on other images; never ranked with the rows above.</p>
    ${table("Imported rows", ["Defense", "Board", "Clean %", "Robust %", "Source"], body)}`;
}

function picked() {
  const [a, b] = state.pick.split(" ").map(rowOf);
  if (!a) return nothing;
  let next = `${a.title}: pick a second row of this board to compare it with.`;
  if (b?.board === a.board) {
    const address = to(`compare/${a.id}/${b.id}`, { show: "" });
    next = html`<a class="button" href=${address}>Compare ${a.title} with ${b.title}</a>`;
  }
  return html`<div class="picked" role="status">${next}
    <button type="button" @click=${() => choose({ pick: "" })}>Clear</button></div>`;
}

export function boardView() {
  const here = boards.filter(onBoard), all = rows.filter((row) => onBoard(row.board)), fits = found();
  const shown = sorted(fits.filter((row) => onBoard(row.board))), ranked = shown.filter((row) => row.rank !== null);
  const required = [...new Set(here.flatMap((board) => board.required))].join(", ");
  const empty = html`<p class="empty">${shown.length ? "No row has faced all required attacks." : "Nothing fits."}</p>`;
  return html`<h1>${state.board === "all" ? "All boards" : state.board}</h1>${rule(here, required)}${boardFilters(shown)}
    <p class="count" role="status">${shown.length} of ${plural(all.length, "row")}</p>
    <section id="ranked">${ranked.length ? tableOf(ranked, "Ranked defenses") : empty}</section>
    ${picked()}
    <section id="incomplete">${incomplete(shown.filter((row) => row.rank === null), required)}</section>
    ${charts(shown, fits.filter(({ board }) => board.dataset === here[0].dataset && board.norm === here[0].norm))}
    <section id="imported">${imported(here)}</section>
    <footer class="foot">Made by purebench ${data.version}: <code>bench leaderboard --format html</code></footer>`;
}
