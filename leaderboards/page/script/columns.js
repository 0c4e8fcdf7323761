import { number, pText, percent, plural, signed } from "./format.js";
import { html, interval, nothing, sourceLinks, verdict, whisker } from "./parts.js";
import { data, openRanks, rows, strongest } from "./records.js";
import { state, to } from "./state.js";

export const DRAW_RULES = {
  mean: ["Mean", "accuracy of one fresh draw, on average"],
  worst: ["Worst of k", "right in all k draws"],
  majority: ["Majority", "right by the vote of the k draws"],
  known: ["Known", "mean of draws, where the attack knows them"],
};
const TIPS = {
  rank: "The position by the worst case; below it the ranks that paired tests leave open, all right at once with 95 %.",
  defense: "The purifier, with the arguments that differ from its defaults; below it the classifier that it protects.",
  dataset: "The images of the board.",
  threat: "Norm and radius of the ball in which the attacks search.",
  worst_case: "An image counts only if no attack of the row breaks it. Rows are ranked by this. With 95 % interval.",
  clean: "Accuracy on unchanged images, after the purifier. With 95 % interval.",
  verdict: "What an audit of the attack found, how large it was, and flags: reasons to read the number with care.",
  n: "Images that all required attacks of the row have faced.",
  kind: "Whether the purifier draws random numbers.",
  score_model: "The denoiser that the purifier uses.",
  attacks: "Accuracy under the worst attack of this class, per image; with n or draws where these are not the row's.",
  "known draws": "Accuracy under attacks that know the scored draws.",
  shared: "The worst case on the images that all ranked rows have.",
  eot: "Accuracy under attacks that average exact gradients over fresh draws.",
  delta_undefended: "Worst case minus that of the classifier alone, in points: the effect of the purifier.",
  delta_null: "Worst case minus the same rule on unchanged images, in points: the effect of the attacks.",
  p: "Exact paired test of the worst case against the reference on the same images, Holm-corrected over the board.",
  score_passes: "Passes through the score model behind one prediction, forward and backward.",
  certified_l2: "Average certified radius, 0 where the certificate abstains.",
  draws: "Scored draws of each image.",
  seeds: "Seeds that are averaged; below: the standard deviation of the worst case over them, in points.",
  missing: "Required classes of attacks that the row has not faced.",
};

// A column has a key (as in the CSV), a title and a tip; value() sorts, cell() shows, part() is the interval of both.
const plain = (key, title, value, more) =>
  ({ key, title, tip: TIPS[key], value, cell: (row) => number(value(row)), ...more });
const words = (key, title, value, more) => plain(key, title, value, { cell: value, text: true, ...more });
const parted = (key, title, part, shown, more) => plain(key, title, (row) => part(row)?.value ?? null, {
  part, down: true, cell: (row) => (part(row) ? shown(part(row), row) : html`<span class="none">·</span>`), ...more });
const delta = (key, title, part) =>
  parted(key, title, part, (one, row) => interval(one, { text: signed, note: aside(one, row) }));
const share = (key, title, part, kind, more) => parted(key, title, part,
  (one, row) => interval(one, { value: runLink(row, kind, percent(one.value)), note: aside(one, row) }), more);

const runLink = (row, kind, text) => html`<a href=${to(`run/${strongest(row, kind)}`)}>${text}</a>`;

// What a figure is computed on, where that is not what its row is.
function aside({ n, draws = null }, row) {
  const drawn = draws === null || draws === row.draws ? "" : `, ${plural(draws, "draw")}`;
  return (n === row.n ? "" : `, n = ${n}`) + drawn;
}

const classColumn = (kind) => share(kind.replace(" ", "_").toLowerCase(), `${kind[0].toUpperCase()}${kind.slice(1)} %`,
  (row) => row.under[kind] ?? row.elsewhere?.[kind], kind, { tip: TIPS[kind] ?? TIPS.attacks });

