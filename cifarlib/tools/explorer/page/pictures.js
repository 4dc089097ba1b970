// The test pictures of one cell, and what every net said of one of them.

const PAGE_OF_PICTURES = 24;

let listed = []; // the places, in canonical order, of the pictures that the gallery is about
let shownCount = 0; // how many of them it shows
let open = 0; // which of them the dialog shows

// --- one picture ---------------------------------------------------------------------------------

/** A picture's own pixels, on a canvas that the style sheet enlarges; null where there are none. */
function pictureCanvas(place) {
  const sprite = byId("sprite");
  if (!sprite) return null;
  const { side, columns } = facts.pictures;
  const canvas = make("canvas", { width: side, height: side, "aria-hidden": "true" });
  const left = (place % columns) * side;
  const top = Math.floor(place / columns) * side;
  canvas.getContext("2d").drawImage(sprite, left, top, side, side, 0, 0, side, side);
  return canvas;
}

function className(number) {
  return facts.classes[number];
}

function answerNodes(run, place) {
  const said = answers.get(run.id).said[place];
  const isRight = said === truth[place];
  const kind = isRight ? "right" : "wrong";
  const mark = isRight ? "✓ " : "✗ ";
  return make("span", { class: kind }, mark, ...bilingual(className(said)));
}

// --- the gallery ---------------------------------------------------------------------------------

function showGallery(places, title) {
  listed = places;
  shownCount = 0;
  byId("gallery").replaceChildren();
  byId("gallery-summary").textContent = `${title}：${count(places.length)} 張 pictures`;
  showMore();
}

function showMore() {
  const next = listed.slice(shownCount, shownCount + PAGE_OF_PICTURES);
  byId("gallery").append(...next.map((place, i) => galleryItem(place, shownCount + i)));
  shownCount += next.length;
  const left = listed.length - shownCount;
  byId("more").hidden = left === 0;
  const coming = Math.min(left, PAGE_OF_PICTURES);
  byId("more").textContent = `再看 ${coming} 張 more（還有 ${count(left)} left）`;
}

function galleryItem(place, number) {
  const run = chosenRun();
  const button = make("button", { type: "button", "data-place": place });
  const canvas = pictureCanvas(place);
  if (canvas) button.append(canvas);
  button.append(
    make("span", {}, ...bilingual(className(truth[place]))),
    answerNodes(run, place),
    make("span", { class: "open" }, `${answers.get(run.id).sure[place]}% · #${place}`),
  );
  button.addEventListener("click", () => openPicture(number));
  return make("li", {}, button);
}

// --- the dialog ----------------------------------------------------------------------------------

function openPicture(number) {
  open = number;
  showPicture();
  byId("picture").showModal();
}

function showPicture() {
  const place = listed[open];
  byId("picture-title").replaceChildren(
    ...bilingual(className(truth[place])),
    make("span", { class: "open" }, ` #${place} · ${open + 1} / ${count(listed.length)}`),
  );
  byId("picture-large").replaceChildren(...[pictureCanvas(place)].filter(Boolean));
  const right = facts.runs.filter((run) => answers.get(run.id).said[place] === truth[place]);
  byId("picture-votes").textContent =
    `${facts.runs.length} 個網路裡 ${right.length} 個答對` +
    ` · ${right.length} of ${facts.runs.length} nets are right`;
  byId("answers").tBodies[0].replaceChildren(
    ...facts.runs.map((run) => answerRow(run, place)),
  );
  byId("previous").disabled = open === 0;
  byId("next").disabled = open === listed.length - 1;
}

function answerRow(run, place) {
  const sure = `${answers.get(run.id).sure[place]}%`;
  return make(
    "tr",
    { "data-run": run.id },
    make("th", { scope: "row" }, run.label),
    make("td", {}, answerNodes(run, place)),
    make("td", { class: "number" }, sure),
  );
}

function turnBy(step) {
  const next = open + step;
  if (next < 0 || next >= listed.length) return;
  open = next;
  showPicture();
}

/** Close the dialog, with the focus on the picture that it showed last. */
function closePicture() {
  while (shownCount <= open) showMore();
  byId("picture").close();
  byId("gallery").children[open].querySelector("button").focus();
}

function startPictures() {
  byId("more").addEventListener("click", () => {
    const first = shownCount;
    showMore();
    byId("gallery").children[first].querySelector("button").focus();
  });
  byId("previous").addEventListener("click", () => turnBy(-1));
  byId("next").addEventListener("click", () => turnBy(1));
  byId("close").addEventListener("click", closePicture);
  byId("picture").addEventListener("cancel", (event) => {
    event.preventDefault();
    closePicture();
  });
  byId("picture").addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") turnBy(-1);
    if (event.key === "ArrowRight") turnBy(1);
  });
}
