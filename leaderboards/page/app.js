const state = { sort: { title: "Rank", down: false }, chosen: new Map(), made: false };
const sharing = new Map();
for (const row of data.rows) sharing.set(`${row.board}/${row.rank}`, (sharing.get(`${row.board}/${row.rank}`) ?? 0) + 1);
data.rows.forEach((row, place) => {
  row.place = place;
  row.tied = row.rank !== null && sharing.get(`${row.board}/${row.rank}`) > 1;
  row.words = [row.defense, row.classifier, row.score, row.kind, ...row.flags, ...row.runs.map((id) => data.runs[id].attack)].join(" ").toLowerCase();
});

function options(select, values, all) {
  select.innerHTML = (all ? `<option value="">${all}</option>` : "") + values.map((value) => `<option>${escape(value)}</option>`).join("");
}

function fillThreats() {
  const threats = [...new Set(data.boards.filter((board) => board.dataset === $("dataset").value).map((board) => board.threat))];
  options($("threat"), threats, threats.length > 1 ? "all" : "");
  const size = (threat) => data.rows.filter((row) => fits(boardOf(row), threat)).reduce((sum, row) => sum + (row.status === "ranked" ? 1000 : 1), 0);
  $("threat").value = threats.reduce((best, threat) => (size(threat) > size(best) ? threat : best), threats[0]); // the fullest board
}

const fits = (board, threat = $("threat").value) => board.dataset === $("dataset").value && (!threat || board.threat === threat);

function filtered(threat) {
  const kind = $("kind").value, words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  return data.rows.filter((row) => fits(boardOf(row), threat) && (!kind || row.kind === kind) && words.every((word) => row.words.includes(word)));
}

function sorted(rows) {
  const column = columns.find((one) => one.title === state.sort.title);
  return [...rows].sort(compare(column, state.sort.down));
}

function remarks(boards) {
  const reference = boards.length === 1 && boards[0].reference ? ` p: paired test of the worst case against ${escape(boards[0].reference)}, Holm-corrected.` : "";
  return `<p class="note">Under each number its 95 % interval, in percent; Δ in points. “=” marks shared ranks.${reference} ${boards.map((board) => escape(board.title)).join("; ")}.</p>`;
}

function constants(rows) {
  const once = (title, get) => { const values = new Set(rows.map(get).filter(Boolean)); return values.size === 1 ? `${title} ${escape([...values][0])}` : ""; };
  return [once("classifier", (row) => row.classifier), once("score model", (row) => row.score)].filter(Boolean).join(", ");
}

function draw() {
  const rows = filtered(), ranked = sorted(rows.filter((row) => row.status === "ranked")), others = sorted(rows.filter((row) => row.status !== "ranked"));
  const boards = data.boards.filter((board) => fits(board));
  const options = { chosen: state.chosen, sort: state.sort };
  $("title").textContent = `${$("dataset").value}${$("threat").value ? `, ${$("threat").value}` : ""}`;
  $("count").innerHTML = `${rows.length} of ${data.rows.filter((row) => fits(boardOf(row))).length} rows${constants(rows) ? ` · ${constants(rows)}` : ""}`;
  $("ranked").innerHTML = ranked.length ? tableHtml(ranked, { ...options, ranked: true, caption: "Ranked defenses" }) + remarks(boards)
    : `<div class="scroll empty">${rows.length ? "No row here has faced all required attacks: see below." : "Nothing fits; change the filters."}</div>`;
  $("incomplete").innerHTML = others.length ? `<h2>Incomplete: not ranked</h2><p class="note">These rows lack a required class of attacks: ${boards[0].required.map(escape).join(", ")}.</p>${tableHtml(others, { ...options, ranked: false, caption: "Incomplete rows" })}${commandsHtml(others)}` : "";
  $("imported").innerHTML = importedHtml(boards);
  clearTimeout(state.timer);
  state.timer = setTimeout(() => {
    const norms = new Set(rows.map((row) => boardOf(row).norm)), norm = [...norms][0];
    $("charts").innerHTML = chartsHtml(rows, filtered("").filter((row) => boardOf(row).norm === norm));
  }, 0);
}

function commandsHtml(rows) {
  const commands = [...new Set(rows.flatMap((row) => row.commands))];
  return `<details class="complete"><summary>${commands.length} command${commands.length === 1 ? "" : "s"} complete${commands.length === 1 ? "s" : ""} these rows</summary>${commandBox(commands.join("\n"))}</details>`;
}

function fillColumns() {
  $("columns").innerHTML = columns.filter((column) => !column.pin && !column.incomplete).map((column) => `<label><input type="checkbox" value="${escape(column.title)}">${escape(column.title)}</label>`).join("");
}

function tickColumns() {
  const rows = filtered(), shown = new Set(shownColumns(rows, true, state.chosen).map((column) => column.title));
  for (const box of $("columns").querySelectorAll("input")) box.checked = shown.has(box.value);
}

function route() {
  const id = decodeURIComponent(location.hash).match(/^#run\/(\w+)$/)?.[1];
  const isRun = id !== undefined && id in data.runs;
  $("board").hidden = isRun;
  $("run").hidden = !isRun;
  $("run").innerHTML = isRun ? runHtml(id) : "";
  document.title = isRun ? `${data.rows[data.runs[id].row].defense} under ${data.runs[id].attack} · purebench` : "purebench leaderboard";
  if (!isRun && !state.made) { draw(); tickColumns(); state.made = true; }
  if (state.routed) { scrollTo(0, isRun ? 0 : state.scroll ?? 0); $("main").focus({ preventScroll: true }); }
  state.routed = true;
}

$("controls").addEventListener("submit", (event) => event.preventDefault());
$("controls").addEventListener("input", (event) => {
  if (event.target.type === "checkbox") state.chosen.set(event.target.value, event.target.checked);
  if (event.target.id === "dataset") fillThreats();
  draw();
  if (event.target.type !== "checkbox") tickColumns();
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-sort]");
  if (button) {
    const title = button.dataset.sort, same = state.sort.title === title;
    state.sort = { title, down: same ? !state.sort.down : Boolean(columns.find((column) => column.title === title).down) };
    const region = button.closest("section").id;
    draw();
    $(region).querySelector(`[data-sort="${CSS.escape(title)}"]`)?.focus();
  }
  const open = document.querySelector("details.columns[open]");
  if (open && !open.contains(event.target)) open.open = false;
  if (event.target.closest('a[href^="#run/"]')) state.scroll = scrollY;
});
document.addEventListener("keydown", (event) => {
  const open = document.querySelector("details.columns[open]");
  if (event.key === "Escape" && open) { open.open = false; open.querySelector("summary").focus(); }
});
document.addEventListener("pointermove", (event) => {
  const target = event.target.closest?.("[data-tip]"), tip = $("tip");
  tip.hidden = !target;
  if (!target) return;
  tip.textContent = target.dataset.tip;
  tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8)}px`;
});
const remember = (theme) => { try { localStorage.setItem("purebench-theme", theme); } catch { /* a page without storage */ } };
const remembered = () => { try { return localStorage.getItem("purebench-theme"); } catch { return null; } };
if (remembered()) document.documentElement.dataset.theme = remembered();
$("theme").addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme === "dark" || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  remember(document.documentElement.dataset.theme);
});
addEventListener("hashchange", route);

$("version").textContent = data.version;
options($("dataset"), [...new Set(data.boards.map((board) => board.dataset))]);
fillThreats();
fillColumns();
route();
