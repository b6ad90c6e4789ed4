"""A real SIP phone: dials the hotline and speaks when it listens, or registers as an operator and answers.

The phone itself runs in a child process (`python -m hotline.phone`, `phone_line.py`), so that a crash of PJSIP ends
one call and never its caller. Protocol, one JSON object a line: the first line to stdin is the call's setting, further
ones are commands (`{"step": {...}}`, `{"no_more_steps": true}`, `{"hang_up": true}`); each line from stdout is an event
`{"event": kind, "at": epoch seconds, ...}`. End of stdin hangs up.

Events: `registered` · `calling` {sip_call_id} · `ringing` {from} · `missed` · `answered` {sip_call_id} ·
`heard_speech` {heard_seconds} (the far side began) · `listening` {heard_seconds} (it has ended, with the silence after
it) · `patience_over` {step} (nothing was heard: the step goes ahead) · `speaking` {file, seconds} · `spoke` {seconds} ·
`pressed` {digits} · `step_done` {step} · `out_of_steps` · `hung_up` {by: near | far, code, reason, speech_seconds} ·
`problem` {code, message}. `heard_seconds` count in heard.wav.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog

log = structlog.get_logger(__name__)

DTMF_CHARACTERS = "0123456789*#ABCD"
# What the child may take beyond the call's own limit (loading PJSIP, unregistering) before it is killed.
CHILD_EXTRA_SECONDS = 20.0
# One event line; the longest holds a file name.
LINE_LIMIT_BYTES = 2**20


class PhoneError(Exception):
    """`code` is stable (`phone-missing`, `phone-died`, `phone-number-invalid`, …); `message` says what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


# ------------------------------------------------------------------------------------------------------- the script


@dataclass(frozen=True, slots=True)
class Speak:
    """Speak a sound file, when the far side listens: it spoke since our last step and is quiet now.

    barge_in_after_seconds: instead, so long after the far side began to speak.
    at_seconds: instead, so long after the call was answered.
    hang_up_after_seconds: hang up when so much of the file has been spoken.
    """

    file: Path
    barge_in_after_seconds: float | None = None
    at_seconds: float | None = None
    hang_up_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Press:
    """Press keys (RFC 4733), timed like `Speak`."""

    digits: str
    barge_in_after_seconds: float | None = None
    at_seconds: float | None = None

    def __post_init__(self) -> None:
        if not self.digits or self.digits.strip(DTMF_CHARACTERS):
            raise PhoneError("phone-digits-invalid", f"keys are {DTMF_CHARACTERS}, not {self.digits!r}")


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class StaySilent:
    """Let one question pass: wait until the far side listens, and say nothing."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """Hang up, at once or when the far side listens."""

    when_listening: bool = False


Step = Speak | Press | Wait | StaySilent | HangUp
_STEP_KINDS: Mapping[str, type[Step]] = {kind.__name__: kind for kind in (Speak, Press, Wait, StaySilent, HangUp)}


def step_to_json(step: Step) -> dict[str, Any]:
    """For the child; paths absolute."""
    fields: dict[str, Any] = asdict(step)
    if isinstance(step, Speak):
        fields["file"] = str(step.file.absolute())
    return {"kind": type(step).__name__, **fields}


def step_from_json(data: Mapping[str, Any]) -> Step:
    fields = dict(data)
    kind = _STEP_KINDS[str(fields.pop("kind"))]
    if kind is Speak:
        fields["file"] = Path(fields["file"])
    return kind(**fields)


@dataclass(frozen=True, slots=True)
class CallScript:
    """A call to place. `number` is what the hotline sees as the caller's; `heard` gets what the caller heard (WAV)."""

    uri: str  # sip:12345@127.0.0.1:5160
    steps: Sequence[Step] = ()
    number: str = "13800001234"
    display_name: str = ""
    heard: Path | None = None
    password: str = ""  # of a phone account (number 1001, 1002); the trunk needs none
    patience_seconds: float = 20.0  # how long a step waits for the far side before it goes ahead
    listen_silence_seconds: float = 0.7  # so much silence after speech is listening
    linger_seconds: float = 60.0  # after the last step, until the far side hangs up
    max_seconds: float = 300.0  # of the whole call


