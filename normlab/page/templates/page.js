"use strict";

// What an address opens: "#claim-C1", or with a state "#claims?verdict=supported&q=batch".
const restored = new Map(); // id -> function of a URLSearchParams

function readAddress() {
  const [id, query = ""] = location.hash.slice(1).split("?");
  return { id: decodeURIComponent(id), state: new URLSearchParams(query) };
}

function writeAddress(id, state) {
  const query = state.toString();
  history.replaceState(null, "", `#${encodeURIComponent(id)}${query ? `?${query}` : ""}`);
}

function openTarget() {
  const { id, state } = readAddress();
  const target = id && document.getElementById(id);
  if (!target) return;
  for (let box = target; box; box = box.parentElement) if (box.tagName === "DETAILS") box.open = true;
  if (target.matches(".claim")) {
    restored.get("claims")(new URLSearchParams());
    target.querySelector("details").open = true;
  }
  restored.get(id)?.(state);
  target.scrollIntoView();
}

addEventListener("hashchange", openTarget);
addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='#']");
  if (link && link.hash === location.hash) openTarget(); // no hashchange happens
});

// The ledger: search, filters and order.
function ledger(form) {
  const table = document.querySelector("table.claims"), rows = [...table.tBodies];
  const order = ["supported", "contradicted", "no difference", "identity holds", "not rejected", "undecided", "not at its scale"];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const keys = {
    verdict: (row) => (order.indexOf(row.dataset.verdict) + order.length) % order.length,
    distance: (row) => (row.dataset.distance === "" ? Infinity : -row.dataset.distance),
    n: (row) => -row.dataset.n,
  };
  function show() {
    const words = form.q.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    rows.forEach((row, i) => {
      row.hidden = !words.every((word) => texts[i].includes(word))
        || (form.source.value && row.dataset.source !== form.source.value)
        || (form.verdict.value && row.dataset.verdict !== form.verdict.value);
      count += !row.hidden;
    });
    const key = keys[form.sort.value];
    table.append(...(key ? [...rows].sort((a, b) => key(a) - key(b)) : rows));
    form.querySelector("output").textContent = `${count} of ${rows.length} claims`;
  }
  form.addEventListener("input", () => {
    show();
    const state = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
    writeAddress("claims", state);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  restored.set("claims", (state) => {
    for (const name of ["q", "source", "verdict", "sort"]) form[name].value = state.get(name) ?? "";
    show();
  });
  form.hidden = false;
}

for (const form of document.querySelectorAll("form.filter")) ledger(form);

// On a narrow screen the list of contents starts folded, and on a phone how the claims stand.
if (matchMedia("(max-width: 70rem)").matches) document.querySelector(".contents").open = false;
if (matchMedia("(max-width: 40rem)").matches) document.querySelector("details.forest")?.removeAttribute("open");
for (const link of document.querySelectorAll(".contents a"))
  link.addEventListener("click", () => {
    if (matchMedia("(max-width: 70rem)").matches) document.querySelector(".contents").open = false;
  });

// Only boxes that overflow can be focused with the keyboard.
function stops() {
  for (const box of document.querySelectorAll(".scroll")) {
    const wide = box.scrollWidth > box.clientWidth;
    if (wide) box.setAttribute("tabindex", "0");
    else box.removeAttribute("tabindex");
    box.classList.toggle("wide", box.scrollWidth > 1.05 * box.clientWidth);
    if (box.matches("figure .wide") && !box.parentElement.querySelector(".fit")) box.before(fit(box));
  }
}

// How a figure that is wider than the screen is seen: it scrolls, or it is fitted.
function fit(box) {
  const line = document.createElement("p"), words = document.createElement("span"), button = document.createElement("button");
  const told = () => {
    const fitted = box.classList.contains("fitted"), action = fitted ? "Full size" : "Fit to the screen";
    words.textContent = fitted ? "" : "Scroll to see the whole figure →";
    button.textContent = action;
    button.setAttribute("aria-label", `${action}: ${box.getAttribute("aria-label")}`);
  };
  button.type = "button";
  button.addEventListener("click", () => {
    box.classList.toggle("fitted");
    told();
    stops();
  });
  line.className = "fit";
  line.append(words, button);
  told();
  return line;
}
addEventListener("resize", stops);
addEventListener("toggle", stops, true);
stops();
addEventListener("DOMContentLoaded", openTarget);
