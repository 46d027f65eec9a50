// What the three elements have in common: a shadow root, a language, and an answer to whatever goes wrong.
import { Refusal, pageOf } from "./service.js";
import { texts } from "./texts.js";

const sheet = new CSSStyleSheet();
sheet.replaceSync(STYLE); // put here by the build; a constructed sheet is no inline style to a strict policy

const TROUBLES = { 0: "unreachable", 404: "gone", 422: "unsearchable", 429: "busy", 503: "starting" };

/** A node; attributes that are null or false are left out, and so are children that are null or empty. */
export function make(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value != null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child != null && child !== "" && child !== false));
  return node;
}

/** A listing's text: in its own language and direction, whatever surrounds it. */
export function original(tag, part, language, ...children) {
  return make(tag, { part, class: part, dir: "auto", lang: language ?? "" }, ...children);
}

/** Subclasses `start()` once there is a place for results, for what to do next, and a line that is read out. */
export class DukouElement extends HTMLElement {
  static observedAttributes = ["field", "heading", "lang", "limit", "listing", "side"];

  #running = new AbortController();

  connectedCallback() {
    if (!this.shadowRoot) this.attachShadow({ mode: "open" }).adoptedStyleSheets = [sheet];
    this.#draw();
  }

  disconnectedCallback() {
    this.#running.abort();
  }

  attributeChangedCallback(_, before, after) {
    if (this.shadowRoot && this.isConnected && before !== after) this.#draw();
  }

  /** The language of the words, "zh" or "en": the element's own, the page's, or the browser's. */
  get language() {
    const named = this.closest("[lang]")?.lang || navigator.language;
    return named.toLowerCase().startsWith("zh") ? "zh" : "en";
  }

  /** An attribute as the service writes codes. */
  code(name) {
    return this.getAttribute(name)?.trim().toLowerCase().replaceAll("-", "_") || null;
  }

  number(name, usual, least, most) {
    const given = Number.parseInt(this.getAttribute(name), 10);
    return Number.isNaN(given) ? usual : Math.min(most, Math.max(least, given));
  }

  /** A heading in a listing's language, at the level that the page asks for. */
  heading(language, ...children) {
    return original(`h${this.number("heading", 3, 1, 6)}`, "title", language, ...children);
  }

  /** A link to a listing's public page; in a frame it must leave the frame. */
  link(id, text) {
    if (window.top === window) return make("a", { part: "link", href: pageOf(id, this.language) }, text);
    const hint = make("span", { class: "unseen" }, ` (${this.texts.say("new_tab")})`);
    return make("a", { part: "link", href: pageOf(id, this.language), target: "_blank", rel: "noopener" }, text, hint);
  }

  /** Puts words on the line that is read out. */
  say(name, values, isTrouble = false) {
    this.status.textContent = this.texts.say(name, values);
    this.status.classList.toggle("trouble", isTrouble);
  }

  button(name, pressed) {
    const button = make("button", { part: "button", type: "button" }, this.texts.say(name));
    button.addEventListener("click", pressed);
    return button;
  }

  /** Whether `side` and `field` say nothing or something known; where not, it is said which is wrong. */
  isSet() {
    const known = { side: ["offer", "need"], field: Object.keys(this.texts.fields) };
    const wrong = Object.keys(known).find((name) => this.code(name) !== null && !known[name].includes(this.code(name)));
    if (wrong) this.say("wrong", { name: wrong, value: this.getAttribute(wrong) }, true);
    return !wrong;
  }

  /** Does what asks the service. Whatever it meets, the reader is told, and what they can do. */
  async attempt(waiting, work) {
    const signal = this.#renewed();
    const pressed = this.actions.contains(this.shadowRoot.activeElement);
    this.actions.replaceChildren();
    this.say(waiting);
    this.results.setAttribute("aria-busy", "true");
    try {
      await work(signal);
    } catch (error) {
      if (signal.aborted) return;
      this.#tell(error, signal, () => this.attempt(waiting, work));
      if (!(error instanceof Refusal)) throw error;
    } finally {
      if (!signal.aborted) this.results.removeAttribute("aria-busy");
      if (pressed && !this.shadowRoot.activeElement) this.#keepFocus();
    }
  }

  /** A signal for what begins now; what ran before is given up. */
  #renewed() {
    this.#running.abort();
    this.#running = new AbortController();
    return this.#running.signal;
  }

  /** Whoever pressed a button that is gone stands where they were, not at the beginning of the page. */
  #keepFocus() {
    (this.actions.querySelector("button") ?? this.results).focus();
  }

  #draw() {
    this.#renewed();
    this.texts = texts(this.language);
    this.status = make("p", { part: "status", class: "status", role: "status" });
    this.results = make("div", { part: "results", class: "results", tabindex: -1 });
    this.actions = make("div", { class: "actions" });
    const parts = [this.status, this.results, this.actions];
    this.shadowRoot.replaceChildren(make("div", { part: "root", class: "dukou", lang: this.texts.locale }, parts));
    this.start();
  }

  #tell({ status, wait }, signal, again) {
    const offline = status === 0 && !navigator.onLine;
    this.say(offline ? "offline" : (TROUBLES[status] ?? "broken"), { n: wait }, true);
    if (offline) window.addEventListener("online", again, { once: true, signal });
    if (status === 404 || status === 422) this.results.replaceChildren();
    else this.actions.replaceChildren(this.button("retry", again));
  }
}
