"""A call handler that really runs, and Asterisk's side of a call: the AGI conversation and the sound, by a script."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shlex
import socket
import wave
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from aiohttp.test_utils import TestServer
from argon2 import PasswordHasher

from cases import drafting
from cases.client import CasesClient
from cases.service import CasesService
from cases.settings import CasesSettings
from cases.web.app import make_app
from ivr.audiosocket_wire import KIND_DTMF, KIND_HANG_UP, KIND_SOUND, KIND_UUID, encode_frame
from ivr.events import CallEnded, Fact
from ivr.journal import JOURNAL_NAME, read_journal
from ivr.prompts import Speaker
from ivr.second_pass import Ears
from ivr.server import IvrServer
from ivr.session import Door
from ivr.settings import IvrSettings
from speech.models import BUNDLED_DIR
from speech.voice import Voice
from speech.vosk_engine import VoskEngine

PROMPTS = Path(__file__).parents[3] / "prompts"
NARRATION = "我要投诉，丰台区方庄街道芳古园一区，小区门口的垃圾桶三天没人清理了。"
TOKEN = "a-producer-token"
CALLER = "13910001234"
DAY = "2026-11-24"
WAIT_SECONDS = 60.0  # for what must come; how fast it comes is not tested here
SILENCE = bytes(320)
DEAD_CHANNEL = "511 Command Not Permitted on a dead channel or intercept routine"


def free_ports(count: int) -> list[int]:
    """Held together while they are chosen, so that they differ."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in held]
    for probe in held:
        probe.close()
    return ports


def prompt_pcm(name: str) -> bytes:
    with wave.open(str(PROMPTS / "zh" / f"{name}.wav"), "rb") as file:
        return file.readframes(file.getnframes())


