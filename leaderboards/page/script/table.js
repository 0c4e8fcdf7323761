import { shownColumns } from "./columns.js";
import { html } from "./parts.js";
import { choose, state } from "./state.js";

// The table of some rows; on a narrow screen the style turns its rows into cards, and the roles keep it a table.
export function tableOf(rows, caption, more = []) {
  const ranked = rows.some((row) => row.rank !== null);
  const columns = [...shownColumns(), ...more].filter(({ key }) => key !== "rank" || ranked);
  return html`<div class="scroll"><table role="table" class="rows"><caption>${caption}</caption>
    <thead role="rowgroup"><tr role="row"><th role="columnheader" scope="col" class="pick">
      <span class="hidden">Compare</span></th>${columns.map(headCell)}</tr></thead>
    <tbody role="rowgroup">${rows.map((row) => html`<tr role="row" class=${row.kind} data-row=${row.id}>
      ${pickCell(row)}${columns.map((column) => bodyCell(column, row))}</tr>`)}</tbody></table></div>`;
}

const classes = ({ key, text }) => `c-${key}${text ? " text" : ""}`;

function headCell(column) {
  const { key, title, tip, down } = column, order = { [key]: "ascending", [`-${key}`]: "descending" }[state.sort];
  const next = (order ? order === "ascending" : down) ? `-${key}` : key;
  return html`<th role="columnheader" scope="col" class=${classes(column)} aria-sort=${order ?? "none"}>
    <button type="button" data-tip=${tip} data-sort=${key} @click=${() => choose({ sort: next })}>
      ${title}</button></th>`;
}

const bodyCell = (column, row) => (column.key === "defense"
  ? html`<th role="rowheader" scope="row" class=${classes(column)}>${column.cell(row)}</th>`
  : html`<td role="cell" class=${classes(column)} data-title=${column.title}>${column.cell(row)}</td>`);

// Two rows can be picked; a third replaces the first of them.
function pickCell(row) {
  const picked = state.pick.split(" ").filter(Boolean), on = picked.includes(row.id);
  const next = on ? picked.filter((id) => id !== row.id) : [...picked, row.id].slice(-2);
  return html`<td role="cell" class="pick"><input type="checkbox" aria-label="Pick ${row.title} to compare"
    .checked=${on} @change=${() => choose({ pick: next.join(" ") })}></td>`;
}
