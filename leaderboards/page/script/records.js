// The page's data, joined: a row knows its board and has an id, a run knows its row.
export const data = JSON.parse(document.getElementById("data").textContent);
export const { boards, curves, rows, runs } = data;

for (const board of boards) board.name = `${board.dataset}, ${board.threat}`;
rows.forEach((row, place) => {
  row.place = place;
  row.board = boards[row.board];
  row.kind = row.deterministic ? "deterministic" : "stochastic";
  row.id = row.runs.find((id) => runs[id].draws === row.draws); // a run on known draws may belong to several rows
  for (const id of row.runs) if (runs[id].draws === row.draws || !runs[id].row) runs[id].row = row;
  const { defense, classifier, score_model, kind, badge, verdict, flags, source } = row;
  const attacks = row.runs.map((id) => runs[id].attack);
  row.words = [defense, classifier, score_model, kind, badge, verdict, ...flags, row.board.name, ...attacks]
    .concat(source ? [source.title, source.authors] : []).join(" ").toLowerCase();
});
for (const row of rows) {
  const others = rows.filter((other) => other !== row && other.board === row.board);
  const shared = others.some((other) => other.defense === row.defense);
  row.title = shared ? `${row.defense} (${row.classifier})` : row.defense;
}

export const rowOf = (id) => rows.find((row) => row.id === id) ?? runs[id]?.row;
export const boardNames = [...new Set(boards.map((board) => board.name))];
export const fullest = boards.reduce((best, board) => (board.ranked > best.ranked ? board : best)).name;

// The run that a figure of a row comes from: the strongest of a class of attacks, or of all.
export const strongest = (row, kind) => row.runs.find((id) => !kind || runs[id].class === kind) ?? row.runs[0];

export function className(board, label) {
  const dataset = Object.values(data.datasets).find((one) => one.name === board.dataset);
  return dataset?.names[label] ?? `class ${label}`;
}

// The ranks that the tests leave open.
export const openRanks = ({ rank_low: low, rank_high: high }) => (low === high ? `${low}` : `${low}–${high}`);
