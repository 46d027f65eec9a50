// The form that posts a listing: rows that come and go, a draft that is never lost, and what the advice offers to take.

import { draftName, dropDraft, keepDraft, readDraft } from "./draft.js";

const form = document.getElementById("posting");
const advice = document.getElementById("advice");
const kept = document.getElementById("kept");
const name = draftName(form.dataset.person, new URL(form.action).pathname);
const NOT_KEPT = ["csrf", "do", "replaces"];
const PATIENCE = 300; // ms without a key after which the draft is kept
let waiting = 0;
let sending = false;

/** All that was typed, as pairs of name and value, in the form's order. */
function typed() {
  return [...new FormData(form)].filter(([key, value]) => typeof value === "string" && !NOT_KEPT.includes(key));
}

function keep() {
  clearTimeout(waiting);
  waiting = 0;
  const stored = keepDraft(name, { at: Date.now(), typed: typed() });
  kept.textContent = stored ? kept.dataset.kept : kept.dataset.full;
}

/** Add an empty row; its fields get ids of their own. */
function addRow(kind) {
  const rows = form.querySelector(`[data-rows="${kind}"]`);
  const row = form.querySelector(`[data-template="${kind}"]`).content.firstElementChild.cloneNode(true);
  const number = `${rows.children.length}-${Date.now().toString(36)}`;
  for (const one of row.querySelectorAll("[id], [for]")) {
    for (const attribute of ["id", "for"]) {
      if (one.hasAttribute(attribute)) one.setAttribute(attribute, one.getAttribute(attribute).replace("-new-", `-${number}-`));
    }
  }
  rows.append(row);
  prepareRow(row);
  return row;
}

function prepareRow(row) {
  const button = row.querySelector("[data-remove]");
  button.hidden = false;
  button.addEventListener("click", () => {
    const next = row.nextElementSibling ?? row.closest("details").querySelector("[data-add]");
    row.remove();
    (next.matches("[data-row]") ? next.querySelector("input, select") : next).focus();
    form.dispatchEvent(new Event("input", { bubbles: true }));
  });
  for (const field of row.querySelectorAll("[data-advised]")) prepareCount(field);
}

/** Show how long a text is, against the length that is advised, once it comes near. */
function prepareCount(field) {
  const label = form.querySelector(`label[for="${CSS.escape(field.id)}"]`) ?? field.previousElementSibling;
  const count = document.createElement("span");
  count.className = "count";
  label.append(count);
  const advised = Number(field.dataset.advised);
  const show = () => {
    const length = [...field.value].length;
    count.textContent = length > advised / 2 ? `${length} / ${advised}` : "";
    count.classList.toggle("over", length > advised);
  };
  field.addEventListener("input", show);
  show();
}

/** Put a draft's values into the form. */
function restore(pairs) {
  const values = new Map();
  for (const [key, value] of pairs) values.set(key, [...(values.get(key) ?? []), value]);
  for (const kind of ["figure", "translation"]) {
    for (const row of form.querySelectorAll(`[data-rows="${kind}"] > [data-row]`)) row.remove();
    const [first] = form.querySelector(`[data-template="${kind}"]`).content.querySelectorAll("[name]");
    for (let left = values.get(first.name)?.length ?? 0; left > 0; left -= 1) addRow(kind);
  }
  const used = new Map();
  for (const field of form.elements) {
    if (!field.name || NOT_KEPT.includes(field.name) || field.type === "submit") continue;
    const own = values.get(field.name) ?? [];
    if (field.type === "checkbox" || field.type === "radio") {
      field.checked = own.includes(field.value);
    } else {
      const at = used.get(field.name) ?? 0;
      used.set(field.name, at + 1);
      field.value = own[at] ?? "";
    }
  }
  for (const section of form.querySelectorAll("details")) section.open ||= hasValue(section);
}

function hasValue(section) {
  return [...section.querySelectorAll("input, textarea, select")].some((one) => {
    if (one.type === "checkbox") return one.checked;
    return one.type === "radio" ? one.checked && one.value !== "public" : one.value !== "";
  });
}

function begin() {
  for (const one of document.querySelectorAll("[data-without-script]")) one.hidden = true;
  for (const row of form.querySelectorAll("[data-row]")) prepareRow(row);
  const atFirst = JSON.stringify(typed());
  const draft = readDraft(name);
  if (form.dataset.typed) keep();
  else if (draft && JSON.stringify(draft.typed) !== atFirst) {
    restore(draft.typed);
    document.getElementById("restored").hidden = false;
  }
  for (const field of form.querySelectorAll(":scope > :not(template) [data-advised]")) {
    if (!field.closest("[data-row]")) prepareCount(field);
  }
  if (form.elements.title.value || form.elements.description.value) {
    addEventListener("load", () => advice.dispatchEvent(new Event("look")));
  }
}

form.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(keep, PATIENCE);
});
form.addEventListener("change", keep);
addEventListener("pagehide", () => waiting && keep());
document.addEventListener("visibilitychange", () => waiting && keep());
addEventListener("pageshow", () => {
  sending = false;
});

form.addEventListener("submit", (event) => {
  if (sending) {
    event.preventDefault();
    return;
  }
  sending = event.submitter?.value === "post";
  keep();
});

form.addEventListener("click", (event) => {
  const kind = event.target.closest("[data-add]")?.dataset.add;
  if (!kind) return;
  event.preventDefault();
  addRow(kind).querySelector("input, select").focus();
});

document.getElementById("discard").addEventListener("click", () => {
  clearTimeout(waiting);
  waiting = 0;
  dropDraft(name);
  location.assign(new URL(form.action).pathname);
});

// A link to a field opens the section that it is in.
document.addEventListener("click", (event) => {
  const place = document.getElementById(event.target.closest('a[href^="#"]')?.hash.slice(1) ?? "");
  if (!place || !form.contains(place)) return;
  event.preventDefault();
  const section = place.closest("details");
  if (section) section.open = true;
  (place.matches("fieldset") ? place.querySelector("input") : place).focus();
});

advice.addEventListener("click", (event) => {
  const field = event.target.closest("[data-field]")?.dataset.field;
  if (!field) return;
  const tick = form.querySelector(`input[name="fields"][value="${field}"]`);
  tick.checked = true;
  tick.closest("details").open = true;
  event.target.closest("li").remove();
  tick.dispatchEvent(new Event("change", { bubbles: true }));
});

document.body.addEventListener("htmx:afterSwap", (event) => {
  if (event.target !== advice) return;
  document.getElementById("advice-said").textContent = advice.querySelector("[data-said]")?.dataset.said ?? "";
});
document.body.addEventListener("htmx:responseError", (event) => {
  if (event.target === advice && [401, 403].includes(event.detail.xhr.status)) {
    document.getElementById("signed-out").hidden = false;
  }
});

begin();
