"""Nobody gets in without logging in: every route, forged requests, old sessions, guessing."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
import structlog
from aiohttp import web

from cases.schema import draft_id_of
from cases.web import app as web_app
from cases.web.auth import Lets
from cases.web.login_limit import TRIES_PER_USER

PUBLIC = {
    ("GET", "/login"),
    ("GET", "/static/{digest}/{name}"),
    ("GET", "/healthz"),
    ("GET", "/metrics"),
    ("GET", "/api/openapi.json"),
    ("GET", "/api/schema/complaint-draft.json"),
    ("POST", "/api/session"),
}
ID = draft_id_of("call-1")
PASSWORD = "correct horse"


def all_routes(backend: Any) -> list[tuple[str, str]]:
    found = []
    for route in backend.server.app.router.routes():
        assert isinstance(route, web.AbstractRoute)
        assert route.resource is not None
        if route.method != "HEAD":
            found.append((route.method, route.resource.canonical))
    return found


async def test_every_route_is_closed_to_strangers(backend: Any) -> None:
    routes = all_routes(backend)
    assert len(routes) > 20
    client = backend.client()
    for method, path in routes:
        if (method, path) in PUBLIC:
            continue
        address = re.sub(r"\{[^}]*\}", str(ID), path)
        for headers in ({}, {"Cookie": "hotline_session=guess"}, {"Authorization": "Bearer guess"}):
            async with client.request(method, address, headers=headers, json={}, allow_redirects=False) as response:
                if path.startswith("/api"):
                    assert response.status == 401, (method, path)
                    assert (await response.json(content_type=None))["code"] in ("session-over", "producer-unknown")
                else:
                    assert response.status in (302, 303), (method, path)
                    assert response.headers["Location"] in ("/login", "/desk")
                    assert await response.read() in (b"", b"302: Found", b"303: See Other")


async def test_the_public_routes_say_nothing_of_callers(backend: Any, make_draft: Any) -> None:
    await backend.deliver(make_draft())
    client = backend.client()
    for method, path in sorted(PUBLIC - {("POST", "/api/session"), ("GET", "/static/{digest}/{name}")}):
        async with client.request(method, path) as response:
            text = await response.text()
            assert response.status == 200, path
            assert "13810001234" not in text
            assert "上地" not in text


async def test_a_session_opens_no_producers_door_and_the_other_way_round(backend: Any, make_draft: Any) -> None:
    desk = await backend.log_in("admin", "admin")
    answer = await desk.ask("POST", "/api/drafts", make_draft().model_dump(mode="json"))
    assert (answer.status, answer.code) == (401, "producer-unknown")
    assert (await backend.produce("GET", "/api/queue")).status == 401
    assert (await backend.produce("GET", "/api/recordings/c")).status == 401


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic producers-secret",
        "producers-secret",
        "Bearer producers-secretx",
        "Bearer \udcff",
    ],
)
async def test_a_wrong_producer_token(backend: Any, header: str) -> None:
    value = header.encode("utf-8", "surrogateescape").decode("latin-1")
    async with backend.client().post("/api/drafts", json={}, headers={"Authorization": value}) as response:
        assert response.status == 401


async def test_a_forged_form_does_nothing(backend: Any, make_draft: Any) -> None:
    await backend.deliver(make_draft())
    desk, other = await backend.log_in(), await backend.log_in("zhao")
    path, body = f"/api/drafts/{ID}/take", {"version": 1}
    for headers in (
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": other.csrf},  # another's
        {"X-CSRF-Token": desk.csrf + "x"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        answer = await desk.ask("POST", path, body, **headers)
        assert (answer.status, answer.code) == (403, "forbidden"), headers
    async with desk.client.post(path, data={"version": "1"}, headers={"X-CSRF-Token": desk.csrf}) as response:
        assert response.status == 415  # what an HTML form can send
    async with desk.client.post(path, data=b'{"version":1}', headers={"Content-Type": "text/plain"}) as response:
        assert response.status == 403
    assert (await desk.draft(ID))["status"] == "waiting"
    assert (await desk.ask("POST", path, body, Origin=backend.url)).status == 200


async def test_logging_in_from_another_site_is_refused(backend: Any) -> None:
    await backend.add_user("li")
    body = {"username": "li", "password": "correct horse"}
    async with backend.client().post("/api/session", json=body, headers={"Origin": "https://evil.example"}) as response:
        assert response.status == 403
        assert "Set-Cookie" not in response.headers


async def test_the_cookie_and_the_session(backend: Any) -> None:
    await backend.add_user("li", "supervisor")
    body = {"username": "li", "password": "correct horse"}
    async with backend.client().post("/api/session", json=body) as response:
        cookie = response.cookies["hotline_session"]
        answer = await response.json()
    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["secure"]) == (True, "Strict", "/", "")
    assert len(cookie.value) >= 43  # 256 bits
    assert answer["user"] == {"name": "li", "display_name": "li 的名字", "role": "supervisor"}
    async with backend.service.db.read() as tx:
        dump = str((await tx.exec_driver_sql("SELECT * FROM sessions")).all())
        dump += str((await tx.exec_driver_sql("SELECT * FROM users")).all())
    assert cookie.value not in dump
    assert "correct horse" not in dump
    assert "$argon2id$" in dump


async def test_behind_tls_the_cookie_is_secure(start_backend: Any) -> None:
    backend = await start_backend(behind_tls=True)
    await backend.add_user("li")
    body = {"username": "li", "password": "correct horse"}
    async with backend.client().post("/api/session", json=body) as response:
        assert response.cookies["hotline_session"]["secure"] is True


async def test_a_session_ends(backend: Any) -> None:
    desk = await backend.log_in()
    assert (await desk.get("/api/session")).body["csrf"] == desk.csrf
    token = next(iter(desk.client.session.cookie_jar)).value
    assert (await desk.ask("DELETE", "/api/session")).status == 204
    async with backend.client().get("/api/queue", headers={"Cookie": f"hotline_session={token}"}) as response:
        assert response.status == 401  # a replayed cookie
    desk = await backend.log_in()
    backend.clock.go_on(hours=12)
    answer = await desk.get("/api/queue")
    assert (answer.status, answer.code) == (401, "session-over")


@pytest.mark.parametrize("change", ["disable", "password"])
async def test_a_changed_user_is_out_at_once(backend: Any, change: str) -> None:
    desk = await backend.log_in()
    if change == "disable":
        await backend.service.accounts.disable_user("li")
    else:
        await backend.service.accounts.set_password("li", "another password")
    assert (await desk.get("/api/queue")).status == 401
    body = {"username": "li", "password": "correct horse"}
    async with backend.client().post("/api/session", json=body) as response:
        assert response.status == 401


async def test_guessing_stops_early_and_tells_nothing(backend: Any) -> None:
    await backend.add_user("li")
    client = backend.client()
    answers = []
    for name in ("li", "nobody"):
        for _ in range(TRIES_PER_USER):
            async with client.post("/api/session", json={"username": name, "password": "wrong"}) as response:
                assert response.status == 401
                answers.append(await response.json(content_type=None))
    assert answers.count(answers[0]) == len(answers)
    right = {"username": "li", "password": "correct horse"}
    async with client.post("/api/session", json=right) as response:
        assert response.status == 429
        assert int(response.headers["Retry-After"]) > 0
    backend.clock.go_on(seconds=301)
    async with client.post("/api/session", json=right) as response:
        assert response.status == 200


async def test_guesses_at_the_same_moment_are_counted_too(backend: Any) -> None:
    await backend.add_user("li")
    client = backend.client()

    async def guess() -> int:
        async with client.post("/api/session", json={"username": "li", "password": "wrong"}) as response:
            return int(response.status)

    answers = await asyncio.gather(*(guess() for _ in range(20)))
    assert sorted(answers) == [401] * TRIES_PER_USER + [429] * (20 - TRIES_PER_USER)


async def test_a_busy_backend_counts_no_wrong_password(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await backend.add_user("li")
    client = backend.client()

    async def log_in() -> int:
        async with client.post("/api/session", json={"username": "li", "password": PASSWORD}) as response:
            return int(response.status)

    with monkeypatch.context() as busy:
        busy.setattr("cases.accounts.MAX_HASHING_WAITS", 0)
        assert {await log_in() for _ in range(TRIES_PER_USER * 2)} == {503}
    assert await log_in() == 200


async def test_nobody_costs_as_much_as_somebody(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await backend.add_user("li")
    await backend.add_user("gone")
    await backend.service.accounts.disable_user("gone")
    verified = []
    real = backend.service.accounts._verify

    async def count(hashed: str, password: str) -> bool:
        verified.append(hashed.split("$")[3])  # the hash's cost
        return bool(await real(hashed, password))

    monkeypatch.setattr(backend.service.accounts, "_verify", count)
    for name in ("li", "gone", "nobody", "李"):
        async with backend.client().post("/api/session", json={"username": name, "password": "wrong"}) as response:
            assert response.status == 401
    assert len(verified) == 4
    assert len(set(verified)) == 1


async def test_the_log_holds_no_query_and_no_whole_number(backend: Any, make_draft: Any) -> None:
    with structlog.testing.capture_logs() as lines:
        await backend.deliver(make_draft())
        desk = await backend.log_in()
        await desk.get("/api/queue", params={"q": "13810001234"})
        await desk.get("/api/nothing/13810001234")
    assert any(line["event"] == "request" and line.get("route") == "/api/queue" for line in lines)
    assert "13810001234" not in str(lines)


@pytest.mark.parametrize(
    "body",
    [
        {"username": "li"},
        {"username": "", "password": "x"},
        {"username": "l" * 65, "password": "x"},
        {"username": "li", "password": "x" * 257},
        {"username": ["li"], "password": "x"},
        {"username": "li", "password": "x", "role": "admin"},
    ],
)
async def test_a_faulty_log_in(backend: Any, body: Any) -> None:
    async with backend.client().post("/api/session", json=body) as response:
        assert response.status == 422


@pytest.mark.parametrize("name", ["LI", "li\x00", "' OR 1=1", "李"])
async def test_a_name_that_cannot_be_is_just_wrong(backend: Any, name: str) -> None:
    await backend.add_user("li")
    async with backend.client().post("/api/session", json={"username": name, "password": "correct horse"}) as response:
        assert response.status == 401


async def test_every_answer_is_guarded(backend: Any, make_draft: Any) -> None:
    desk = await backend.log_in()
    for path in ("/api/queue", "/api/nothing", "/healthz", "/login", "/api/drafts/x", "/nothing"):
        async with desk.client.get(path) as response:
            policy = response.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Referrer-Policy"] == "no-referrer"
            assert "aiohttp" not in response.headers["Server"]


async def test_unknown_addresses_and_methods_are_problems_too(backend: Any) -> None:
    desk = await backend.log_in()
    assert (await desk.get("/api/nothing")).code == "not-found"
    answer = await desk.ask("PUT", "/api/queue", {})
    assert (answer.status, answer.code) == (405, "method-not-allowed")
    assert answer.headers["Allow"]


async def test_metrics_are_for_this_machine_or_a_token(backend: Any) -> None:
    client = backend.client()
    async with client.get("/metrics") as response:
        text = await response.text()
        assert response.status == 200
        assert "hotline_cases_request_seconds" in text
        assert "1381000" not in text
    forwarded = {"X-Forwarded-For": "10.0.0.9"}
    async with client.get("/metrics", headers=forwarded) as response:
        assert response.status == 401
    async with client.get("/metrics", headers={**forwarded, "Authorization": "Bearer producers-secret"}) as response:
        assert response.status == 200


async def test_a_failure_of_ours_is_told_without_its_insides(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = await backend.log_in()

    async def fail(**_: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(backend.service, "queue", fail)
    answer = await desk.get("/api/queue")
    assert (answer.status, answer.code) == (500, "internal")
    assert "secret detail" not in str(answer.body)


def test_every_api_route_says_whom_it_lets_in() -> None:
    public = {
        (route.method, route.path) for route in web_app.ROUTES if route.who in (Lets.ANYONE, Lets.LOG_IN, Lets.MONITOR)
    }
    assert public == {route for route in PUBLIC if route[1] not in ("/login", "/static/{digest}/{name}")}
