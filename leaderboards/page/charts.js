const W = 380, H = 280, M = { left: 34, right: 14, top: 26, bottom: 40 };
const line = (x1, y1, x2, y2, attributes = "") => `<path d="M${x1.toFixed(1)} ${y1.toFixed(1)}L${x2.toFixed(1)} ${y2.toFixed(1)}" fill="none" ${attributes}/>`;

function niceTicks(low, high, count = 5) {
  const step = [1, 2, 5, 10, 20, 25, 50].find((size) => (high - low) / size <= count) ?? 100;
  const ticks = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + 1e-9; tick += step) ticks.push(tick);
  return ticks;
}

function linear(low, high, from, to) {
  return (value) => from + ((value - low) / (high - low)) * (to - from);
}

function axes(x, y, xTicks, yTicks, xLabel, yLabel, xText = (tick) => tick) {
  const bottom = H - M.bottom;
  const horizontal = yTicks.map((tick) => line(M.left, y(tick), W - M.right, y(tick), 'class="grid"') + `<text x="${M.left - 7}" y="${y(tick) + 4}" text-anchor="end">${tick}</text>`);
  const vertical = xTicks.map((tick) => `<text x="${x(tick)}" y="${bottom + 16}" text-anchor="middle">${xText(tick)}</text>` + line(x(tick), bottom, x(tick), bottom + 4, 'class="grid"'));
  return horizontal.join("") + vertical.join("") + `<text x="${(M.left + W - M.right) / 2}" y="${H - 4}" text-anchor="middle">${xLabel}</text><text x="0" y="10" text-anchor="start">${yLabel}</text>`;
}

function mark(x, y, row, colour, size = 5) {
  const fill = row.status === "ranked" ? colour : "var(--panel)";
  const shape = row.kind === "deterministic"
    ? `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${size}"`
    : `<rect x="${(x - size).toFixed(1)}" y="${(y - size).toFixed(1)}" width="${2 * size}" height="${2 * size}" transform="rotate(45 ${x.toFixed(1)} ${y.toFixed(1)})"`;
  return `${shape} fill="${fill}" stroke="${colour}" stroke-width="1.6"/>`;
}

const colourOf = (row) => (row.kind === "deterministic" ? "var(--one)" : "var(--two)");
const tipOf = (row) => `${row.defense}\nclean ${percent(row.clean[0])} %, worst case ${percent(row.worst[0])} % [${range(row.worst)}]` + (row.passes === null ? "" : `\n${number(row.passes)} score passes per image`);

// Labels beside their points, each at the first place where it meets no label, point or border; without one it stays in the tip.
function labels(points) {
  const taken = points.map(({ x, y }) => [x - 6, y - 6, x + 6, y + 6]);
  const free = (box) => box[0] >= M.left && box[2] <= W && box[1] >= 12 && box[3] <= H - M.bottom
    && taken.every((other) => box[2] < other[0] || box[0] > other[2] || box[3] < other[1] || box[1] > other[3]);
  return [...points].sort((a, b) => a.y - b.y).map(({ x, y, name }) => {
    const short = name.length > 22 ? `${name.slice(0, 21)}…` : name, width = 6.6 * short.length;
    const places = [[x + 8, y + 4, "start"], [x - 8, y + 4, "end"], [x + 7, y - 8, "start"], [x - 7, y - 8, "end"], [x + 7, y + 17, "start"], [x - 7, y + 17, "end"]];
    for (const [left, base, anchor] of places) {
      const from = anchor === "start" ? left : left - width, box = [from, base - 10, from + width, base + 2];
      if (!free(box)) continue;
      taken.push(box);
      return `<text class="label" x="${left.toFixed(1)}" y="${base.toFixed(1)}" text-anchor="${anchor}">${escape(short)}</text>`;
    }
    return "";
  }).join("");
}

function pointChart(rows, xOf, xError, x, y, axis) {
  const many = rows.length > 14;
  const parts = rows.map((row) => {
    const [px, py, colour] = [x(xOf(row)), y(100 * row.worst[0]), colourOf(row)];
    const faint = `stroke="${colour}" stroke-width="1.4" opacity="${many ? 0.18 : 0.45}"`;
    const across = xError ? line(x(100 * row.clean[1]), py, x(100 * row.clean[2]), py, faint) : "";
    return `<g data-tip="${escape(tipOf(row))}">${across}${line(px, y(100 * row.worst[1]), px, y(100 * row.worst[2]), faint)}${mark(px, py, row, colour, many ? 3 : 5)}</g>`;
  });
  const named = many ? "" : labels(rows.map((row) => ({ x: x(xOf(row)), y: y(100 * row.worst[0]), name: row.defense })));
  return `<svg viewBox="0 0 ${W} ${H}" role="img" aria-label="${escape(axis.summary)}">${axis.drawn}${parts.join("")}${named}</svg>`;
}

function scatter(rows) {
  const lows = rows.map((row) => 100 * row.clean[1]), highs = rows.map((row) => 100 * row.clean[2]);
  const low = Math.max(0, 5 * Math.floor(Math.min(...lows) / 5)), high = Math.min(100, 5 * Math.ceil(Math.max(...highs) / 5));
  const x = linear(low, Math.max(high, low + 5), M.left + 6, W - M.right), y = linear(0, 100, H - M.bottom, M.top);
  const drawn = axes(x, y, niceTicks(low, Math.max(high, low + 5)), niceTicks(0, 100), "clean accuracy, %", "worst case, %");
  return pointChart(rows, (row) => 100 * row.clean[0], true, x, y, { drawn, summary: `Worst-case against clean accuracy of ${rows.length} rows; the numbers are those of the table` });
}

function costChart(rows) {
  const known = rows.filter((row) => row.passes !== null);
  if (!known.length) return "";
  const scale = (value) => Math.log10(1 + value);
  const most = Math.max(1, ...known.map((row) => row.passes));
  const x0 = linear(0, scale(most) * 1.04, M.left + 10, W - M.right), x = (value) => x0(scale(value));
  const ticks = [0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000].filter((tick) => tick <= most * 1.1);
  const y = linear(0, 100, H - M.bottom, M.top);
  const drawn = axes(x, y, ticks, niceTicks(0, 100), "score-model passes per purified image, logarithmic", "worst case, %");
  return pointChart(known, (row) => row.passes, false, x, y, { drawn, summary: `Worst-case accuracy against cost of ${known.length} rows; the numbers are those of the table` });
}
