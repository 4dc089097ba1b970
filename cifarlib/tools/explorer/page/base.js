// What all parts of the page share: its data, small helpers, and what is chosen.

const facts = JSON.parse(document.getElementById("facts").textContent);

// --- elements ------------------------------------------------------------------------------------

function byId(id) {
  return document.getElementById(id);
}

/** Make an element: make("td", {class: "number"}, "12", anotherElement). */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  setAttributes(element, attributes);
  element.append(...children);
  return element;
}

/** Make an element of SVG, which lives in a namespace of its own. */
function makeSvg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  setAttributes(element, attributes);
  element.append(...children);
  return element;
}

function setAttributes(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, value);
  }
}

function english(text) {
  return make("span", { lang: "en" }, text);
}

/** A name in both languages, as nodes. */
function bilingual(name) {
  return [`${name.zh} `, english(name.en)];
}

function inWords(name) {
  return `${name.zh} ${name.en}`;
}

// --- numbers -------------------------------------------------------------------------------------

function percent(share, decimals = 1) {
  return `${(100 * share).toFixed(decimals)}%`;
}

function count(number) {
  return number.toLocaleString("en-US");
}

/** The bytes of what Python's packed() made: base64 of zlib's deflate. */
async function unpack(text) {
  const compressed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([compressed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// --- backbones -----------------------------------------------------------------------------------

const backboneByName = new Map(facts.backbones.map((backbone) => [backbone.name, backbone]));

/** A backbone's colour in both themes: light-dark() follows the theme by itself. */
function colorOf(name) {
  const backbone = backboneByName.get(name);
  return `light-dark(${backbone.light}, ${backbone.dark})`;
}

// outlines around (0, 0), as the notebooks' figures have them
const MARKERS = {
  s: "M-4 -4H4V4H-4Z",
  o: "M4.5 0A4.5 4.5 0 1 1 -4.5 0A4.5 4.5 0 1 1 4.5 0Z",
  "^": "M0 -5L5 4H-5Z",
  D: "M0 -5.5L5.5 0L0 5.5L-5.5 0Z",
  v: "M0 5L5 -4H-5Z",
};
const OTHER_MARKER = "M-4 0L0 -4L4 0L0 4Z";

/** A backbone's marker: filled for ours, hollow for the published. */
function marker(name, isFilled) {
  const path = makeSvg("path", { d: MARKERS[backboneByName.get(name).marker] ?? OTHER_MARKER });
  path.style.stroke = colorOf(name);
  path.style.strokeWidth = 1.5;
  path.style.fill = isFilled ? colorOf(name) : "var(--ground)";
  return path;
}

// --- what is chosen ------------------------------------------------------------------------------

// `run` is a run's id; `cell` and `fine` are [truth, said], of superclasses and of classes
const chosen = {
  size: 32,
  init: "scratch",
  measure: "valid_accuracy",
  run: "",
  cell: null,
  fine: null,
};

/** Keep what is chosen in the address, so that a link leads to the same view. */
function rememberInAddress() {
  const words = new URLSearchParams({
    size: chosen.size,
    start: chosen.init,
    measure: chosen.measure,
    run: chosen.run,
  });
  if (chosen.cell) words.set("cell", chosen.cell.join("-"));
  if (chosen.fine) words.set("fine", chosen.fine.join("-"));
  try {
    history.replaceState(null, "", `#${words}`);
  } catch {
    // a sandboxed frame has no address of its own
  }
}

/** Take from the address what it names; what it does not, or what there is not, stays. */
function recallFromAddress() {
  const words = new URLSearchParams(location.hash.slice(1));
  const size = Number(words.get("size"));
  if (facts.sizes.includes(size)) chosen.size = size;
  if (facts.starts.some((start) => start.init === words.get("start"))) {
    chosen.init = words.get("start");
  }
  if (byId("measure").querySelector(`[value="${CSS.escape(words.get("measure") ?? "")}"]`)) {
    chosen.measure = words.get("measure");
  }
  if (facts.runs.some((run) => run.id === words.get("run"))) chosen.run = words.get("run");
  chosen.cell = pair(words.get("cell"), facts.superclasses.length, facts.superclasses.length);
  // a said of -1 is the column of all other families
  chosen.fine = pair(words.get("fine"), facts.classes.length, facts.classes.length);
  if (!isWithin(chosen.fine, chosen.cell)) chosen.fine = null;
}

/** Whether a pair of classes lies in a pair of superclasses. */
function isWithin(fine, cell) {
  if (!fine || !cell) return false;
  const [row, column] = fine;
  const isColumn = column === -1 || facts.classes[column].family === cell[1];
  return isColumn && facts.classes[row].family === cell[0];
}

/** "3-17" as [3, 17], or null for what is not two places below the given numbers. */
function pair(text, rows, columns) {
  const match = /^(\d+)-(-?\d+)$/.exec(text ?? "");
  if (!match) return null;
  const [row, column] = [Number(match[1]), Number(match[2])];
  if (row >= rows || column < -1 || column >= columns) return null;
  return [row, column];
}
