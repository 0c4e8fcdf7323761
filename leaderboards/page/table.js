// Columns: value() sorts, cell() shows. A column without any value on the boards shown is left out.
const text = (title, value, options = {}) => ({ title, value, cell: (row) => escape(value(row) ?? ""), text: true, ...options });
const share = (title, get, link, options = {}) => ({
  title, value: (row) => get(row)?.[0] ?? null, down: true,
  cell: (row) => {
    const part = get(row);
    if (!part) return '<span class="none" title="not attacked">·</span>';
    return `<a href="#run/${link(row)}">${percent(part[0])}</a><span class="range">${range(part)}</span>${aside(row, options.kind)}`;
  }, ...options,
});
// Accuracy under a class of attacks; one of other images or draws than the row's says so.
const under = (row, kind) => row.under[kind] ?? row.elsewhere[kind]?.share;
function aside(row, kind) {
  const other = row.under[kind] ? undefined : row.elsewhere[kind];
  if (!other) return "";
  const parts = [other.n === row.n ? "" : `n = ${other.n}`, other.draws === row.draws ? "" : `${other.draws} draw${other.draws === 1 ? "" : "s"}`];
  return `<span class="range">${parts.filter(Boolean).join(", ")}</span>`;
}
const delta = (title, get, options = {}) => ({
  title, value: (row) => get(row)?.[0] ?? null, down: true,
  cell: (row) => (get(row) ? `${signed(get(row)[0])}<span class="range">${range(get(row), signed)}</span>` : ""), ...options,
});
const plain = (title, value, options = {}) => ({ title, value, cell: (row) => number(value(row)), ...options });

const columns = [
  { title: "Rank", value: (row) => row.rank, cell: (row) => (row.rank === null ? "" : `<span class="rank">${row.rank}${row.tied ? "=" : ""}</span>`), ranked: true },
  { title: "Rank 95 %", value: (row) => row.rank_low, cell: (row) => (row.rank_low === row.rank_high ? row.rank_low ?? "" : `${row.rank_low}-${row.rank_high}`), ranked: true },
  { title: "Defense", value: (row) => row.defense, cell: (row) => `<a href="#run/${strongest(row)}">${escape(row.defense)}</a>`, text: true, pin: true },
  text("Data set", (row) => boardOf(row).dataset, { several: true }),
  text("Threat", (row) => boardOf(row).threat, { several: true }),
  text("Kind", (row) => row.kind, { off: true }),
  text("Classifier", (row) => row.classifier, { once: true }),
  text("Score model", (row) => row.score, { once: true }),
  share("Clean %", (row) => row.clean, (row) => strongest(row)),
  ...data.classes.map((kind) => share(`${kind[0].toUpperCase()}${kind.slice(1)} %`, (row) => under(row, kind), (row) => strongest(row, kind), { kind })),
  { ...share("Worst case %", (row) => row.worst, (row) => strongest(row)), cell: worstCell, key: "worst" },
  share("Known draws %", (row) => under(row, "known draws"), (row) => strongest(row, "known draws"), { kind: "known draws" }),
  share("EOT %", (row) => row.eot, (row) => strongest(row, "full gradient"), { off: true }),
  delta("Δ undefended", (row) => row.undefended),
  delta("Δ null attack", (row) => row.null, { off: true }),
  { title: "p", value: (row) => row.p, cell: (row) => escape(pText(row.p)), off: true },
  plain("Score passes", (row) => row.passes),
  plain("Certified l2", (row) => row.certified, { down: true }),
  plain("n", (row) => row.n, { down: true }),
  plain("Draws", (row) => row.draws, { off: true }),
  { title: "Seeds", value: (row) => row.seeds, cell: (row) => row.seeds + (row.seeds > 1 ? ` <span class="range">± ${percent(row.spread)}</span>` : ""), off: true },
  { title: "Believed", value: (row) => believed(row.verdict), cell: (row) => verdictHtml(row.verdict), text: true },
  { title: "Flags", value: (row) => row.flags.join(", "), cell: (row) => row.flags.map((flag) => `<span class="tag warn">${escape(flag)}</span>`).join(" "), text: true, flags: true },
  { title: "Missing", value: (row) => row.missing.join(", "), cell: (row) => escape(row.missing.join(", ")), text: true, incomplete: true },
];

