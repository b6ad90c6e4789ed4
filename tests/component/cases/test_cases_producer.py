"""What producers send: once kept whatever happens, and nothing hostile gets further than its answer."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from cases.schema import draft_id_of


def files_in(folder: Path) -> set[Path]:
    """Every file but the database's own."""
    return {path for path in folder.rglob("*") if path.is_file() and ".db" not in path.name}


async def test_a_draft_is_kept_once(backend: Any, make_draft: Any) -> None:
    draft = make_draft()
    first, second = await backend.deliver(draft), await backend.deliver(draft)
    assert (first.status, first.body) == (
        201,
        {"draft_id": str(draft.draft_id), "created": True, "status": "waiting"},
    )
    assert (second.status, second.body["created"]) == (200, False)
    desk = await backend.log_in()
    queue = (await desk.get("/api/queue")).body
    assert [item["draft_id"] for item in queue["items"]] == [str(draft.draft_id)]
    assert [entry["action"] for entry in (await desk.draft(draft.draft_id))["history"]] == ["received"]


async def test_the_same_draft_from_many_processes_at_once(backend: Any, make_draft: Any) -> None:
    answers = await asyncio.gather(*(backend.deliver(make_draft()) for _ in range(20)))
    assert sorted(answer.status for answer in answers) == [200] * 19 + [201]


async def test_the_first_draft_counts_whatever_comes_later(backend: Any, make_draft: Any) -> None:
    await backend.deliver(make_draft())
    desk = await backend.log_in()
    await desk.step(draft_id_of("call-1"), "take", 1)
    again = await backend.deliver(make_draft(fields={"subject": ("别的", 0.9)}))
    assert (again.status, again.body["status"]) == (200, "taken")
    assert (await desk.draft(draft_id_of("call-1")))["draft"]["subject"]["value"] == "上地西里暖气不热"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"draft_id": "no uuid"}, "draft_id"),
        ({"call_id": "../../etc/passwd"}, "call_id"),
        ({"call_id": ""}, "call_id"),
        ({"received_at": "2026-11-24T08:00:00"}, "received_at"),
        ({"schema_version": 2}, "schema_version"),
        ({"surprise": 1}, "surprise"),
        ({"received_at": "0001-01-01T00:00:00+14:00"}, "received_at"),
        ({"received_at": "9999-12-31T23:59:59-14:00"}, "received_at"),
        ({"reference": "12a"}, "reference"),
        ({"subject": {"value": "无据", "confidence": 1}}, "subject"),
        ({"subject": {"value": None, "confidence": 7}}, "subject.confidence"),
        ({"turns": [{"step": "x", "asks": "narration", "digits": '"; rm -rf'}]}, "turns.0.digits"),
        ({"turns": "x" * 100}, "turns"),
        ({"recording": {"uri": "x", "seconds": -1, "sha256": "z"}}, "recording.seconds"),
        ({"revision": -1}, "revision"),
        ({"revision": 10**30}, "revision"),
        ({"revision": 1.5}, "revision"),
        ({"turns": [{"step": "x", "asks": "narration", "text": "热", "final": False, "pending": True}]}, "turns.0"),
        ({"turns": [{"step": "x", "asks": "narration", "pending": True}]}, "turns.0"),
    ],
)
async def test_a_draft_that_does_not_fit_names_the_field(
    backend: Any, make_draft: Any, change: dict[str, Any], field: str
) -> None:
    answer = await backend.produce("POST", "/api/drafts", {**make_draft().model_dump(mode="json"), **change})
    assert (answer.status, answer.code) == (422, "draft-invalid")
    assert field in [error["field"] for error in answer.body["errors"]]
    assert "13810001234" not in json.dumps(answer.body)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"null", b"[]", b"\xff\xfe\x00", b'{"a":' * 5000, b'"\\ud800"', b"[" * 100_000, b"1e999999"],
)
async def test_what_is_no_draft_at_all(backend: Any, body: bytes) -> None:
    answer = await backend.produce("POST", "/api/drafts", body)
    assert answer.status in (400, 422)
    assert answer.code in ("json-invalid", "draft-invalid")


@pytest.mark.parametrize("number", ["Infinity", "NaN", "1e999"])
async def test_numbers_that_json_cannot_carry_back(backend: Any, make_draft: Any, number: str) -> None:
    draft = make_draft().model_dump(mode="json")
    text = "".join(turn["text"] for turn in draft["turns"])
    draft["turns"][0]["words"] = [{"text": text, "start_seconds": 0, "end_seconds": -12345, "confidence": 1}]
    body = json.dumps(draft).replace("-12345", number).encode()
    answer = await backend.produce("POST", "/api/drafts", body)
    assert (answer.status, answer.code) == (422, "draft-invalid")


