// Where all begins: the theme, the note for a page without pictures, and the first drawing.

// --- light and dark ------------------------------------------------------------------------------

function isDark() {
  const asked = document.documentElement.dataset.theme;
  if (asked) return asked === "dark";
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

function showTheme() {
  byId("theme").setAttribute("aria-pressed", isDark());
}

function startTheme() {
  const kept = keptTheme();
  if (kept) document.documentElement.dataset.theme = kept;
  showTheme();
  byId("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    keepTheme(document.documentElement.dataset.theme);
    showTheme();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
}

// a sandboxed frame, such as JupyterLab's, may not keep anything, and throws
function keptTheme() {
  try {
    return localStorage.getItem("explorer-theme");
  } catch {
    return null;
  }
}

function keepTheme(theme) {
  try {
    localStorage.setItem("explorer-theme", theme);
  } catch {
    // then it is chosen again next time
  }
}

// --- the page ------------------------------------------------------------------------------------

function showWhyNoPictures() {
  if (!facts.why_none) return;
  const [zh, en] = facts.why_none;
  byId("why-none").replaceChildren(`${zh} `, english(en));
  byId("why-none").hidden = false;
}

function showAll() {
  showCurveChoice();
  drawCurves();
  if (facts.runs.length === 0) return;
  byId("run").value = chosen.run;
  drawConfusion();
}

async function start() {
  startTheme();
  showWhyNoPictures();
  startCurves();
  startScores();
  startConfusion();
  startPictures();
  // the best run that no weights held back
  chosen.run = (facts.runs.find((run) => !run.is_held_back) ?? facts.runs[0])?.id ?? "";
  recallFromAddress();
  await Promise.all([unpackAnswers(), byId("sprite")?.decode()]);
  byId("confusion").hidden = facts.runs.length === 0;
  byId("pictures").hidden = facts.runs.length === 0;
  showAll();
  addEventListener("hashchange", () => {
    // a link to a section chooses nothing
    if (!location.hash.includes("=")) return;
    recallFromAddress();
    showAll();
  });
  document.documentElement.dataset.ready = "yes";
}

await start();
