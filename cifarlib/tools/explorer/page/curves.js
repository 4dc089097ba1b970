// Training curves: which are chosen, the plot, and the values at one epoch.

const PLOT_HEIGHT = 380;
const MARGIN = { top: 14, right: 16, bottom: 40, left: 52 };
const MOST_NATS = 8; // a spike beyond would press all other lines flat
// [width, dashes] of a line
const LINES = {
  published: [1.3, "none"],
  ours: [3, "none"],
  heldBack: [3, "1.5 4"],
  variant: [2, "7 4"],
};

let plot = null; // what the pointer needs to know of the plot that is drawn
let epoch = Infinity; // the one that is read; the last until another is chosen

// --- which curves --------------------------------------------------------------------------------

/** All curves of the chosen size and start, whether they are ticked or not. */
function curvesOfPanel() {
  const isHere = (one) => one.size === chosen.size && one.init === chosen.init;
  const published = facts.published.filter(isHere).map((one) => ({
    name: `${one.backbone} · 公布 published`,
    backbone: one.backbone,
    history: one.history,
    whose: "published",
    line: "published",
  }));
  const ours = facts.runs.filter(isHere).map((run) => ({
    name: run.label,
    backbone: run.backbone,
    history: run.history,
    whose: run.is_plain ? "ours" : "variants",
    line: lineOf(run),
  }));
  return [...published, ...ours];
}

function lineOf(run) {
  if (run.is_held_back) return "heldBack";
  return run.is_plain ? "ours" : "variant";
}

function tickedIn(id) {
  return [...byId(id).querySelectorAll("input:checked")].map((input) => input.value);
}

function shownCurves() {
  const backbones = tickedIn("backbones");
  const whose = tickedIn("whose");
  return curvesOfPanel().filter(
    (curve) => backbones.includes(curve.backbone) && whose.includes(curve.whose),
  );
}

// --- the plot ------------------------------------------------------------------------------------

function drawCurves() {
  const curves = shownCurves();
  const width = Math.max(280, byId("plot").clientWidth);
  const lastEpoch = Math.max(2, ...curvesOfPanel().flatMap((curve) => curve.history.epoch));
  const top = topOf(curves);
  const inner = {
    width: width - MARGIN.left - MARGIN.right,
    height: PLOT_HEIGHT - MARGIN.top - MARGIN.bottom,
  };
  const x = (value) => MARGIN.left + (inner.width * (value - 1)) / (lastEpoch - 1);
  const y = (value) => MARGIN.top + inner.height * (1 - Math.min(value, top) / top);
  plot = { curves, x, y, lastEpoch, inner };

  const svg = makeSvg("svg", {
    viewBox: `0 0 ${width} ${PLOT_HEIGHT}`,
    role: "img",
    "aria-label": plotInWords(curves),
  });
  svg.append(...axes(top));
  for (const curve of curves) svg.append(drawnCurve(curve));
  svg.append(makeSvg("g", { id: "crosshair" }));
  svg.addEventListener("pointermove", pointAtEpoch);
  svg.addEventListener("pointerdown", pointAtEpoch);
  byId("plot").replaceChildren(svg);
  byId("epoch").max = lastEpoch;
  showEpoch();
}

/** The highest value that the plot has room for: that of its curves, rounded up to a tick. */
function topOf(curves) {
  const values = curves.flatMap((curve) => curve.history[chosen.measure]);
  const highest = Math.max(0.1, ...values.filter((value) => value !== null));
  const step = tickStep(highest);
  const top = Math.ceil(highest / step) * step;
  return isLoss() ? Math.min(MOST_NATS, top) : Math.min(1, top);
}

function isLoss() {
  return chosen.measure.endsWith("loss");
}

/** A round step between ticks, such that there are about five. */
function tickStep(highest) {
  const steps = [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2];
  return steps.find((step) => highest / step <= 6) ?? 2;
}

