"""The AGI wire: Asterisk's FastAGI conversation over pyst2's `AGI`, made safe for strangers' values and for threads.

Protocol (Asterisk `res_agi.c`): on connecting, Asterisk sends `agi_name: value` lines and an empty one; then every
command is one line, every reply one line (`200 result=1 (data)`, `510`/`511`/`520`). Asterisk cuts a command into
words at blanks, with double quotes and backslashes (`split_arguments` below is the same machine, for tests). It reads
at most 2,047 bytes a line, so a longer command would be taken for two. After a hang-up a line `HANGUP` precedes the
next reply. A blocking socket and a thread a call: 200 blocked threads cost nothing (measured).

A hang-up is not an error: methods answer `CallerGone`. What goes wrong on the wire raises `CallError`:
`agi-value-refused`, `agi-environment-malformed`, `agi-reply-malformed`, `agi-command-refused`, `agi-timeout`.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import structlog
from asterisk.agi import AGI, AGIHangup

from ivr.errors import CallError
from ivr.metrics import AGI_CALLS, AGI_LIVE

log = structlog.get_logger(__name__)

COMMAND_MAX_BYTES = 2000  # res_agi.c reads lines into AGI_BUF_LEN = 2048
VALUE_MAX_BYTES = 1000  # GET VARIABLE's reply is cut at 1,023 bytes: what cannot be read back is not set
LINE_MAX_BYTES = 8192  # a reply or environment line
ENVIRONMENT_MAX_LINES = 300
LISTEN_BACKLOG = 1024  # Asterisk gives a connection 2 s; the library's 5 drops calls in a burst
CHANNEL_UP = 6

_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_REPLY = re.compile(r"^([1-9][0-9]{2})(?:[ -](.*))?$", re.DOTALL)
_RESULT = re.compile(r"^result=(\S*)(?:\s+(.*))?$", re.DOTALL)
_VARIABLE_NAME = re.compile(r"^_{0,2}[A-Za-z][A-Za-z0-9_]*(\([A-Za-z0-9_,.-]*\))?$")
_APPLICATION_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_]*$")


@dataclass(frozen=True, slots=True)
class CallerGone:
    """The channel is gone. `conversation_open`: Asterisk still answers on a dead channel (variables can be set)."""

    conversation_open: bool


@dataclass(frozen=True, slots=True)
class AgiReply:
    """One reply line: its code, `result=` word and what stands behind it (brackets removed)."""

    code: int
    result: str
    data: str = ""


def quote_argument(value: str, *, max_bytes: int = VALUE_MAX_BYTES) -> str:
    """One argument as Asterisk's parser reads it back, byte for byte. Control characters and long values are refused.

    A newline would start a second command, so a value out of a caller's mouth could give orders to Asterisk.
    """
    if _CONTROL.search(value):
        raise CallError("agi-value-refused", "an AGI argument holds a control character")
    try:
        size_bytes = len(value.encode())
    except UnicodeEncodeError as error:
        raise CallError("agi-value-refused", "an AGI argument is not valid Unicode") from error
    if size_bytes > max_bytes:
        raise CallError("agi-value-refused", f"an AGI argument has {size_bytes} bytes, at most {max_bytes} are safe")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def split_arguments(line: str) -> list[str]:
    """Asterisk's own cutting of a command line (`parse_args` in res_agi.c), to prove `quote_argument` against."""
    words: list[list[str]] = []
    quoted = escaped = False
    blank = True
    for char in line:
        if char == '"' and not escaped:
            quoted = not quoted
            if quoted and blank:
                words.append([])
                blank = False
        elif char in " \t" and not quoted and not escaped:
            blank = True
        elif char == "\\" and not escaped:
            escaped = True
        else:
            if blank:
                words.append([])
                blank = False
            words[-1].append(char)
            escaped = False
    return ["".join(word) for word in words]


def parse_reply(line: str) -> AgiReply:
    """`200 result=1 (data)` → AgiReply. Anything else: CallError `agi-reply-malformed`."""
    matched = _REPLY.match(line)
    if not matched:
        raise CallError("agi-reply-malformed", f"not an AGI reply: {line[:60]!r}")
    code, rest = int(matched.group(1)), matched.group(2) or ""
    if code != 200:
        return AgiReply(code, "", rest)
    found = _RESULT.match(rest)
    if not found:
        raise CallError("agi-reply-malformed", f"an AGI reply without a result: {line[:60]!r}")
    data = (found.group(2) or "").strip()
    if data.startswith("("):
        data = data[1 : data.rindex(")")] if ")" in data else data[1:]
    return AgiReply(code, found.group(1), data)