@dataclass(frozen=True, slots=True)
class AnswerScript:
    """An operator's phone: registers, waits for one call, answers, goes through its steps."""

    registrar: str  # sip:127.0.0.1:5160
    number: str
    password: str
    steps: Sequence[Step] = ()
    answer_after_seconds: float = 0.5
    heard: Path | None = None
    wait_seconds: float = 120.0  # for a call
    patience_seconds: float = 20.0
    listen_silence_seconds: float = 0.7
    linger_seconds: float = 60.0
    max_seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class PhoneEvent:
    """`at` in epoch seconds; `data` by kind as in the module's docstring."""

    kind: str
    at: float
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CallReport:
    """How a call went. `code`: the final SIP status (200 after a normal end, 404, 486 …; 0 when there was none)."""

    answered: bool
    sip_call_id: str
    hung_up_by: str  # near | far | nobody (the process died)
    code: int
    reason: str
    seconds: float  # from answer to end
    heard_seconds: float  # speech heard from the far side
    steps_done: int
    problems: Sequence[str]
    events: Sequence[PhoneEvent]


# ------------------------------------------------------------------------------------------------- the call, live


OnEvent = Callable[[PhoneEvent], Awaitable[None] | None]


@dataclass
class PhoneCall:
    """One phone process. `async with PhoneCall(script) as call: async for event in call.events(): …`."""

    script: CallScript | AnswerScript
    _process: asyncio.subprocess.Process | None = None
    _seen: list[PhoneEvent] = field(default_factory=list)
    _stderr: asyncio.Task[bytes] | None = None

    @property
    def pid(self) -> int:
        """The child, for tests that kill a phone in the middle of a call."""
        assert self._process is not None
        return self._process.pid

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Start the child; PhoneError for a script that cannot be carried out."""
        setting = _setting_of(self.script)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "hotline.phone",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT_BYTES,
            start_new_session=True,
        )
        assert self._process.stderr is not None
        self._stderr = asyncio.create_task(self._process.stderr.read())
        await self._send(setting)

    async def add(self, step: Step) -> None:
        """One more step, done after those before it."""
        await self._send({"step": step_to_json(step)})

    async def no_more_steps(self) -> None:
        """After the last step: linger until the far side hangs up. A script with steps says so by itself."""
        await self._send({"no_more_steps": True})

    async def hang_up(self) -> None:
        await self._send({"hang_up": True})

    async def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError):  # it has ended: `events` tells how
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            await self._process.stdin.drain()

    async def next_event(self) -> PhoneEvent | None:
        """The next event; None when the phone has ended."""
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            try:
                data = json.loads(line)
                event = PhoneEvent(str(data.pop("event")), float(data.pop("at")), data)
            except (ValueError, KeyError, AttributeError):
                continue  # a library's own words
            self._seen.append(event)
            return event
        return None

    async def events(self) -> Any:
        """Asynchronous iterator over the events, until the phone has ended."""
        while (event := await self.next_event()) is not None:
            yield event

    async def until(self, kind: str, timeout_seconds: float = 30) -> PhoneEvent:
        """Read events up to the first of this kind; PhoneError when the phone ends or the time is over before."""
        try:
            async with asyncio.timeout(timeout_seconds):
                async for event in self.events():
                    if event.kind == kind:
                        found: PhoneEvent = event
                        return found
        except TimeoutError:
            raise PhoneError("phone-event-missing", f"no {kind!r} in {timeout_seconds:g} s: {self._story()}") from None
        raise PhoneError("phone-event-missing", f"the phone ended without {kind!r}: {self._story()}")

    def _story(self) -> str:
        return ", ".join(f"{event.kind} {dict(event.data)}" for event in self._seen[-8:]) or "nothing happened"

    def kill(self) -> None:
        """End the phone as a pulled cable would: no BYE, no unregistration."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def close(self) -> None:
        """Hang up if need be and end the child."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        if process.returncode is None:
            try:
                async with asyncio.timeout(CHILD_EXTRA_SECONDS):
                    async for _ in self.events():
                        pass
                    await process.wait()
            except TimeoutError:
                process.kill()
            finally:
                with contextlib.suppress(ProcessLookupError):
                    if process.returncode is None:
                        process.kill()
                await process.wait()
        if self._stderr is not None:
            await self._stderr

    async def report(self) -> CallReport:
        """What happened, after the end; PhoneError `phone-died` when the child ended without an end of the call."""
        assert self._process is not None
        assert self._stderr is not None
        code, said = await self._process.wait(), (await self._stderr).decode("utf-8", "replace").strip()
        report = report_of(self._seen)
        if report.hung_up_by == "nobody" and not report.problems:
            raise PhoneError("phone-died", f"the phone process ended with {code}: {said[-500:] or self._story()}")
        return report


def report_of(events: Sequence[PhoneEvent]) -> CallReport:
    """The events of one phone, summed up."""
    answered = next((event for event in events if event.kind == "answered"), None)
    ended = next((event for event in reversed(events) if event.kind == "hung_up"), None)
    placed = next((event for event in events if event.kind in ("calling", "ringing")), None)
    data: Mapping[str, Any] = ended.data if ended else {}
    return CallReport(
        answered=answered is not None,
        sip_call_id=str((answered or placed).data.get("sip_call_id", "")) if (answered or placed) else "",  # type: ignore[union-attr]
        hung_up_by=str(data.get("by", "nobody")),
        code=int(data.get("code", 0)),
        reason=str(data.get("reason", "")),
        seconds=round(ended.at - answered.at, 3) if ended and answered else 0.0,
        heard_seconds=float(data.get("speech_seconds", 0.0)),
        steps_done=sum(1 for event in events if event.kind == "step_done"),
        problems=[f"{e.data.get('code')}: {e.data.get('message')}" for e in events if e.kind == "problem"],
        events=list(events),
    )


async def place_call(script: CallScript | AnswerScript, *, on_event: OnEvent | None = None) -> CallReport:
    """Go through a whole call. `on_event` is told each event as it happens. Cancelling hangs up."""
    limit_seconds = script.max_seconds + CHILD_EXTRA_SECONDS
    if isinstance(script, AnswerScript):
        limit_seconds += script.wait_seconds
    call = PhoneCall(script)
    try:
        await call.start()
        async with asyncio.timeout(limit_seconds):
            async for event in call.events():
                if on_event is not None and inspect.isawaitable(answer := on_event(event)):
                    await answer
        return await call.report()
    except TimeoutError:
        call.kill()
        raise PhoneError("phone-hung", f"the phone did not end within {limit_seconds:g} s and was ended") from None
    finally:
        await call.close()


def _setting_of(script: CallScript | AnswerScript) -> dict[str, Any]:
    """The first line to the child."""
    number = script.number
    if not number or len(number) > 128 or any(char in number for char in "\r\n\0"):
        raise PhoneError("phone-number-invalid", "a caller's number has 1 to 128 characters and no line ends")
    for step in script.steps:
        if isinstance(step, Speak) and not step.file.is_file():
            raise PhoneError("phone-audio-missing", f"no such sound file: {step.file}")
    setting = {key: value for key, value in asdict(script).items() if key not in ("steps", "heard")}
    setting["role"] = "answer" if isinstance(script, AnswerScript) else "call"
    setting["steps"] = [step_to_json(step) for step in script.steps]
    setting["no_more_steps"] = bool(script.steps)
    setting["heard"] = str(script.heard.absolute()) if script.heard else None
    return setting


def _main() -> int:
    try:
        from hotline.phone_line import main
    except ImportError as error:
        message = f"{error}: pip install 'hotline[phone]'"
        print(json.dumps({"event": "problem", "at": time.time(), "code": "phone-missing", "message": message}))
        return 1
    return main()


if __name__ == "__main__":
    sys.exit(_main())
