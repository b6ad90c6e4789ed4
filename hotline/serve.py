"""`hotline serve`: cases, ivr and Asterisk as children of one command, brought up in order and kept up.

A child that dies is started again (1 s, doubling to 30 s); ending the command ends its children and nothing else.
Each child is a process group of its own, so that a terminal's Ctrl-C reaches them only through us, in order:
Asterisk last, so that no caller meets a dead line while the parts behind it stop.
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
from typing import IO, Protocol

import aiohttp
import structlog

from hotline.asterisk import AsteriskServer
from hotline.settings import Settings

log = structlog.get_logger(__name__)

STOP_SECONDS = 10.0
FIRST_RESTART_SECONDS = 1.0
LONGEST_RESTART_SECONDS = 30.0
_PR_SET_PDEATHSIG = 1


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
    state_dir.mkdir(parents=True, exist_ok=True)
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
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class ProcessService:
    """One of our own verbs as a child process, with its log in `<state>/log/<name>.log`."""

    name: str
    verb: list[str]
    settings: Settings
    ready_url: str
    ready_seconds: float = 60.0
    process: asyncio.subprocess.Process | None = None
    _log_file: IO[bytes] | None = field(default=None, repr=False)

    @property
    def log_path(self) -> Path:
        return self.settings.state_dir / "log" / f"{self.name}.log"

    async def start(self) -> None:
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self._log_file = self.log_path.open("ab")
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "hotline.cli",
            *self.verb,
            env=os.environ | {"HOTLINE_STATE_DIR": str(self.settings.state_dir), "HOTLINE_LOG": "json"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=self._log_file,
            stderr=self._log_file,
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
                    raise ServiceFailed(f"{self.name} ended at its start: {self._last_words()} (log: {self.log_path})")
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
        lines = self.log_path.read_text("utf-8", "replace").strip().splitlines()
        return lines[-1][-500:] if lines else "it said nothing"

    async def wait(self) -> str:
        assert self.process is not None
        code = await self.process.wait()
        return f"exit status {code}: {self._last_words()}"

    async def stop(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        if self._log_file is not None:
            self._log_file.close()
            self._log_file = None


@dataclass
class AsteriskService:
    """Asterisk as a service: start, ready, ended."""

    server: AsteriskServer
    name: str = "asterisk"

    async def start(self) -> None:
        await asyncio.to_thread(self.server.start)

    async def wait(self) -> str:
        while await asyncio.to_thread(self._runs):  # noqa: ASYNC110, a process that others may start gives no event
            await asyncio.sleep(0.5)
        return "the process is gone"

    def _runs(self) -> bool:
        return self.server.is_running()

    async def stop(self) -> None:
        await asyncio.to_thread(self.server.stop)


Report = Callable[[str], None]


@dataclass
class Hotline:
    """The whole hotline on this machine. `report` is told each step in words."""

    settings: Settings
    report: Report
    services: list[Service] = field(default_factory=list)
    _keepers: list[asyncio.Task[None]] = field(default_factory=list)
    restarts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        settings = self.settings
        self.services = [
            ProcessService("cases", ["cases"], settings, f"{_local(settings.cases_url)}/healthz"),
            ProcessService("ivr", ["ivr"], settings, f"http://127.0.0.1:{settings.ivr.metrics_port}/healthz"),
            AsteriskService(AsteriskServer.from_settings(settings)),
        ]

    async def start(self) -> None:
        """Bring all up side by side; on a failure what was started is ended, and the error says which and why.

        None needs another to start: a call that comes too early meets the dialplan's fallback, a draft waits in the spool.
        """
        self.report("starting " + ", ".join(service.name for service in self.services))
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
        self.report(f"{service.name} is up")

    async def _keep(self, service: Service) -> None:
        pause_seconds = FIRST_RESTART_SECONDS
        while True:
            started = asyncio.get_running_loop().time()
            why = await service.wait()
            self.restarts[service.name] = self.restarts.get(service.name, 0) + 1
            log.error("service_ended", service=service.name, why=why, restart_in_seconds=pause_seconds)
            self.report(f"{service.name} ended ({why}); starting it again")
            if asyncio.get_running_loop().time() - started > LONGEST_RESTART_SECONDS:
                pause_seconds = FIRST_RESTART_SECONDS
            while True:
                await asyncio.sleep(pause_seconds)
                pause_seconds = min(2 * pause_seconds, LONGEST_RESTART_SECONDS)
                try:
                    await service.start()
                    break
                except Exception as error:
                    log.error("service_restart_failed", service=service.name, error=str(error))
                    self.report(f"{service.name} does not come up: {error}")

    async def stop(self) -> None:
        """End what we started, the front door last to close first: ivr and cases after Asterisk took its last frame."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for service in reversed(self.services):
            with contextlib.suppress(ProcessLookupError):
                await service.stop()


def _local(url: str) -> str:
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


async def until_told_to_stop() -> None:
    """Returns on SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        await stop.wait()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def serve(settings: Settings, report: Report, then: Callable[[Hotline], Awaitable[None]] | None = None) -> None:
    """Run the hotline until told to stop; `then` runs once it is up (the demo's call), and may be cut short."""
    with only_one(settings.state_dir):
        hotline = Hotline(settings, report)
        stopping = asyncio.create_task(until_told_to_stop())
        try:
            await _or_stopped(hotline.start(), stopping)
            if then is not None:
                await _or_stopped(then(hotline), stopping)
            await stopping
        finally:
            stopping.cancel()
            report("stopping")
            await hotline.stop()


async def _or_stopped(work: Awaitable[None], stopping: asyncio.Task[None]) -> None:
    task = asyncio.ensure_future(work)
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return
    task.result()
