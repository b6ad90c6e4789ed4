"""The AGI server against a peer that speaks as Asterisk does, and against peers that do not."""

from __future__ import annotations

import contextlib
import queue
import shlex
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from ivr.agi import AgiCall, AgiReply, AgiServer, CallerGone, Handler
from ivr.errors import CallError

CALL = "8c7a0f0e-2b1d-4c3a-9f5e-0123456789ab"
ENVIRONMENT = {
    "agi_network": "yes",
    "agi_network_script": "call",
    "agi_request": "agi://127.0.0.1:4573/call",
    "agi_channel": "PJSIP/1002-00000001",
    "agi_callerid": "13910001234",
    "agi_extension": "12345",
    "agi_arg_1": CALL,
    "agi_arg_2": f"/spool/2026-11-24/{CALL}",
    "agi_arg_3": "1763994600123",
}
WAIT_SECONDS = 20.0


class Peer:
    """Asterisk's side of one conversation. `replies`: command word → what is sent back, in turn."""

    def __init__(self, server: AgiServer, environment: dict[str, str] | None = None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), WAIT_SECONDS)
        self.socket.settimeout(WAIT_SECONDS)
        self.lines = self.socket.makefile("rb")
        text = "".join(f"{key}: {value}\n" for key, value in (environment or ENVIRONMENT).items())
        self.socket.sendall(text.encode() + b"\n")

    def command(self) -> list[str]:
        """The next command, cut as Asterisk cuts it; [] when the server closed."""
        with contextlib.suppress(ConnectionError):
            return shlex.split(self.lines.readline().decode().rstrip("\n"))
        return []

    def reply(self, text: str) -> None:
        self.socket.sendall(text.encode() + b"\n")

    def converse(self, *script: tuple[str, str]) -> list[list[str]]:
        """Expect each command's first word and answer it; then wait for the server's close."""
        heard = []
        for word, answer in script:
            heard.append(self.command())
            assert heard[-1][:1] == [word], heard
            self.reply(answer)
        assert self.command() == []
        return heard

    def close(self) -> None:
        self.lines.close()
        self.socket.close()


class Lab:
    """A server whose handlers' results come out of a queue."""

    def __init__(self) -> None:
        self.results: queue.Queue[Any] = queue.Queue()
        self.servers: list[AgiServer] = []
        self.peers: list[Peer] = []

    def serve(self, handler: Callable[[AgiCall], Any], **options: Any) -> AgiServer:
        def call(agi: AgiCall) -> None:
            try:
                self.results.put(handler(agi))
            except CallError as error:
                self.results.put(error.code)
                raise

        options.setdefault("reply_seconds", WAIT_SECONDS)
        server = AgiServer("127.0.0.1", 0, {"/call": call}, **options)
        server.start()
        self.servers.append(server)
        return server

    def dial(self, server: AgiServer, environment: dict[str, str] | None = None) -> Peer:
        self.peers.append(Peer(server, environment))
        return self.peers[-1]

    def result(self) -> Any:
        return self.results.get(timeout=WAIT_SECONDS)


@pytest.fixture
def lab() -> Iterator[Lab]:
    lab = Lab()
    yield lab
    for peer in lab.peers:
        peer.close()
    for server in lab.servers:
        assert server.stop(WAIT_SECONDS) == 0


def test_a_call_from_answer_to_the_outcome(lab: Lab) -> None:
    def handler(agi: AgiCall) -> tuple[Any, ...]:
        said = (agi.path, agi.channel, agi.caller_number, agi.called_number, agi.argument(1), agi.argument(3))
        agi._ask("ANSWER")
        played = agi.exec("AudioSocket", agi.argument(1), "127.0.0.1:4574")
        return (*said, agi.argument(9), played, agi.set_variable("HOTLINE_DONE", "1"), agi.gone)

    peer = lab.dial(lab.serve(handler))
    heard = peer.converse(
        ("ANSWER", "200 result=0"), ("EXEC", "200 result=0"), ("SET", "200 result=1")
    )  # fmt: skip
    assert heard[1] == ["EXEC", "AudioSocket", f"{CALL},127.0.0.1:4574"]
    assert heard[2] == ["SET", "VARIABLE", "HOTLINE_DONE", "1"]
    assert lab.result() == (
        "/call", "PJSIP/1002-00000001", "13910001234", "12345", CALL, "1763994600123",
        "", AgiReply(200, "0"), True, None,
    )  # fmt: skip


