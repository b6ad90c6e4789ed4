"""One AGI conversation: pyst2's `AGI` made safe for strangers' values, for hang-ups and for threads.

Protocol (Asterisk `res_agi.c`): on connecting, Asterisk sends `agi_name: value` lines and an empty one; then every
command is one line, every reply one line (`200 result=1 (data)`, `510`/`511`/`520`). Asterisk reads at most 2,047 bytes
a line, so a longer command would be taken for two. After a hang-up a line `HANGUP` precedes the next reply.

A hang-up is not an error: methods answer `CallerGone`. What goes wrong on the wire raises `CallError`:
`agi-value-refused`, `agi-environment-malformed`, `agi-reply-malformed`, `agi-command-refused`, `agi-timeout`.
"""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from asterisk.agi import AGI, AGIHangup

from ivr.agi_text import COMMAND_MAX_BYTES, AgiReply, parse_reply, quote_argument
from ivr.errors import CallError

LINE_MAX_BYTES = 8192  # a reply or environment line
ENVIRONMENT_MAX_LINES = 300
CHANNEL_UP = 6

_VARIABLE_NAME = re.compile(r"^_{0,2}[A-Za-z][A-Za-z0-9_]*(\([A-Za-z0-9_,.-]*\))?\Z")
_APPLICATION_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class CallerGone:
    """The channel is gone. `conversation_open`: Asterisk still answers on a dead channel (variables can be set)."""

    conversation_open: bool


class _SocketLines:
    """Lines of a blocking socket under a deadline; what pyst2 takes for stdin and stdout. One thread uses it."""

    def __init__(self, connection: socket.socket, first_seconds: float) -> None:
        self._connection = connection
        self._buffer = bytearray()
        self.deadline_seconds = time.monotonic() + first_seconds

    def readline(self) -> bytes:
        """The next line with its end; b"" at end of file. CallError `agi-timeout`, `agi-reply-malformed` (too long)."""
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > LINE_MAX_BYTES:
                raise CallError("agi-reply-malformed", f"an AGI line of more than {LINE_MAX_BYTES} bytes")
            remaining_seconds = self.deadline_seconds - time.monotonic()
            if remaining_seconds <= 0:
                raise CallError("agi-timeout", "Asterisk did not answer in time")
            self._connection.settimeout(remaining_seconds)
            try:
                data = self._connection.recv(4096)
            except TimeoutError:
                continue
            except OSError:  # reset, or shut down by the server's drain: as good as end of file
                data = b""
            if not data:
                self._buffer.clear()  # half a line is no line
                return b""
            self._buffer += data
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        if len(line) > LINE_MAX_BYTES:
            raise CallError("agi-reply-malformed", f"an AGI line of {len(line)} bytes")
        return line

    def write(self, text: str) -> None:
        self._connection.settimeout(max(0.001, self.deadline_seconds - time.monotonic()))
        try:
            self._connection.sendall(text.encode())
        except TimeoutError as error:
            raise CallError("agi-timeout", "Asterisk took no command in time") from error

    def flush(self) -> None:
        """Nothing is buffered."""


class _Silent:
    """pyst2 writes every line to stderr; lines hold callers' numbers."""

    def write(self, _text: str) -> None:
        return None


class _EndOfFile(Exception):
    """Asterisk closed the conversation."""


