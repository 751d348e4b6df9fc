// Keeps the status page up to date: the server sends what changed, each part by the id of its element.
"use strict";

const script = document.currentScript;
const live = document.getElementById("live");
let outline = null;

function show(id, told) {
  const element = document.getElementById(id);
  if (!element) return;
  if (element.tagName === "PROGRESS") {
    element.max = told.maximum;
    element.value = told.value;
  } else if (element.tagName === "svg") {
    element.setAttribute("aria-label", told.text);
    element.firstElementChild.setAttribute("points", told.points || "");
  } else {
    element.textContent = told.text || "";
  }
  if (told.level) {
    element.dataset.level = told.level;
    const row = element.closest("tr");
    if (row && element.classList.contains("state")) row.dataset.level = told.level;
  }
}

function item(change) {
  const parts = [["time", change.at], ["b", change.where], ["span", change.what]].map(([name, text]) => {
    const part = document.createElement(name);
    part.textContent = text;
    return part;
  });
  const entry = document.createElement("li");
  entry.dataset.level = change.level;
  entry.append(parts[0], " ", parts[1], " ", parts[2]);
  return entry;
}

function hear(told) {
  if (told.outline) {
    const now = told.outline.join();
    if (outline !== null && outline !== now) location.reload();
    outline = now;
  }
  for (const [id, cell] of Object.entries(told.cells || {})) show(id, cell);
  for (const id of ["changes", "faults"]) {
    if (!told[id]) continue;
    document.getElementById(id).replaceChildren(...told[id].map(item));
    document.getElementById(`no-${id}`).hidden = told[id].length > 0;
  }
}

function tell(text) {
  live.hidden = !text;
  if (live.textContent !== text) live.textContent = text;
}

const events = new EventSource(script.dataset.events);
events.onopen = () => { document.documentElement.dataset.live = "yes"; tell(""); };
events.onmessage = (event) => hear(JSON.parse(event.data));
events.onerror = () => {
  document.documentElement.dataset.live = "no";
  tell(`The exporter does not answer since ${new Date().toLocaleTimeString()}: what is shown is what it said before.`);
};
addEventListener("pagehide", () => events.close());
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
