"""`hotline serve`: cases, ivr and Asterisk as children of one command, brought up side by side and kept up.

A child that dies is started again (1 s, doubling to 30 s); ending the command ends its children and nothing else.
Each child is a process group of its own, so that a terminal's Ctrl-C reaches them only through us, in order: ivr, which
takes no more calls and lets the running ones end for `drain_seconds` while Asterisk still carries them (whoever comes
then is the dialplan's), then Asterisk, then cases, which takes the last drafts.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import aiohttp
import structlog

from hotline.asterisk import AsteriskError, AsteriskServer
from hotline.settings import Settings

log = structlog.get_logger(__name__)

STOP_SECONDS = 10.0
FIRST_RESTART_SECONDS = 1.0
LONGEST_RESTART_SECONDS = 30.0
# Of a log, which nobody needs to rotate, only the end is read.
LAST_WORDS_BYTES = 8192
_PR_SET_PDEATHSIG = 1
# Looked up here: between fork and exec of a process with threads, another thread may have held the loader's lock.
_prctl = ctypes.CDLL(None).prctl


class AlreadyRunning(Exception):
    """Another `hotline serve` or `hotline demo` holds this state folder."""

    code = "already-running"

    def __init__(self, state_dir: Path, pid: str) -> None:
        super().__init__(f"a hotline is already running on {state_dir} (process {pid})")
        self.pid = pid


class ServiceFailed(Exception):
    """A child did not come up; the message names it, why, and where its log is."""

    code = "service-failed"


@contextlib.contextmanager
def only_one(state_dir: Path) -> Iterator[None]:
    """Hold the state folder's lock; raises AlreadyRunning when somebody else does. The kernel frees it if we die."""
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)  # callers' words and numbers
    with (state_dir / "serve.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            raise AlreadyRunning(state_dir, lock.read().strip() or "unknown") from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


class Service(Protocol):
    name: str

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def wait(self) -> str:
        """Returns when the service has ended by itself, with what is known of why."""
        ...


def _die_with_parent() -> None:
    """Linux prctl(2): a child gets SIGTERM when this command is killed -9, so that no orphan holds the ports."""
    _prctl(_PR_SET_PDEATHSIG, 15)


def verb_command(*verb: str) -> list[str]:
    """How one of our own verbs is run."""
    return [sys.executable, "-m", "hotline.cli", *verb]


@dataclass
class RestartPauses:
    """How long to wait before each start of a child that keeps dying: doubled each time, short again once it held."""

    _next_seconds: float = 0.0

    def after(self, ran_seconds: float) -> float:
        """The pause before the next start, the last one having run so long."""
        if not self._next_seconds or ran_seconds > LONGEST_RESTART_SECONDS:
            self._next_seconds = FIRST_RESTART_SECONDS
        pause_seconds = self._next_seconds
        self._next_seconds = min(2 * pause_seconds, LONGEST_RESTART_SECONDS)
        return pause_seconds


@dataclass
class ProcessService:
    """A command as a child process, with its log in `<state>/log/<name>.log`.

    `stop_seconds`: what it may take to end in good order before it is killed.
    """

    name: str
    command: list[str]
    settings: Settings
    ready_url: str
    ready_seconds: float = 60.0
    stop_seconds: float = STOP_SECONDS
    process: asyncio.subprocess.Process | None = None

    @property
    def log_path(self) -> Path:
        return self.settings.state_dir / "log" / f"{self.name}.log"

    async def start(self) -> None:
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log_file:
            self.process = await asyncio.create_subprocess_exec(
                *self.command,
                env=os.environ | {"HOTLINE_STATE_DIR": str(self.settings.state_dir), "HOTLINE_LOG": "json"},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log_file,
                stderr=log_file,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        (self.settings.state_dir / f"{self.name}.pid").write_text(f"{self.process.pid}\n")
        await self._until_ready()

    async def _until_ready(self) -> None:
        assert self.process is not None
        deadline = asyncio.get_running_loop().time() + self.ready_seconds
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as http:
            while True:
                if self.process.returncode is not None:
                    said = await asyncio.to_thread(self._last_words)
                    raise ServiceFailed(f"{self.name} ended at its start: {said} (log: {self.log_path})")
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with http.get(self.ready_url) as answer:
                        if answer.status == 200:
                            return
                if asyncio.get_running_loop().time() > deadline:
                    await self.stop()
                    raise ServiceFailed(
                        f"{self.name} is not ready after {self.ready_seconds:.0f} s (log: {self.log_path})"
                    )
                await asyncio.sleep(0.1)

    def _last_words(self) -> str:
        """The log's last line; the log may be large, and may be gone."""
        said = b""
        with contextlib.suppress(OSError), self.log_path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LAST_WORDS_BYTES))
            said = file.read(LAST_WORDS_BYTES)
        lines = said.decode("utf-8", "replace").strip().splitlines()
        return lines[-1][-500:] if lines else "it said nothing"

    async def wait(self) -> str:
        assert self.process is not None
        code = await self.process.wait()
        return f"exit status {code}: {await asyncio.to_thread(self._last_words)}"

    async def stop(self) -> None:
        if self.process is None or self.process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), self.stop_seconds)
        except TimeoutError:
            log.warning("service_killed", service=self.name, after_seconds=self.stop_seconds)
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()