@pytest.mark.parametrize("value", ['she said "hi"', "back\\slash", '\\"', "", "  ", "楼上；装修", "${EXTEN}"])
def test_values_arrive_as_they_were_meant(lab: Lab, value: str) -> None:
    peer = lab.dial(lab.serve(lambda agi: agi.set_variable("HOTLINE_X", value)))
    assert peer.converse(("SET", "200 result=1"))[0] == ["SET", "VARIABLE", "HOTLINE_X", value]


@pytest.mark.parametrize(
    "act",
    [
        lambda agi: agi.set_variable("HOTLINE_X", 'x\nEXEC System "reboot"'),
        lambda agi: agi.set_variable("HOTLINE_X", "x\r"),
        lambda agi: agi.set_variable("HOTLINE_X", "x\0"),
        lambda agi: agi.set_variable("HOTLINE_X", "x" * 1001),
        lambda agi: agi.set_variable("SHELL(reboot now)", "x"),
        lambda agi: agi.set_variable("X Y", "x"),
        lambda agi: agi.get_variable("X\nY"),
        lambda agi: agi.set_variable("HOTLINE_X\n", "x"),
        lambda agi: agi.exec("System reboot"),
        lambda agi: agi.exec("Playback\n", "x"),
        lambda agi: agi.exec("Playback", "a,b"),
        lambda agi: agi.exec("Playback", 'a"b'),
        lambda agi: agi.exec("Playback", "a" * 1990),
        lambda agi: agi.exec("Playback", "a\nb"),
    ],
)  # fmt: skip
def test_a_dangerous_value_never_reaches_asterisk_and_the_call_goes_on(lab: Lab, act: Callable[[AgiCall], Any]) -> None:
    def handler(agi: AgiCall) -> bool:
        with pytest.raises(CallError, match="agi-value-refused"):
            act(agi)
        return agi.set_variable("HOTLINE_DONE", "1")

    peer = lab.dial(lab.serve(handler))
    assert peer.converse(("SET", "200 result=1")) == [["SET", "VARIABLE", "HOTLINE_DONE", "1"]]
    assert lab.result() is True


def test_variables_are_read(lab: Lab) -> None:
    peer = lab.dial(
        lab.serve(lambda agi: [agi.get_variable("A"), agi.get_variable("B"), agi.get_variable("CHANNEL(state)")])
    )
    peer.converse(("GET", "200 result=1 (x (y) z)"), ("GET", "200 result=0"), ("GET", "200 result=1 ()"))
    assert lab.result() == ["x (y) z", None, ""]


def test_a_hang_up_during_a_command_is_a_fact(lab: Lab) -> None:
    """The command ends with -1; then a HANGUP line stands before the reply to CHANNEL STATUS, which is 511."""

    def handler(agi: AgiCall) -> tuple[Any, ...]:
        return agi.exec("AudioSocket", CALL, "127.0.0.1:4574"), agi.gone, agi.set_variable("HOTLINE_DONE", "1")

    peer = lab.dial(lab.serve(handler))
    peer.converse(
        ("EXEC", "200 result=-1"),
        ("CHANNEL", "HANGUP\n511 Command Not Permitted on a dead channel or intercept routine"),
        ("SET", "200 result=1"),
    )
    assert lab.result() == (CallerGone(True), CallerGone(True), True)


def test_minus_one_with_the_caller_still_there_is_a_failure_not_a_hang_up(lab: Lab) -> None:
    peer = lab.dial(lab.serve(lambda agi: (agi.exec("AudioSocket", CALL, "127.0.0.1:1"), agi.gone)))
    peer.converse(("EXEC", "200 result=-1"), ("CHANNEL", "200 result=6"))
    assert lab.result() == (AgiReply(200, "-1"), None)


def test_the_end_of_the_conversation_is_a_fact_and_costs_no_more_waiting(lab: Lab) -> None:
    def handler(agi: AgiCall) -> list[Any]:
        return [
            agi._ask("ANSWER"),
            agi.exec("Playback", "x"),
            agi.set_variable("A", "1"),
            agi.get_variable("A"),
            agi.channel_status(),
        ]

    peer = lab.dial(lab.serve(handler))
    assert peer.command() == ["ANSWER"]
    peer.close()
    assert lab.result() == [CallerGone(False), CallerGone(False), False, None, None]