const drawColumn = ([key, [title, tip]]) => parted(`draws_${key}`, `Draws: ${title.toLowerCase()} %`,
  (row) => row.draw_figures?.[key]?.robust,
  (one, row) => interval(one, { note: `, null ${percent(row.draw_figures[key].clean.value)}` }),
  { tip: `Under attack: ${tip}. Below it the null attack, which leaves images unchanged, under the same rule.` });

const COLUMNS = [
  plain("rank", "Rank", (row) => row.rank, { cell: rankCell, always: true }),
  words("defense", "Defense", (row) => row.defense, { cell: defenseCell, always: true }),
  words("dataset", "Data set", (row) => row.board.dataset, { several: true }),
  words("threat", "Threat", (row) => row.board.threat, { several: true }),
  share("worst_case", "Worst case %", (row) => row.worst_case, null, { cell: worstCell }),
  share("clean", "Clean %", (row) => row.clean),
  words("verdict", "Verdict", (row) => row.badge, { cell: verdict }),
  plain("n", "n", (row) => row.n, { down: true }),
  words("kind", "Kind", (row) => row.kind),
  words("score_model", "Score model", (row) => row.score_model),
  ...[...data.classes, "known draws"].map(classColumn),
  share("shared", "Shared images %", (row) => row.shared),
  share("eot", "EOT %", (row) => row.eot, "full gradient"),
  ...Object.entries(DRAW_RULES).map(drawColumn),
  delta("delta_undefended", "Δ undefended", (row) => row.delta_undefended),
  delta("delta_null", "Δ null attack", (row) => row.delta_null),
  plain("p", "p", (row) => row.p, { cell: (row) => `${pText(row.p)}${row.p_n ? aside({ n: row.p_n }, row) : ""}` }),
  plain("score_passes", "Score passes", (row) => row.score_passes),
  plain("certified_l2", "Certified l2", (row) => row.certified, { down: true }),
  plain("draws", "Draws", (row) => row.draws),
  plain("seeds", "Seeds", (row) => row.seeds.length, { cell: seedsCell }),
].filter((column) => column.always || rows.some((row) => ![null, ""].includes(column.value(row) ?? null)));

export const missing = words("missing", "Missing", (row) => row.missing.join(", "));
export const optional = COLUMNS.filter((column) => !column.always && !column.several);

export function shownColumns() {
  const chosen = state.columns.split(" ");
  const wanted = ({ key, several }) => (several ? state.board === "all" : chosen.includes(key));
  return COLUMNS.filter((column) => column.always || wanted(column));
}

function rankCell(row) {
  return row.rank === null ? "" : html`${row.rank}<span class="range">${openRanks(row)}</span>`;
}

function defenseCell(row) {
  const source = row.source ? html`<span class="range">${sourceLinks(row.source)}</span>` : nothing;
  return html`${runLink(row, null, row.defense)}<span class="range">${row.classifier}</span>${source}`;
}

function worstCell(row) {
  const value = html`<b>${runLink(row, null, percent(row.worst_case.value))}</b>`;
  return html`${interval(row.worst_case, { value })}${whisker(row.worst_case)}`;
}

function seedsCell({ seeds, seed_spread: spread }) {
  return html`${seeds.length}${seeds.length > 1 ? html`<span class="range">± ${percent(spread)}</span>` : nothing}`;
}

// Rows in the order of a column, named as "key" or "-key"; empty cells last.
export function sorted(part) {
  const [, minus, key] = state.sort.match(/^(-?)(.*)$/), sign = minus ? -1 : 1;
  const { value } = COLUMNS.find((column) => column.key === key) ?? COLUMNS[0];
  const order = (x, y) => (typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y);
  return [...part].sort((a, b) => {
    const [x, y] = [value(a) ?? "", value(b) ?? ""];
    return (x === "") - (y === "") || sign * order(x, y) || a.place - b.place;
  });
}
