// The language switch: a cookie that the server reads, so that the page comes in one piece.
import { lang } from "./words.js";

const YEAR_SECONDS = 31_536_000;

export function otherLanguage(button, before = async () => {}) {
  button.addEventListener("click", async () => {
    await before();
    document.cookie = `hotline_lang=${lang === "zh" ? "en" : "zh"}; path=/; max-age=${YEAR_SECONDS}; samesite=lax`;
    location.reload();
  });
}