class _SocketLines:
    """Lines of a blocking socket under a deadline; what pyst2 takes for stdin and stdout. One thread uses it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray()
        self.deadline_seconds = time.monotonic() + 5.0

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

    pyst2's `__init__` is bypassed: it installs a signal handler (main thread only) and prints the environment.
    """

    def __init__(self, connection: socket.socket, *, reply_seconds: float = 10.0) -> None:
        lines = _SocketLines(connection)
        lines.deadline_seconds = time.monotonic() + reply_seconds
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

    def answer(self) -> AgiReply | CallerGone:
        return self._ask("ANSWER")

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

    def hangup(self) -> None:
        self._ask("HANGUP")

    def verbose(self, text: str, level: int = 1) -> None:
        """A line for Asterisk's console; what cannot be sent safely is shortened or blanked, never refused."""
        clean = _CONTROL.sub(" ", text.encode(errors="replace").decode())
        while len(clean.encode()) > VALUE_MAX_BYTES:
            clean = clean[: int(len(clean) * 0.9)]
        self._ask("VERBOSE", quote_argument(clean), str(level))

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


Handler = Callable[[AgiCall], None]


class AgiServer:
    """FastAGI server: a thread a call, at most `max_calls`.

    Past the limit a connection is closed at once and nothing is set, so the dialplan's fallback takes the caller.
    Whatever a handler raises is logged once, ends its own conversation (the dialplan sees no HOTLINE_DONE) and
    touches no other call.
    """

    def __init__(
        self,
        host: str,
        port: int,
        routes: Mapping[str, Handler],
        *,
        max_calls: int = 200,
        environment_seconds: float = 5.0,
        reply_seconds: float = 10.0,
    ) -> None:
        self._host, self._port = host, port
        self._routes = dict(routes)
        self._max_calls = max_calls
        self._environment_seconds = environment_seconds
        self._reply_seconds = reply_seconds
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._calls: dict[threading.Thread, socket.socket] = {}
        self._changed = threading.Condition()
        self._stopping = False

    @property
    def port(self) -> int:
        """The real port (when 0 was asked for), after `start`."""
        return int(self._listener.getsockname()[1]) if self._listener else self._port

    @property
    def live(self) -> int:
        """Conversations now."""
        return len(self._calls)

    def start(self) -> None:
        """Bind and accept. OSError when the address is taken."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.create_server((self._host, self._port), family=family, backlog=LISTEN_BACKLOG)
        self._listener = listener
        self._acceptor = threading.Thread(target=self._accept, args=(listener,), name="agi-accept", daemon=True)
        self._acceptor.start()
        log.info("agi_listening", host=self._host, port=self.port)

    def stop(self, drain_seconds: float = 5.0) -> int:
        """Stop accepting, wait for the conversations, then cut the rest. Returns how many were cut. Blocks."""
        self._stopping = True
        if self._listener:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept(); close() alone does not
            self._listener.close()
        if self._acceptor:
            self._acceptor.join()
        deadline_seconds = time.monotonic() + drain_seconds
        with self._changed:
            while self._calls and (remaining_seconds := deadline_seconds - time.monotonic()) > 0:
                self._changed.wait(remaining_seconds)
            cut = dict(self._calls)
        for connection in cut.values():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in cut:
            thread.join(2.0)
        return len(cut)

    def _accept(self, listener: socket.socket) -> None:
        while not self._stopping:
            try:
                connection, _peer = listener.accept()
            except OSError as error:
                if not self._stopping:  # out of file descriptors, most likely: others' calls end and free some
                    log.error("agi_accept_failed", error=str(error))
                    time.sleep(0.1)
                continue
            if self._stopping or self.live >= self._max_calls:
                log.warning("agi_call_refused", live=self.live, max_calls=self._max_calls)
                AGI_CALLS.labels("refused").inc()
                _close(connection)
                continue
            thread = threading.Thread(target=self._converse, args=(connection,), name="agi-call", daemon=True)
            with self._changed:
                self._calls[thread] = connection
            AGI_LIVE.inc()
            try:
                thread.start()
            except RuntimeError as error:  # the machine gives no more threads
                log.error("agi_thread_failed", error=str(error))
                self._forget(thread)
                _close(connection)

    def _converse(self, connection: socket.socket) -> None:
        ended = "failed"
        call: AgiCall | None = None
        try:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            call = AgiCall(connection, reply_seconds=self._environment_seconds)
            call._reply_seconds = self._reply_seconds
            handler = self._routes.get(call.path)
            if handler is None:
                ended = "unknown_path"
                log.warning("agi_unknown_path", path=call.path[:80])
            else:
                handler(call)
                ended = "done"
        except CallError as error:
            log.warning("agi_call_failed", call_id=_call_id(call), code=error.code, error=error.message)
        except Exception:
            log.exception("agi_call_crashed", call_id=_call_id(call))
        finally:
            AGI_CALLS.labels(ended).inc()
            _close(connection)
            self._forget(threading.current_thread())

    def _forget(self, thread: threading.Thread) -> None:
        with self._changed:
            self._calls.pop(thread, None)
            self._changed.notify_all()
        AGI_LIVE.dec()


def _call_id(call: AgiCall | None) -> str:
    return call.argument(1)[:64] if call else ""


def _close(connection: socket.socket) -> None:
    """Close without a reset where possible: unread bytes would make one, and Asterisk would log a broken pipe."""
    with contextlib.suppress(OSError):
        connection.setblocking(False)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
    connection.close()
