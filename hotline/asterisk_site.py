"""What differs between sites: the `[asterisk]` settings, the passwords, and the `site_*.conf` files made of them.

The static configuration, which includes these files, is in `asterisk_conf/`.
"""

from __future__ import annotations

import ipaddress
import os
import re
import secrets as random_secrets
import socket
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

OPERATOR, CALLER = "1001", "1002"
PHONES = (OPERATOR, CALLER)
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
        write_private(path, "\n".join(lines) + "\n")
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


def write_private(path: Path, text: str) -> None:
    """Whole or not at all, and readable by its owner only."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(name, path)


def safe_path(path: Path, what: str) -> str:
    """The absolute path as Asterisk's configuration can hold it; AsteriskError `asterisk-path-unsafe`."""
    text = str(path.absolute())
    if found := _UNSAFE_PATH.search(text):
        raise AsteriskError(
            "asterisk-path-unsafe",
            f"{what} {text!r} contains {found[0]!r}, which Asterisk's configuration cannot hold: choose another folder",
        )
    return text


def host_port(host: str, port: int) -> str:
    """host:port, with brackets around an IPv6 address."""
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
        "HOTLINE_SPOOL": safe_path(around.spool_dir, "the spool folder"),
        "HOTLINE_PROMPTS": safe_path(around.prompts_dir, "the prompts folder"),
        "HOTLINE_AGI": host_port(around.agi_host, around.agi_port),
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
    lines = ["[udp](transport-template)", f"bind = {host_port(settings.sip_host, settings.sip_port)}"]
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
