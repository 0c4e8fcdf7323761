const LINES = ["var(--one)", "var(--two)", "var(--c3)", "var(--c4)", "var(--c5)", "var(--c6)", "var(--c7)", "var(--c8)"];

// Security curves of the shown rows: on the images that all radii have, the worst of the attacks at each radius and below.
function curveSeries(rows) {
  const name = (one) => `${one.defense}\u0000${one.classifier}\u0000${one.score}\u0000${one.draws}`;
  const shown = new Set(rows.map(name)), board = boardOf(rows[0]);
  const series = data.curves.filter((one) => one.dataset === board.dataset && one.norm === board.norm && shown.has(name(one)));
  return series.sort((a, b) => b.points.length - a.points.length || b.points.at(-1).share[0] - a.points.at(-1).share[0]);
}

function curves(rows) {
  const series = curveSeries(rows);
  const most = Math.max(...series.map((one) => one.points.at(-1).eps));
  const levels = boardOf(rows[0]).norm === "linf";
  const unit = levels ? 255 : 1;
  const x = linear(0, most * unit, M.left + 6, W - M.right), y = linear(0, 100, H - M.bottom, M.top);
  const ticks = [...new Set([0, ...series.flatMap((one) => one.points.map((point) => point.eps * unit))])].sort((a, b) => a - b);
  const sparse = ticks.filter((tick, place) => place === 0 || x(tick) - x(ticks[place - 1]) > 18);
  const named = series.slice(0, LINES.length);
  const drawn = [...series].reverse().map((one) => {
    const place = named.indexOf(one), colour = place < 0 ? "var(--faint)" : LINES[place];
    const path = one.points.map((point, k) => `${k ? "L" : "M"}${x(point.eps * unit).toFixed(1)} ${y(100 * point.share[0]).toFixed(1)}`).join("");
    const bars = place < 0 ? "" : one.points.map((point) => line(x(point.eps * unit), y(100 * point.share[1]), x(point.eps * unit), y(100 * point.share[2]), `stroke="${colour}" stroke-width="1.2" opacity=".45"`)).join("");
    const dots = one.points.map((point) => `<circle cx="${x(point.eps * unit).toFixed(1)}" cy="${y(100 * point.share[0]).toFixed(1)}" r="${place < 0 ? 1.5 : 3.2}" fill="${colour}" data-tip="${escape(`${one.defense}\n${point.threat ?? "clean"}: ${percent(point.share[0])} %`)}"/>`).join("");
    return `<path d="${path}" fill="none" stroke="${colour}" stroke-width="${place < 0 ? 1 : 1.8}" opacity="${place < 0 ? 0.3 : 1}"/>${bars}${dots}`;
  });
  const legend = named.map((one, place) => `<li><svg viewBox="0 0 12 12" aria-hidden="true"><circle cx="6" cy="6" r="5" fill="${LINES[place]}"/></svg>${escape(one.defense)}</li>`);
  const rest = series.length > named.length ? `<li>${series.length - named.length} more in grey</li>` : "";
  const label = levels ? "radius, levels of 255" : `radius, ${escape(boardOf(rows[0]).norm)}`;
  return `<svg viewBox="0 0 ${W} ${H}" role="img" aria-label="Accuracy over the radius of ${series.length} defenses">${axes(x, y, sparse, niceTicks(0, 100), label, "worst case, %", (tick) => Number(tick.toPrecision(3)))}${drawn.join("")}</svg><ul class="legend">${legend.join("")}${rest}</ul>`;
}

function chartsHtml(rows, allOfNorm) {
  if (!rows.length) return "";
  const shape = (kind) => `<li><svg viewBox="0 0 12 12" aria-hidden="true">${mark(6, 6, { kind, status: "ranked" }, kind === "deterministic" ? "var(--one)" : "var(--two)", 4)}</svg>${kind}</li>`;
  const kinds = [...new Set(rows.map((row) => row.kind))].sort();
  const hollow = rows.some((row) => row.status !== "ranked") ? `<li><svg viewBox="0 0 12 12" aria-hidden="true"><circle cx="6" cy="6" r="4" fill="none" stroke="var(--soft)" stroke-width="1.6"/></svg>incomplete</li>` : "";
  const legend = `<ul class="legend">${kinds.map(shape).join("")}${hollow}</ul>`;
  const parts = [
    ["Robust against clean", "Up and to the right is better. Bars: 95 % intervals.", scatter(rows)],
    ["Over the radius", "The worst of the attacks at each radius and below, on the images that all radii have; radius 0 is clean accuracy.", curves(allOfNorm)],
    ["Robust against cost", "Passes through the score model for one purified image, forward and backward.", costChart(rows)],
  ];
  const drawn = parts.filter(([, , body]) => body);
  return drawn.map(([title, note, body]) => `<figure class="chart"><h3>${title}</h3><p>${note}</p>${body}${body.includes("legend") ? "" : legend}</figure>`).join("");
}
