// The widget: three elements for the pages of other sites. It sets no cookie, and keeps nothing.
import { DukouLatest } from "./latest.js";
import { DukouListing } from "./listing.js";
import { DukouSearch } from "./search.js";

const elements = { "dukou-latest": DukouLatest, "dukou-listing": DukouListing, "dukou-search": DukouSearch };
for (const [name, element] of Object.entries(elements)) {
  if (!customElements.get(name)) customElements.define(name, element); // a page may hold the script twice
}
