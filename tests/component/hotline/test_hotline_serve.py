"""The command that keeps a hotline up: what it does when told to stop, and when its children die or do not start."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from rich.console import Console

from cases.errors import CasesError
from hotline import demo, serve
from hotline.asterisk import AsteriskError, AsteriskServer, Surroundings, on_free_ports
from hotline.calling import CallFailed, CallOrder, run_call, sounds
from hotline.phone import PhoneError, Speak
from hotline.serve import AsteriskService, Hotline, ProcessService, RestartPauses, ServiceFailed, verb_command
from hotline.settings import CHECKOUT, Settings
from ivr.events import CallEnded, Fact, TranscriptPartial
from speech.errors import SpeechError

PATIENCE_SECONDS = 60


def until(holds: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if value := holds():
            return value
        time.sleep(0.02)
    return pytest.fail(f"never: {what}")


async def soon(holds: Callable[[], Any], what: str) -> Any:
    return await asyncio.to_thread(until, holds, what)


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in held:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in held]


def processes_of(state: Path) -> list[str]:
    """Command lines of what runs on this state folder: ours by their environment, Asterisk by its asterisk.conf."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        if int(folder.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes()
            wanted = f"HOTLINE_STATE_DIR={state}".encode()
            if words and (wanted in (folder / "environ").read_bytes().split(b"\0") or os.fsencode(state) in words):
                found.append(f"{folder.name} {words.replace(bytes(1), b' ').decode()}")
    return found


@dataclass
class Command:
    """`hotline serve` or `hotline demo` in a process of its own."""

    state: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    def start(self, verb: str = "serve") -> None:
        self.state.mkdir(parents=True, exist_ok=True)
        with (self.state / "said.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hotline.cli", verb],
                env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def said(self) -> str:
        return (self.state / "said.log").read_text("utf-8", "replace")

    def until(self, holds: Callable[[], Any], what: str) -> None:
        def holds_or_ended() -> Any:
            assert self.process is not None
            return holds() or self.process.poll() is not None

        until(holds_or_ended, what)
        assert holds(), f"it ended before: {what}\n{self.said()}"

    def until_said(self, text: str) -> None:
        self.until(lambda: text in self.said(), text)

    def tell(self, *signals: signal.Signals) -> None:
        assert self.process is not None
        for number in signals:
            self.process.send_signal(number)

    def end(self) -> int:
        """Waits for its end, which leaves nothing behind and shows nobody a traceback."""
        assert self.process is not None
        status = self.process.wait(PATIENCE_SECONDS)
        assert processes_of(self.state) == []
        assert "Traceback" not in self.said()
        return status


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    cases_port, agi, audio, metrics = free_ports(4)
    asterisk = on_free_ports()
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("HOTLINE_") or key == "HOTLINE_ASTERISK__PREFIX"
    }
    state = tmp_path / "state"
    own = {
        "HOTLINE_STATE_DIR": str(state),
        "HOTLINE_CASES__PORT": str(cases_port),
        "HOTLINE_IVR__AGI_PORT": str(agi),
        "HOTLINE_IVR__AUDIOSOCKET_PORT": str(audio),
        "HOTLINE_IVR__METRICS_PORT": str(metrics),
        "HOTLINE_ASTERISK__SIP_PORT": str(asterisk.sip_port),
        "HOTLINE_ASTERISK__AMI_PORT": str(asterisk.ami_port),
        "HOTLINE_ASTERISK__RTP_FIRST_PORT": str(asterisk.rtp_first_port),
        "HOTLINE_ASTERISK__RTP_LAST_PORT": str(asterisk.rtp_last_port),
        "HOTLINE_ASTERISK__QUEUE_SECONDS": "4",
        "NO_COLOR": "1",
        "COLUMNS": "200",
        "PYTHONPATH": str(CHECKOUT),
    }
    made = Command(state, kept | own)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.terminate()
        made.process.wait(PATIENCE_SECONDS)
    for line in processes_of(state):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(line.split()[0]), signal.SIGKILL)


def settings_of(command: Command, monkeypatch: pytest.MonkeyPatch) -> Settings:
    with monkeypatch.context() as patch:
        for key, value in command.environment.items():
            patch.setenv(key, value)
        return Settings()


# --- told to stop ----------------------------------------------------------------------------------------------------