@dataclass
class Call:
    """One caller as Asterisk carries him. `status`: what CHANNEL STATUS answers, None once the channel is dead.

    `polite` Asterisk closes the sound when it is told to (0x00) and then goes on with the AGI conversation.
    """

    agi_port: int
    folder: Path
    call_id: str
    path: str = "/call"
    caller: str = CALLER
    polite: bool = True
    status: int | None = 6
    commands: list[list[str]] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    heard: bytearray = field(default_factory=bytearray)  # all that was said to the caller
    asked_to_go_on: bool = False  # 0x00 came
    _says: deque[bytes] = field(default_factory=deque)
    _tasks: list[asyncio.Task[Any]] = field(default_factory=list)
    _sound: asyncio.StreamWriter | None = None
    _agi: asyncio.StreamWriter | None = None

    async def dial(self) -> None:
        reader, self._agi = await asyncio.open_connection("127.0.0.1", self.agi_port)
        environment = {
            "agi_network": "yes",
            "agi_network_script": self.path.lstrip("/"),
            "agi_request": f"agi://127.0.0.1:{self.agi_port}{self.path}",
            "agi_channel": "PJSIP/1002-00000001",
            "agi_callerid": self.caller,
            "agi_extension": "12345",
            "agi_arg_1": self.call_id,
            "agi_arg_2": str(self.folder),
            "agi_arg_3": "",
            "agi_arg_4": "abc@10.0.0.1",
        }
        self._agi.write("".join(f"{key}: {value}\n" for key, value in environment.items()).encode() + b"\n")
        self._tasks.append(asyncio.create_task(self._converse(reader)))

    async def _converse(self, reader: asyncio.StreamReader) -> None:
        assert self._agi is not None
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                words = shlex.split(line.decode())
                self.commands.append(words)
                self._agi.write((await self._answer(words)).encode() + b"\n")
        self._agi.close()

    async def _answer(self, words: list[str]) -> str:
        match words:
            case ["GET", "VARIABLE", "HOTLINE_CALL_SECONDS"]:
                return "200 result=1 (1800)"
            case ["SET", "VARIABLE", name, value]:
                self.variables[name] = value
                return "200 result=1"
            case ["CHANNEL", "STATUS"]:
                return f"200 result={self.status}" if self.status is not None else DEAD_CHANNEL
            case ["EXEC", "AudioSocket", arguments]:
                return f"200 result={await self._carry_sound(arguments)}"
        return "510 Invalid or unknown command"

    async def _carry_sound(self, arguments: str) -> int:
        """The application AudioSocket: 0 when it was told to go on, -1 when the sound ended in any other way."""
        call_id, _, where = arguments.partition(",")
        reader, self._sound = await asyncio.open_connection(where.split(":")[0], int(where.split(":")[1]))
        self._sound.write(encode_frame(KIND_UUID, UUID(call_id).bytes))
        speaking = asyncio.create_task(self._speak())
        self._tasks.append(speaking)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readexactly(3)
                payload = await reader.readexactly(int.from_bytes(head[1:], "big"))
                if head[0] == KIND_SOUND:
                    self.heard += payload
                elif head[0] == KIND_HANG_UP:
                    self.asked_to_go_on = True
                    if self.polite:
                        break
        speaking.cancel()
        if self.polite:
            self._sound.close()
        return 0 if self.asked_to_go_on else -1

    async def _speak(self) -> None:
        """A frame every 20 ms, as a telephone sends them: what is to be said, else silence."""
        assert self._sound is not None
        loop = asyncio.get_running_loop()
        due = loop.time()
        with contextlib.suppress(ConnectionError):
            while not self._sound.is_closing():
                self._sound.write(encode_frame(KIND_SOUND, self._says.popleft() if self._says else SILENCE))
                due += 0.02
                await asyncio.sleep(max(0.0, due - loop.time()))

    # the caller

    async def connected(self) -> None:
        """The caller hears something."""
        await self.until(lambda: len(self.heard) > 0)

    def press(self, digits: str) -> None:
        assert self._sound is not None
        for digit in digits:
            self._sound.write(encode_frame(KIND_DTMF, digit.encode()))

    def send_raw(self, data: bytes) -> None:
        assert self._sound is not None
        self._sound.write(data)

    async def say(self, pcm: bytes) -> None:
        """Comes back when it was said."""
        self._says.extend(pcm[at : at + 320].ljust(320, b"\0") for at in range(0, len(pcm), 320))
        await self.until(lambda: not self._says)

    def lose_sound(self) -> None:
        """The sound's connection ends, and the caller is still there."""
        assert self._sound is not None
        self._sound.close()

    def hang_up(self) -> None:
        """The caller leaves; AGIEXITONHANGUP ends the AGI conversation too."""
        assert self._agi is not None
        self.status = None
        if self._sound is not None:
            self._sound.close()
        self._agi.close()

    # what became of it

    async def over(self) -> None:
        """The handler has left the call to the dialplan (or the call is gone)."""
        await asyncio.wait_for(asyncio.shield(self._tasks[0]), WAIT_SECONDS)

    @property
    def facts(self) -> list[Fact]:
        path = self.folder / JOURNAL_NAME
        return read_journal(path) if path.exists() else []

    def fact(self, kind: type[Fact], **having: Any) -> Any:
        """The last such fact, or None."""
        fitting = (
            fact
            for fact in reversed(self.facts)
            if isinstance(fact, kind) and all(getattr(fact, name) == value for name, value in having.items())
        )
        return next(fitting, None)

    async def told(self, kind: type[Fact], **having: Any) -> Any:
        """The last such fact, waited for."""
        await self.until(lambda: self.fact(kind, **having) is not None)
        return self.fact(kind, **having)

    @property
    def ended(self) -> str:
        endings = [fact.ended.value for fact in self.facts if isinstance(fact, CallEnded)]
        assert len(endings) == 1, endings
        return endings[0]

    @property
    def done(self) -> bool:
        """Whether the dialplan would go by HOTLINE_OUTCOME rather than to its fallback."""
        return self.variables.get("HOTLINE_DONE") == "1"

    @property
    def outcome(self) -> str | None:
        return self.variables.get("HOTLINE_OUTCOME")

    def said_to_caller(self, name: str) -> bool:
        return prompt_pcm(name) in self.heard

    @staticmethod
    async def until(reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_SECONDS):
            while not reached():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.01)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in (self._agi, self._sound):
            if writer is not None:
                writer.close()


