"""A whole hotline of its own for the tests: real Asterisk, ivr, cases, on free ports, in a folder of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hotline.calling import CALLER_SPEED, CallOrder, CallResult, OnFact, run_call
from hotline.parts import add_user, make_voice
from hotline.settings import Settings, load_settings
from ivr.callfolder import call_folders
from ivr.journal import JOURNAL_NAME, read_journal
from speech.audio import write_wav

USER, PASSWORD = "tester", "a-long-test-password"
START_SECONDS = 90


def free_ports(count: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> list[int]:
    """Ports nobody uses now; held together while they are chosen, so that they differ."""
    held = [socket.socket(socket.AF_INET, kind) for _ in range(count)]
    for probe in held:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in held]
    for probe in held:
        probe.close()
    return ports


def free_range(length: int) -> int:
    """First of `length` UDP ports in a row that nobody uses."""
    for first in range(30000, 60000, length):
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first, first + length):
                    probe = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                    probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise RuntimeError("no free UDP ports")


@dataclass
class System:
    """The hotline under test. `environment` is what its commands are started with."""

    settings: Settings
    environment: dict[str, str]
    sounds_dir: Path
    process: subprocess.Popen[bytes] | None = None
    _sounds: dict[str, Path] = field(default_factory=dict)

    @property
    def base(self) -> str:
        return self.settings.cases_url

    @property
    def spool(self) -> Path:
        return self.settings.spool_dir

    def start(self) -> None:
        log = (self.settings.state_dir / "serve.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hotline.cli", "serve"],
            env=self.environment,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        log.close()
        self.until(lambda: "Ctrl-C ends it" in self.said(), "the hotline is up", START_SECONDS)

    def said(self) -> str:
        return (self.settings.state_dir / "serve.log").read_text("utf-8", "replace")

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(40)

    def until(self, holds: Callable[[], Any], what: str, seconds: float = 30) -> Any:
        """Wait for something to hold; fails naming it, with the end of the logs."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process is not None and self.process.poll() is not None:
                pytest.fail(f"the hotline ended while waiting: {what}\n{self.said()[-3000:]}")
            if value := holds():
                return value
            time.sleep(0.1)
        return pytest.fail(f"not in {seconds} s: {what}\n{self.said()[-2000:]}\n{self.logs()}")

    def logs(self) -> str:
        return "\n".join(
            f"== {path.name}\n" + "\n".join(path.read_text("utf-8", "replace").splitlines()[-15:])
            for path in sorted((self.settings.state_dir / "log").glob("*.log"))
        )

    def pid(self, name: str) -> int:
        """`cases`, `ivr` or `asterisk`."""
        folder = self.settings.state_dir / ("asterisk" if name == "asterisk" else "")
        return int((folder / f"{name}.pid").read_text())

    def kill(self, name: str) -> int:
        """kill -9; returns the pid that died."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    def until_back(self, name: str, old_pid: int) -> None:
        self.until(lambda: self.pid(name) != old_pid and self.healthy(name), f"{name} is back", 60)

    def healthy(self, name: str) -> bool:
        if name == "asterisk":
            return self.said().count("starting it again") == 0 or self._asterisk_answers()
        port = self.settings.cases.port if name == "cases" else self.settings.ivr.metrics_port
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    def _asterisk_answers(self) -> bool:
        """A SIP OPTIONS gets any answer."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.settimeout(1)
            line.bind(("127.0.0.1", 0))
            port = line.getsockname()[1]
            line.sendto(
                (
                    f"OPTIONS sip:12345@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKtest{port}\r\n"
                    f"From: <sip:t@127.0.0.1>;tag=1\r\nTo: <sip:12345@127.0.0.1>\r\nCall-ID: {port}\r\n"
                    "CSeq: 1 OPTIONS\r\nMax-Forwards: 1\r\nContent-Length: 0\r\n\r\n"
                ).encode(),
                ("127.0.0.1", self.settings.asterisk.sip_port),
            )
            with contextlib.suppress(OSError):
                return bool(line.recv(2000))
        return False

    def sound(self, text: str) -> Path:
        """The text spoken by the bundled voice, as a WAV."""
        if text not in self._sounds:
            path = self.sounds_dir / f"{len(self._sounds)}.wav"
            write_wav(path, make_voice(self.settings).speak(text, speed=CALLER_SPEED))
            self._sounds[text] = path
        return self._sounds[text]

    async def call(self, order: CallOrder, on_fact: OnFact | None = None) -> CallResult:
        return await asyncio.wait_for(run_call(self.settings, order, on_fact), 170)

    def folders(self) -> set[Path]:
        return set(call_folders(self.spool)) | {p.parent for p in self.spool.glob("*/*/done")}

    def facts(self, folder: Path) -> list[Any]:
        return read_journal(folder / JOURNAL_NAME) if (folder / JOURNAL_NAME).exists() else []

    async def drafts_at_backend(self, call_id: str) -> list[dict[str, Any]]:
        """What the desk has of a call, as an operator sees it."""
        async with Desk(self.base) as desk:
            found = []
            after = ""
            while True:
                page = await desk.get(f"/api/queue?limit=100&after={after}")
                found += [item for item in page["items"] if item["call_id"] == call_id]
                after = page["next"]
                if not after:
                    return [await desk.get(f"/api/drafts/{item['draft_id']}") for item in found]

    async def draft_at_backend(self, call_id: str, seconds: float = 40) -> dict[str, Any]:
        """The one draft of a call, waited for; fails when there are two."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                if found := await self.drafts_at_backend(call_id):
                    assert len(found) == 1, "a call makes one draft"
                    return found[0]
            await asyncio.sleep(0.3)
        return pytest.fail(f"no draft of {call_id} at the backend in {seconds} s\n{self.logs()}")


class Desk:
    """An operator's session over HTTP."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.csrf = ""

    async def __aenter__(self) -> Desk:
        # The cookie of an address, not a name, is only kept by an unsafe jar.
        self.http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        async with self.http.post(f"{self.base}/api/session", json={"username": USER, "password": PASSWORD}) as answer:
            body = await answer.json()
            assert answer.status == 200, body
            self.csrf = body["csrf"]
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.http.close()

    async def get(self, path: str) -> Any:
        async with self.http.get(self.base + path) as answer:
            body = await answer.json()
            assert answer.status == 200, body
            return body

    async def bytes(self, path: str) -> bytes:
        async with self.http.get(self.base + path) as answer:
            assert answer.status == 200
            return await answer.read()

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        async with self.http.post(self.base + path, json=body, headers={"X-CSRF-Token": self.csrf}) as answer:
            told = await answer.json()
            assert answer.status == 200, told
            return told


