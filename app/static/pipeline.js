// The board: a card is dragged to where one of its own next steps leads; what the step does, its button or link does.

import { toast } from "./workbench.js";

const board = document.getElementById("board");
let dragged = null;

/** The button or link of a card that leads to a state, or null. */
function stepTo(card, state) {
  return card.querySelector(`.moves [data-to="${state}"]`);
}

function columnOf(event) {
  return event.target.closest?.(".column");
}

/** Say of every column whether the card can go there, and where not, why. */
function point(card) {
  for (const column of board.querySelectorAll(".column")) {
    const state = column.dataset.state;
    const here = state === card.dataset.state;
    const open = stepTo(card, state) !== null;
    column.classList.toggle("open", open);
    column.classList.toggle("shut", !open && !here);
    column.querySelector(".why-not").hidden = open || here;
  }
}

function rest() {
  dragged?.classList.remove("dragged");
  dragged = null;
  for (const column of board.querySelectorAll(".column")) {
    column.classList.remove("open", "shut", "over");
    column.querySelector(".why-not").hidden = true;
  }
}

function makeDraggable(root) {
  for (const card of root.querySelectorAll(".pairing:has(.moves)")) card.draggable = true;
}

if (board) {
  board.classList.add("can-drag");
  makeDraggable(board);
  board.addEventListener("dragstart", (event) => {
    dragged = event.target.closest(".pairing");
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", dragged.id);
    setTimeout(() => {
      if (!dragged) return;
      dragged.classList.add("dragged");
      point(dragged);
    });
  });
  board.addEventListener("dragover", (event) => {
    const column = columnOf(event);
    if (!dragged || !column) return;
    event.preventDefault();
    for (const one of board.querySelectorAll(".over")) one.classList.remove("over");
    if (stepTo(dragged, column.dataset.state)) column.classList.add("over");
  });
  board.addEventListener("drop", (event) => {
    const column = columnOf(event);
    if (!dragged || !column) return;
    event.preventDefault();
    const step = stepTo(dragged, column.dataset.state);
    if (step) step.click();
    else if (column.dataset.state !== dragged.dataset.state) toast(column.querySelector(".why-not").textContent, { kind: "bad" });
    rest();
  });
  board.addEventListener("dragend", rest);
  document.body.addEventListener("htmx:afterSettle", () => makeDraggable(board));
  document.body.addEventListener("moved", (event) => {
    toast(event.detail.said);
    document.getElementById(event.detail.card)?.focus();
  });
}
