const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const escape = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const percent = (share, digits = 1) => (100 * share).toFixed(digits).replace(/^-(0\.0*)$/, "$1").replace("-", "−");
const signed = (share) => (share > 0 ? "+" : "") + percent(share);
const range = (part, text = percent) => `${text(part[1])} to ${text(part[2])}`;
const number = (value) => (value === null ? "" : (Math.abs(value) >= 1000 ? Math.round(value) : Number.isInteger(value) ? value : Number(value.toPrecision(4))).toLocaleString("en").replace("-", "−"));
const pText = (p) => (p === null ? "" : p < 0.001 ? "<.001" : p >= 1 ? "1" : p.toFixed(3).replace(/^0/, ""));
const believed = (verdict) => (verdict === null ? "unchecked" : verdict === "believed" ? "yes" : verdict);
const verdictHtml = (verdict) => `<span class="tag ${{ believed: "yes", suspect: "warn", refuted: "no" }[verdict] ?? ""}">${escape(believed(verdict))}</span>`;
const boardOf = (row) => data.boards[row.board];
const slug = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-");

// The run that a figure of a row comes from: the strongest of a class of attacks, or of all.
function strongest(row, kind) {
  return row.runs.find((id) => !kind || data.runs[id].class === kind) ?? row.runs[0];
}

function commandBox(command) {
  return `<div class="command"><code>${escape(command)}</code><button type="button" data-copy="${escape(command)}">Copy</button></div>`;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(button.previousElementSibling);
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1600);
});
