// For a frame that WordPress makes of an address: it asks for the height, and opens links itself (wp-embed).
const secret = new URLSearchParams(location.hash.replace(/^#\?/, "")).get("secret");

function say(message, value) {
  parent.postMessage({ message, value, secret }, "*");
}

if (secret && parent !== window) {
  const measure = () => say("height", Math.ceil(document.body.scrollHeight));
  measure(); // at once: a frame out of sight is not laid out, and nothing would be observed
  new ResizeObserver(measure).observe(document.body);
  document.addEventListener("click", (event) => {
    const link = event.composedPath().find((node) => node.localName === "a");
    if (!link) return;
    event.preventDefault();
    say("link", link.href);
  });
}
