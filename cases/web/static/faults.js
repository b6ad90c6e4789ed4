// What went wrong, in the operator's words.
import { t, has } from "./words.js";
import { Problem, Unreachable } from "./api.js";

/** The text for an error of the API; any other error is a fault of ours and thrown on. */
export function faultText(error) {
  if (error instanceof Unreachable) return t("connection.lost");
  if (!(error instanceof Problem)) throw error;
  return has(`problem.${error.code}`) ? t(`problem.${error.code}`) : t("problem.other", { detail: error.message });
}
