// What a field is at this moment: how sure, and what typing has made of it before the backend says its own word.
import { ORIGINAL } from "./outbox.js";
import { valueText } from "./fields.js";
import { t } from "./words.js";

const ALTERNATIVES = 4;
const SURE_FROM = 0.8; // as the backend has it; its own word replaces this a moment later

export const surenessOf = (field) => (field.edited && field.sureness !== "empty" ? "edited" : field.sureness);

const isEmpty = (value) =>
  value === null || value === undefined || value === "" || (typeof value === "object" && Object.values(value).every(isEmpty));

/** What typing makes of a field until the backend has answered. */
export function typedState(field, typed) {
  const edited = typed !== ORIGINAL;
  const value = edited ? typed : field.original;
  if (isEmpty(value)) return { value, edited, sureness: "empty" };
  return { value, edited, sureness: edited || field.confidence >= SURE_FROM ? "sure" : "check" };
}

/** What a key takes instead of the value: {key, value, mark}. 1–4 alternatives, 0 as understood, a as heard again. */
export function choicesOf(field, offer) {
  const choices = offer ? [{ key: "a", value: offer.value, mark: t("field.again") }] : [];
  field.alternatives.slice(0, ALTERNATIVES).forEach((one, index) => choices.push({ key: String(index + 1), value: one.value }));
  if (field.edited && valueText(field.path, field.original)) choices.push({ key: "0", value: field.original, mark: t("field.was") });
  return choices;
}