async def test_hostile_text_is_only_data(backend: Any, make_draft: Any) -> None:
    hostile = "<script>alert(1)</script>\u0000\u202e'; DROP TABLE drafts;--"
    draft = make_draft(fields={"narrative": (hostile, 0.9), "subject": ("<img src=x onerror=a>", 0.9)})
    assert (await backend.deliver(draft)).status == 201
    desk = await backend.log_in()
    answer = await desk.get(f"/api/drafts/{draft.draft_id}")
    assert answer.body["draft"]["narrative"]["value"] == hostile
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    row = (await desk.get("/api/queue", params={"q": "drop table"})).body["items"][0]
    assert row["subject"] == "<img src=x onerror=a>"
    for q in ("%", "_", "' OR 1=1 --", "\\", "\x00"):
        answer = await desk.get("/api/queue", params={"q": q})
        assert answer.status == 200
        assert (len(answer.body["items"]) == 1) == (q in hostile or q == "\x00"), q


async def test_an_oversized_body_is_refused(backend: Any) -> None:
    answer = await backend.produce("POST", "/api/drafts", b" " * (4 * 2**20 + 1))
    assert (answer.status, answer.code) == (413, "body-too-large")


async def test_only_json_is_read(backend: Any, make_draft: Any) -> None:
    body = make_draft().model_dump_json().encode()
    answer = await backend.produce("POST", "/api/drafts", body, headers={"Content-Type": "text/plain"})
    assert (answer.status, answer.code) == (415, "media-type")


