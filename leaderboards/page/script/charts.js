import { number, percent, plural, range } from "./format.js";
import { html, nothing } from "./parts.js";
import { curves, rows, strongest } from "./records.js";
import { to } from "./state.js";

// Charts by Observable Plot. Each point links to its run; Tab reaches a chart, the arrow keys go from point to point.
const { plot, dot, gridY, line, ruleX, ruleY, text } = vendor;
const AS_GIVEN = { type: "identity" }, CENTRED = { labelArrow: "none", labelAnchor: "center" };
const LAYOUT = {
  width: 440, height: 320, marginLeft: 36, marginBottom: 40, marginTop: 16, marginRight: 20, style: "overflow: visible",
  y: { domain: [0, 100], label: null, ticks: 5 }, color: AS_GIVEN, opacity: AS_GIVEN, r: AS_GIVEN, symbol: AS_GIVEN,
};
const COLOURS = ["one", "two", "c3", "c4", "c5", "c6", "c7", "c8"].map((name) => `var(--${name})`);
const XY = { x: "x", y: "y" };
const LABEL = { fill: "var(--ink)", stroke: "var(--panel)", strokeWidth: 4 };
const MOST_LABELS = 10, LETTER = 6.4, LINE = 11;
const KEYS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

const short = (name) => (name.length > 24 ? `${name.slice(0, 23)}…` : name);
const pointOf = (row, part, x, tip, colour, more) => ({
  row, tip, x, y: 100 * part.value, low: 100 * part.low, high: 100 * part.high, name: short(row.title),
  href: to(`run/${strongest(row)}`), colour, fill: colour, symbol: "circle", size: 4, faint: 0.4, ...more,
});

function chart(name, note, points, { marks = [], named = points, sides = [true, false], below = nothing, ...options }) {
  const axes = { ...LAYOUT, ...options };
  const drawn = [
    gridY({ stroke: "var(--line)", strokeOpacity: 1, ticks: 5 }), ...marks,
    ruleX(points, { x: "x", y1: "low", y2: "high", stroke: "colour", strokeOpacity: "faint" }),
    dot(points, { ...XY, href: "href", r: "size", symbol: "symbol", stroke: "colour", fill: "fill", sort: null }),
  ];
  const names = labelled(named, sides, points, plot({ ...axes, marks: drawn })).map(({ one, right }) => text([one],
    { ...XY, text: "name", dx: right ? 8 : -8, textAnchor: right ? "start" : "end", ...LABEL }));
  const svg = reachable(plot({ ...axes, marks: [...drawn, ...names] }), points, name);
  return html`<figure class="chart"><figcaption><h2>${name}</h2><p>${note}</p></figcaption>${svg}${below}</figure>`;
}

// The highest points that have room for their name on one side, where it meets no other name and covers no other point.
function labelled(named, sides, points, svg) {
  const x = (one) => svg.scale("x").apply(one.x), y = (one) => svg.scale("y").apply(one.y), found = [];
  const taken = points.map((one) => ({ from: x(one) - 5, to: x(one) + 5, middle: y(one) }));
  const place = (one, right) => {
    const size = LETTER * one.name.length, from = x(one) + (right ? 6 : -6 - size);
    const box = { from, to: from + size, middle: y(one) };
    const apart = (other) => other.to < box.from || other.from > box.to || Math.abs(other.middle - box.middle) > LINE;
    if (box.from < LAYOUT.marginLeft || box.to > LAYOUT.width || !taken.every(apart)) return false;
    taken.push(box);
    return found.push({ one, right });
  };
  for (const one of [...named].sort((a, b) => b.y - a.y))
    if (found.length < MOST_LABELS) sides.some((right) => place(one, right));
  return found;
}

