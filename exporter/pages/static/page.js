// Keeps the status page up to date: the server sends every second what changed, each part by the id of its element.
"use strict";

// Milliseconds: without a word, until the exporter is missed; before it is asked again, first and at most; between two
// loads of the whole page, at least.
const SILENCE = 5000, FIRST_PAUSE = 1000, LONGEST_PAUSE = 10000, SETTLED = 10000;

const script = document.currentScript;
const live = document.getElementById("live");
let events, timer, pause = FIRST_PAUSE, heardAt = new Date(), outline = script.dataset.outline;

function show(id, told) {
  const element = document.getElementById(id);
  if (!element) return;
  if (element.tagName === "PROGRESS") {
    element.max = told.maximum;
    element.value = told.value;
  } else if (element.tagName === "svg") {
    element.setAttribute("aria-label", told.text);
    element.firstElementChild.setAttribute("points", told.points || "");
  } else if (element.textContent !== (told.text || "")) {
    element.textContent = told.text || "";
  }
  if (element.tagName === "A") {
    element.hidden = !told.href;
    if (told.href) element.href = told.href;
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
  outline = told.outline || outline;
  for (const [id, cell] of Object.entries(told.cells || {})) show(id, cell);
  for (const id of ["changes", "faults"]) {
    if (!told[id]) continue;
    document.getElementById(id).replaceChildren(...told[id].map(item));
    document.getElementById(`no-${id}`).hidden = told[id].length > 0;
  }
  // Made for other trees than there are by now; not all pages at the same time.
  if (outline !== script.dataset.outline && performance.now() > SETTLED * (1 + Math.random())) location.reload();
}

function say(text) {
  document.documentElement.dataset.live = text ? "no" : "yes";
  if (live.textContent !== text) live.textContent = text;
}

function listen() {
  events = new EventSource(script.dataset.events);
  events.onmessage = (event) => {
    heardAt = new Date();
    pause = FIRST_PAUSE;
    wait(miss, SILENCE);
    hear(JSON.parse(event.data));
    say("");
  };
  events.onerror = miss;
  wait(miss, SILENCE);
}

// A stopped process and a broken network close no connection, and after some errors an EventSource gives up for good.
function miss() {
  events.close();
  const since = heardAt.toISOString().slice(0, 19).replace("T", " ");
  say(`No word from the exporter since ${since} UTC; showing the last known data.`);
  wait(listen, pause);
  pause = Math.min(2 * pause, LONGEST_PAUSE);
}

function wait(next, milliseconds) {
  clearTimeout(timer);
  timer = setTimeout(next, milliseconds);
}

listen();
addEventListener("pagehide", () => { clearTimeout(timer); events.close(); });
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
