import { entry } from "./cards.js";
import { DukouElement, make, original } from "./element.js";
import { ask } from "./service.js";
import { verdict } from "./texts.js";

const MOST = 50; // results that the service gives
const WEAK = 5; // of those below its threshold that are worth a look

/** <dukou-search side field lang limit heading>: a box for a text in any language, and what answers it. */
export class DukouSearch extends DukouElement {
  start() {
    if (!this.isSet()) return;
    const form = this.#form();
    this.status.before(form);
    form.addEventListener("change", () => this.#name(form));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#find(form, this.number("limit", 10, 1, MOST));
    });
    this.#name(form);
  }

  #form() {
    const label = make("label", { part: "label", for: "text" });
    const input = make("input", {
      part: "input",
      id: "text",
      type: "search",
      dir: "auto",
      required: true,
      maxlength: 4000,
      autocomplete: "off",
      "aria-describedby": "hint",
    });
    const button = make("button", { part: "button", type: "submit" }, this.texts.say("search"));
    const hint = make("p", { part: "hint", class: "hint", id: "hint" }, this.texts.say("ask_hint"));
    const row = make("div", { class: "row" }, input, button);
    return make("form", { part: "form", role: "search" }, this.#sides(), label, row, hint, this.#fields());
  }

  /** Says what to write, which depends on the side that is looked for. */
  #name(form) {
    const asked = this.texts.say(`ask_${this.#side(form)}`);
    form.querySelector("[for=text]").textContent = asked;
    const narrowed = this.texts.fields[this.code("field")];
    form.setAttribute("aria-label", narrowed ? `${asked} · ${narrowed}` : asked);
  }

  /** Which side is looked for: the attribute's, or the visitor's choice. */
  #side(form) {
    return this.code("side") ?? form.elements.side.value;
  }

  #sides() {
    if (this.hasAttribute("side")) return null;
    const choice = (side) => {
      const button = make("input", { type: "radio", name: "side", value: side, checked: side === "offer" });
      return make("label", { part: "choice", class: "choice" }, button, this.texts.say(`${side}s`));
    };
    const legend = make("legend", { part: "label" }, this.texts.say("looking_for"));
    return make("fieldset", { part: "choices" }, legend, choice("offer"), choice("need"));
  }

  #fields() {
    if (this.hasAttribute("field")) return null;
    const label = make("label", { part: "label", for: "field" }, this.texts.say("field"));
    const names = Object.entries(this.texts.fields).map(([value, name]) => make("option", { value }, name));
    const all = make("option", { value: "" }, this.texts.say("all_fields"));
    return make("p", { class: "narrow" }, label, make("select", { part: "select", id: "field" }, all, names));
  }

  #find(form, limit, shown = 0) {
    const side = this.#side(form);
    const field = this.code("field") ?? (form.elements.field.value || null);
    const body = { text: form.elements.text.value, side, field, limit };
    return this.attempt("searching", async (signal) => {
      const { items, threshold } = await ask("api/v1/search", signal, body);
      const good = items.filter((item) => item.probability >= threshold);
      const more = good.length === limit && limit < MOST;
      this.#show(good, items.slice(good.length, good.length + WEAK), threshold);
      this.status.textContent = this.#told(items, good, more);
      if (more) this.actions.append(this.button("more", () => this.#find(form, Math.min(MOST, limit + 10), limit)));
      if (shown) this.results.querySelectorAll("a")[shown]?.focus();
    });
  }

  #told(items, good, more) {
    if (items.length === 0) return this.texts.say("empty");
    return good.length === 0 ? this.texts.say("none") : this.texts.say(more ? "good_more" : "good", { n: good.length });
  }

  #show(good, weak, threshold) {
    const list = (items) => {
      const entries = items.map((item) => this.#entry(item, threshold));
      return make("ol", { part: "list", class: "list" }, entries);
    };
    const hint = make("p", { part: "hint", class: "hint" }, this.texts.say("none_hint"));
    const summary = make("summary", { part: "summary" }, this.texts.say("weak"));
    this.results.replaceChildren(good.length ? list(good) : weak.length ? hint : "");
    if (weak.length) this.results.append(make("details", { part: "weak", open: !good.length }, summary, list(weak)));
  }

  #entry(item, threshold) {
    const { texts } = this;
    const { id, title, language, probability } = item;
    const passage = item.evidence[0]?.[item.side];
    return entry(this, {
      id,
      title,
      language,
      text: passage ? null : item.text,
      over: [texts.say(item.side), texts.country(item.country)],
      under: item.organisation,
      extra: [
        make(
          "p",
          { part: "chance", class: "chance" },
          make("progress", { value: probability, "aria-hidden": "true" }),
          `${Math.round(100 * probability)} % · ${texts.say(verdict(probability, threshold))}`,
        ),
        passage && make("p", { class: "hint" }, texts.say("evidence")),
        passage && original("blockquote", "quote", language, passage),
      ],
    });
  }
}
