// The queue by keyboard: the next proposal is already there, and a decision can be taken back for a few seconds.
//
// The way back is real: a decision is sent when its time is over, or when the page is left. Until the server has
// answered it stands in this browser's storage, so that neither a lost connection nor a crash loses it; what is sent
// twice counts once, because the server knows a decision by its version.

import { isWriting, toast } from "./workbench.js";

const queue = document.getElementById("queue");
const said = queue.dataset;
const conflicts = document.getElementById("conflicts");
const help = document.getElementById("keys");
const store = `dukou.queue.${said.person}.`;
const grace = 1000 * Number(said.undo);
const pending = []; // decisions that can still be taken back, the last one at the end
const parts = new Map(); // what has been asked for ahead of time, by address

const current = () => document.getElementById("current");
const isPending = (id) => pending.some(({ entry }) => entry.id === id);

/** The part of the page at an address, which is asked for ahead of time. */
function part(address) {
  if (!parts.has(address)) {
    const asked = fetch(address, { headers: { "HX-Request": "true" } }).then(async (answer) => {
      if (!answer.ok || !new URL(answer.url).pathname.startsWith("/queue")) throw new Error(`answer ${answer.status}`);
      return answer.text();
    });
    asked.catch(() => parts.delete(address));
    parts.set(address, asked);
  }
  return parts.get(address);
}

function fetchNext() {
  const { next } = current().dataset;
  if (next) part(next).catch(() => {}); // asked for again when it is needed
}

function show(element) {
  for (const old of queue.querySelectorAll("[data-once]")) old.remove();
  current().replaceWith(element);
  history.replaceState(null, "", element.dataset.here);
  scrollTo({ top: 0 });
  element.focus({ preventScroll: true });
  fetchNext();
}

/** Go on, or back, past what is decided and not sent yet. */
async function go(address, way = "next") {
  let found;
  try {
    for (let last; ; last = found.dataset.id) {
      const frame = document.createElement("template");
      frame.innerHTML = await part(address);
      found = frame.content.getElementById("current");
      if (!isPending(found.dataset.id)) break;
      if (found.dataset.id === last) return;
      address = found.dataset[way];
    }
  } catch (error) {
    if (error instanceof TypeError) toast(document.getElementById("toasts").dataset.offline, { kind: "bad" });
    else location.assign(address);
    return;
  }
  if (way === "previous") parts.clear();
  show(found);
}

/** Decide: show the next one now, send the decision when it can no longer be taken back. */
function decide(form, button) {
  const shown = current();
  if (isPending(shown.dataset.id)) return;
  const fields = new FormData(form, button);
  fields.delete("csrf");
  const path = form.getAttribute("action");
  const entry = { id: shown.dataset.id, path, fields: [...fields], at: Date.now() };
  localStorage.setItem(store + entry.id, JSON.stringify(entry));
  shown.querySelector("details.no").open = false;
  const decision = { entry, shown, timer: setTimeout(() => send(decision), grace) };
  pending.push(decision);
  const name = { accept: said.saidAccept, hold: said.saidHold, decline: said.saidDecline }[fields.get("decision")];
  const action = { name: said.saidUndo, run: () => takeBack(decision) };
  decision.close = toast(`${name}: ${shown.dataset.title}`, { action, seconds: Number(said.undo) });
  go(shown.dataset.next);
}

function takeBack(decision) {
  const place = pending.indexOf(decision);
  if (place < 0) return toast(said.saidNothing);
  pending.splice(place, 1);
  clearTimeout(decision.timer);
  decision.close();
  localStorage.removeItem(store + decision.entry.id);
  show(decision.shown);
  return toast(said.saidUndone, { seconds: 3 });
}

function send(decision) {
  const place = pending.indexOf(decision);
  if (place >= 0) pending.splice(place, 1);
  clearTimeout(decision.timer);
  return deliver(decision.entry);
}

