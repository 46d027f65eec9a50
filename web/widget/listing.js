import { facts } from "./cards.js";
import { DukouElement, make, original } from "./element.js";
import { ask } from "./service.js";
import { beginning } from "./texts.js";

const LENGTH = 700;

/** <dukou-listing listing lang heading>: one offer or need, as far as a first look goes. */
export class DukouListing extends DukouElement {
  start() {
    const id = this.getAttribute("listing")?.trim();
    if (!id) return this.say("gone", {}, true);
    this.attempt("loading", async (signal) => {
      const listing = await ask(`api/v1/listings/${encodeURIComponent(id)}`, signal);
      this.results.replaceChildren(this.#article(listing));
      this.status.textContent = "";
    });
  }

  #article(listing) {
    const { texts } = this;
    const shown = this.#version(listing);
    const over = [texts.say(listing.side), texts.country(listing.country), texts.date(listing.published_at)];
    const sample = listing.sample && make("span", { part: "tag", class: "tag" }, texts.say("sample"));
    return make(
      "article",
      { part: "item", class: "item" },
      make("p", { part: "meta", class: "meta" }, over.filter(Boolean).join(" · "), sample),
      this.heading(shown.language, shown.title || texts.say("untitled")),
      shown.origin && make("p", { part: "hint", class: "hint" }, texts.say(`by_${shown.origin}`)),
      original("p", "text", shown.language, beginning(shown.summary || shown.description, LENGTH)),
      facts(this, [
        ["organisation", listing.organisation],
        ["fields", texts.list(listing.fields.map((code) => texts.fields[code]))],
        ["stage", listing.trl && String(listing.trl)],
        ["modes", texts.list(listing.modes.map((code) => texts.modes[code]))],
      ]),
      make("p", { class: "further" }, this.link(listing.id, texts.say("read"))),
    );
  }

  /** The text in the reader's language where there is one, else as its author wrote it. */
  #version(listing) {
    const reads = ({ language, title }) => title && language.toLowerCase().split("-")[0] === this.language;
    const original = listing.language?.toLowerCase().split("-")[0] === this.language;
    return (!original && listing.translations.find(reads)) || listing;
  }
}
