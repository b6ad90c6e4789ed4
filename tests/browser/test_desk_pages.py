"""The pages without a browser: the catalogue is whole, the headers are strict, nothing is inline or from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from cases.errors import CasesError
from cases.lifecycle import Status
from cases.schema import AlertKind, AppealType, Ended, Urgency
from cases.settings import CasesSettings
from cases.web.app import make_app
from cases.web.desk import HERE, Catalogue, Desk

STATIC = HERE / "static"
SOURCES = [*STATIC.glob("*.js"), *(HERE / "templates").glob("*.html")]
PLAIN_KEY = re.compile(r"""\bt(?:\(|\[)\s*"([a-z_]+(?:\.[\w-]+)+)""")
CHOSEN_KEY = re.compile(r"""\bt\([^()"`]*\? "([a-z_.]+)" : "([a-z_.]+)\"""")
LISTED_KEY = re.compile(r"""\], "(key\.[a-z_]+)"\]""")
MADE_KEY = re.compile(r"""\bt\(`([a-z_]+)\.\$\{""")


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.load(HERE / "locale" / "messages.toml")


def test_every_text_that_the_pages_ask_for_is_there(catalogue: Catalogue) -> None:
    wanted: set[str] = set()
    prefixes: set[str] = set()
    for source in SOURCES:
        text = source.read_text("utf-8")
        wanted |= set(PLAIN_KEY.findall(text)) | set(LISTED_KEY.findall(text))
        wanted |= {key for pair in CHOSEN_KEY.findall(text) for key in pair}
        prefixes |= set(MADE_KEY.findall(text))
    assert len(wanted) > 100
    assert wanted - set(catalogue.texts) == set()
    assert {prefix for prefix in prefixes if not any(key.startswith(f"{prefix}.") for key in catalogue.texts)} == set()


@pytest.mark.parametrize(
    ("prefix", "words"),
    [
        ("appeal_type", AppealType),
        ("urgency", Urgency),
        ("alert", AlertKind),
        ("ended", Ended),
        ("status", Status),
        ("sureness", ("sure", "check", "empty", "edited")),
        ("confidential", ("true", "false")),
        ("saving", ("unsaved", "saving", "saved", "waiting")),
    ],
)
def test_every_word_of_the_schema_has_its_text(catalogue: Catalogue, prefix: str, words: type) -> None:
    assert {f"{prefix}.{word}" for word in words} <= set(catalogue.texts)


def test_no_text_is_there_for_nobody(catalogue: Catalogue) -> None:
    everything = "\n".join(source.read_text("utf-8") for source in SOURCES)
    made = set(re.findall(r"`([a-z_]+)\.\$\{", everything))
    unused = {key for key in catalogue.texts if f'"{key}"' not in everything and key.split(".")[0] not in made}
    assert unused == set()


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ('["a.b"]\nzh = "一"', "a.b needs exactly"),
        ('["a.b"]\nzh = "一"\nen = " "', "a.b has an empty text"),
        ('["a.b"]\nzh = "{n} 条"\nen = "some"', "a.b has other {names}"),
        ('["a.b"]\nzh = ', "cannot be read"),
        ('key = "text"', "key needs exactly"),
    ],
)
def test_a_faulty_catalogue_is_refused_by_key(tmp_path: Path, toml: str, says: str) -> None:
    path = tmp_path / "messages.toml"
    path.write_text(toml, "utf-8")
    with pytest.raises(CasesError) as refused:
        Catalogue.load(path)
    assert refused.value.code == "catalogue-broken"
    assert says in refused.value.message


def test_pages_hold_nothing_inline_and_nothing_from_elsewhere() -> None:
    for source in [*SOURCES, *STATIC.glob("*.css")]:
        text = source.read_text("utf-8")
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=\"", text), source.name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text), source.name
        elsewhere = re.findall(r"https?://[^\s\"'<>)]+", text)
        assert [address for address in elsewhere if address != "http://www.w3.org/2000/svg"] == [], source.name


async def _client(tmp_path: Path) -> TestClient[web.Request, web.Application]:
    client = TestClient(TestServer(make_app(CasesSettings(), tmp_path)))
    await client.start_server()
    return client


async def test_nobody_sees_the_desk_without_logging_in(tmp_path: Path) -> None:
    client = await _client(tmp_path)
    try:
        answer = await client.get("/desk", allow_redirects=False)
        assert answer.status in (302, 303)
        assert answer.headers["Location"] == "/login"
        answer = await client.get("/", allow_redirects=False)
        assert answer.headers["Location"] in ("/login", "/desk")
        answer = await client.get("/desk", headers={"Cookie": "hotline_session=forged"}, allow_redirects=False)
        assert answer.headers["Location"] == "/login"
    finally:
        await client.close()


async def test_the_login_page_is_strict_and_its_files_are_kept_for_ever(tmp_path: Path) -> None:
    client = await _client(tmp_path)
    try:
        answer = await client.get("/login", headers={"Accept-Language": "zh-CN"})
        html = await answer.text()
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["Cache-Control"] == "no-store"
        addresses = re.findall(r'(?:href|src)="(/static/[^"]+)"', html)
        assert any(address.endswith("login_page.js") for address in addresses)
        for address in addresses:
            file = await client.get(address)
            assert file.status == 200, address
            assert "immutable" in file.headers["Cache-Control"]
        old = await client.get(re.sub(r"/static/\w+/", "/static/0000/", addresses[0]))
        assert old.status == 200
        assert "immutable" not in old.headers["Cache-Control"]
        for hostile in ("/static/0000/../desk.py", "/static/0000/%2e%2e/desk.py", "/static/0000//etc/passwd"):
            assert (await client.get(hostile)).status == 404, hostile
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("headers", "lang"),
    [
        ({}, "zh-CN"),
        ({"Accept-Language": "en-GB,en;q=0.9"}, "en"),
        ({"Accept-Language": "fr"}, "zh-CN"),
        ({"Accept-Language": "en", "Cookie": "hotline_lang=zh"}, "zh-CN"),
        ({"Cookie": "hotline_lang=en"}, "en"),
        ({"Cookie": 'hotline_lang="><script>'}, "zh-CN"),
    ],
)
async def test_the_language_is_the_cookies_then_the_browsers_then_chinese(
    tmp_path: Path, headers: dict[str, str], lang: str
) -> None:
    client = await _client(tmp_path)
    try:
        html = await (await client.get("/login", headers=headers)).text()
        assert f'<html lang="{lang}"' in html
    finally:
        await client.close()


def test_texts_become_modules_by_language() -> None:
    desk = Desk()
    assert '"login.enter": "登录"' in desk.files["messages.zh.js"].decode()
    assert '"login.enter": "Log in"' in desk.files["messages.en.js"].decode()
