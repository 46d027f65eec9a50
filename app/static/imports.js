// A file can be dropped anywhere on its form; one that is too large is said at once, before it is sent.

const form = document.querySelector(".drop");

function look() {
  const said = form.querySelector("[data-said]");
  const file = form.elements.file.files[0];
  const large = Boolean(file) && file.size > Number(form.dataset.limit);
  said.textContent = large ? form.dataset.large : "";
  said.hidden = !large;
  form.querySelector("button").disabled = large;
}

if (form) {
  form.elements.file.addEventListener("change", look);
  for (const kind of ["dragenter", "dragover"]) {
    form.addEventListener(kind, (event) => {
      event.preventDefault();
      form.classList.add("over");
    });
  }
  for (const kind of ["dragleave", "drop"]) form.addEventListener(kind, () => form.classList.remove("over"));
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    if (!event.dataTransfer.files.length) return;
    form.elements.file.files = event.dataTransfer.files;
    look();
    form.querySelector("button").focus();
  });
}