function reachable(svg, points, name) {
  svg.setAttribute("role", "group");
  svg.setAttribute("aria-label", `${name}: ${points.length} points`);
  for (const group of svg.querySelectorAll("g[aria-label]")) group.removeAttribute("aria-label"); // kinds of marks
  const links = [...svg.querySelectorAll("a")];
  links.forEach((link, k) => {
    link.setAttribute("aria-label", points[k].tip);
    Object.assign(link.dataset, { tip: points[k].tip, row: points[k].row.id });
    link.tabIndex = k ? -1 : 0;
  });
  svg.addEventListener("keydown", (event) => {
    const from = links.indexOf(document.activeElement);
    if (!(event.key in KEYS) || from < 0) return;
    event.preventDefault();
    const next = links.at((from + KEYS[event.key]) % links.length);
    links[from].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
  return svg;
}

function rowPoint(row, x) {
  const colour = COLOURS[row.deterministic ? 0 : 1], symbol = row.deterministic ? "circle" : "diamond";
  const cost = row.score_passes === null ? "" : `, ${number(row.score_passes)} score passes`;
  const worst = `worst case ${percent(row.worst_case.value)} % [${range(row.worst_case)}]`;
  const tip = `${row.title}: clean ${percent(row.clean.value)} %, ${worst}${cost}`;
  return pointOf(row, row.worst_case, x, tip, colour, { symbol, fill: row.rank === null ? "var(--panel)" : colour });
}

function legend(rows) {
  const kinds = [...new Set(rows.map((row) => row.kind))].sort(), open = rows.some((row) => row.rank === null);
  return html`<ul class="legend">${[...kinds, ...(open ? ["incomplete"] : [])].map((kind) =>
    html`<li class=${kind}>${kind}</li>`)}</ul>`;
}

function overClean(rows) {
  const points = rows.map((row) => rowPoint(row, 100 * row.clean.value)).sort((a, b) => a.x - b.x);
  const ends = { x1: ({ row }) => 100 * row.clean.low, x2: ({ row }) => 100 * row.clean.high };
  const note = "Worst case over clean accuracy, %. Up and to the right is better; bars: 95 % intervals.";
  return chart("Robust against clean", note, points, {
    marks: [ruleY(points, { y: "y", ...ends, stroke: "colour", strokeOpacity: "faint" })],
    below: legend(rows), x: { label: "clean accuracy, %", nice: true, ticks: 5, ...CENTRED },
  });
}

function overCost(rows) {
  const known = rows.filter((row) => row.score_passes !== null);
  const most = Math.max(1, ...known.map((row) => row.score_passes));
  if (!known.length) return nothing;
  const ticks = [0, 1, 3, 10, 30, 100, 300, 1000, 3000].filter((tick) => tick <= most);
  const points = known.map((row) => rowPoint(row, row.score_passes)).sort((a, b) => a.x - b.x);
  const label = "score-model passes per purified image, logarithmic";
  return chart("Robust against cost", "Worst case over passes through the score model, forward and backward.", points,
    { below: legend(known), x: { type: "symlog", domain: [0, most], ticks, tickFormat: String, label, ...CENTRED } });
}

// The security curves of some rows of one norm; radius 0 is clean accuracy.
function overRadius(shown) {
  const { norm } = shown[0].board, unit = norm === "linf" ? 255 : 1;
  const found = curves.map((curve) => curve.filter(({ row }) => shown.includes(rows[row])));
  found.sort((a, b) => b.length - a.length || b.at(-1)?.value - a.at(-1)?.value);
  const points = found.flatMap((curve, z) => curve.map((part) => {
    const row = rows[part.row], where = part.eps ? row.board.threat : "clean";
    const faint = COLOURS[z] ? {} : { size: 2, faint: 0.1 };
    const tip = `${row.title}, ${where}: ${percent(part.value)} % [${range(part)}], n = ${part.n}`;
    return pointOf(row, part, unit * part.eps, tip, COLOURS[z] ?? "var(--faint)", { z, ...faint });
  }));
  const note = "The worst attack at each radius and below, on the images that all radii have.";
  return chart("Over the radius", note, points, {
    marks: [line(points, { ...XY, z: "z", stroke: "colour", strokeOpacity: ({ z }) => (COLOURS[z] ? 1 : 0.3) })],
    named: lastOfEach(points).filter(({ z }) => COLOURS[z]), sides: [true], marginRight: 165,
    x: { label: norm === "linf" ? "radius, levels of 255" : `radius, ${norm}`, ...CENTRED },
  });
}

const lastOfEach = (points) => points.filter(({ z }, k) => points[k + 1]?.z !== z);

export function charts(rows, ofNorm) {
  if (!rows.length) return nothing;
  return html`<section class="charts" aria-label="Charts">
    ${overClean(rows)}${overRadius(ofNorm)}${overCost(rows)}</section>`;
}

// Accuracy if an image counts only while none of its N submissions fails, under attack and unchanged.
export function anyFail(row) {
  const points = Object.entries(row.any_fail ?? {}).flatMap(([kind, shares], z) => shares.map((value, k) => {
    const tip = `${kind}, ${plural(k + 1, "submission")}: ${percent(value)} %`;
    return pointOf(row, { value, low: value, high: value }, k + 1, tip, COLOURS[z], { z, name: kind });
  }));
  if (!points.length) return nothing;
  const note = "Accuracy if an image counts only while none of its submissions fails; clean: the null attack.";
  return chart("Any of N submissions fails", note, points, {
    marks: [line(points, { ...XY, z: "z", stroke: "colour" })], named: lastOfEach(points), sides: [true],
    marginRight: 60, x: { label: "submissions of each image", ...CENTRED },
  });
}
