// The site's only script: two remembered switches, the search, and what is pleasant to have.
// It stands in the head, so that a remembered choice holds before anything is drawn.
"use strict";

const root = document.documentElement;
root.dataset.script = "on"; // buttons and search show only where they work

// ---- what is remembered ---------------------------------------------------------------------

// a browser may refuse storage, in a private window say: the switches then work on one page only
function recall(name) {
  try {
    return localStorage.getItem(`cifarlib.${name}`);
  } catch {
    return null;
  }
}

function remember(name, value) {
  try {
    localStorage.setItem(`cifarlib.${name}`, value);
  } catch {
    // nothing is lost but the memory
  }
}

// ---- the switches ---------------------------------------------------------------------------

const systemIsDark = matchMedia("(prefers-color-scheme: dark)");

const switches = {
  english: {
    isOn: () => root.dataset.english !== "off",
    set: (on) => (root.dataset.english = on ? "on" : "off"),
  },
  dark: {
    isOn: () => (root.dataset.theme ?? (systemIsDark.matches ? "dark" : "light")) === "dark",
    set: (on) => (root.dataset.theme = on ? "dark" : "light"),
  },
};

for (const [name, one] of Object.entries(switches)) {
  const choice = recall(name);
  if (choice !== null) one.set(choice === "on");
}

function wireSwitch(button) {
  const name = button.dataset.switch;
  const one = switches[name];
  const show = () => button.setAttribute("aria-pressed", String(one.isOn()));
  button.addEventListener("click", () => {
    one.set(!one.isOn());
    remember(name, one.isOn() ? "on" : "off");
    show();
  });
  systemIsDark.addEventListener("change", show);
  show();
}

// ---- the search -----------------------------------------------------------------------------

const PAGES_SHOWN = 6;
const SECTIONS_SHOWN = 3;
const NEEDS_SERVER =
  "搜尋需要網頁伺服器：執行 python -m http.server -d site，再打開 http://localhost:8000。" +
  "The search needs a served page; all else works from the file.";

let loading; // Pagefind, asked for when the search is first used

function loadPagefind() {
  loading ??= import("../pagefind/pagefind.js").then(async (pagefind) => {
    await pagefind.init();
    return pagefind;
  });
  return loading;
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

// Pagefind escapes an excerpt's text; only its own <mark> is markup
function linkTo(title, address, excerpt) {
  const link = element("a");
  link.href = address;
  link.append(element("strong", "", title));
  const words = element("span", "excerpt");
  words.innerHTML = excerpt;
  link.append(words);
  return link;
}

// Pagefind cuts Chinese into pieces and finds each alone, 過 without 擬合. So pages that hold the
// words as the reader typed them are preferred, and within these the sections that do.
const holds = (text, words) => text.toLowerCase().includes(words.toLowerCase());
const shownText = (section) => section.title + section.excerpt.replace(/<[^>]*>/g, "");

function preferredPages(pages, words) {
  const whole = pages.filter((page) => holds(page.content, words));
  return whole.length > 0 ? whole : pages;
}

function sectionsOf(page, words) {
  if (!holds(page.content, words)) return page.sub_results;
  const whole = page.sub_results.filter((section) => holds(shownText(section), words));
  if (whole.length > 0) return whole;
  // the words stand in a long section, outside the piece of it that Pagefind shows
  return [{ title: page.meta.title, url: page.url, excerpt: around(page.content, words) }];
}

function around(content, words) {
  const start = content.toLowerCase().indexOf(words.toLowerCase());
  const end = start + words.length;
  const holder = element("span");
  holder.append(content.slice(Math.max(0, start - 30), start));
  holder.append(element("mark", "", content.slice(start, end)));
  holder.append(content.slice(end, end + 50));
  return holder.innerHTML;
}

function pageFound(page, words) {
  const group = element("section");
  group.append(element("p", "page", page.meta.title));
  for (const section of sectionsOf(page, words).slice(0, SECTIONS_SHOWN)) {
    group.append(linkTo(section.title, section.url, section.excerpt));
  }
  return group;
}

async function search(words, panel) {
  if (!words) {
    panel.hidden = true;
    return;
  }
  panel.hidden = false;
  if (location.protocol === "file:") {
    panel.replaceChildren(element("p", "note", NEEDS_SERVER));
    return;
  }
  try {
    const pagefind = await loadPagefind();
    const found = await pagefind.debouncedSearch(words, {}, 150);
    if (found === null) return; // the reader typed on
    const pages = await Promise.all(found.results.map((result) => result.data()));
    if (pages.length > 0) {
      const shown = preferredPages(pages, words).slice(0, PAGES_SHOWN);
      panel.replaceChildren(...shown.map((page) => pageFound(page, words)));
    } else {
      panel.replaceChildren(element("p", "note", `沒有找到「${words}」 · Nothing found`));
    }
  } catch (error) {
    panel.replaceChildren(element("p", "note", `搜尋無法使用 · The search failed: ${error.message}`));
  }
}

function wireSearch(form) {
  const input = form.elements.words;
  const panel = form.querySelector(".found");
  const searchNow = () => search(input.value.trim(), panel);
  input.addEventListener("input", searchNow);
  input.addEventListener("focus", searchNow);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    panel.querySelector("a")?.click();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    panel.hidden = true;
    input.focus();
    panel.hidden = true; // focusing shows it again
  });
  // a link within this page leaves the reader here, so the panel must go
  panel.addEventListener("click", (event) => {
    if (event.target.closest("a")) panel.hidden = true;
  });
  document.addEventListener("click", (event) => {
    if (!form.contains(event.target)) panel.hidden = true;
  });
  document.addEventListener("focusin", (event) => {
    if (!form.contains(event.target)) panel.hidden = true;
  });
}

// ---- pleasant to have -----------------------------------------------------------------------

// the clipboard is open to secure pages only: no button where it would do nothing
function addCopyButton(code) {
  const button = element("button", "copy", "複製");
  button.type = "button";
  button.setAttribute("aria-label", "複製程式碼 copy the code");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.querySelector("pre").textContent);
      button.textContent = "已複製";
    } catch {
      button.textContent = "無法複製";
    }
    setTimeout(() => (button.textContent = "複製"), 1500);
  });
  code.append(button);
}

// scrollIntoView would move the page too, under the reader's eyes
function bringInto(box, line) {
  const outer = box.getBoundingClientRect();
  const inner = line.getBoundingClientRect();
  if (inner.top < outer.top) box.scrollTop -= outer.top - inner.top;
  if (inner.bottom > outer.bottom) box.scrollTop += inner.bottom - outer.bottom;
}

// the section being read is the last whose heading has passed the upper third of the window
function markCurrentSection(contents) {
  const links = new Map();
  for (const link of contents.querySelectorAll("a")) {
    links.set(decodeURIComponent(link.hash.slice(1)), link);
  }
  const headings = [...document.querySelectorAll("article h2[id], article h3[id]")];
  let current;
  function mark() {
    const passed = headings.filter((one) => one.getBoundingClientRect().top < innerHeight / 3);
    const link = links.get(passed.at(-1)?.id);
    if (link === current) return;
    current?.removeAttribute("aria-current");
    link?.setAttribute("aria-current", "true");
    if (link) bringInto(contents, link);
    current = link;
  }
  let waiting = false;
  addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      mark();
    });
  }, { passive: true });
  mark();
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("[data-switch]").forEach(wireSwitch);
  document.querySelectorAll("form.search").forEach(wireSearch);
  document.querySelectorAll(".contents.wide").forEach(markCurrentSection);
  if (navigator.clipboard) document.querySelectorAll("article .highlight").forEach(addCopyButton);
});
