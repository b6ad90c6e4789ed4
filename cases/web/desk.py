"""The desk's pages: `/`, `/login`, `/desk`, and what they are made of under `/static/`.

A page is a shell without a word of any caller's: everything it shows comes through `/api`. Who may see it is decided by
`auth.guard`, in front of every handler. The addresses of static files carry their digest, so that a browser keeps them
for ever and an update is seen at once.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cases.errors import CasesError
from cases.web.auth import Lets, lets_in

log = structlog.get_logger(__name__)

HERE: Final = Path(__file__).parent
LANGUAGES: Final = ("zh", "en")
LANGUAGE_COOKIE: Final = "hotline_lang"
HTML_LANG: Final = {"zh": "zh-CN", "en": "en"}
CONTENT_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every string of the pages: key -> language -> text. `{name}` in a text is filled in by whoever shows it."""

    texts: dict[str, dict[str, str]]

    @classmethod
    def load(cls, path: Path) -> Catalogue:
        """Reads `messages.toml`; raises CasesError `catalogue-broken` that names every bad key at once."""
        try:
            texts = tomllib.loads(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise CasesError("catalogue-broken", f"{path.name} cannot be read: {error}") from error
        faults = [fault for key, entry in texts.items() if (fault := _fault(key, entry))]
        if faults:
            raise CasesError("catalogue-broken", f"{path.name}: " + "; ".join(faults))
        return cls(texts)

    def language(self, language: str) -> dict[str, str]:
        """key -> text in one language."""
        return {key: entry[language] for key, entry in self.texts.items()}


def _fault(key: str, entry: object) -> str | None:
    if not isinstance(entry, dict) or set(entry) != set(LANGUAGES):
        return f"{key} needs exactly {' and '.join(LANGUAGES)}"
    if not all(isinstance(text, str) and text.strip() for text in entry.values()):
        return f"{key} has an empty text"
    names = [set(re.findall(r"\{(\w+)\}", text)) for text in entry.values()]
    return None if names[0] == names[1] else f"{key} has other {{names}} in one language than in the other"


class Desk:
    """Templates, texts and static files, read once at start."""

    def __init__(self) -> None:
        self.catalogue = Catalogue.load(HERE / "locale" / "messages.toml")
        self.files = self._read_static()
        digest = hashlib.sha256()
        for name in sorted(self.files):
            digest.update(name.encode() + b"\0" + self.files[name])
        self.digest = digest.hexdigest()[:16]
        self.templates = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )

    def _read_static(self) -> dict[str, bytes]:
        folder = HERE / "static"
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.suffix in CONTENT_TYPES
        }
        for language in LANGUAGES:
            texts = json.dumps(self.catalogue.language(language), ensure_ascii=False, indent=0)
            files[f"messages.{language}.js"] = f"export default {texts};\n".encode()
        return files

    async def to_desk(self, request: web.Request) -> web.Response:
        raise web.HTTPFound("/desk")

    async def desk(self, request: web.Request) -> web.Response:
        return self._page(request, "desk.html")

    async def login(self, request: web.Request) -> web.Response:
        return self._page(request, "login.html")

    def _page(self, request: web.Request, template: str) -> web.Response:
        language = _language(request)
        html = self.templates.get_template(template).render(
            lang=language,
            html_lang=HTML_LANG[language],
            t=self.catalogue.language(language),
            static=f"/static/{self.digest}",
            modules=sorted(name for name in self.files if name.endswith(".js") and not name.startswith("messages.")),
        )
        return web.Response(text=html, content_type="text/html")

    async def static(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        body = self.files.get(name)
        if body is None:
            raise web.HTTPNotFound(text="no such file")
        # An old page asking by an old digest gets today's file, but must not keep it under that name.
        current = request.match_info["digest"] == self.digest
        return web.Response(
            body=body,
            content_type=CONTENT_TYPES[Path(name).suffix],
            charset="utf-8",
            headers={
                "Cache-Control": "public, max-age=31536000, immutable" if current else "no-store",
            },
        )


def _language(request: web.Request) -> str:
    """The cookie's language, else the first that the browser asks for, else Chinese."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    asked = re.match(r"\s*([a-zA-Z]{2})", request.headers.get("Accept-Language", ""))
    return "en" if asked and asked[1].lower() == "en" else "zh"


def add_desk(app: web.Application) -> None:
    """Adds the pages to the app. Raises CasesError `catalogue-broken` when the texts are faulty."""
    desk = Desk()
    app.router.add_get("/", desk.to_desk)
    app.router.add_get("/desk", desk.desk)
    app.router.add_get("/login", lets_in(desk.login, Lets.ANYONE))
    app.router.add_get("/static/{digest}/{name:.+}", lets_in(desk.static, Lets.ANYONE))
    log.info("desk_ready", files=len(desk.files), digest=desk.digest)
