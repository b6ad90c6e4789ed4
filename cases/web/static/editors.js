// One editor a kind of field. Each is {element, focus(), parts}: `parts` are its inputs in tab order, and `onInput(value)`
// is called at every change with the field's whole value, null when it was emptied.
import { h } from "./dom.js";
import { t } from "./words.js";
import { categoryText } from "./fields.js";

let serial = 0;

function simple(element, parts = [element]) {
  return {
    element, parts,
    focus() {
      parts[0].focus();
      parts[0].select?.();
    },
  };
}

function choice({ field, value, label, onInput }) {
  const none = h("option", { value: "" }, t("field.none"));
  const options = field.options.map((option, index) => h("option", { value: String(index) }, option.text));
  const select = h("select", {
    "aria-label": label,
    on: { change: () => onInput(select.value === "" ? null : field.options[Number(select.value)].value) },
  }, none, ...options);
  const now = field.options.findIndex((option) => option.value === value);
  select.value = now < 0 ? "" : String(now);
  return simple(select);
}

function line({ field, value, label, onInput }) {
  const input = h("input", {
    type: "text", value: value ?? "", maxlength: field.maximum, "aria-label": label, autocomplete: "off", spellcheck: "false",
    on: { input: () => onInput(input.value.trim() || null) },
  });
  return simple(input);
}

function phone({ value, label, onInput }) {
  const input = h("input", {
    type: "text", inputmode: "tel", value: value ?? "", maxlength: 32, "aria-label": label, autocomplete: "off",
    on: { input: () => onInput(input.value.replace(/\s/g, "") || null) },
  });
  return simple(input);
}

function text({ value, label, onInput }) {
  const area = h("textarea", {
    rows: 4, "aria-label": label, spellcheck: "false", on: { input: () => onInput(area.value.trim() || null) },
  });
  area.value = value ?? "";
  return {
    ...simple(area),
    focus() {
      area.focus();
      area.setSelectionRange(area.value.length, area.value.length);
    },
  };
}

function place({ value, onInput }) {
  const inputs = ["district", "street", "community", "detail"].map((part) =>
    h("input", {
      type: "text", value: value?.[part] ?? "", placeholder: t(`place.${part}`), "aria-label": t(`place.${part}`),
      autocomplete: "off", spellcheck: "false", data: { part }, on: { input: changed },
    }),
  );
  function changed() {
    const now = Object.fromEntries(inputs.map((input) => [input.dataset.part, input.value.trim() || null]));
    onInput(Object.values(now).some(Boolean) ? now : null);
  }
  return simple(h("div", { class: "parts place" }, inputs), inputs);
}

// <input type="datetime-local"> speaks the viewer's zone without naming it; the wire wants the zone.
const toLocal = (iso) => {
  if (!iso) return "";
  const at = new Date(iso);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
};
const toWire = (local) => (local ? new Date(local).toISOString() : null);

function occurred({ value, onInput }) {
  const moment = (part) =>
    h("input", {
      type: "datetime-local", value: toLocal(value?.[part]), "aria-label": t(`occurred.${part}`), on: { input: changed },
    });
  const [start, end] = [moment("start"), moment("end")];
  const said = h("input", {
    type: "text", value: value?.said ?? "", placeholder: t("occurred.said"), "aria-label": t("occurred.said"),
    autocomplete: "off", on: { input: changed },
  });
  function changed() {
    const now = { start: toWire(start.value), end: toWire(end.value), said: said.value.trim() };
    onInput(now.start || now.end || now.said ? now : null);
  }
  return simple(
    h("div", { class: "parts occurred" },
      h("label", {}, t("occurred.start"), start), h("label", {}, t("occurred.end"), end), said),
    [start, end, said],
  );
}

/** A combobox: type any part of a category's name, arrows and Enter choose. `categories` [{level1, level2, level3}]. */
function category({ value, label, onInput, onDone, categories }) {
  serial += 1;
  const listId = `categories-${serial}`;
  const list = h("ul", { id: listId, class: "options", role: "listbox", "aria-label": label });
  const input = h("input", {
    type: "text", role: "combobox", value: categoryText(value), "aria-label": label, "aria-expanded": "false", "aria-controls": listId,
    "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false", placeholder: t("category.type"),
    on: { input: () => search(), keydown: key, blur: () => typed && take() },
  });
  let found = [];
  let active = -1;
  let typed = false;

  function search(query = input.value) {
    typed = true;
    found = matching(categories, query).slice(0, 40);
    active = found.length && query.trim() ? 0 : -1;
    render();
    if (!query.trim()) {
      typed = false;
      onInput(null);
    }
  }
  function render() {
    list.replaceChildren(
      ...found.map((one, index) =>
        h("li", {
          id: `${listId}-${index}`, role: "option", "aria-selected": String(index === active),
          on: { mousedown: (event) => { event.preventDefault(); active = index; typed = true; take(); onDone(); } },
        }, categoryText(one))),
      ...(found.length ? [] : [h("li", { class: "quiet", role: "option", "aria-disabled": "true", "aria-selected": "false" }, t("category.none"))]),
    );
    input.setAttribute("aria-expanded", "true");
    if (active >= 0) input.setAttribute("aria-activedescendant", `${listId}-${active}`);
    else input.removeAttribute("aria-activedescendant");
    list.children[active]?.scrollIntoView({ block: "nearest" });
  }
  function take() {
    typed = false;
    input.setAttribute("aria-expanded", "false");
    const one = found[active];
    if (one) {
      onInput({ level1: one.level1, level2: one.level2 ?? null, level3: one.level3 ?? null });
      input.value = categoryText(one);
    } else {
      input.value = categoryText(value);
    }
  }
  function key(event) {
    if (event.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      if (!found.length) search("");
      active = active < 0 && step < 0 ? found.length - 1 : (active + step + found.length) % found.length;
      typed = true;
      render();
    } else if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) {
      if (typed) take();
    } else if (event.key === "Escape") {
      typed = false;
    }
  }
  const editor = simple(h("div", { class: "combobox" }, input, list), [input]);
  return { ...editor, focus() { editor.focus(); found = matching(categories, "").slice(0, 40); render(); } };
}

/** Every character typed must occur in order; names that hold it in one piece come first. */
export function matching(categories, query) {
  const wanted = [...query.replace(/[\s›>/]+/g, "").toLowerCase()];
  if (!wanted.length) return categories;
  const ranked = [];
  for (const one of categories) {
    const name = categoryText(one).replace(/[\s›]+/g, "").toLowerCase();
    let at = -1;
    if (!wanted.every((character) => (at = name.indexOf(character, at + 1)) >= 0)) continue;
    const piece = name.indexOf(wanted.join(""));
    ranked.push({ one, rank: piece === 0 ? 0 : piece > 0 ? 1 : 2, length: name.length });
  }
  ranked.sort((a, b) => a.rank - b.rank || a.length - b.length);
  return ranked.map((entry) => entry.one);
}

export const EDITORS = { choice, line, phone, text, place, occurred, category };