def make_system(state_dir: Path, sounds_dir: Path, **more: str) -> System:
    """Settings of free ports, in the environment of its commands and loaded here."""
    cases_port, agi, audio, metrics, ami = free_ports(5)
    (sip,) = free_ports(1, socket.SOCK_DGRAM)
    rtp = free_range(120)
    own = {
        "HOTLINE_STATE_DIR": str(state_dir),
        "HOTLINE_CASES__PORT": str(cases_port),
        "HOTLINE_IVR__AGI_PORT": str(agi),
        "HOTLINE_IVR__AUDIOSOCKET_PORT": str(audio),
        "HOTLINE_IVR__METRICS_PORT": str(metrics),
        "HOTLINE_IVR__RECOVER_EVERY_SECONDS": "2",
        "HOTLINE_ASTERISK__SIP_PORT": str(sip),
        "HOTLINE_ASTERISK__AMI_PORT": str(ami),
        "HOTLINE_ASTERISK__RTP_FIRST_PORT": str(rtp),
        "HOTLINE_ASTERISK__RTP_LAST_PORT": str(rtp + 119),
        "HOTLINE_ASTERISK__QUEUE_SECONDS": "4",
        **more,
    }
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HOTLINE_")}
    prefix = os.environ.get("HOTLINE_ASTERISK__PREFIX")
    if prefix:
        own.setdefault("HOTLINE_ASTERISK__PREFIX", prefix)
    before = dict(os.environ)
    os.environ.update(own)
    try:
        settings = load_settings()
    finally:
        os.environ.clear()
        os.environ.update(before)
    state_dir.mkdir(parents=True, exist_ok=True)
    return System(settings, kept | own, sounds_dir)


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One hotline for all tests of this folder; each test's calls are its own."""
    made = make_system(tmp_path_factory.mktemp("state"), tmp_path_factory.mktemp("sounds"))
    asyncio.run(add_user(made.settings, USER, PASSWORD, "supervisor", "测试员"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


def story(facts: list[Any]) -> str:
    """What happened, for a failing test's message."""
    rows = []
    for fact in facts:
        row = {key: getattr(fact, key) for key in fact.__slots__ if key not in ("call_id", "words")}
        rows.append(f"{type(fact).__name__} {json.dumps(row, default=str, ensure_ascii=False)}")
    return "\n".join(rows)