/** Send a decision; only the server's answer takes it out of the storage. */
async function deliver(entry) {
  const body = new URLSearchParams([...entry.fields, ["csrf", said.csrf]]);
  let answer;
  try {
    answer = await fetch(entry.path, { method: "POST", body, keepalive: true, headers: { "HX-Request": "true" } });
  } catch {
    toast(said.saidWaiting, { kind: "bad" });
    setTimeout(() => resume(entry), grace);
    return;
  }
  if (answer.status === 401 || answer.status === 403) {
    toast(said.saidSignedOut, { kind: "bad", seconds: 60 });
  } else if (answer.status === 429 || answer.status >= 500) {
    setTimeout(() => resume(entry), grace);
  } else {
    localStorage.removeItem(store + entry.id);
    parts.clear();
    fetchNext();
    if (answer.status === 409 || answer.status === 412) conflicts.insertAdjacentHTML("beforeend", await answer.text());
    else if (!answer.ok) toast(said.saidRefused, { kind: "bad", seconds: 60, action: opening(entry.path) });
  }
}

const opening = (path) => ({ name: said.saidOpen, run: () => location.assign(path) });

/** Send what is still in the storage, unless another page has done so. */
function resume(entry) {
  if (localStorage.getItem(store + entry.id)) deliver(entry);
}

/** Decisions that an earlier page could not bring to the server; those of another open page have their time first. */
function resumeOthers() {
  for (const key of Object.keys(localStorage).filter((name) => name.startsWith(store))) {
    const entry = JSON.parse(localStorage.getItem(key));
    setTimeout(() => resume(entry), Math.max(0, entry.at + 2 * grace - Date.now()));
  }
}

function sendAll() {
  for (const decision of [...pending]) {
    decision.close();
    send(decision);
  }
}

function keyPressed(event) {
  if (isWriting(event) && event.target.type !== "radio") {
    if (event.key === "Escape") closeReasons();
    return;
  }
  if (event.altKey || event.ctrlKey || event.metaKey || help.open || localStorage.getItem("dukou.keys") === "off") return;
  const reasons = current().querySelector("details.no");
  const key = event.key.toLowerCase();
  if (key === "?" || key === "？") return openHelp();
  if (key === "u") return pending.length ? takeBack(pending.at(-1)) : toast(said.saidNothing, { seconds: 3 });
  if (key === "escape") return closeReasons();
  if (key === "d" && reasons) {
    reasons.open = !reasons.open;
    (reasons.open ? reasons.querySelector("input[type=radio]") : reasons.querySelector("summary")).focus();
    event.preventDefault();
    return;
  }
  if (/^[0-9]$/.test(key) && reasons?.open) {
    const chosen = reasons.querySelectorAll("input[type=radio]")[(Number(key) + 9) % 10];
    chosen.checked = true;
    event.preventDefault();
    chosen.form.requestSubmit();
    return;
  }
  const target = current().querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (target) {
    event.preventDefault();
    target.click();
  }
}

function closeReasons() {
  const reasons = current().querySelector("details.no[open]");
  if (!reasons) return;
  reasons.open = false;
  reasons.querySelector("summary").focus();
}

function openHelp() {
  document.getElementById("keys-on").checked = localStorage.getItem("dukou.keys") !== "off";
  help.showModal();
}

queue.classList.add("live");
document.getElementById("help").addEventListener("click", openHelp);
document.getElementById("keys-on").addEventListener("change", (event) => localStorage.setItem("dukou.keys", event.target.checked ? "on" : "off"));
document.addEventListener("keydown", keyPressed);
queue.addEventListener("submit", (event) => {
  if (!event.target.closest(".actions")) return;
  event.preventDefault();
  decide(event.target, event.submitter);
});
queue.addEventListener("click", (event) => {
  const dismiss = event.target.closest("[data-dismiss]");
  if (dismiss) dismiss.closest(".conflict").remove();
  const way = event.target.closest(".go a");
  if (!way || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(way.getAttribute("href"), way.rel === "prev" ? "previous" : "next");
});
addEventListener("pagehide", sendAll);
document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && sendAll());
addEventListener("online", resumeOthers);
resumeOthers();
fetchNext();