def test_half_a_reply_is_no_reply(lab: Lab) -> None:
    peer = lab.dial(lab.serve(lambda agi: agi._ask("ANSWER")))
    peer.command()
    peer.socket.sendall(b"200 result=")
    peer.socket.shutdown(socket.SHUT_WR)
    assert lab.result() == CallerGone(False)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("nonsense", "agi-reply-malformed"),
        ("200 results=5", "agi-reply-malformed"),
        ("200 result=0" + "x" * 9000, "agi-reply-malformed"),
        ("510 Invalid or unknown command", "agi-command-refused"),
        (
            "520-Invalid command syntax.  Proper usage follows:\nUsage: ANSWER\n520 End of proper usage.",
            "agi-command-refused",
        ),
        ("520-Usage\n" + "line\n" * 400, "agi-reply-malformed"),
    ],
)
def test_a_reply_out_of_order_ends_this_conversation_with_a_code(lab: Lab, answer: str, code: str) -> None:
    server = lab.serve(lambda agi: agi._ask("ANSWER"))
    peer = lab.dial(server)
    with capture_logs() as logs:
        peer.converse(("ANSWER", answer))
        assert lab.result() == code
        assert lab.dial(server).command() == ["ANSWER"]  # others go on
    (entry,) = [entry for entry in logs if entry["event"] == "agi_call_failed"]
    assert (entry["call_id"], entry["code"]) == (CALL, code)


def test_after_replies_are_out_of_step_nothing_is_asked_any_more(lab: Lab) -> None:
    def handler(agi: AgiCall) -> list[Any]:
        with contextlib.suppress(CallError):
            agi._ask("ANSWER")
        return [agi.set_variable("HOTLINE_DONE", "1"), agi.gone]

    peer = lab.dial(lab.serve(handler))
    peer.converse(("ANSWER", "rubbish"))
    assert lab.result() == [False, CallerGone(False)]


def test_a_peer_that_does_not_answer_is_given_up(lab: Lab) -> None:
    peer = lab.dial(lab.serve(lambda agi: agi._ask("ANSWER"), reply_seconds=0.2))
    assert peer.command() == ["ANSWER"]
    assert lab.result() == "agi-timeout"
    assert peer.command() == []


def test_a_peer_that_says_nothing_is_given_up(lab: Lab) -> None:
    server = lab.serve(lambda agi: None, environment_seconds=0.2)
    with socket.create_connection(("127.0.0.1", server.port), WAIT_SECONDS) as silent:
        silent.settimeout(WAIT_SECONDS)
        silent.sendall(b"agi_network: yes\n")
        assert silent.recv(100) == b""


@pytest.mark.parametrize(
    "environment",
    [
        {"agi_request": "agi://127.0.0.1/call"},
        {"not_agi": "x", "agi_channel": "x"},
        {f"agi_x{n}": "x" for n in range(301)},
        {"agi_channel": "x" * 10_000},
    ],
)
def test_a_malformed_environment_ends_in_a_log_line(lab: Lab, environment: dict[str, str]) -> None:
    server = lab.serve(lambda agi: "handled")
    with capture_logs() as logs:
        assert lab.dial(server, environment).command() == []
    codes = {entry["code"] for entry in logs if entry["event"] == "agi_call_failed"}
    assert codes <= {"agi-environment-malformed", "agi-reply-malformed"}
    assert len(codes) == 1
    lab.dial(server)
    assert lab.result() == "handled"


@pytest.mark.parametrize("url", ["agi://127.0.0.1/other", "agi://127.0.0.1/", "agi://[broken/call"])
def test_an_unknown_path_is_left_to_the_dialplan(lab: Lab, url: str) -> None:
    server = lab.serve(lambda agi: "handled")
    environment = ENVIRONMENT | {"agi_request": url, "agi_network_script": "other"}
    with capture_logs() as logs:
        assert lab.dial(server, environment).command() == []
    assert "agi_unknown_path" in [entry["event"] for entry in logs]
    assert lab.results.empty()


def test_a_handler_that_crashes_is_logged_once_and_touches_no_other_call(lab: Lab) -> None:
    def handler(agi: AgiCall) -> str:
        agi._ask("ANSWER")
        if agi.caller_number == "666":
            raise ZeroDivisionError("a bug")
        agi._ask("ANSWER")
        return "done"

    server = lab.serve(handler)
    other = lab.dial(server)
    other.command()
    with capture_logs() as logs:
        lab.dial(server, ENVIRONMENT | {"agi_callerid": "666"}).converse(("ANSWER", "200 result=0"))
        other.reply("200 result=0")
        other.converse(("ANSWER", "200 result=0"))
    assert lab.result() == "done"
    (crash,) = [entry for entry in logs if entry["log_level"] == "error"]
    assert (crash["event"], crash["call_id"]) == ("agi_call_crashed", CALL)


