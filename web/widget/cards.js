// Listings as they are shown: in a list, and one alone.
import { make, original } from "./element.js";
import { beginning } from "./texts.js";

const LENGTH = 260; // characters of a text that a list shows

/** One entry of a list. `card`: id, title, text, language, over (small facts above the title), under, extra. */
export function entry(element, { id, title, text, language, over, under, extra }) {
  const { texts } = element;
  return make(
    "li",
    { part: "item", class: "item" },
    make("p", { part: "meta", class: "meta" }, over.filter(Boolean).join(" · ")),
    element.heading(language, element.link(id, title || texts.say("untitled"))),
    extra,
    text && original("p", "text", language, beginning(text, LENGTH)),
    under && make("p", { part: "meta", class: "meta", dir: "auto" }, under),
  );
}

/** The names of fields, as tags. */
export function tags(element, fields) {
  const known = fields.filter((code) => code in element.texts.fields);
  return known.map((code) => make("span", { part: "tag", class: "tag" }, element.texts.fields[code]));
}

/** Names and what is known of each; what is not known says so. */
export function facts(element, rows) {
  const unknown = element.texts.say("unknown");
  const pairs = rows.flatMap(([name, value]) => [
    make("dt", {}, element.texts.say(name)),
    make("dd", { dir: "auto" }, value || unknown),
  ]);
  return make("dl", { part: "facts", class: "facts" }, pairs);
}
