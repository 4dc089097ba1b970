// The confusion matrix of one run: superclasses, one family's classes in it, then the pictures.

const OTHERS = -1; // the column of a family's matrix for all other families

let truth = new Uint8Array(); // the true class of each test picture
const answers = new Map(); // run id -> {said, sure}, a number a test picture

async function unpackAnswers() {
  truth = await unpack(facts.truth);
  for (const run of facts.runs) {
    answers.set(run.id, { said: await unpack(run.said), sure: await unpack(run.sure) });
  }
}

function chosenRun() {
  return facts.runs.find((run) => run.id === chosen.run);
}

function familyOf(number) {
  return facts.classes[number].family;
}

/** The numbers of a family's classes. */
function membersOf(family) {
  return facts.classes.map((_, number) => number).filter((number) => familyOf(number) === family);
}

// --- counting ------------------------------------------------------------------------------------

/** The places of the test pictures for which isWanted(true class, said class) holds. */
function placesWhere(isWanted) {
  const { said } = answers.get(chosen.run);
  const places = [];
  for (let place = 0; place < truth.length; place += 1) {
    if (isWanted(truth[place], said[place])) places.push(place);
  }
  return places;
}

function superclassCounts() {
  const n = facts.superclasses.length;
  const counts = Array.from({ length: n }, () => new Array(n).fill(0));
  const { said } = answers.get(chosen.run);
  truth.forEach((is, place) => {
    counts[familyOf(is)][familyOf(said[place])] += 1;
  });
  return counts;
}

function isInFine(is, said, [row, column]) {
  if (is !== row) return false;
  if (column === OTHERS) return familyOf(said) !== chosen.cell[1];
  return said === column;
}

// --- a matrix of any kind ------------------------------------------------------------------------

/**
 * A table that arrow keys walk through.
 * fullAt: the share of a row from which on a cell has its full colour.
 * rows, columns: {key, name: {zh, en}}; counts: by row and column; isDiagonal(row, column);
 * isOpen(row, column): whether that cell is the chosen one; choose(row, column): Enter or a click.
 */
function matrixTable({
  caption,
  kind,
  fullAt,
  rows,
  columns,
  counts,
  isDiagonal,
  isOpen,
  choose,
}) {
  const table = make("table", { class: `matrix ${kind}`, role: "grid" });
  table.append(make("caption", {}, caption), matrixHead(columns));
  const body = table.createTBody();
  rows.forEach((row, r) => {
    const total = counts[r].reduce((sum, one) => sum + one, 0);
    const line = body.insertRow();
    line.append(make("th", { scope: "row" }, ...bilingual(row.name)));
    columns.forEach((column, c) => {
      const cell = matrixCell(row, column, counts[r][c], total, fullAt);
      cell.classList.toggle("diagonal", isDiagonal(row.key, column.key));
      cell.setAttribute("aria-selected", isOpen(row.key, column.key));
      cell.addEventListener("click", () => choose(row.key, column.key));
      line.append(cell);
    });
  });
  letArrowsWalk(body);
  return table;
}

function matrixHead(columns) {
  const heads = columns.map((column) =>
    make("th", { scope: "col" }, make("span", {}, ...bilingual(column.name))),
  );
  return make("thead", {}, make("tr", {}, make("th", {}, hidden("真 truth ＼ 說 said")), ...heads));
}

function hidden(text) {
  return make("span", { class: "visually-hidden" }, text);
}

function matrixCell(row, column, number, total, fullAt) {
  const label =
    `真正是 truth ${inWords(row.name)}，說是 said ${inWords(column.name)}：` +
    `${number} / ${total}`;
  const cell = make("td", { tabindex: -1, "aria-label": label }, number ? String(number) : "");
  cell.title = label;
  // the square root lets single mistakes be seen
  const share = total ? Math.min(1, Math.sqrt(number / total / fullAt)) : 0;
  cell.style.setProperty("--share", share.toFixed(3));
  return cell;
}

/** One cell is in the tab order; arrows, Home and End move from it, Enter and Space choose it. */
function letArrowsWalk(body) {
  const cellAt = (row, column) => body.rows[row]?.cells[column];
  const first = body.querySelector('[aria-selected="true"]') ?? cellAt(0, 1);
  first.tabIndex = 0;
  body.addEventListener("focusin", (event) => {
    for (const cell of body.querySelectorAll('[tabindex="0"]')) cell.tabIndex = -1;
    event.target.tabIndex = 0;
  });
  body.addEventListener("keydown", (event) => {
    const cell = event.target;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      cell.click();
      return;
    }
    const [row, column] = [cell.parentElement.sectionRowIndex, cell.cellIndex];
    const targets = {
      ArrowUp: [row - 1, column],
      ArrowDown: [row + 1, column],
      ArrowLeft: [row, column - 1],
      ArrowRight: [row, column + 1],
      Home: [row, 1],
      End: [row, cell.parentElement.cells.length - 1],
    };
    if (!(event.key in targets)) return;
    event.preventDefault();
    const [toRow, toColumn] = targets[event.key];
    // the first cell of a row is its name
    if (toColumn >= 1) cellAt(toRow, toColumn)?.focus();
  });
}

