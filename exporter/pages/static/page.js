// Keeps the status page up to date: every second the server sends the cells that changed, by their elements' ids.
"use strict";

// Milliseconds: without a message, until the exporter counts as gone; until the first retry, and at most between two;
// at least between two reloads of the page.
const GONE_AFTER = 5000, FIRST_PAUSE = 1000, LONGEST_PAUSE = 10000, SETTLED = 10000;

const script = document.currentScript;
const live = document.getElementById("live");
let events, timer, pause = FIRST_PAUSE, heardAt = new Date(), outline = script.dataset.outline;

function show(id, cell) {
  const element = document.getElementById(id);
  if (!element) return;
  if (element.tagName === "PROGRESS") {
    element.max = cell.maximum;
    element.value = cell.value;
  } else if (element.tagName === "svg") {
    element.setAttribute("aria-label", cell.text);
    element.firstElementChild.setAttribute("points", cell.points || "");
  } else if (element.textContent !== (cell.text || "")) {
    element.textContent = cell.text || "";
  }
  if (element.tagName === "A") {
    element.hidden = !cell.href;
    if (cell.href) element.href = cell.href;
  }
  if (cell.level) {
    element.dataset.level = cell.level;
    const row = element.closest("tr");
    if (row && element.classList.contains("state")) row.dataset.level = cell.level;
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

function receive(message) {
  outline = message.outline || outline;
  for (const [id, cell] of Object.entries(message.cells || {})) show(id, cell);
  for (const id of ["changes", "faults"]) {
    if (!message[id]) continue;
    document.getElementById(id).replaceChildren(...message[id].map(item));
    document.getElementById(`no-${id}`).hidden = message[id].length > 0;
  }
  // The page was made for other trees than there are now. The random delay keeps pages from reloading all at once.
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
    wait(reconnect, GONE_AFTER);
    receive(JSON.parse(event.data));
    say("");
  };
  events.onerror = reconnect;
  wait(reconnect, GONE_AFTER);
}

// A stopped process or a broken network does not close the connection, and some errors make an EventSource give up.
function reconnect() {
  events.close();
  const since = heardAt.toISOString().slice(0, 19).replace("T", " ");
  say(`No update from the exporter since ${since} UTC; showing the last known data.`);
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
