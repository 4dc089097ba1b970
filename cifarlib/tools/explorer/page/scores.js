// The table of test accuracies, which sorts by any column.

const sorted = { key: "ours", isDescending: true };

/** A row a cell of the comparison, published or ours, and one for each variant of ours. */
function scoreRows() {
  const rows = new Map();
  for (const score of facts.scores) {
    rows.set(cellKey(score), {
      ...cellOf(score),
      published: score.accuracy,
      publishedTta: score.tta,
    });
  }
  for (const run of facts.runs) {
    const key = run.is_plain ? cellKey(run) : run.id;
    const row = rows.get(key) ?? cellOf(run);
    rows.set(key, { ...row, run, how: variantOf(run), ours: run.accuracy, oursTta: run.tta });
  }
  return [...rows.values()];
}

function cellKey({ backbone, size, init }) {
  return `${backbone} ${size} ${init}`;
}

function cellOf({ backbone, size, init }) {
  return { backbone, size, init, how: "", ours: null, oursTta: null, published: null };
}

/** What a run's label says beyond backbone, size and start. */
function variantOf(run) {
  return run.label.replace(" †", "").split(", ").slice(1).join(", ");
}

function compareBy(key, isDescending) {
  const isMissing = (value) => value === null || value === undefined || value === "";
  return (one, other) => {
    const [a, b] = [one[key], other[key]];
    // what is missing comes last either way
    if (isMissing(a) || isMissing(b)) return isMissing(a) - isMissing(b);
    const order = typeof a === "number" ? a - b : a.localeCompare(b, "en");
    return isDescending ? -order : order;
  };
}

function drawScores() {
  const rows = scoreRows().sort(compareBy(sorted.key, sorted.isDescending));
  byId("score-table").tBodies[0].replaceChildren(...rows.map(scoreRow));
  for (const header of byId("score-table").tHead.rows[0].cells) {
    header.removeAttribute("aria-sort");
    if (header.dataset.key === sorted.key) {
      header.setAttribute("aria-sort", sorted.isDescending ? "descending" : "ascending");
    }
  }
}

function scoreRow(row) {
  const look = swatch({ backbone: row.backbone, line: "ours", whose: "ours" });
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, look, row.backbone),
    make("td", {}, START_NAMES[row.init]),
    make("td", { class: "number" }, String(row.size)),
    make("td", { class: "number" }, ourScore(row)),
    make("td", { class: "number" }, scoreInWords(row.oursTta)),
    make("td", { class: "number" }, scoreInWords(row.published)),
    make("td", { class: "number" }, scoreInWords(row.publishedTta)),
    make("td", { lang: "en" }, row.how),
  );
}

function scoreInWords(share) {
  if (share === null || share === undefined) return "–";
  return percent(share, 2);
}

/** Our accuracy as a button that opens the run's confusion, or "open" where there is none. */
function ourScore({ run }) {
  if (!run) return make("span", { class: "open", lang: "en" }, "open");
  const text = percent(run.accuracy, 2) + (run.is_held_back ? " †" : "");
  const label = `${text}: ${run.label}, 看它錯在哪裡 see its mistakes`;
  const button = make("button", { type: "button", class: "link", "aria-label": label }, text);
  button.addEventListener("click", () => {
    chooseRun(run.id);
    byId("confusion").scrollIntoView();
    byId("run").focus({ preventScroll: true });
  });
  return button;
}

function sortBy(header) {
  const { key } = header.dataset;
  const isNumber = header.classList.contains("number");
  // numbers begin with the highest, words with A
  sorted.isDescending = key === sorted.key ? !sorted.isDescending : isNumber;
  sorted.key = key;
  drawScores();
  const direction = sorted.isDescending ? "由大到小 descending" : "由小到大 ascending";
  byId("sorted").textContent = `${header.textContent.trim()}: ${direction}`;
}

function startScores() {
  for (const header of byId("score-table").tHead.rows[0].cells) {
    header.querySelector("button").addEventListener("click", () => sortBy(header));
  }
  drawScores();
}
