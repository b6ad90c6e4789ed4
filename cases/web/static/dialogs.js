// The three dialogs: the keys, why a draft is rejected, and the login in place.
import { h, byId } from "./dom.js";
import { t } from "./words.js";
import { Problem, logIn, session } from "./api.js";
import { letters, KEYS } from "./keys.js";

export function openHelp() {
  const dialog = byId("help");
  const box = h("input", { type: "checkbox", id: "letters", checked: letters.on, on: { change: () => letters.set(box.checked) } });
  dialog.replaceChildren(
    h("h2", { id: "help-title" }, t("help.title")),
    h("div", { class: "key-list" }, KEYS.map(([keys, text]) =>
      h("div", { class: "key" }, h("span", { class: "caps" }, keys.map((key) => h("kbd", {}, key))), h("span", {}, t(text))))),
    h("label", { class: "check" }, box, " ", t("help.letters")),
    h("p", { class: "quiet" }, t("help.rest")),
    h("form", { method: "dialog" }, h("button", { class: "primary", type: "submit", autofocus: true }, t("dialog.close"))),
  );
  dialog.showModal();
}

const REASONS = ["duplicate", "nothing_asked", "wrong_number", "not_ours", "answered", "nuisance"];

/** Resolves with the reason, or null when she thinks better of it. A digit chooses, Enter sends. */
export function askReason() {
  const dialog = byId("reject");
  const input = h("input", { type: "text", id: "reason", maxlength: 500, "aria-label": t("reject.reason"), placeholder: t("reject.placeholder"), autocomplete: "off" });
  const problem = h("p", { class: "problem", role: "alert" });
  const choices = REASONS.map((reason, index) =>
    h("button", { type: "button", class: "alternative", on: { click: () => choose(index) } },
      h("kbd", {}, String(index + 1)), " ", t(`reject.${reason}`)));
  function choose(index) {
    input.value = t(`reject.${REASONS[index]}`);
    input.focus();
  }
  return new Promise((resolve) => {
    const finish = (answer) => {
      resolve(answer);
      dialog.close();
    };
    const form = h("form", {
      on: {
        submit: (event) => {
          event.preventDefault();
          if (!input.value.trim()) {
            problem.textContent = t("reject.missing");
            input.focus();
            return;
          }
          finish(input.value.trim());
        },
      },
    },
      h("h2", { id: "reject-title" }, t("reject.title")), h("div", { class: "choices" }, choices), input, problem,
      h("div", { class: "buttons" },
        h("button", { type: "button", class: "ghost", on: { click: () => finish(null) } }, t("dialog.cancel"), " ", h("kbd", {}, "Esc")),
        h("button", { type: "submit", class: "primary" }, t("reject.send"), " ", h("kbd", {}, "Enter"))));
    form.addEventListener("keydown", (event) => {
      const number = Number(event.key);
      if (number >= 1 && number <= REASONS.length && event.target === input && input.value === "") {
        event.preventDefault();
        choose(number - 1);
      }
    });
    dialog.replaceChildren(form);
    dialog.oncancel = () => resolve(null);
    // The event comes late: it may be that of the dialog before this one.
    dialog.onclose = () => dialog.open || resolve(null);
    dialog.showModal();
    input.focus();
  });
}

/** A login form's submit: says what went wrong at `problem`, calls `done(user)` when it went well. */
export function loginForm({ form, username, password, problem, done }) {
  let busy = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    problem.textContent = "";
    try {
      const user = await logIn(username.value.trim(), password.value);
      password.value = "";
      done(user);
    } catch (error) {
      problem.textContent = loginFault(error);
      password.select();
      password.focus();
    } finally {
      busy = false;
    }
  });
}

function loginFault(error) {
  if (!(error instanceof Problem)) return t("login.unreachable");
  if (error.status === 429) return t("login.too_many");
  return t(error.status === 401 || error.status === 422 ? "login.wrong" : "login.failed");
}

let renewing = null;

/** The session is over: log in here, nothing is lost. Resolves when somebody has; one dialog however many ask. */
export function loginInPlace() {
  renewing ??= new Promise((resolve) => {
    const dialog = byId("login-dialog");
    const before = document.activeElement;
    const username = h("input", { id: "again-username", autocomplete: "username", value: session.user?.name ?? "", required: true, autocapitalize: "none", spellcheck: "false" });
    const password = h("input", { id: "again-password", type: "password", autocomplete: "current-password", required: true });
    const problem = h("p", { class: "problem", role: "alert" });
    const form = h("form", { class: "login-form" },
      h("h2", { id: "login-dialog-title" }, t("login.over")), h("p", { class: "quiet" }, t("login.kept")),
      h("label", { for: "again-username" }, t("login.username")), username,
      h("label", { for: "again-password" }, t("login.password")), password, problem,
      h("button", { type: "submit", class: "primary" }, t("login.enter")));
    loginForm({
      form, username, password, problem,
      done: () => {
        dialog.close();
        renewing = null;
        before?.focus?.();
        resolve();
      },
    });
    dialog.oncancel = (event) => event.preventDefault();
    dialog.replaceChildren(form);
    dialog.showModal();
    (session.user ? password : username).focus();
  });
  return renewing;
}