function axes(top) {
  const { x, y, lastEpoch } = plot;
  const parts = [];
  const step = tickStep(top);
  for (let value = 0; value <= top + 1e-9; value += step) {
    const place = { x1: x(1), x2: x(lastEpoch), y1: y(value), y2: y(value) };
    parts.push(makeSvg("line", { class: "axis-line", ...place }));
    const label = isLoss() ? value.toFixed(1) : percent(value, 0);
    parts.push(makeSvg("text", { x: x(1) - 8, y: y(value) + 4, "text-anchor": "end" }, label));
  }
  for (const value of epochTicks(lastEpoch)) {
    const place = { x: x(value), y: PLOT_HEIGHT - MARGIN.bottom + 18, "text-anchor": "middle" };
    parts.push(makeSvg("text", place, String(value)));
  }
  const middle = { x: x((1 + lastEpoch) / 2), y: PLOT_HEIGHT - 4, "text-anchor": "middle" };
  const unit = isLoss() ? "輪 epoch（損失 loss: nats）" : "輪 epoch";
  parts.push(makeSvg("text", middle, unit));
  return parts;
}

function epochTicks(lastEpoch) {
  const step = lastEpoch > 20 ? 10 : lastEpoch > 10 ? 5 : lastEpoch > 4 ? 2 : 1;
  const ticks = [1];
  for (let value = step; value <= lastEpoch; value += step) {
    if (value > 1) ticks.push(value);
  }
  return ticks;
}

function drawnCurve(curve) {
  const { x, y } = plot;
  const [width, dashes] = LINES[curve.line];
  const points = pointsOf(curve);
  const steps = points.map(([at, value], i) => `${i ? "L" : "M"}${x(at)} ${y(value)}`);
  const line = makeSvg("path", { class: "curve", d: steps.join("") });
  line.style.stroke = colorOf(curve.backbone);
  line.style.strokeWidth = width;
  line.style.strokeDasharray = dashes;
  line.style.strokeLinecap = curve.line === "heldBack" ? "round" : "butt";
  const group = makeSvg("g", { "data-curve": curve.name }, line);
  if (points.length) {
    const [at, value] = points.at(-1);
    const end = marker(curve.backbone, curve.whose !== "published");
    end.setAttribute("transform", `translate(${x(at)} ${y(value)})`);
    group.append(end);
  }
  return group;
}

/** [epoch, value] of a curve's readings; a few published ones are missing. */
function pointsOf(curve) {
  const values = curve.history[chosen.measure];
  const points = curve.history.epoch.map((at, i) => [at, values[i]]);
  return points.filter(([, value]) => value !== null);
}

/** What the plot shows, for who does not see it. */
function plotInWords(curves) {
  const measure = byId("measure").selectedOptions[0].textContent;
  const start = facts.starts.find((one) => one.init === chosen.init).name;
  const ends = curves.map((curve) => {
    const last = pointsOf(curve).at(-1);
    return last ? `${curve.name}: ${valueInWords(last[1])}` : curve.name;
  });
  return `${measure}, ${chosen.size} px, ${start}. 最後 last: ${ends.join("; ")}`;
}

function valueInWords(value) {
  return isLoss() ? value.toFixed(3) : percent(value);
}

// --- the values at one epoch ---------------------------------------------------------------------

function pointAtEpoch(event) {
  const box = event.currentTarget.getBoundingClientRect();
  const { inner, lastEpoch } = plot;
  const share = (event.clientX - box.left - MARGIN.left) / inner.width;
  epoch = Math.round(1 + share * (lastEpoch - 1));
  showEpoch();
}

function showEpoch() {
  const at = Math.min(Math.max(1, epoch), plot.lastEpoch);
  byId("epoch").value = at;
  byId("epoch").setAttribute("aria-valuetext", `第 ${at} 輪 epoch ${at}`);
  byId("epoch-out").textContent = at;
  drawCrosshair(at);
  fillReadout(at);
}

function drawCrosshair(at) {
  const { x, y, curves, inner } = plot;
  const place = { x1: x(at), x2: x(at), y1: MARGIN.top, y2: MARGIN.top + inner.height };
  const parts = [makeSvg("line", { class: "crosshair", ...place })];
  for (const curve of curves) {
    const value = valueAt(curve, at);
    if (value === null) continue;
    const dot = makeSvg("circle", { cx: x(at), cy: y(value), r: 4 });
    dot.style.stroke = colorOf(curve.backbone);
    dot.style.strokeWidth = 1.5;
    dot.style.fill = curve.whose === "published" ? "var(--ground)" : colorOf(curve.backbone);
    parts.push(dot);
  }
  byId("crosshair").replaceChildren(...parts);
}