async def test_a_stop_lets_a_call_end_whatever_impatient_hands_press(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ctrl-C, again and again, in mid-sentence: the conversation goes on to its good end, then the parts end in order."""
    command.environment["HOTLINE_IVR__DRAIN_SECONDS"] = "100"
    settings = settings_of(command, monkeypatch)
    (told,) = await sounds(settings, ["海淀区上地街道上地西里，我家暖气不热，屋里只有十四度。"], [], tmp_path)
    command.start()
    await asyncio.to_thread(command.until_said, "Ctrl-C ends it")
    struck = False

    def watch(fact: Fact) -> None:
        nonlocal struck
        if isinstance(fact, TranscriptPartial) and not struck:
            struck = True
            command.tell(signal.SIGINT)
            until(lambda: "stopping" in command.said(), "stopping")
            command.tell(signal.SIGINT, signal.SIGTERM, signal.SIGINT)

    order = CallOrder([Speak(told, barge_in_after_seconds=1.0)], hurried=True, wait_seconds=1)
    result = await asyncio.wait_for(run_call(settings, order, watch), 150)
    assert struck
    ended = [fact.ended.value for fact in result.facts if isinstance(fact, CallEnded)]
    assert ended == ["completed"], command.said()
    assert result.report.code == 200
    assert await asyncio.to_thread(command.end) == 0
    assert re.findall(r"(\w+) has ended", command.said()) == ["ivr", "asterisk", "cases"]


def test_the_time_to_end_is_longer_than_what_calls_are_given(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    command.environment["HOTLINE_IVR__DRAIN_SECONDS"] = "25"
    hotline = Hotline(settings_of(command, monkeypatch), lambda _: None)
    (ivr,) = [service for service in hotline.services if service.name == "ivr"]
    assert isinstance(ivr, ProcessService)
    assert ivr.stop_seconds == 35


@pytest.mark.parametrize("moment", ["at the first word", "asterisk runs"])
def test_a_stop_during_the_start_leaves_nothing_behind(command: Command, moment: str) -> None:
    command.start()
    if moment == "asterisk runs":
        command.until((command.state / "asterisk" / "asterisk.pid").exists, moment)
    else:
        command.until_said("starting")
    command.tell(signal.SIGINT, signal.SIGINT)
    assert command.end() == 0


def test_a_killed_command_takes_its_children_with_it(command: Command) -> None:
    command.start()
    command.until((command.state / "cases.pid").exists, "cases runs")
    command.until((command.state / "ivr.pid").exists, "ivr runs")
    command.until_said("is up")
    command.tell(signal.SIGKILL)
    until(lambda: [line for line in processes_of(command.state) if "hotline.cli" in line] == [], "all have ended")


def test_an_asterisk_in_the_foreground_can_be_stopped_while_it_starts(command: Command) -> None:
    command.state.mkdir(parents=True)
    with (command.state / "said.log").open("ab") as log:
        command.process = subprocess.Popen(
            [sys.executable, "-m", "hotline.asterisk"], env=command.environment, stdout=log, stderr=log
        )
    command.until((command.state / "asterisk" / "asterisk.pid").exists, "asterisk runs")
    command.tell(signal.SIGTERM)
    assert command.end() == 0


# --- one Asterisk, stopped from another thread -----------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path) -> Iterator[AsteriskServer]:
    around = Surroundings(tmp_path / "spool", CHECKOUT / "prompts", "127.0.0.1", 9)
    made = AsteriskServer(on_free_ports(), state_dir=tmp_path, around=around)
    yield made
    made.stop()


def start_in_thread(server: AsteriskServer) -> tuple[threading.Thread, list[AsteriskError]]:
    errors: list[AsteriskError] = []

    def run() -> None:
        try:
            server.start()
        except AsteriskError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, errors


def assert_stopped(server: AsteriskServer, thread: threading.Thread, errors: list[AsteriskError]) -> None:
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()
    assert [error.code for error in errors] == ["asterisk-start-failed"]
    assert "stopped" in errors[0].message
    assert not server.is_running()
    assert processes_of(server.dir) == []


def test_a_stop_before_the_process_is_there_keeps_it_from_coming(
    server: AsteriskServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendering, go_on = threading.Event(), threading.Event()
    render = server.render

    def slow_render() -> Path:
        rendering.set()
        assert go_on.wait(PATIENCE_SECONDS)
        return render()

    monkeypatch.setattr(server, "render", slow_render)
    thread, errors = start_in_thread(server)
    assert rendering.wait(PATIENCE_SECONDS)
    stop = threading.Thread(target=server.stop)
    stop.start()
    until(lambda: server._stopping, "the stop was heard")
    go_on.set()
    stop.join(PATIENCE_SECONDS)
    assert processes_of(server.dir) == []
    assert_stopped(server, thread, errors)
    server.start()
    assert server.is_running()


def test_a_stop_while_it_comes_up_ends_it_and_it_can_start_again(server: AsteriskServer) -> None:
    thread, errors = start_in_thread(server)
    until((server.dir / "asterisk.pid").exists, "the process is there")
    server.stop()
    assert processes_of(server.dir) == []
    assert_stopped(server, thread, errors)
    server.start()
    assert "fully booted" in server.rx("core waitfullybooted")


async def test_a_cancelled_start_is_ended_by_the_stop(server: AsteriskServer) -> None:
    """At several moments of the start, from the first on."""
    service = AsteriskService(server)
    for moment in (lambda: True, lambda: server.dir.exists(), lambda: (server.dir / "asterisk.pid").exists()):
        start = asyncio.create_task(service.start())
        await asyncio.sleep(0)
        await soon(moment, "the moment")
        start.cancel()
        await asyncio.gather(start, return_exceptions=True)
        await service.stop()
        assert processes_of(server.dir) == []


# --- what does not start is said -------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["serve", "demo"])
def test_no_asterisk_says_what_to_do(command: Command, verb: str, tmp_path: Path) -> None:
    command.environment["HOTLINE_ASTERISK__PREFIX"] = str(tmp_path / "nothing")
    command.start(verb)
    assert command.end() == 1
    assert "install-asterisk.sh" in command.said()


@pytest.mark.parametrize("verb", ["serve", "demo"])
def test_a_taken_port_is_said_and_the_rest_is_ended(command: Command, verb: str) -> None:
    port = int(command.environment["HOTLINE_ASTERISK__SIP_PORT"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", port))
        command.start(verb)
        assert command.end() == 1
    assert f"127.0.0.1:{port}" in command.said()
    assert "set another sip_port under [asterisk]" in command.said()


def test_a_demo_whose_phone_dies_stays_open_and_tells_the_log_in(command: Command, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "pjsua2.py").write_text("import os\nos.abort()\n")
    command.environment["PYTHONPATH"] = f"{broken}:{CHECKOUT}"
    command.start("demo")
    command.until_said("Ctrl-C ends everything")
    assert "the demo's call failed: the phone process ended with" in command.said()
    assert re.search(r"user demo +password \S+", command.said())
    command.tell(signal.SIGINT)
    assert command.end() == 0


def raising(error: Exception) -> Callable[..., Any]:
    async def fails(*_: object) -> Any:
        raise error

    return fails


@pytest.mark.parametrize(
    ("part", "error", "log_in"),
    [
        ("_demo_user", CasesError("database-away", "what to do"), False),
        ("_call", CasesError("x", "what to do"), True),
        ("_call", PhoneError("phone-missing", "what to do"), True),
        ("_call", CallFailed("what to do"), True),
        ("_call", SpeechError("voice-missing", "what to do"), True),
        ("_call", OSError("what to do"), True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
async def test_trouble_in_the_demo_is_told_and_the_desk_is_shown(
    command: Command, monkeypatch: pytest.MonkeyPatch, part: str, error: Exception, log_in: bool
) -> None:
    settings = settings_of(command, monkeypatch)

    async def call_only(_settings: Settings, _report: serve.Report, then: Callable[[Any], Any]) -> None:
        await then(None)

    async def nothing(*_: object) -> None: ...

    monkeypatch.setattr(demo, "serve", call_only)
    monkeypatch.setattr(demo, "_call", nothing)
    monkeypatch.setattr(demo, part, raising(error))
    shown = io.StringIO()
    await demo.run_demo(settings, Console(file=shown, width=200))
    assert "what to do" in shown.getvalue()
    assert f"{settings.cases_url}/desk" in shown.getvalue()
    assert "Ctrl-C ends everything" in shown.getvalue()
    assert ("password" in shown.getvalue()) is log_in
    assert ("hotline user add" in shown.getvalue()) is not log_in


# --- children that die -----------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def ready_url() -> Any:
    """A health page that is always well, for children that have none."""

    async def well(_: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_get("/healthz", well)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/healthz"
    finally:
        await runner.cleanup()


def child(settings: Settings, url: str, program: str, **more: Any) -> ProcessService:
    return ProcessService("child", [sys.executable, "-c", program], settings, url, **more)


@contextlib.asynccontextmanager
async def kept(settings: Settings, said: list[str], service: Any) -> Any:
    hotline = Hotline(settings, said.append, services=[service])
    await hotline.start()
    try:
        yield hotline
    finally:
        await hotline.stop()


@pytest.fixture
def settings(command: Command, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(serve, "FIRST_RESTART_SECONDS", 0.01)
    monkeypatch.setattr(serve, "LONGEST_RESTART_SECONDS", 0.08)
    return settings_of(command, monkeypatch)


async def test_a_killed_backend_is_started_again(command: Command, settings: Settings) -> None:
    said: list[str] = []
    backend = ProcessService("cases", verb_command("cases"), settings, f"{settings.cases_url}/healthz")
    # The child takes its settings from the environment.
    with pytest.MonkeyPatch.context() as patch:
        for key, value in command.environment.items():
            patch.setenv(key, value)
        async with kept(settings, said, backend) as hotline:
            first = backend.process
            assert first is not None
            first.kill()
            await soon(lambda: said.count("cases is up") == 2, "it is back")
            assert backend.process is not None
            assert backend.process.pid != first.pid
            assert hotline.restarts == {"cases": 1}
    assert processes_of(settings.state_dir) == []


async def test_a_log_that_is_gone_keeps_nobody_from_being_started_again(settings: Settings) -> None:
    said: list[str] = []
    async with (
        ready_url() as url,
        kept(settings, said, child(settings, url, "import time; time.sleep(600)")) as hotline,
    ):
        (service,) = hotline.services
        service.log_path.unlink()
        service.process.kill()
        await soon(lambda: said.count("child is up") == 2, "it is back")
    assert any("exit status -9: it said nothing" in line for line in said)


async def test_the_last_words_of_a_log_too_large_to_read(settings: Settings) -> None:
    service = child(settings, "http://127.0.0.1:9/", "import sys; sys.exit('\\nno more of this')")
    service.log_path.parent.mkdir(parents=True)
    service.log_path.touch()
    os.truncate(service.log_path, 2**40)  # sparse
    with pytest.raises(ServiceFailed, match=r"ended at its start: no more of this"):
        await service.start()


HEALTHY_UNTIL_MARKED = """
import os, sys
from http.server import HTTPServer, SimpleHTTPRequestHandler
if os.path.exists(sys.argv[1]):
    sys.exit("dead")
HTTPServer(("127.0.0.1", int(sys.argv[2])), SimpleHTTPRequestHandler).serve_forever()
"""


async def test_a_crash_loop_is_slowed_down(settings: Settings) -> None:
    """It dies, then at every start: the pauses double up to the longest, and it is up again once it can be."""
    said: list[str] = []
    mark = settings.state_dir / "mark"
    (port,) = free_ports(1)
    service = child(settings, f"http://127.0.0.1:{port}/", HEALTHY_UNTIL_MARKED)
    service.command += [str(mark), str(port)]
    async with kept(settings, said, service) as hotline:
        mark.touch()
        assert service.process is not None
        service.process.kill()
        await soon(lambda: sum("starting it again" in line for line in said) >= 6, "six deaths")
        mark.unlink()
        await soon(lambda: said.count("child is up") == 2, "it is back")
        assert hotline.restarts == {"child": 1}
    pauses = [match[1] for line in said if (match := re.search(r"starting it again in (\S+) s", line))]
    assert pauses[:6] == ["0.01", "0.02", "0.04", "0.08", "0.08", "0.08"]
    assert sum("does not come up: child ended at its start: dead" in line for line in said) >= 5


def test_a_child_that_held_is_started_again_soon() -> None:
    pauses = RestartPauses()
    assert [pauses.after(ran) for ran in (5, 5, 0, 0, 0, 0, 0)] == [1, 2, 4, 8, 16, 30, 30]
    assert [pauses.after(ran) for ran in (31, 5, 400, 0)] == [1, 2, 1, 2]
    assert RestartPauses().after(1000) == 1


async def test_a_keeper_outlives_trouble_with_its_service_and_with_its_report(settings: Settings) -> None:
    said: list[str] = []
    asked = 0

    class Unwatchable(ProcessService):
        async def wait(self) -> str:
            nonlocal asked
            asked += 1
            if asked == 1:
                raise PermissionError("nobody may look")
            return await super().wait()

    def report(text: str) -> None:
        said.append(text)
        raise BrokenPipeError

    async with ready_url() as url:
        service = Unwatchable("child", [sys.executable, "-c", "import time; time.sleep(600)"], settings, url)
        hotline = Hotline(settings, report, services=[service])
        await hotline.start()
        try:
            await soon(lambda: said.count("child is up") == 2, "it is back")
            assert any("nobody may look" in line for line in said)
            assert len(processes_of(settings.state_dir)) == 1, "the one that could not be watched was ended"
        finally:
            await hotline.stop()
    assert processes_of(settings.state_dir) == []


async def test_a_child_that_does_not_end_is_killed(settings: Settings) -> None:
    deaf = "import signal, time, pathlib, sys; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    async with ready_url() as url:
        service = child(settings, url, deaf, stop_seconds=0.2)
        await service.start()
        await soon(lambda: "deaf" in service.log_path.read_text(), "it is deaf")
        await service.stop()
    assert service.process is not None
    assert service.process.returncode == -signal.SIGKILL