class AgiCall(AGI):
    """One AGI conversation, used by one thread. `env` holds what Asterisk said of the call, `path` the URL's path.

    pyst2's `__init__` is bypassed: it installs a signal handler (main thread only) and prints the environment. Of its
    commands only those that are defined anew here may be used.
    """

    def __init__(
        self, connection: socket.socket, *, environment_seconds: float = 5.0, reply_seconds: float = 10.0
    ) -> None:
        lines = _SocketLines(connection, environment_seconds)
        self._lines = lines
        self._reply_seconds = reply_seconds
        self._hung_up = False
        self._closed = False
        self._got_sighup = False
        self.stdin = lines
        self.stdout = lines
        self.stderr = _Silent()
        self.env: dict[str, str] = {}
        self._get_agi_env()

    # what Asterisk said

    @property
    def path(self) -> str:
        """Path of the agi:// URL with its leading slash: `/call`."""
        try:
            path = urlsplit(self.env.get("agi_request", "")).path
        except ValueError:
            path = ""
        return path or "/" + self.env.get("agi_network_script", "").lstrip("/")

    @property
    def channel(self) -> str:
        return self.env.get("agi_channel", "")

    @property
    def caller_number(self) -> str | None:
        """None when the line did not signal one."""
        number = self.env.get("agi_callerid", "")
        return None if number in ("", "unknown") else number

    @property
    def called_number(self) -> str:
        return self.env.get("agi_extension", "")

    def argument(self, position: int) -> str:
        """`agi_arg_<position>` of the dialplan's AGI() line, counted from 1; "" when absent."""
        return self.env.get(f"agi_arg_{position}", "")

    @property
    def gone(self) -> CallerGone | None:
        """CallerGone once a hang-up or the end of the conversation has been seen."""
        return CallerGone(not self._closed) if self._hung_up or self._closed else None

    # what we ask of it

    def exec(self, application: str, *arguments: str, timeout_seconds: float = 4 * 3600) -> AgiReply | CallerGone:
        """Run a dialplan application; returns when it ends. An argument must hold no comma, quote or backslash.

        The application would cut its argument string at commas again, so such an argument is refused, not escaped.
        `result` is "-1" when the application failed but the caller is still there (CHANNEL STATUS was asked).
        """
        if not _APPLICATION_NAME.match(application):
            raise CallError("agi-value-refused", "not the name of an application")
        if any(mark in argument for argument in arguments for mark in ',"\\'):
            raise CallError("agi-value-refused", "an application's argument holds a comma, quote or backslash")
        if (gone := self.gone) is not None:
            return gone  # Asterisk would run it on the dead channel
        words = [application, quote_argument(",".join(arguments), max_bytes=COMMAND_MAX_BYTES)]
        reply = self._ask("EXEC", *words, timeout_seconds=timeout_seconds)
        if isinstance(reply, AgiReply) and reply.result == "-1" and self.channel_status() != CHANNEL_UP:
            self._hung_up = True
            return CallerGone(not self._closed)
        return reply

    def set_variable(self, name: str, value: str) -> bool:
        """False when it could not be set (the conversation is over). Works on a dead channel while Asterisk listens."""
        if not _VARIABLE_NAME.match(name):
            raise CallError("agi-value-refused", "not the name of a channel variable")
        reply = self._ask("SET VARIABLE", quote_argument(name), quote_argument(value))
        return isinstance(reply, AgiReply) and reply.result == "1"

    def get_variable(self, name: str) -> str | None:
        """None when it is not set or the conversation is over. Asterisk cuts values at 1,023 bytes."""
        if not _VARIABLE_NAME.match(name):
            raise CallError("agi-value-refused", "not the name of a channel variable")
        reply = self._ask("GET VARIABLE", quote_argument(name))
        return reply.data if isinstance(reply, AgiReply) and reply.result == "1" else None

    def channel_status(self) -> int | None:
        """Asterisk's channel state (6: up, 4: ringing …); None when the channel is gone."""
        reply = self._ask("CHANNEL STATUS")
        if isinstance(reply, AgiReply) and reply.result.isascii() and reply.result.isdecimal():
            return int(reply.result)
        return None

    # the wire: pyst2's three primitives, replaced

    def _ask(self, command: str, *words: str, timeout_seconds: float | None = None) -> AgiReply | CallerGone:
        """Send one command, read its reply. 511 (dead channel) and end of file are CallerGone."""
        if self._closed:
            return CallerGone(False)
        self._lines.deadline_seconds = time.monotonic() + (timeout_seconds or self._reply_seconds)
        try:
            reply: AgiReply = self.execute(command, *words)
        except (_EndOfFile, AGIHangup, OSError):  # AGIHangup is pyst2's word for a broken pipe
            self._closed = True
            return CallerGone(False)
        except CallError as error:
            if error.code != "agi-value-refused":
                self._closed = True  # the replies are out of step: nothing said from here on could be trusted
            raise
        if reply.code == 511:
            self._hung_up = True
            return CallerGone(True)
        if reply.code != 200:
            raise CallError("agi-command-refused", f"Asterisk answered {reply.code} to {command}: {reply.data[:80]}")
        return reply

    def _quote(self, string: Any) -> str:
        return quote_argument(str(string))

    def send_command(self, command: str, *args: Any) -> None:
        line = " ".join([command, *map(str, args)])
        if "\n" in line or "\r" in line or len(line.encode()) > COMMAND_MAX_BYTES:
            raise CallError("agi-value-refused", f"an AGI command of {len(line)} characters or of two lines")
        self.stdout.write(line + "\n")

    def get_result(self, stdin: Any = None) -> AgiReply:
        """The next reply. HANGUP lines before it are noted; a 520 usage text is read to its end."""
        while True:
            line = self._read_text()
            if line == "HANGUP":
                self._hung_up = True
            elif line:
                break
        if not line.startswith("520-"):
            return parse_reply(line)
        for _ in range(ENVIRONMENT_MAX_LINES):
            if (last := self._read_text()).startswith("520 "):
                return AgiReply(520, "", last[4:])
        raise CallError("agi-reply-malformed", "a usage text without an end")

    def _read_text(self) -> str:
        data = self._lines.readline()
        if not data:
            raise _EndOfFile
        return data.decode("utf-8", "replace").strip()

    def _get_agi_env(self) -> None:
        for _ in range(ENVIRONMENT_MAX_LINES):
            try:
                line = self._read_text()
            except _EndOfFile:
                raise CallError("agi-environment-malformed", "the peer left before it said what call this is") from None
            if not line:
                break
            name, colon, value = line.partition(":")
            if not colon or not name.startswith("agi_"):
                raise CallError("agi-environment-malformed", f"not an AGI environment line: {name[:40]!r}")
            self.env[name.strip()] = value.strip()
        else:
            raise CallError("agi-environment-malformed", f"more than {ENVIRONMENT_MAX_LINES} environment lines")
        if "agi_channel" not in self.env:
            raise CallError("agi-environment-malformed", "the environment names no channel")