function worstCell(row) {
  const [value, low, high] = row.worst.map((part) => 2 + 80 * part);
  return `<a class="worst" href="#run/${strongest(row)}">${percent(row.worst[0])}</a><span class="range">${range(row.worst)}</span>` +
    `<svg class="whisker" viewBox="0 0 84 9" aria-hidden="true"><path class="track" d="M2 4.5H82"/><path class="bar" d="M${low.toFixed(1)} 4.5H${high.toFixed(1)}"/><circle cx="${value.toFixed(1)}" cy="4.5" r="3"/></svg>`;
}

function compare(column, down) {
  return (a, b) => {
    const [x, y] = [column.value(a), column.value(b)];
    if (x === null || x === "" || y === null || y === "") return (x === null || x === "" ? 1 : 0) - (y === null || y === "" ? 1 : 0);
    const order = typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y;
    return (down ? -order : order) || a.place - b.place;
  };
}

// Which columns a table of these rows has, before the reader's own choice.
function shownColumns(rows, ranked, chosen) {
  const boards = new Set(rows.map((row) => row.board));
  return columns.filter((column) => {
    if (column.pin) return true;
    if (column.ranked && !ranked) return false;
    if (column.incomplete) return !ranked;
    if (chosen.has(column.title)) return chosen.get(column.title);
    if (column.several) return boards.size > 1;
    const values = new Set(rows.map((row) => column.value(row) ?? "").filter((value) => value !== ""));
    return !column.off && values.size > (column.once ? 1 : 0);
  });
}

function tableHtml(rows, { ranked, chosen, sort, caption }) {
  const shown = shownColumns(rows, ranked, chosen);
  const head = shown.map((column) => {
    const state = sort.title === column.title ? ` aria-sort="${sort.down ? "descending" : "ascending"}"` : "";
    return `<th scope="col" class="${column.pin ? "pin " : ""}${column.text ? "text" : ""}"${state}><button type="button" data-sort="${escape(column.title)}">${escape(column.title)}</button></th>`;
  });
  const body = rows.map((row) => {
    const cells = shown.map((column) => column.pin
      ? `<th scope="row" title="${escape(row.defense)}">${column.cell(row)}</th>`
      : `<td class="${column.text ? "text" : ""}${column.flags ? " flags" : ""}">${column.cell(row)}</td>`);
    return `<tr class="${row.kind}">${cells.join("")}</tr>`;
  });
  return `<div class="scroll" role="region" aria-label="${escape(caption)}" tabindex="0"><table><caption>${escape(caption)}</caption><thead><tr>${head.join("")}</tr></thead><tbody>${body.join("")}</tbody></table></div>`;
}

function importedHtml(boards) {
  const rows = boards.flatMap((board) => board.imported.map((row) => ({ board, row })));
  if (!rows.length) return "";
  const body = rows.map(({ board, row }) => `<tr><th scope="row">${escape(row.name)}</th><td class="text">${escape(board.dataset)}, ${escape(board.threat)}</td><td>${row.clean === null ? "" : percent(row.clean, 2)}</td><td>${percent(row.robust, 2)}</td><td class="text"><span class="tag">imported from ${escape(row.source)}</span>${row.unreliable ? ' <span class="tag no">unreliable</span>' : ""}</td></tr>`);
  const head = ["Defense", "Board", "Clean %", "Robust %", "Source"].map((title, place) => `<th scope="col" class="${[0, 1, 4].includes(place) ? "text" : ""}"><span>${title}</span></th>`);
  return `<h2>Imported for reference</h2><p class="note">As published, by other protocols and on other images; never ranked with the rows above.</p><div class="scroll" role="region" aria-label="Imported rows" tabindex="0"><table><caption>Imported rows</caption><thead><tr>${head.join("")}</tr></thead><tbody>${body.join("")}</tbody></table></div>`;
}
