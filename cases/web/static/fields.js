// The fields of a draft: how each is named, shown in a word or two, and typed.
import { t, dayAndTime, maskNumber } from "./words.js";

export const APPEAL_TYPES = ["投诉", "举报", "求助", "建议", "咨询", "表扬"];
export const URGENCIES = ["routine", "urgent", "emergency"];

const choice = (values, name) => values.map((value) => ({ value, text: name(value) }));

/** In the order of the page. `kind` picks the editor. */
export const FIELDS = [
  { path: "appeal_type", kind: "choice", options: choice(APPEAL_TYPES, (value) => t(`appeal_type.${value}`)) },
  { path: "category", kind: "category" },
  { path: "place", kind: "place" },
  { path: "occurred", kind: "occurred" },
  { path: "urgency", kind: "choice", options: choice(URGENCIES, (value) => t(`urgency.${value}`)) },
  { path: "subject", kind: "line", maximum: 30 },
  { path: "request", kind: "text" },
  { path: "narrative", kind: "text" },
  { path: "caller.name", kind: "line", maximum: 40 },
  { path: "caller.callback_number", kind: "phone" },
  {
    path: "caller.confidential", kind: "choice",
    options: [{ value: true, text: t("confidential.true") }, { value: false, text: t("confidential.false") }],
  },
];

export const fieldName = (path) => t(`field.${path}`);

export const categoryText = (value) => [value?.level1, value?.level2, value?.level3].filter(Boolean).join(" › ");
export const placeText = (value) =>
  [value?.district, value?.street, value?.community, value?.detail].filter(Boolean).join(" ");

export function occurredText(value) {
  if (!value) return "";
  const { start, end, said } = value;
  let span = "";
  if (start && end) span = t("occurred.between", { start: dayAndTime(start), end: dayAndTime(end) });
  else if (start) span = t("occurred.since", { start: dayAndTime(start) });
  else if (end) span = t("occurred.until", { end: dayAndTime(end) });
  return [span, said ? `“${said}”` : ""].filter(Boolean).join(" ");
}

/** A field's value as one line; a number masked unless `whole`. */
export function valueText(path, value, { whole = false } = {}) {
  if (value === null || value === undefined || value === "") return "";
  switch (path) {
    case "appeal_type":
    case "urgency":
      return t(`${path}.${value}`);
    case "category":
      return typeof value === "string" ? value : categoryText(value);
    case "place":
      return typeof value === "string" ? value : placeText(value);
    case "occurred":
      return occurredText(value);
    case "caller.confidential":
      return t(`confidential.${value}`);
    case "caller.callback_number":
      return whole ? String(value) : maskNumber(value);
    default:
      return String(value);
  }
}

/** Whether two values of a field say the same; a part that is missing is one that is empty. */
export function sameValue(one, other) {
  if (!isObject(one) || !isObject(other)) return (one ?? null) === (other ?? null);
  return [...new Set([...Object.keys(one), ...Object.keys(other)])].every((part) => sameValue(one[part], other[part]));
}
const isObject = (value) => typeof value === "object" && value !== null;
