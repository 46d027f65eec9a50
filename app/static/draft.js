// Where a form's draft is kept in this browser: by person and by form, so that nobody is shown another's.

const AHEAD = "dukou draft ";

/** The name that a form's draft is kept under. */
export function draftName(person, form) {
  return `${AHEAD}${person} ${form}`;
}

/** A draft, or null where there is none or none that can be read. */
export function readDraft(name) {
  try {
    return JSON.parse(localStorage.getItem(name));
  } catch {
    return null;
  }
}

/** Keep a draft. Returns whether the browser has room for it. */
export function keepDraft(name, draft) {
  try {
    localStorage.setItem(name, JSON.stringify(draft));
    return true;
  } catch {
    return false;
  }
}

/** Forget a draft. */
export function dropDraft(name) {
  try {
    localStorage.removeItem(name);
  } catch {
    // a browser that keeps nothing has nothing to forget
  }
}

// A page that says that a form has been kept: its draft is needed no longer.
const done = document.querySelector("[data-draft-done]");
if (done) dropDraft(draftName(done.dataset.person, done.dataset.draftDone));
