// The login page: to the desk when the name and the password are right.
import { byId } from "./dom.js";
import { loginForm } from "./dialogs.js";
import { otherLanguage } from "./language.js";

otherLanguage(byId("language"));
loginForm({
  form: byId("login"),
  username: byId("username"),
  password: byId("password"),
  problem: byId("login-problem"),
  done: () => location.replace("/desk"),
});