async def test_a_recording_comes_and_is_heard_in_ranges(backend: Any, make_draft: Any, make_wav: Any) -> None:
    await backend.deliver(make_draft())
    sound = make_wav(2.0)
    answer = await backend.put_recording("call-1", sound)
    sha256 = hashlib.sha256(sound).hexdigest()
    assert (answer.status, answer.body) == (201, {"uri": "/api/recordings/call-1", "seconds": 2.0, "sha256": sha256})
    desk = await backend.log_in()
    whole = await desk.get("/api/recordings/call-1")
    assert (whole.status, whole.body, whole.headers["Content-Type"]) == (200, sound, "audio/wav")
    assert whole.headers["Accept-Ranges"] == "bytes"
    part = await desk.get("/api/recordings/call-1", headers={"Range": "bytes=100-199"})
    assert (part.status, part.body) == (206, sound[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(sound)}"
    beyond = await desk.get("/api/recordings/call-1", headers={"Range": f"bytes={len(sound) + 5}-"})
    assert beyond.status == 416
    assert (await desk.draft(draft_id_of("call-1")))["recording"]["sha256"] == sha256
    assert (await desk.get("/api/queue")).body["items"][0]["has_recording"] is True


async def test_a_longer_recording_replaces_a_shorter_one_only(backend: Any, make_wav: Any) -> None:
    short, long, other = make_wav(1.0), make_wav(2.0), make_wav(2.0, value=5)
    assert (await backend.put_recording("c", short)).status == 201
    assert (await backend.put_recording("c", short)).status == 200
    assert (await backend.put_recording("c", long)).body["seconds"] == 2.0
    for content in (short, other):
        answer = await backend.put_recording("c", content)
        assert (answer.status, answer.body["sha256"]) == (200, hashlib.sha256(long).hexdigest())
    files = [path for path in backend.service.files.folder.rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in files] == [long]


async def test_many_recordings_of_one_call_at_once(backend: Any, make_wav: Any) -> None:
    contents = [make_wav(seconds / 10) for seconds in range(1, 11)]
    answers = await asyncio.gather(*(backend.put_recording("c", content) for content in contents))
    assert {answer.status for answer in answers} <= {200, 201}
    desk = await backend.log_in()
    assert (await desk.get("/api/recordings/c")).body == contents[-1]


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"RIFF....WAVE", {}, 415, "not-a-wav"),
        (b"<html></html>", {}, 415, "not-a-wav"),
        (b"", {}, 415, "not-a-wav"),
        (None, {"Content-Type": "text/html"}, 415, "not-a-wav"),
        (None, {"X-Content-SHA256": "0" * 64}, 422, "digest-wrong"),
        (None, {"X-Content-SHA256": "../../x"}, 400, "digest-missing"),
    ],
)
async def test_what_is_no_recording_leaves_nothing(
    backend: Any, make_wav: Any, content: bytes | None, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await backend.put_recording("c", make_wav() if content is None else content, **headers)
    assert (answer.status, answer.code) == (status, code)
    assert list(backend.service.files.folder.rglob("*.part")) == []
    assert list(backend.service.files.folder.rglob(".*")) == []


@pytest.mark.parametrize("call_id", ["..%2F..%2Fx", "%2e%2e", "a%00b", "a%20b", "x" * 65, "a%5Cb", "..%5c..%5cx"])
async def test_a_call_id_is_no_path(backend: Any, make_wav: Any, tmp_path: Path, call_id: str) -> None:
    before = files_in(tmp_path)
    answer = await backend.put_recording(call_id, make_wav())
    assert answer.status in (400, 404, 405)
    desk = await backend.log_in()
    assert (await desk.get(f"/api/recordings/{call_id}")).status in (400, 404)
    assert files_in(tmp_path) == before


async def test_a_call_id_of_dots_stays_in_the_folder(backend: Any, make_wav: Any, tmp_path: Path) -> None:
    answer = await backend.put_recording("...", make_wav())
    assert answer.status == 201
    (file,) = (path for path in files_in(tmp_path) if path.suffix == ".wav")
    assert file.parent.parent == backend.service.files.folder


@pytest.mark.parametrize("says_its_length", [True, False])
async def test_a_recording_over_the_limit(start_backend: Any, make_wav: Any, says_its_length: bool) -> None:
    backend = await start_backend(max_recording_bytes=1000)
    content = make_wav(1.0)

    async def pieces() -> Any:
        yield content

    headers = {"Content-Type": "audio/wav", "X-Content-SHA256": hashlib.sha256(content).hexdigest()}
    if says_its_length:
        answer = await backend.produce("PUT", "/api/recordings/c", content, headers=headers)
    else:
        answer = await backend.produce("PUT", "/api/recordings/c", headers=headers, data=pieces())
    assert (answer.status, answer.code) == (413, "recording-too-large")
    assert [path for path in backend.service.files.folder.rglob("*") if path.is_file()] == []


async def test_an_upload_that_breaks_off_leaves_nothing(backend: Any, make_wav: Any) -> None:
    content = make_wav(1.0)
    _reader, writer = await asyncio.open_connection(backend.server.host, backend.server.port)
    head = f"PUT /api/recordings/c HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {backend.token}\r\n"
    head += f"Content-Type: audio/wav\r\nX-Content-SHA256: {'0' * 64}\r\nContent-Length: {len(content)}\r\n\r\n"
    writer.write(head.encode() + content[:500])
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    answer = await backend.put_recording("d", content)  # the server is well, and answered after the broken one
    assert answer.status == 201
    for _ in range(200):
        if not list(backend.service.files.folder.glob(".*")):
            break
        await asyncio.sleep(0.01)
    assert list(backend.service.files.folder.glob(".*")) == []


async def test_a_full_disk_says_so_and_the_recording_is_sent_again(
    backend: Any, make_wav: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("cases.recordings._flush", full)
        answer = await backend.put_recording("c", make_wav())
    assert (answer.status, answer.code) == (507, "disk-full")
    assert answer.headers["Retry-After"]
    assert list(backend.service.files.folder.glob(".*")) == []
    assert (await backend.put_recording("c", make_wav())).status == 201


async def test_live_updates_show_in_the_queue_until_the_draft_is_here(backend: Any, make_draft: Any) -> None:
    def update(sequence: int, kind: str, **more: Any) -> dict[str, Any]:
        return {"call_id": "call-1", "sequence": sequence, "at": "2026-11-24T08:00:00Z", "kind": kind, **more}

    batch = [update(0, "started", caller_number="13810001234"), update(1, "partial", text="暖气不")]
    assert (await backend.produce("POST", "/api/live", batch)).status == 204
    desk = await backend.log_in()
    (call,) = (await desk.get("/api/queue")).body["live"]
    assert (call["call_id"], call["text"], call["caller_number"]) == ("call-1", "暖气不", "13810001234")
    await backend.deliver(make_draft())
    await backend.produce("POST", "/api/live", [update(2, "ended")])
    assert (await desk.get("/api/queue")).body["live"] == []


@pytest.mark.parametrize("body", [{}, [{}], [{"call_id": "../x"}], ["x"], [{"call_id": "c"}] * 501])
async def test_live_updates_that_do_not_fit(backend: Any, body: Any) -> None:
    answer = await backend.produce("POST", "/api/live", body)
    assert (answer.status, answer.code) == (422, "live-invalid")