@dataclass
class AsteriskService:
    """Asterisk as a service: start, ready, ended."""

    server: AsteriskServer
    name: str = "asterisk"
    _starting: asyncio.Task[None] | None = field(default=None, repr=False)

    async def start(self) -> None:
        # The thread of a start cannot be cancelled with us: `stop` waits for it.
        self._starting = asyncio.create_task(asyncio.to_thread(self.server.start))
        await asyncio.shield(self._starting)

    async def wait(self) -> str:
        while await asyncio.to_thread(self._runs):  # noqa: ASYNC110, a process that others may start gives no event
            await asyncio.sleep(0.5)
        return "the process is gone"

    def _runs(self) -> bool:
        return self.server.is_running()

    async def stop(self) -> None:
        # Told again until it has heard: a start takes only what comes after its first step as meant for it.
        while self._starting is not None and not self._starting.done():
            await asyncio.to_thread(self.server.stop)
            await asyncio.wait({self._starting}, timeout=0.2)
        if self._starting is not None:
            await asyncio.gather(self._starting, return_exceptions=True)  # "stopped", which nobody else takes
            self._starting = None
        await asyncio.to_thread(self.server.stop)


Report = Callable[[str], None]


@dataclass
class Hotline:
    """The whole hotline on this machine. `report` is told each step in words. `services` stand as they are ended."""

    settings: Settings
    report: Report
    services: list[Service] = field(default_factory=list)
    restarts: dict[str, int] = field(default_factory=dict)
    _keepers: list[asyncio.Task[None]] = field(default_factory=list)
    _up: bool = False

    def __post_init__(self) -> None:
        settings = self.settings
        ivr_url = f"http://127.0.0.1:{settings.ivr.metrics_port}/healthz"
        ivr_stop_seconds = settings.ivr.drain_seconds + STOP_SECONDS
        self.services = self.services or [
            ProcessService("ivr", verb_command("ivr"), settings, ivr_url, stop_seconds=ivr_stop_seconds),
            AsteriskService(AsteriskServer.from_settings(settings)),
            ProcessService("cases", verb_command("cases"), settings, f"{_local(settings.cases_url)}/healthz"),
        ]

    async def start(self) -> None:
        """Bring all up side by side; on a failure what was started is ended, and the error says which and why.

        None needs another to start: a call that comes too early meets the dialplan's fallback, a draft waits in the spool.
        """
        self._up = True
        self._say("starting " + ", ".join(service.name for service in self.services))
        starts = [asyncio.create_task(self._start(service)) for service in self.services]
        try:
            await asyncio.gather(*starts)
        except BaseException:
            for start in starts:
                start.cancel()
            await asyncio.gather(*starts, return_exceptions=True)
            await self.stop()
            raise
        self._keepers = [asyncio.create_task(self._keep(service)) for service in self.services]

    async def _start(self, service: Service) -> None:
        await service.start()
        self._say(f"{service.name} is up")

    def _say(self, text: str) -> None:
        """A terminal that is gone must not keep us from what we do."""
        try:
            self.report(text)
        except (Exception, SystemExit) as error:  # rich answers a broken pipe with SystemExit
            log.warning("report_failed", text=text, error=str(error))

    async def _keep(self, service: Service) -> None:
        """Watch one service for good. Whatever goes wrong in here, it goes on: nobody else would start the service."""
        pauses = RestartPauses()
        up = True
        while True:
            since = asyncio.get_running_loop().time()
            try:
                if up:
                    why = await service.wait()
                    self.restarts[service.name] = self.restarts.get(service.name, 0) + 1
                    trouble = f"{service.name} ended ({why})"
                else:
                    await self._start(service)
                    up = True
                    continue
            except Exception as error:
                if not isinstance(error, ServiceFailed | AsteriskError):
                    log.exception("service_trouble", service=service.name)
                trouble = f"{service.name} does not come up: {error}" if not up else f"{service.name}: {error}"
                # Half up, or up and unwatched: from the beginning.
                await self._end(service)
            pause_seconds = pauses.after(asyncio.get_running_loop().time() - since if up else 0.0)
            up = False
            log.error("service_down", service=service.name, why=trouble, restart_in_seconds=pause_seconds)
            self._say(f"{trouble}; starting it again in {pause_seconds:g} s")
            await asyncio.sleep(pause_seconds)

    async def stop(self) -> None:
        """End what we started, in the order of `services`: each can still reach those behind it while it ends."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        if not self._up:
            return
        self._say(f"stopping; running calls may go on for {self.settings.ivr.drain_seconds:g} s")
        for service in self.services:
            if await self._end(service):
                self._say(f"{service.name} has ended")
        self._up = False

    async def _end(self, service: Service) -> bool:
        """Whether it ended without trouble; trouble with one is no reason to leave the others."""
        try:
            await service.stop()
        except Exception:
            log.exception("service_stop_failed", service=service.name)
            return False
        return True


def _local(url: str) -> str:
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


async def until_told_to_stop() -> None:
    """Returns on SIGINT or SIGTERM. From then on both are heard and change nothing, until the loop is closed:

    an impatient second Ctrl-C must not cut short the orderly end that the first one began.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


async def serve(settings: Settings, report: Report, then: Callable[[Hotline], Awaitable[None]] | None = None) -> None:
    """Run the hotline until told to stop; `then` runs once it is up (the demo's call), and may be cut short."""
    with only_one(settings.state_dir):
        hotline = Hotline(settings, report)
        stopping = asyncio.create_task(until_told_to_stop())
        try:
            await _or_stopped(hotline.start(), stopping)
            if then is not None and not stopping.done():
                await _or_stopped(then(hotline), stopping)
            await stopping
        finally:
            stopping.cancel()
            await hotline.stop()


async def _or_stopped(work: Awaitable[None], stopping: asyncio.Task[None]) -> None:
    task = asyncio.ensure_future(work)
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return
    task.result()