// --- superclasses --------------------------------------------------------------------------------

function drawSuperclasses() {
  const names = facts.superclasses.map((name, key) => ({ key, name }));
  const counts = superclassCounts();
  const table = matrixTable({
    caption: "20 個大類 superclasses",
    kind: "large",
    fullAt: 0.1,
    rows: names,
    columns: names,
    counts,
    isDiagonal: (row, column) => row === column,
    isOpen: (row, column) => row === chosen.cell?.[0] && column === chosen.cell?.[1],
    choose: chooseCell,
  });
  byId("superclass-matrix").replaceChildren(table);
  showRunSummary(counts);
}

function showRunSummary(counts) {
  const run = chosenRun();
  const n = truth.length;
  const right = placesWhere((is, said) => is === said).length;
  const inFamily = counts.reduce((sum, row, family) => sum + row[family], 0);
  byId("run-summary").textContent =
    `${run.label}：類別答對 class right ${count(right)} / ${count(n)} (${percent(right / n, 2)})，` +
    `大類答對 superclass right ${count(inFamily)} (${percent(inFamily / n, 2)})`;
}

// --- families ------------------------------------------------------------------------------------

function drawFamily() {
  if (!chosen.cell) {
    byId("family").replaceChildren(
      make("p", { class: "hint" }, "選一格，看那一家的類別。 ", english("Choose a cell to open its family.")),
    );
    return;
  }
  const [trueFamily, saidFamily] = chosen.cell;
  const rows = membersOf(trueFamily).map(namedClass);
  const columns = membersOf(saidFamily).map(namedClass);
  columns.push({ key: OTHERS, name: { zh: "其他", en: "others" } });
  const countOf = (fine) => placesWhere((is, said) => isInFine(is, said, fine)).length;
  const counts = rows.map((row) => columns.map((column) => countOf([row.key, column.key])));
  const table = matrixTable({
    caption: cellInWords(),
    kind: "small",
    fullAt: 0.25,
    rows,
    columns,
    counts,
    isDiagonal: (row, column) => row === column,
    isOpen: (row, column) => row === chosen.fine?.[0] && column === chosen.fine?.[1],
    choose: chooseFine,
  });
  byId("family").replaceChildren(make("div", { class: "scroll" }, table));
}

function namedClass(key) {
  return { key, name: facts.classes[key] };
}

function cellInWords() {
  const [is, said] = chosen.cell.map((family) => facts.superclasses[family]);
  if (chosen.cell[0] === chosen.cell[1]) return inWords(is);
  return `${inWords(is)} → ${inWords(said)}`;
}

// --- choosing ------------------------------------------------------------------------------------

/** Choose a superclass cell: its family opens, and its pictures are listed. */
function chooseCell(row, column) {
  chosen.cell = [row, column];
  chosen.fine = null;
  select(byId("superclass-matrix"), row, column);
  drawFamily();
  listPictures();
  rememberInAddress();
}

function chooseFine(row, column) {
  chosen.fine = [row, column];
  drawFamily();
  byId("family").querySelector('[aria-selected="true"]').focus({ preventScroll: true });
  listPictures();
  rememberInAddress();
}

/** Mark one cell of the superclass matrix as chosen, without drawing it anew. */
function select(box, row, column) {
  for (const cell of box.querySelectorAll('[aria-selected="true"]')) {
    cell.setAttribute("aria-selected", "false");
  }
  const body = box.querySelector("tbody");
  body.rows[row].cells[column + 1].setAttribute("aria-selected", "true");
}

function chooseRun(id) {
  chosen.run = id;
  byId("run").value = id;
  drawConfusion();
  rememberInAddress();
}

/** List the pictures of the chosen cell, of classes if one is chosen. */
function listPictures() {
  if (chosen.fine) {
    const [row, column] = chosen.fine;
    const said = column === OTHERS ? { zh: "其他", en: "others" } : facts.classes[column];
    const places = placesWhere((is, answer) => isInFine(is, answer, chosen.fine));
    showGallery(places, `真正是 truth ${inWords(facts.classes[row])}，說是 said ${inWords(said)}`);
    return;
  }
  if (chosen.cell) {
    const [row, column] = chosen.cell;
    const places = placesWhere((is, said) => familyOf(is) === row && familyOf(said) === column);
    showGallery(places, cellInWords());
    return;
  }
  showGallery(placesWhere((is, said) => is !== said), "所有答錯的 all mistakes");
}

function drawConfusion() {
  drawSuperclasses();
  drawFamily();
  listPictures();
}

function startConfusion() {
  for (const run of facts.runs) {
    const text = `${percent(run.accuracy)} · ${run.label}`;
    byId("run").append(make("option", { value: run.id }, text));
  }
  byId("run").addEventListener("change", (event) => chooseRun(event.target.value));
}
