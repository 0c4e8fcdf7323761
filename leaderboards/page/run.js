function figureHtml(title, part, note = "") {
  return `<div class="figure"><dt>${title}</dt><dd>${percent(part[0])} %<small>${range(part)} %${note}</small></dd></div>`;
}

function factsHtml(pairs) {
  return `<dl class="facts">${pairs.map(([name, value, state]) => `<dt>${escape(name)}</dt><dd class="${state ?? ""}">${value}</dd>`).join("")}</dl>`;
}

function checksHtml(run) {
  const words = { deterministic: "Deterministic", range: "Output range", differentiable: "Differentiable", gradient_finite: "Gradient finite", gradient_nonzero: "Gradient non-zero", gradient_error: "Gradient error" };
  const { claims = [], ...figures } = run.checks;
  const pairs = Object.entries(figures).map(([name, value]) => {
    if (name === "gradient_error" && value !== null) return [words[name], value.toExponential(1) + " against finite differences", value < 1e-4 ? "ok" : "off"];
    if (typeof value === "boolean") return [words[name] ?? name, value ? "yes" : "no", name === "deterministic" ? "" : value ? "ok" : "off"];
    return [words[name] ?? name, escape(Array.isArray(value) ? value.join(" to ") : JSON.stringify(value))];
  });
  for (const claim of claims.filter((one) => one.verdict === "failed")) pairs.push([escape(claim.check), escape(claim.meaning), "off"]);
  pairs.push(["Audit", verdictHtml(run.verdict)]);
  for (const flag of run.flags) pairs.push(["Flag", `<span class="tag warn">${escape(flag)}</span>`]);
  return factsHtml(pairs);
}

