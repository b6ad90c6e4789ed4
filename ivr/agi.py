"""The FastAGI server: Asterisk's calls in, a handler each. The conversation itself is in agi_call.py.

A blocking socket and a thread a call: 200 blocked threads cost nothing (measured).
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Mapping

import structlog

from ivr.agi_call import CHANNEL_UP, AgiCall, CallerGone
from ivr.agi_text import AgiReply
from ivr.errors import CallError
from ivr.metrics import AGI_CALLS, AGI_LIVE

__all__ = ["CHANNEL_UP", "AgiCall", "AgiReply", "AgiServer", "CallerGone", "Handler"]

log = structlog.get_logger(__name__)

CUT_SECONDS = 2.0
LISTEN_BACKLOG = 1024  # Asterisk gives a connection 2 s; the library's 5 drops calls in a burst

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

    def stop_accepting(self) -> None:
        """From now on the dialplan's fallback takes new callers; running conversations go on. Blocks for a moment."""
        self._stopping = True
        if self._listener:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept(); close() alone does not
            self._listener.close()
        if self._acceptor:
            self._acceptor.join()

    def wait_idle(self, seconds: float) -> int:
        """Wait for the running conversations to end; returns how many are left. Blocks."""
        deadline_seconds = time.monotonic() + seconds
        with self._changed:
            while self._calls and (remaining_seconds := deadline_seconds - time.monotonic()) > 0:
                self._changed.wait(remaining_seconds)
            return len(self._calls)

    def stop(self, drain_seconds: float = 5.0) -> int:
        """Stop accepting, wait for the conversations, then cut the rest. Returns how many were cut. Blocks."""
        self.stop_accepting()
        self.wait_idle(drain_seconds)
        with self._changed:
            cut = dict(self._calls)
        for connection in cut.values():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.wait_idle(CUT_SECONDS)  # one limit for all of them together
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
            call = AgiCall(connection, environment_seconds=self._environment_seconds, reply_seconds=self._reply_seconds)
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