@dataclass
class Lab:
    """Call handlers on one spool, and callers."""

    spool: Path
    engine: VoskEngine
    voice: Speaker
    cases_url: str
    servers: list[IvrServer] = field(default_factory=list)
    clients: list[CasesClient] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    agi_port: int = 0
    sound_port: int = 0
    door: Door | None = None  # every call is heard live
    ears: Ears | None = None  # nothing is heard afterwards

    async def serve(self, **settings: Any) -> IvrServer:
        self.agi_port, self.sound_port, metrics_port = free_ports(3)
        given = {"drain_seconds": 0, "recover_every_seconds": 0.5, **settings}
        client = CasesClient(self.cases_url, TOKEN)
        self.clients.append(client)
        server = IvrServer(
            IvrSettings(agi_port=self.agi_port, audiosocket_port=self.sound_port, metrics_port=metrics_port, **given),
            spool_dir=self.spool,
            prompts_dir=PROMPTS,
            recognizer=self.engine,
            voice=self.voice,
            client=client,
            timezone=ZoneInfo("Asia/Shanghai"),
            door=self.door,
            ears=self.ears,
        )
        await server.start()
        self.servers.append(server)
        return server

    async def stop(self, server: IvrServer) -> None:
        self.servers.remove(server)
        await server.stop()

    async def dial(self, call_id: str = "", folder: Path | None = None, **more: Any) -> Call:
        call_id = call_id or str(uuid4())
        call = Call(self.agi_port, folder or self.spool / DAY / call_id, call_id, **more)
        self.calls.append(call)
        await call.dial()
        return call


@pytest.fixture(scope="module")
def engine() -> Iterator[VoskEngine]:
    drafting.warm_up()
    engine = VoskEngine(BUNDLED_DIR)
    engine.load()
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Voice:
    return Voice(tmp_path_factory.mktemp("voice"))


@pytest.fixture(scope="session")
def complaint(voice: Voice) -> bytes:
    """A complaint with its place, as a caller's sound."""
    return voice.speak(NARRATION, speed=1.1)


@pytest.fixture
async def lab(tmp_path: Path, engine: VoskEngine, voice: Voice) -> AsyncIterator[Lab]:
    """Its backend is away; `backend` gives it one."""
    lab = Lab(tmp_path / "spool", engine, voice, f"http://127.0.0.1:{free_ports(1)[0]}")
    yield lab
    for call in lab.calls:
        await call.close()
    for server in list(lab.servers):
        await lab.stop(server)
    for client in lab.clients:
        await client.close()


@pytest.fixture
async def backend(lab: Lab, tmp_path: Path) -> AsyncIterator[CasesService]:
    """The real backend of the lab."""
    settings = CasesSettings(port=0, producer_token=TOKEN)
    state_dir = tmp_path / "state"
    hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    service = CasesService(settings, state_dir, hasher=hasher)
    server = TestServer(make_app(settings, state_dir, service))
    await server.start_server()
    lab.cases_url = str(server.make_url("")).rstrip("/")
    yield service
    await server.close()


@pytest.fixture
def drafted() -> Callable[[Call], Any]:
    """draft.json of a call."""

    def read(call: Call) -> Any:
        return json.loads((call.folder / "draft.json").read_text("utf-8"))

    return read


@pytest.fixture
def sound_of() -> Callable[[str], bytes]:
    """A recorded prompt's sound."""
    return prompt_pcm