function auditHtml(run) {
  if (!run.audit) return "";
  const words = { pass: "believed", suspect: "suspect", refuted: "refuted" };
  const rows = run.audit.checks.map((check) => {
    const settle = check.command ? `<br><code>${escape(check.command)}</code>` : "";
    const verdict = words[check.verdict] ? verdictHtml(words[check.verdict]).replace(">yes<", ">pass<") : escape(check.verdict);
    return `<tr><th scope="row">${escape(check.name)}</th><td class="text">${verdict}</td><td class="text">${escape(check.meaning)}${settle}</td></tr>`;
  });
  const head = ["Check", "Verdict", "What it means"].map((title) => `<th scope="col" class="text"><span>${title}</span></th>`);
  return `<h2>Audit</h2><p class="note">Can this number be believed: ${escape(run.audit.size)} audit of the first ${run.audit.n} images.</p><div class="scroll" role="region" aria-label="Audit" tabindex="0"><table class="audit"><caption>Audit</caption><thead><tr>${head.join("")}</tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
}

function siblingsHtml(row, current) {
  const others = row.runs.map((id) => {
    const run = data.runs[id];
    const name = id === current ? `<b aria-current="page">${escape(run.attack)}</b>` : `<a href="#run/${id}">${escape(run.attack)}</a>`;
    return `<tr><th scope="row">${name}</th><td class="text">${escape(run.class)}</td><td>${percent(run.robust[0])}<span class="range">${range(run.robust)}</span></td><td>${run.n}</td><td>${run.seed}</td></tr>`;
  });
  const head = ["Attack", "Class", "Robust %", "n", "Seed"].map((title, place) => `<th scope="col" class="${place < 2 ? "text" : ""}"><span>${title}</span></th>`);
  return `<div class="scroll" role="region" aria-label="Attacks on this defense" tabindex="0"><table><caption>Attacks on this defense</caption><thead><tr>${head.join("")}</tr></thead><tbody>${others.join("")}</tbody></table></div>`;
}

function predictionHtml(image, predictions, names) {
  const share = predictions.filter((one) => one === image.label).length / predictions.length;
  const counts = new Map();
  for (const one of predictions) counts.set(one, (counts.get(one) ?? 0) + 1);
  const [top] = [...counts].sort((a, b) => b[1] - a[1])[0];
  const votes = predictions.length > 1 ? ` ${Math.round(100 * share)} % right` : "";
  return { html: `<b>${share >= 0.5 ? "✓" : "✗"} ${escape(names[top] ?? top)}</b>${votes}`, right: share >= 0.5, word: names[top] ?? String(top) };
}

function picturesHtml(run, dataset) {
  if (!run.pictures.length) return `<p class="note">This run stores no adversarial images, or the page was made without pictures.</p>`;
  const names = data.names[dataset] ?? [];
  const strips = run.pictures.map((image) => {
    const truth = names[image.label] ?? `class ${image.label}`;
    const [clean, attacked] = [predictionHtml(image, image.clean, names), predictionHtml(image, image.adversarial, names)];
    const original = data.images[dataset]?.[image.id];
    const tiles = [
      original && [original, `Image ${image.id}: ${truth}, predicted ${clean.word}`, `clean ${clean.html}`, clean.right ? "right" : "wrong"],
      [image.picture, `Image ${image.id} under attack, predicted ${attacked.word}`, `attacked ${attacked.html}`, attacked.right ? "right" : "wrong"],
      image.difference && [image.difference, `Difference, magnified ${image.factor} times`, `difference × ${image.factor}`, ""],
      image.pure && [image.pure[0], `Image ${image.id}, purified`, "clean, purified", ""],
      image.pure && [image.pure[1], `Image ${image.id} under attack, purified`, "attacked, purified", ""],
    ].filter(Boolean);
    const figures = tiles.map(([source, alt, caption, state]) => `<figure class="${state}"><img src="${source}" alt="${escape(alt)}" width="92" height="92"><figcaption>${caption}</figcaption></figure>`);
    return `<li><header><b>${escape(truth)}</b><span class="none">image ${image.id}</span></header><div class="strip">${figures.join("")}</div></li>`;
  });
  const count = 2 + (run.pictures[0].difference ? 1 : 0) + (run.pictures[0].pure ? 2 : 0);
  const hint = data.purified ? "" : " Purified images: build the page with <code>--purified</code>.";
  return `<p class="note">Predictions are those of the record, after the purifier. Grey in the difference is no change.${hint}</p><ul class="pictures" style="--strip:${count * 84 + 24}px">${strips.join("")}</ul>`;
}

function runHtml(id) {
  const run = data.runs[id], row = data.rows[run.row], board = boardOf(row);
  const environment = run.environments.map((one) => [one.purebench && `purebench ${one.purebench}`, one.torch && `torch ${one.torch}`, one.instructions ?? one.device_name, one.device].filter(Boolean).join(", ")).join("; ");
  return `<p class="crumb"><a href="#">← Leaderboard</a></p><h1>${escape(row.defense)} under ${escape(run.attack)}</h1>
    <p class="lead">${escape(board.dataset)}, ${escape(board.threat)}, ${run.n} images${run.draws > 1 ? `, mean over ${run.draws} draws` : ""}, seed ${run.seed}. Run <code>${id}</code>.</p>
    <dl class="figures">${figureHtml("Clean", run.clean)}${figureHtml("Robust under this attack", run.robust)}${figureHtml("Worst case over attacks", row.worst, `, n = ${row.n}`)}</dl>
    <h2>Reproduce</h2><p class="note">The same command again goes on where it stopped.</p>${commandBox(run.command)}
    <div class="pair"><div><h2>Checks</h2>${checksHtml(run)}</div><div><h2>Attacks on this defense</h2>${siblingsHtml(row, id)}</div></div>
    ${auditHtml(run)}
    <h2>Images</h2>${picturesHtml(run, board.dataset)}
    <div class="pair"><div><h2>Spec</h2><p class="note">What the run id is computed from.</p><pre class="spec" tabindex="0">${escape(JSON.stringify(run.spec, null, 1))}</pre></div>
    <div><h2>Made with</h2>${factsHtml([["Environment", escape(environment)], ["Score passes", `${number(run.passes)} per image, attack and score`], ...run.notes.map((note) => ["Note", escape(note)])])}</div></div>`;
}
