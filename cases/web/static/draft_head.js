// What stands above the fields: state, caller, alerts; and the fields of a call that still goes on, which nobody edits.
import { h } from "./dom.js";
import { t, has, fullTime, shortTime, duration, maskNumber } from "./words.js";
import { FIELDS, fieldName } from "./fields.js";

/** `onAlert(alert)`: somebody wants to see and hear why. */
export function draftHead(view, onAlert) {
  const { draft, status, case_number: number, opened, recording } = view;
  const facts = [
    h("span", { title: fullTime(draft.received_at) }, t("draft.received", { time: shortTime(draft.received_at) })),
    callerNumber(draft.caller.number),
    draft.reference ? t("draft.reference", { reference: draft.reference }) : null,
    recording ? duration(recording.seconds) : null,
    draft.complete ? null : t(`ended.${draft.ended}`),
    opened ? t("draft.opened", { who: opened.opened_by_name, time: shortTime(opened.opened_at) }) : null,
    draft.caller_agreed === false ? t("draft.disagreed") : null,
  ].filter(Boolean);
  const badges = alertBadges(draft.alerts, onAlert);
  return [
    h("div", { class: "draft-title" },
      h("h2", {}, number ? t("draft.case", { number }) : t(`status.${status}`)),
      h("span", { id: "saving", class: "saving", role: "status" })),
    h("p", { class: "draft-line facts" }, facts.map((fact) => (typeof fact === "string" ? h("span", {}, fact) : fact))),
    ...(badges.length ? [h("p", { class: "draft-line badges" }, badges)] : []),
  ];
}

export function liveHead(call) {
  const badges = (call.alerts ?? []).map((kind) => h("span", { class: "badge" }, t(`alert.${kind}`)));
  return [
    h("div", { class: "draft-title" }, h("h2", {}, t("live.title"))),
    h("p", { class: "draft-line facts" }, h("span", {}, callerNumber(call.caller_number))),
    ...(badges.length ? [h("p", { class: "draft-line badges" }, badges)] : []),
  ];
}

/** `call.fields`: field path -> short text. */
export function liveFields(call) {
  return FIELDS.map(({ path }) => {
    const text = call.fields[path] ?? call.fields[path.replace("caller.", "")] ?? "";
    return h("div", { class: "field" },
      h("span", { class: "field-name" }, fieldName(path)),
      h("span", { class: text ? "field-value" : "field-value quiet" }, text ? liveText(path, text) : "…"));
  });
}

const callerNumber = (number) => (number ? maskNumber(number) : t("draft.no_number"));

const liveText = (path, text) => {
  if (path === "caller.callback_number") return maskNumber(text);
  return has(`${path}.${text}`) ? t(`${path}.${text}`) : text;
};

function alertBadges(alerts, onAlert) {
  return alerts.map((alert) =>
    h("button", { type: "button", class: "badge", on: { click: () => onAlert(alert) } }, t(`alert.${alert.kind}`)));
}
