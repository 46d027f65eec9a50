// What all pages of the workbench share: messages that say what happened, and what to do when the network does not.

const toasts = document.getElementById("toasts");

/** Show a message for a while; `action` (a name and what it does) gives it a button. Returns a way to take it back. */
export function toast(text, { action, kind = "", seconds = 6 } = {}) {
  const box = document.createElement("div");
  box.className = `toast ${kind}`;
  const said = document.createElement("p");
  said.textContent = text;
  box.append(said);
  const close = () => box.remove();
  if (action) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet";
    button.textContent = action.name;
    button.addEventListener("click", () => {
      close();
      action.run();
    });
    box.append(button);
  }
  toasts.append(box);
  setTimeout(close, 1000 * seconds);
  return close;
}

/** Whether a key press belongs to what is being written, so that it is no shortcut. */
export function isWriting(event) {
  const at = event.target;
  return event.altKey || event.ctrlKey || event.metaKey || at.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName);
}

// A row of tabs that is wider than the screen shows the one where one is.
for (const current of document.querySelectorAll(":is(.ways, .tabs) [aria-current]")) {
  const row = current.closest(".ways ul, .tabs");
  row.scrollLeft = current.offsetLeft - (row.clientWidth - current.offsetWidth) / 2;
}

document.body.addEventListener("htmx:sendError", () => toast(toasts.dataset.offline, { kind: "bad" }));
document.body.addEventListener("htmx:responseError", () => toast(toasts.dataset.failed, { kind: "bad" }));