def test_past_the_limit_a_call_is_left_to_the_dialplan_at_once(lab: Lab) -> None:
    server = lab.serve(lambda agi: agi._ask("ANSWER"), max_calls=2)
    first, second = lab.dial(server), lab.dial(server)
    assert [first.command(), second.command()] == [["ANSWER"], ["ANSWER"]]
    with capture_logs() as logs, contextlib.suppress(ConnectionError):
        assert lab.dial(server).command() == []
    assert "agi_call_refused" in [entry["event"] for entry in logs]
    first.reply("200 result=0")
    assert first.command() == []
    while server.live == 2:  # its thread has still to leave
        time.sleep(0.01)
    assert lab.dial(server).command() == ["ANSWER"]


def test_a_burst_of_calls_is_answered_to_the_last(lab: Lab) -> None:
    server = lab.serve(lambda agi: agi._ask("ANSWER"))
    peers = [lab.dial(server) for _ in range(150)]
    for peer in peers:
        assert peer.command() == ["ANSWER"]
    assert server.live == 150
    for peer in peers:
        peer.reply("200 result=0")
    assert [lab.result() for _ in peers] == [AgiReply(200, "0")] * 150


def test_drain_waits_for_calls_and_takes_no_new_ones() -> None:
    lab = Lab()
    server = lab.serve(lambda agi: agi._ask("ANSWER"))
    peer = lab.dial(server)
    peer.command()
    port = server.port
    stopped: queue.Queue[int] = queue.Queue()
    threading.Thread(target=lambda: stopped.put(server.stop(WAIT_SECONDS))).start()
    refused = threading.Event()
    while not refused.is_set():
        try:
            socket.create_connection(("127.0.0.1", port), WAIT_SECONDS).close()
        except ConnectionError:
            refused.set()
    peer.reply("200 result=0")
    assert lab.result() == AgiReply(200, "0")
    assert stopped.get(timeout=WAIT_SECONDS) == 0
    peer.close()


def test_drain_cuts_what_does_not_end() -> None:
    lab = Lab()
    server = lab.serve(lambda agi: agi.exec("AudioSocket", CALL, "127.0.0.1:4574"))
    peer = lab.dial(server)
    peer.command()
    assert server.stop(0.1) == 1
    assert lab.result() == CallerGone(False)
    assert peer.command() == []
    peer.close()


def test_a_caller_without_a_number() -> None:
    lab = Lab()
    server = lab.serve(lambda agi: agi.caller_number)
    peers = [lab.dial(server, ENVIRONMENT | {"agi_callerid": number}) for number in ("", "unknown")]
    assert [lab.result(), lab.result()] == [None, None]
    for peer in peers:
        peer.close()
    server.stop()


# any bytes at all


@pytest.fixture(scope="module")
def busy_server() -> Iterator[AgiServer]:
    def handler(agi: AgiCall) -> None:
        agi._ask("ANSWER")
        agi.get_variable("X")
        agi.exec("Playback", "x")
        agi.set_variable("X", "x")
        agi.channel_status()

    routes: dict[str, Handler] = {"/call": handler}
    server = AgiServer("127.0.0.1", 0, routes, environment_seconds=WAIT_SECONDS, reply_seconds=WAIT_SECONDS)
    server.start()
    yield server
    assert server.stop(WAIT_SECONDS) == 0


good_environment = "".join(f"{key}: {value}\n" for key, value in ENVIRONMENT.items()).encode() + b"\n"
reply_bytes = st.lists(
    st.one_of(
        st.binary(max_size=60),
        st.sampled_from(
            [
                b"200 result=0\n",
                b"200 result=-1\n",
                b"HANGUP\n",
                b"511 dead\n",
                b"520-x\n",
                b"\n",
                b"200 result=1 (x)\n",
            ]
        ),
    ),
    max_size=10,
).map(b"".join)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(environment=st.one_of(st.binary(max_size=400), st.just(good_environment)), replies=reply_bytes)
def test_no_bytes_hang_or_crash_the_server(busy_server: AgiServer, environment: bytes, replies: bytes) -> None:
    with capture_logs() as logs, socket.create_connection(("127.0.0.1", busy_server.port), WAIT_SECONDS) as peer:
        peer.settimeout(WAIT_SECONDS)
        with contextlib.suppress(ConnectionError):
            peer.sendall(environment + replies)
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(4096):  # until the server closes
                pass
    assert "agi_call_crashed" not in [entry["event"] for entry in logs]
