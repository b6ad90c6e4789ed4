// Elements from plain data. Strings become text nodes, never markup: callers' words are hostile.

/** h("button", { class: "ghost", on: { click } }, "text", child, null) -> HTMLElement */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === "data") {
      Object.assign(element.dataset, value);
    } else if (name === "value" || name === "checked" || name === "selected") {
      element[name] = value;
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Makes these the container's children; those that stay are not touched, so that a selection in them and the focus stay too. */
export function patchChildren(container, wanted) {
  const kept = new Set(wanted);
  for (const child of [...container.childNodes]) if (!kept.has(child)) child.remove();
  wanted.forEach((child, index) => {
    if (container.childNodes[index] !== child) container.insertBefore(child, container.childNodes[index] ?? null);
  });
}

export const byId = (id) => document.getElementById(id);

/** Says something once to screen readers, politely. */
export function announce(text) {
  byId("announce").textContent = text;
}

/** True while the focus is where letters are typed. */
export function inTextBox(element = document.activeElement) {
  if (!element) return false;
  if (element.isContentEditable || element.tagName === "TEXTAREA" || element.tagName === "SELECT") return true;
  return element.tagName === "INPUT" && !["checkbox", "radio", "range", "button"].includes(element.type);
}
