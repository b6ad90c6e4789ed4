"""A real Asterisk as a child of ours: configured from `asterisk_conf/`, started, asked, ended.

Several instances live beside each other when their state folders and ports differ. `python -m hotline.asterisk` runs
the one of hotline.toml in the foreground (`check` as argument: exit status 0 when it takes calls), for a container.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import structlog

from hotline.asterisk_install import CHECKOUT, AsteriskInstall, find_asterisk
from hotline.asterisk_site import (
    CALLER,
    OPERATOR,
    PHONES,
    AsteriskError,
    AsteriskSecrets,
    AsteriskSettings,
    Surroundings,
    host_port,
    load_or_make_secrets,
    on_free_ports,
    safe_path,
    site_files,
    write_private,
)

if TYPE_CHECKING:
    from hotline.settings import Settings

__all__ = [
    "CALLER",
    "CHECKOUT",
    "CONF_DIR",
    "OPERATOR",
    "PHONES",
    "AsteriskError",
    "AsteriskInstall",
    "AsteriskSecrets",
    "AsteriskServer",
    "AsteriskSettings",
    "Surroundings",
    "find_asterisk",
    "load_or_make_secrets",
    "on_free_ports",
]

log = structlog.get_logger(__name__)

CONF_DIR = CHECKOUT / "asterisk_conf"
# A Unix socket's path has at most 107 bytes; Asterisk's is <run folder>/asterisk.ctl.
LONGEST_RUN_DIR_BYTES = 107 - len("/asterisk.ctl")
# A machine without any name server: nothing here needs one.
HARMLESS_ERRORS = re.compile(r"local system nameservers")


class AsteriskServer:
    """One Asterisk. Blocking calls: from asyncio use `asyncio.to_thread`. Everything is under `<state>/asterisk`.

    `stop` may come from another thread while `start` waits: the start then fails (`asterisk-start-failed`), and once
    `stop` has returned nothing runs.
    """

    def __init__(
        self,
        settings: AsteriskSettings,
        *,
        state_dir: Path,
        around: Surroundings,
        secrets: AsteriskSecrets | None = None,
        conf_dir: Path = CONF_DIR,
    ) -> None:
        self.settings = settings
        self.around = around
        self.dir = state_dir.absolute() / "asterisk"
        self.secrets = secrets or load_or_make_secrets(state_dir)
        self.install = find_asterisk(settings.prefix)
        self._conf_source = conf_dir
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start_bytes = 0
        self._lock = threading.RLock()  # held while a process comes or goes, not while one is waited for
        self._stopping = False

    @classmethod
    def from_settings(cls, settings: Settings) -> AsteriskServer:
        """The one of a whole `hotline.toml`."""
        around = Surroundings(settings.spool_dir, settings.prompts_dir, settings.ivr.agi_host, settings.ivr.agi_port)
        return cls(settings.asterisk, state_dir=settings.state_dir, around=around)

    @property
    def version(self) -> str:
        return self.install.version

    @property
    def etc_dir(self) -> Path:
        return self.dir / "etc"

    @property
    def log_dir(self) -> Path:
        return self.dir / "log"

    @property
    def sip_uri(self) -> str:
        """What a phone on this machine dials."""
        return f"sip:12345@{host_port(self.settings.local_address, self.settings.sip_port)}"

    @property
    def pid(self) -> int | None:
        """The running process, ours or one left over by a start that was killed."""
        process = self._process
        if process is not None:
            return process.pid if process.poll() is None else None
        try:
            pid = int((self.dir / "asterisk.pid").read_text())
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, ValueError, IndexError):
            return None
        # A recycled pid is someone else's process: ours was started with our asterisk.conf.
        ours = os.fsencode(self.etc_dir / "asterisk.conf") in words and state != "Z"
        return pid if ours else None

    def is_running(self) -> bool:
        return self.pid is not None

    def render(self) -> Path:
        """Write the configuration to `<state>/asterisk/etc`; returns its asterisk.conf."""
        if not self._conf_source.is_dir():
            raise AsteriskError("asterisk-conf-missing", f"{self._conf_source} is not there: reinstall from a checkout")
        run_dir = self._run_dir()
        for folder in (self.etc_dir, self.log_dir, run_dir, self.dir / "lib", self.dir / "spool"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.around.spool_dir.mkdir(parents=True, exist_ok=True)
        files = {path.name: path.read_text(encoding="utf-8") for path in self._conf_source.glob("*.conf")}
        files |= site_files(self.settings, self.secrets, self.around)
        files["asterisk.conf"] = self._asterisk_conf(run_dir)
        for old in self.etc_dir.glob("*.conf"):
            if old.name not in files:
                old.unlink()
        for name, text in files.items():
            write_private(self.etc_dir / name, text)
        return self.etc_dir / "asterisk.conf"

    def _run_dir(self) -> Path:
        run_dir = self.dir / "run"
        if len(os.fsencode(run_dir)) <= LONGEST_RUN_DIR_BYTES:
            return run_dir
        # Too deep for a Unix socket: a short folder of our own, remembered by a link so that `rx` finds it again.
        link = self.dir / "run"
        if not link.is_symlink() or not link.resolve().is_dir():
            link.unlink(missing_ok=True)
            link.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            link.symlink_to(tempfile.mkdtemp(prefix="hotline-"))
        return link.resolve()

    def _asterisk_conf(self, run_dir: Path) -> str:
        var = safe_path(self.dir, "the state folder")
        prefix = self.install.prefix
        folders: dict[str, str | Path] = {
            "astetcdir": f"{var}/etc",
            "astmoddir": self.install.modules_dir,
            "astvarlibdir": f"{var}/lib",
            "astdbdir": f"{var}/lib",
            "astkeydir": f"{var}/lib",
            "astdatadir": self.install.data_dir,
            "astagidir": f"{var}/lib",
            "astcachedir": f"{var}/lib",
            "astspooldir": f"{var}/spool",
            "astrundir": run_dir,
            "astlogdir": f"{var}/log",
            "astsbindir": (prefix / "usr/sbin") if prefix else "/usr/sbin",
        }
        hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        max_files = 65536 if hard_limit == resource.RLIM_INFINITY else min(65536, hard_limit)
        options = {
            "live_dangerously": "no",
            "disable_remote_console_shell": "yes",
            # Keep RTP flowing while a message is recorded: phones and carriers end a call that goes silent.
            "transmit_silence": "yes",
            "defaultlanguage": "zh",
            "documentation_language": "en_US",
            "hideconnect": "yes",
            "maxfiles": str(max_files),
        }
        lines = ["[directories]", *(f"{name} => {safe_path(Path(path), name)}" for name, path in folders.items())]
        lines += ["", "[options]", *(f"{name} = {value}" for name, value in options.items())]
        return "\n".join([*lines, "", "[files]", "astctlpermissions = 0600", ""])

    def start(self, ready_seconds: float = 60) -> None:
        """Render, start, and wait until it takes calls; AsteriskError with Asterisk's own ERROR lines when it does not.

        One that a killed command left behind is ended first. Nothing happens when it is running already.
        """
        self._stopping = False
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                return
            self._launch()
        self.wait_ready(ready_seconds)

    def _launch(self) -> None:
        if (left := self.pid) is not None:
            log.warning("asterisk_left_over_ended", pid=left)
            self._end(left, 10)
        conf = self.render()
        self._check_ports()
        messages = self.log_dir / "messages.log"
        self._log_start_bytes = messages.stat().st_size if messages.exists() else 0
        self._go_on()
        with (self.log_dir / "console.log").open("wb") as console:
            # A session of its own: Ctrl-C in the terminal reaches us only, and we end the calls in order.
            self._process = subprocess.Popen(
                [*self.install.command, "-f", "-C", str(conf)],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                cwd=self.dir,
                umask=0o027,
                start_new_session=True,
            )
        (self.dir / "asterisk.pid").write_text(f"{self._process.pid}\n")
        log.info("asterisk_started", pid=self._process.pid, version=self.version, sip_port=self.settings.sip_port)

    def _go_on(self) -> None:
        """A start goes on, unless it was told to stop meanwhile."""
        if self._stopping:
            raise AsteriskError("asterisk-start-failed", "stopped while it was starting", recoverable=True)

    def _check_ports(self) -> None:
        """Asterisk says little about a taken port, so we look first."""
        wanted = [
            (socket.SOCK_DGRAM, self.settings.sip_host, self.settings.sip_port, "sip_port", "UDP"),
            (socket.SOCK_STREAM, "127.0.0.1", self.settings.ami_port, "ami_port", "TCP"),
        ]
        for kind, host, port, setting, protocol in wanted:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.socket(family, kind) as probe:
                if kind == socket.SOCK_STREAM:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((host, port))
                except OSError as error:
                    raise AsteriskError(
                        "asterisk-port-taken",
                        f"cannot use {protocol} {host}:{port} ({error.strerror}): end what uses it, "
                        f"or set another {setting} under [asterisk]",
                    ) from error

    def wait_ready(self, timeout_seconds: float = 60) -> None:
        """Until Asterisk is fully booted without an ERROR line; else it is ended and the lines are in the message."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            process = self._process
            self._go_on()
            if process is not None and process.poll() is not None:
                self._go_on()  # ended by `stop` since we looked
                raise AsteriskError("asterisk-start-failed", self._why(f"it ended with {process.returncode}"))
            try:
                if "fully booted" in self.rx("core waitfullybooted", timeout_seconds=5).lower():
                    break
            except AsteriskError:
                time.sleep(0.1)
            if time.monotonic() > deadline:
                self._end_all(10)
                raise AsteriskError("asterisk-start-failed", self._why(f"not ready in {timeout_seconds:g} s"))
        self._go_on()
        if self.error_lines():
            self._end_all(10)
            raise AsteriskError("asterisk-start-failed", self._why("errors while starting"))
        log.info("asterisk_ready", pid=self.pid)

    def error_lines(self) -> list[str]:
        """ERROR lines since this start."""
        text = ""
        with contextlib.suppress(OSError), (self.log_dir / "messages.log").open("rb") as file:
            file.seek(self._log_start_bytes)
            text = file.read().decode("utf-8", "replace")
        with contextlib.suppress(OSError):
            text += (self.log_dir / "console.log").read_text(encoding="utf-8", errors="replace")
        lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip() for line in text.splitlines()]
        errors = [line for line in lines if re.search(r"\bERROR\b", line) and not HARMLESS_ERRORS.search(line)]
        return list(dict.fromkeys(errors))

    def _why(self, reason: str) -> str:
        lines = self.error_lines()[:10]
        if not lines:
            with contextlib.suppress(OSError):
                lines = (self.log_dir / "console.log").read_text(errors="replace").splitlines()[-5:]
        return "\n  ".join([f"Asterisk {self.version}: {reason} (logs in {self.log_dir})", *lines])

    def rx(self, command: str, timeout_seconds: float = 10) -> str:
        """The answer to a console command, such as "core show channels count"."""
        try:
            done = subprocess.run(
                [*self.install.command, "-C", str(self.etc_dir / "asterisk.conf"), "-rx", command],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise AsteriskError(
                "asterisk-not-answering", f"no answer to {command!r} in {timeout_seconds:g} s", recoverable=True
            ) from error
        if done.returncode != 0:
            said = (done.stdout + done.stderr).decode("utf-8", "replace").strip()
            raise AsteriskError("asterisk-not-answering", said or f"rc {done.returncode}", recoverable=True)
        return done.stdout.decode("utf-8", "replace")

    def stop(self, timeout_seconds: float = 10) -> None:
        """End it, calls and all; by force when it does not end in time. Nothing happens when it is not running."""
        self.tell_to_stop()
        self._end_all(timeout_seconds)

    def tell_to_stop(self) -> None:
        """Let a start that is under way fail; blocks never, so that a signal handler may call it."""
        self._stopping = True

    def _end_all(self, timeout_seconds: float) -> None:
        with self._lock:
            if (pid := self.pid) is not None:
                self._end(pid, timeout_seconds)
            if self._process is not None:
                self._process.wait()
                self._process = None
            (self.dir / "asterisk.pid").unlink(missing_ok=True)
            link = self.dir / "run"
            if link.is_symlink():
                shutil.rmtree(link.resolve(), ignore_errors=True)
                link.unlink(missing_ok=True)

    def _end(self, pid: int, timeout_seconds: float) -> None:
        deadline = time.monotonic() + timeout_seconds
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
            while self.pid == pid:
                if sign == signal.SIGTERM and time.monotonic() > deadline:
                    log.warning("asterisk_killed", pid=pid)
                    break
                time.sleep(0.05)
            else:
                return

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def main(arguments: list[str]) -> int:
    """Run in the foreground until told to stop, or `check`."""
    from hotline.settings import SettingsError, load_settings

    try:
        server = AsteriskServer.from_settings(load_settings())
        if arguments == ["check"]:
            return 0 if "fully booted" in server.rx("core waitfullybooted", timeout_seconds=5).lower() else 1
        told = False

        def tell(*_: object) -> None:
            # No exception out of a handler: it could leave a process behind that nobody knows of.
            nonlocal told
            told = True
            server.tell_to_stop()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, tell)
        try:
            with server:
                while server.is_running() and not told:
                    time.sleep(0.2)
        except AsteriskError:
            if not told:
                raise
        if told:
            return 0
    except (AsteriskError, SettingsError) as error:
        print(error, file=sys.stderr)
        return 1
    print(server._why("it ended by itself"), file=sys.stderr)
    return 1


if __name__ == "__main__":
    # Not this module's own `main`: run as __main__, its classes would be twins of those that the settings know.
    from hotline.asterisk import main as real_main

    sys.exit(real_main(sys.argv[1:]))
