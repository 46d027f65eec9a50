// The words of the widget in both its languages, and how facts are written in them.
import fields from "./fields.json";
import modes from "./modes.json";
import words from "./words.json";

const IDEOGRAPHS = /[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]/;

/** All that is said in a language, which is "zh" or "en". */
export function texts(language) {
  const locale = language === "zh" ? "zh-CN" : "en-GB";
  const regions = new Intl.DisplayNames([locale], { type: "region" });
  const dates = new Intl.DateTimeFormat(locale, { dateStyle: "medium" });
  return {
    locale,
    fields: fields[language],
    modes: modes[language],
    say: (name, values = {}) => words[language][name].replace(/\{(\w+)\}/g, (_, key) => values[key]),
    country: (code) => code && regions.of(code),
    date: (time) => time && dates.format(new Date(time)),
    list: (items) => items.join(language === "zh" ? "、" : ", "),
  };
}

/** The beginning of a text, about as much of it in every script. */
export function beginning(text, length) {
  const room = IDEOGRAPHS.test(text) ? length / 2 : length;
  if (text.length <= room) return text;
  const cut = text.slice(0, room);
  const space = cut.lastIndexOf(" ");
  return `${(space > room / 2 ? cut.slice(0, space) : cut).trimEnd()}…`;
}

/** Words for a probability, as the service's own pages have them. */
export function verdict(probability, threshold) {
  if (probability >= Math.max(0.8, threshold)) return "very_likely";
  if (probability >= threshold) return "likely";
  return probability >= threshold / 2 ? "possible" : "unlikely";
}