function valueAt(curve, at) {
  return curve.history[chosen.measure][curve.history.epoch.indexOf(at)] ?? null;
}

/** Fill the table beside the plot, the best value first. */
function fillReadout(at) {
  const better = isLoss() ? -1 : 1;
  const worst = -Infinity;
  const score = (curve) => {
    const value = valueAt(curve, at);
    return value === null ? worst : better * value;
  };
  const curves = [...plot.curves].sort((one, other) => score(other) - score(one));
  const table = byId("readout");
  table.caption.textContent = `第 ${at} 輪 epoch ${at} · ${chosen.size} px`;
  table.tBodies[0].replaceChildren(...curves.map((curve) => readoutRow(curve, at)));
  if (curves.length === 0) {
    const nothing = make("td", { colspan: 3, class: "open" }, "沒有選到曲線 no curve is chosen");
    table.tBodies[0].append(make("tr", {}, nothing));
  }
}

function readoutRow(curve, at) {
  const value = valueAt(curve, at);
  const name = make("th", { scope: "row" }, swatch(curve), curve.name);
  const here = make("td", { class: "number" }, value === null ? "–" : valueInWords(value));
  return make("tr", {}, name, here, make("td", { class: "number" }, bestInWords(curve)));
}

function bestInWords(curve) {
  const better = isLoss() ? -1 : 1;
  const points = pointsOf(curve);
  if (points.length === 0) return "–";
  const [at, value] = points.reduce((best, one) =>
    better * one[1] > better * best[1] ? one : best,
  );
  return `${valueInWords(value)} (${at})`;
}

/** A short piece of a curve's line with its marker. */
function swatch(curve) {
  const [width, dashes] = LINES[curve.line];
  const line = makeSvg("line", { x1: 1, x2: 33, y1: 7, y2: 7 });
  line.style.stroke = colorOf(curve.backbone);
  line.style.strokeWidth = width;
  line.style.strokeDasharray = dashes;
  const end = marker(curve.backbone, curve.whose !== "published");
  end.setAttribute("transform", "translate(17 7) scale(0.85)");
  return makeSvg(
    "svg",
    { class: "swatch", viewBox: "0 0 34 14", "aria-hidden": "true" },
    line,
    end,
  );
}

// --- controls ------------------------------------------------------------------------------------

const START_NAMES = { scratch: "從零開始 scratch", imagenet: "微調 fine-tuned" };

function segment(group, value, label) {
  const input = make("input", { type: "radio", name: group, value });
  return make("label", {}, input, make("span", {}, label));
}

function fillCurveControls() {
  byId("size").append(...facts.sizes.map((size) => segment("size", size, `${size} px`)));
  for (const { init } of facts.starts) {
    byId("start").append(segment("start", init, START_NAMES[init]));
  }
  for (const { name } of facts.backbones) {
    const input = make("input", { type: "checkbox", value: name });
    input.checked = true;
    const look = swatch({ backbone: name, line: "ours", whose: "ours" });
    byId("backbones").append(make("label", {}, input, look, name));
  }
}

/** Let the controls say what is chosen. */
function showCurveChoice() {
  for (const input of byId("size").querySelectorAll("input")) {
    input.checked = Number(input.value) === chosen.size;
  }
  for (const input of byId("start").querySelectorAll("input")) {
    input.checked = input.value === chosen.init;
  }
  byId("measure").value = chosen.measure;
}

function startCurves() {
  fillCurveControls();
  byId("curves").addEventListener("change", (event) => {
    const { name, id, value } = event.target;
    if (id === "epoch") return;
    if (name === "size") chosen.size = Number(value);
    if (name === "start") chosen.init = value;
    if (name === "size" || name === "start") epoch = Infinity;
    if (id === "measure") chosen.measure = value;
    drawCurves();
    rememberInAddress();
  });
  byId("epoch").addEventListener("input", (event) => {
    epoch = Number(event.target.value);
    showEpoch();
  });
  // the plot is drawn at its true width, so that its text stays readable on a phone
  new ResizeObserver(drawCurves).observe(byId("plot"));
}
