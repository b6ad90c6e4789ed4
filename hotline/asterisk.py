"""A real Asterisk as a child of ours: found, configured from `asterisk_conf/`, started, asked, ended.

The static configuration is in `asterisk_conf/`; here only what differs between sites is written (`site_*.conf`).
Several instances live beside each other when their state folders and ports differ.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import resource
import secrets as random_secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import structlog
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

if TYPE_CHECKING:
    from hotline.settings import Settings

log = structlog.get_logger(__name__)

CHECKOUT = Path(__file__).resolve().parents[1]
CONF_DIR = CHECKOUT / "asterisk_conf"
OWN_PREFIX = CHECKOUT / ".asterisk"
OPERATOR, CALLER = "1001", "1002"
PHONES = (OPERATOR, CALLER)
OLDEST_MAJOR = 18
NEEDED_MODULES = ("chan_pjsip.so", "res_agi.so", "res_audiosocket.so", "app_audiosocket.so", "app_queue.so")
# A Unix socket's path has at most 107 bytes; Asterisk's is <run folder>/asterisk.ctl.
LONGEST_RUN_DIR_BYTES = 107 - len("/asterisk.ctl")
# A machine without any name server: nothing here needs one.
HARMLESS_ERRORS = re.compile(r"local system nameservers")
# What an Asterisk configuration line, a dialplan argument or a Playback list would take apart.
_UNSAFE_PATH = re.compile(r"[\x00-\x1f\x7f,;&|\"'`\\\[\](){}$<>=%*?!#^]")
_NUMBER = re.compile(r"\+?[0-9]{1,20}")


class AsteriskError(Exception):
    """`code` is stable (`asterisk-missing`); `message` says what to do."""

    def __init__(self, code: str, message: str, *, recoverable: bool = False) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.recoverable = recoverable


class AsteriskSettings(BaseModel):
    """The `[asterisk]` section of hotline.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prefix: Path | None = Field(
        default=None, description="root of an Asterisk of one's own; default: the system's, else .asterisk"
    )
    sip_host: str = Field(default="127.0.0.1", description="address for SIP and RTP; loopback unless told otherwise")
    sip_port: int = Field(default=5160, ge=1, le=65535, description="UDP port of SIP")
    media_address: str = Field(
        default="", description="address that is told to the trunk for RTP; default sip_host; needed with 0.0.0.0"
    )
    rtp_first_port: int = Field(default=18000, ge=1024, le=65535)
    rtp_last_port: int = Field(default=18999, ge=1024, le=65535)
    ami_port: int = Field(default=5138, ge=1, le=65535, description="AMI, always on loopback")
    trunk_addresses: tuple[str, ...] = Field(
        default=("127.0.0.1",), description="addresses or networks that may call the hotline without a password"
    )
    called_numbers: tuple[str, ...] = Field(default=("12345",), description="numbers of the hotline on the trunk")
    allow_anonymous: bool = Field(default=False, description="let any address call the hotline: for demos only")
    operators: tuple[str, ...] = Field(default=(OPERATOR,), description="phones of the human queue")
    queue: str = Field(default="humans", pattern=r"^[a-z][a-z0-9_-]{0,30}$")
    queue_seconds: int = Field(default=60, ge=1, le=3600, description="wait for a human, then leave a message")
    message_seconds: int = Field(default=120, ge=5, le=600, description="the longest message")
    call_seconds: int = Field(default=900, ge=30, le=7200, description="the longest conversation with the machine")
    first_word_seconds: int = Field(
        default=8, ge=1, le=60, description="how long ivr may take to say its first word before the humans take over"
    )

    @field_validator("sip_host", "media_address")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if value:
            ipaddress.ip_address(value)  # a name would mean DNS in the middle of a call
        return value

    @field_validator("trunk_addresses")
    @classmethod
    def _are_networks(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            ipaddress.ip_network(value, strict=False)
        return values

    @field_validator("called_numbers")
    @classmethod
    def _are_numbers(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [value for value in values if not _NUMBER.fullmatch(value)]:
            raise ValueError(f"not a telephone number (digits, perhaps + before them): {', '.join(wrong)}")
        return values

    @field_validator("operators")
    @classmethod
    def _are_phones(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [value for value in values if value not in PHONES]:
            raise ValueError(f"no such phone: {', '.join(unknown)}; there are {', '.join(PHONES)}")
        return values

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.rtp_last_port < self.rtp_first_port + 9:
            raise ValueError("rtp_last_port must be at least 9 above rtp_first_port (two ports a call leg)")
        if ipaddress.ip_address(self.sip_host).is_unspecified and not self.media_address:
            raise ValueError("sip_host is every address: say in media_address which one the trunk sends RTP to")
        return self

    @property
    def rtp_address(self) -> str:
        return self.media_address or self.sip_host

    @property
    def local_address(self) -> str:
        """Where a phone on this machine reaches SIP."""
        unspecified = ipaddress.ip_address(self.sip_host).is_unspecified
        return "127.0.0.1" if unspecified else self.sip_host


def on_free_ports(**changes: object) -> AsteriskSettings:
    """Settings on ports that are free now, for tests and for a second instance. Loopback unless changed."""
    sip_port, ami_port = _free_port(socket.SOCK_DGRAM), _free_port(socket.SOCK_STREAM)
    # Asterisk passes over RTP ports that are taken, so overlapping ranges do no harm.
    rtp_first = 12000 + 200 * random_secrets.randbelow(90)
    values: dict[str, object] = {
        "sip_port": sip_port,
        "ami_port": ami_port,
        "rtp_first_port": rtp_first,
        "rtp_last_port": rtp_first + 199,
    }
    return AsteriskSettings.model_validate(values | changes)


def _free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class AsteriskSecrets:
    """Passwords of the phones and of the AMI account `hotline`; made at the first start, never by default."""

    phones: dict[str, str]
    ami: str


def load_or_make_secrets(state_dir: Path) -> AsteriskSecrets:
    """The passwords in `<state>/asterisk/secrets.toml` (mode 0600), made when the file is not there yet."""
    path = state_dir / "asterisk" / "secrets.toml"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lines = [f'ami = "{random_secrets.token_hex(16)}"', "[phones]"]
        lines += [f'{phone} = "{random_secrets.token_hex(12)}"' for phone in PHONES]
        _write_private(path, "\n".join(lines) + "\n")
    try:
        data = tomllib.loads(path.read_text())
        phones, ami = {str(k): str(v) for k, v in data["phones"].items()}, str(data["ami"])
        values = [ami, *(phones[phone] for phone in PHONES)]
    except (OSError, tomllib.TOMLDecodeError, KeyError, AttributeError) as error:
        raise AsteriskError(
            "asterisk-secrets-unreadable", f"{path}: {error!r}; mend it, or remove it to get new passwords"
        ) from error
    if not all(re.fullmatch(r"[A-Za-z0-9_.~+-]{8,64}", value) for value in values):
        raise AsteriskError(
            "asterisk-secrets-unreadable", f"{path}: a password is 8 to 64 of the characters A-Z a-z 0-9 _ . ~ + -"
        )
    return AsteriskSecrets(phones, ami)


def _write_private(path: Path, text: str) -> None:
    """Whole or not at all, and readable by its owner only."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(name, path)


# --------------------------------------------------------------------------------------------------- which Asterisk


@dataclass(frozen=True, slots=True)
class AsteriskInstall:
    """How to run an Asterisk: `command` comes before its options."""

    command: tuple[str, ...]
    version: str
    modules_dir: Path
    data_dir: Path
    prefix: Path | None  # None: the system's

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])


def find_asterisk(prefix: Path | None = None) -> AsteriskInstall:
    """`prefix` when given; else the system's, if it is new enough and whole; else the checkout's `.asterisk`."""
    reasons: list[str] = []
    if prefix is None:
        system = shutil.which("asterisk", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if system is None:
            reasons.append("no asterisk command on this machine")
        else:
            modules = [*Path("/usr/lib").glob("*/asterisk/modules"), Path("/usr/lib/asterisk/modules")]
            modules += [Path("/usr/lib64/asterisk/modules"), Path("/usr/local/lib/asterisk/modules")]
            data = Path("/usr/share/asterisk")
            found = _examine((system,), modules, data if data.is_dir() else Path("/var/lib/asterisk"), None, reasons)
            if found:
                return found
    root = (prefix or OWN_PREFIX).absolute()
    loaders = [*root.glob("usr/lib64/ld-linux-*.so.*"), *root.glob("usr/lib/ld-linux-*.so.*")]
    libraries = [path for path in root.glob("usr/lib/*-linux-gnu*") if (path / "asterisk").is_dir()]
    if not loaders or not libraries:
        reasons.append(f"nothing installed in {root}")
    else:
        # The prefix's own loader and C library, so that it runs on an older host, without chroot and without root.
        command = (str(loaders[0]), "--library-path", str(libraries[0]), str(root / "usr/sbin/asterisk"))
        modules = [libraries[0] / "asterisk/modules"]
        if found := _examine(command, modules, root / "usr/share/asterisk", root, reasons):
            return found
    raise AsteriskError("asterisk-missing", f"{'; '.join(reasons)}. Run docker/install-asterisk.sh (or make setup)")


def _examine(
    command: tuple[str, ...], modules: Sequence[Path], data_dir: Path, prefix: Path | None, reasons: list[str]
) -> AsteriskInstall | None:
    """What lies there, or None and why not in `reasons`."""
    try:
        said = subprocess.run([*command, "-V"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        reasons.append(f"{command[-1]} does not run: {error}")
        return None
    match = re.search(r"Asterisk\s+(?:certified[/-])?(\d+(?:\.\d+)*)", said.stdout)
    if not match:
        reasons.append(f"{command[-1]} -V says {(said.stdout + said.stderr).strip()[:200]!r}")
        return None
    version = match[1]
    if int(version.split(".")[0]) < OLDEST_MAJOR:
        reasons.append(f"{command[-1]} is Asterisk {version}, older than {OLDEST_MAJOR}")
        return None
    lacking: list[str] = []
    for folder in modules:
        lacking = [name for name in NEEDED_MODULES if not (folder / name).is_file()]
        if not lacking:
            return AsteriskInstall(command, version, folder, data_dir, prefix)
    reasons.append(f"{command[-1]} (Asterisk {version}) lacks modules: {', '.join(lacking) or 'all'}")
    return None


# ------------------------------------------------------------------------------------------------ the configuration


def _safe_path(path: Path, what: str) -> str:
    text = str(path.absolute())
    if found := _UNSAFE_PATH.search(text):
        raise AsteriskError(
            "asterisk-path-unsafe",
            f"{what} {text!r} contains {found[0]!r}, which Asterisk's configuration cannot hold: choose another folder",
        )
    return text


def _host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What Asterisk needs to know of the other parts of a call."""

    spool_dir: Path
    prompts_dir: Path
    agi_host: str
    agi_port: int


def site_files(settings: AsteriskSettings, secrets: AsteriskSecrets, around: Surroundings) -> dict[str, str]:
    """Name → text of every `site_*.conf`."""
    globals_ = {
        "HOTLINE_SPOOL": _safe_path(around.spool_dir, "the spool folder"),
        "HOTLINE_PROMPTS": _safe_path(around.prompts_dir, "the prompts folder"),
        "HOTLINE_AGI": _host_port(around.agi_host, around.agi_port),
        "HOTLINE_QUEUE": settings.queue,
        "HOTLINE_QUEUE_SECONDS": settings.queue_seconds,
        "HOTLINE_CALL_SECONDS": settings.call_seconds,
        "HOTLINE_FIRST_WORD_SECONDS": settings.first_word_seconds,
        "HOTLINE_MESSAGE_SECONDS": settings.message_seconds,
    }
    numbers = [f"exten = {number},1,Goto(hotline,12345,1)" for number in settings.called_numbers if number != "12345"]
    phones = [f"exten = {phone},1,Dial(PJSIP/{phone},30)" for phone in PHONES]
    wait = f"{globals_['HOTLINE_PROMPTS']}/zh/human_wait"
    return {
        "site_globals.conf": "".join(f"{name} = {value}\n" for name, value in globals_.items()),
        "site_extensions.conf": "\n".join(["[hotline-numbers]", *numbers, "", "[phones]", *phones, ""]),
        "site_queues.conf": "\n".join(
            [f"[{settings.queue}](humans-template)", f"periodic-announce = {wait}"]
            + [f"member = PJSIP/{phone}" for phone in settings.operators]
            + [""]
        ),
        "site_rtp.conf": f"rtpstart = {settings.rtp_first_port}\nrtpend = {settings.rtp_last_port}\n",
        "site_manager.conf": f"port = {settings.ami_port}\n",
        "site_manager_account.conf": f"[hotline](ami-template)\nsecret = {secrets.ami}\n",
        "site_pjsip.conf": _site_pjsip(settings, secrets),
    }


def _site_pjsip(settings: AsteriskSettings, secrets: AsteriskSecrets) -> str:
    media = [f"media_address = {settings.rtp_address}"]
    lines = ["[udp](transport-template)", f"bind = {_host_port(settings.sip_host, settings.sip_port)}"]
    if settings.media_address and settings.media_address != settings.sip_host:
        lines += [
            f"external_media_address = {settings.media_address}",
            f"external_signaling_address = {settings.media_address}",
        ]
    if settings.trunk_addresses:
        lines += ["[trunk](trunk-template)", *media, "[trunk-identify](trunk-identify-template)"]
        lines += [f"match = {address}" for address in settings.trunk_addresses]
    if settings.allow_anonymous:
        lines += ["[anonymous](anonymous-template)", *media]
    for phone in PHONES:
        lines += [f"[{phone}](phone-template)", f"auth = {phone}-auth", f"aors = {phone}", *media]
        lines += [f"[{phone}-auth](phone-auth-template)", f"username = {phone}", f"password = {secrets.phones[phone]}"]
        lines += [f"[{phone}](phone-aor-template)"]
    return "\n".join(lines) + "\n"


# ----------------------------------------------------------------------------------------------------- the process


class AsteriskServer:
    """One Asterisk. Blocking calls: from asyncio use `asyncio.to_thread`. Everything is under `<state>/asterisk`."""

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
        return f"sip:12345@{_host_port(self.settings.local_address, self.settings.sip_port)}"

    @property
    def pid(self) -> int | None:
        """The running process, ours or one left over by a start that was killed."""
        if self._process is not None:
            return self._process.pid if self._process.poll() is None else None
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
            _write_private(self.etc_dir / name, text)
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
        var = _safe_path(self.dir, "the state folder")
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
        lines = ["[directories]", *(f"{name} => {_safe_path(Path(path), name)}" for name, path in folders.items())]
        lines += ["", "[options]", *(f"{name} = {value}" for name, value in options.items())]
        return "\n".join([*lines, "", "[files]", "astctlpermissions = 0600", ""])

    def start(self, ready_seconds: float = 60) -> None:
        """Render, start, and wait until it takes calls; AsteriskError with Asterisk's own ERROR lines when it does not.

        One that a killed command left behind is ended first. Nothing happens when it is running already.
        """
        if self._process is None or self._process.poll() is not None:
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
            if self._process is not None and self._process.poll() is not None:
                raise AsteriskError("asterisk-start-failed", self._why(f"it ended with {self._process.returncode}"))
            try:
                if "fully booted" in self.rx("core waitfullybooted", timeout_seconds=5).lower():
                    break
            except AsteriskError:
                time.sleep(0.1)
            if time.monotonic() > deadline:
                self.stop()
                raise AsteriskError("asterisk-start-failed", self._why(f"not ready in {timeout_seconds:g} s"))
        if self.error_lines():
            self.stop()
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
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
