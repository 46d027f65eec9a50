import { entry, tags } from "./cards.js";
import { DukouElement, make } from "./element.js";
import { ask } from "./service.js";

const MOST = 50;

/** <dukou-latest side field lang limit heading>: what was published last, the newest first. */
export class DukouLatest extends DukouElement {
  start() {
    if (!this.isSet()) return;
    const narrowed = Object.entries({ side: this.code("side"), field: this.code("field") }).filter(([, code]) => code);
    const query = new URLSearchParams([...narrowed, ["limit", this.number("limit", 5, 1, MOST)]]);
    this.list = make("ol", { part: "list", class: "list" });
    this.#next(`?${query}`);
  }

  #next(query) {
    return this.attempt("loading", async (signal) => {
      const { items, next_url: next } = await ask(`feeds/listings.json${query}`, signal);
      const entries = items.map((item) => this.#entry(item));
      const further = this.list.childElementCount > 0;
      this.list.append(...entries);
      this.results.replaceChildren(this.list);
      this.status.textContent = this.#told(this.list.childElementCount, next);
      if (next) this.actions.append(this.button("more", () => this.#next(new URL(next).search)));
      if (further) entries[0]?.querySelector("a").focus();
    });
  }

  #told(count, more) {
    if (count === 0) return this.texts.say("empty");
    const told = this.texts.say("latest", { n: count });
    return more ? told : `${told} · ${this.texts.say("all")}`;
  }

  #entry({ id, title, summary, content_text: text, language, authors, date_published: published, _dukou: codes }) {
    const { texts } = this;
    return entry(this, {
      id: id.replace("urn:uuid:", ""),
      title,
      text: summary || text,
      language,
      over: [texts.say(codes.side), texts.country(codes.country), texts.date(published)],
      under: authors?.[0].name,
      extra: codes.fields && make("p", { class: "tags" }, tags(this, codes.fields)),
    });
  }
}
