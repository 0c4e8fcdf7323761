import { shownColumns } from "./columns.js";

function save(name, type, text) {
  const href = URL.createObjectURL(new Blob([text], { type }));
  Object.assign(document.createElement("a"), { download: name, href }).click();
  URL.revokeObjectURL(href);
}

const quoted = (value) => (/[",\n]/.test(value ?? "") ? `"${String(value).replaceAll('"', '""')}"` : value ?? "");

// Rows with the columns shown; an interval takes three columns, as in the CSV of the command.
export function saveCsv(rows) {
  const first = {
    dataset: ({ board }) => board.dataset, threat: ({ board }) => board.threat, status: ({ status }) => status,
    rank: ({ rank }) => rank, rank_low: (row) => row.rank_low, rank_high: (row) => row.rank_high,
    classifier: ({ classifier }) => classifier, flags: ({ flags }) => flags.join("; "),
  };
  const ends = (key, part) => Object.entries({ value: key, low: `${key}_low`, high: `${key}_high` })
    .map(([end, name]) => [name, (row) => part(row)?.[end]]);
  const own = shownColumns().filter(({ key }) => !(key in first));
  const cells = Object.entries(first)
    .concat(own.flatMap(({ key, part, value }) => (part ? ends(key, part) : [[key, value]])));
  const lines = [cells.map(([key]) => key), ...rows.map((row) => cells.map(([, value]) => value(row)))];
  save("leaderboard.csv", "text/csv", lines.map((line) => `${line.map(quoted).join(",")}\n`).join(""));
}

// Everything that the page has of some rows.
export function saveJson(rows) {
  const bare = ({ board: { dataset, threat }, place, words, title, id, ...row }) => ({ dataset, threat, ...row });
  save("leaderboard.json", "application/json", JSON.stringify(rows.map(bare), null, 1));
}
