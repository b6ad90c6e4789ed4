"""The child process of `phone.py`: PJSIP's side of one SIP phone. Nothing else imports it.

PJSIP runs without threads of its own for SIP (`libHandleEvents` in our loop), so its callbacks come in our thread;
only the two frame callbacks of `SoundPort` come from its sound clock, 50 times a second, and they do next to nothing.
"""

from __future__ import annotations

import collections
import json
import os
import queue
import socket
import sys
import threading
import time
import wave
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pjsua2 as pj

from hotline.phone import HangUp, PhoneError, Press, Speak, Step, Wait, step_from_json

RATE_HZ = 8000
FRAME_MS = 20
FRAME_BYTES = RATE_HZ * 2 * FRAME_MS // 1000
FRAME_SECONDS = FRAME_MS / 1000
SILENT_FRAME = bytes(FRAME_BYTES)
LOUD_RMS = 150.0  # of 32,768: -47 dBFS; a-law's idle noise is below 10
KEY_SECONDS = 0.32  # PJSIP's length of a key and the pause after it, rounded up
LONGEST_FILE_SECONDS = 600
END_SECONDS = 3.0  # for a BYE or an unregistration to be answered


class FarSpeech:
    """When the far side speaks, from the loudness of its 20 ms frames. Pure: time is the count of frames."""

    def __init__(self) -> None:
        self.frames = 0
        self.loud_frames = 0
        self.onsets: list[int] = []  # frame numbers at which it began to speak
        self.last_loud = -1
        self._recent: collections.deque[bool] = collections.deque(maxlen=5)

    def feed(self, rms: float) -> bool:
        """One frame; True when speech begins with it: 3 loud frames of 5, after 0.3 s of quiet."""
        loud = rms > LOUD_RMS
        self._recent.append(loud)
        begins = not self.speaking and sum(self._recent) >= 3
        if begins:
            self.onsets.append(max(0, self.frames - 4))
        if loud and (begins or self.speaking):
            self.last_loud = self.frames
            self.loud_frames += 1
        self.frames += 1
        return begins

    @property
    def speaking(self) -> bool:
        return self.last_loud >= 0 and self.frames - self.last_loud <= 15

    @property
    def quiet_seconds(self) -> float:
        """Since it last spoke; since the start when it never did."""
        return (self.frames - 1 - self.last_loud) * FRAME_SECONDS

    @property
    def seconds(self) -> float:
        return self.frames * FRAME_SECONDS


def read_speech(path: Path) -> bytes:
    """Any sound file as 8 kHz 16-bit mono; PhoneError `phone-audio-unreadable`."""
    import soundfile
    import soxr

    try:
        with soundfile.SoundFile(path) as file:
            if file.frames > LONGEST_FILE_SECONDS * file.samplerate:
                raise PhoneError("phone-audio-unreadable", f"{path} is longer than {LONGEST_FILE_SECONDS} s")
            samples, rate_hz = file.read(dtype="float32", always_2d=True), file.samplerate
        mono = np.nan_to_num(samples.mean(axis=1), nan=0.0, posinf=1.0, neginf=-1.0)
        if rate_hz != RATE_HZ:
            mono = soxr.resample(mono, rate_hz, RATE_HZ)
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        raise PhoneError("phone-audio-unreadable", f"{path}: {error}") from error
    return (np.clip(mono, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()


@dataclass
class Sound:
    """Between the sound clock and our loop. `heard`: frames to be taken in order; `speech`: what is left to be said."""

    heard: collections.deque[bytes] = field(default_factory=collections.deque)
    listening: bool = False
    _speech: bytes = b""
    _spoken_bytes: int = 0

    def say(self, speech: bytes) -> None:
        self._speech, self._spoken_bytes = speech, 0

    def next_frame(self) -> bytes:
        start = self._spoken_bytes
        frame = self._speech[start : start + FRAME_BYTES]
        if not frame:
            return SILENT_FRAME
        self._spoken_bytes = start + FRAME_BYTES
        return frame.ljust(FRAME_BYTES, b"\0")

    @property
    def spoken_seconds(self) -> float:
        return min(self._spoken_bytes, len(self._speech)) / (2 * RATE_HZ)

    @property
    def done(self) -> bool:
        return self._spoken_bytes >= len(self._speech)


class Events:
    """Event lines to the parent, on the stdout we were given; the process's own stdout is PJSIP's to scribble on."""

    def __init__(self) -> None:
        self._file = os.fdopen(os.dup(1), "w", encoding="utf-8")
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)

    def __call__(self, kind: str, **data: Any) -> None:
        try:
            self._file.write(json.dumps({"event": kind, "at": time.time(), **data}, ensure_ascii=False) + "\n")
            self._file.flush()
        except BrokenPipeError:  # the parent is gone; end of stdin ends us
            pass


class Walk:
    """Goes through the steps. `tick` is called every 10 ms while the call is up; it asks for keys and hang-up."""

    def __init__(self, setting: Mapping[str, Any], sound: Sound, far: FarSpeech, events: Events) -> None:
        self._setting = setting
        self._sound = sound
        self._far = far
        self._events = events
        self._steps: collections.deque[Step] = collections.deque(step_from_json(step) for step in setting["steps"])
        self.no_more_steps = bool(setting["no_more_steps"])
        self._step: Step | None = None
        self._since = 0.0  # when the step became the next one
        self._began: float | None = None
        self._lasts_seconds = 0.0
        self._onsets_used = 0
        self._out_since: float | None = None
        self._answered = 0.0
        self._told_listening = 0
        self.hang_up = False
        self.keys = ""
        # Files are read before the call, so that one that is not sound costs no call.
        self._speech = {step.file: read_speech(step.file) for step in self._steps if isinstance(step, Speak)}

    def add(self, step: Step) -> None:
        if isinstance(step, Speak) and step.file not in self._speech:
            self._speech[step.file] = read_speech(step.file)
        self._steps.append(step)

    def answered(self, now: float) -> None:
        self._answered = now

    def tick(self, now: float) -> None:
        self._tell_listening()
        if self._step is None:
            if not self._steps:
                self._linger(now)
                return
            self._step, self._since, self._began, self._out_since = self._steps.popleft(), now, None, None
        if self._began is None and self._is_due(self._step, now):
            self._begin(self._step, now)
        if self._began is not None and self._is_done(self._step, now):
            self._events("step_done", step=type(self._step).__name__)
            self._step = None

    def _tell_listening(self) -> None:
        far = self._far
        if len(far.onsets) > self._told_listening and self._far_listens():
            self._told_listening = len(far.onsets)
            self._events("listening", heard_seconds=round(far.seconds, 3))

    def _far_listens(self) -> bool:
        return not self._far.speaking and self._far.quiet_seconds >= self._setting["listen_silence_seconds"]

    def _linger(self, now: float) -> None:
        if not self.no_more_steps:
            return
        if self._out_since is None:
            self._out_since = now
            self._events("out_of_steps")
        if now - self._out_since > self._setting["linger_seconds"]:
            self.hang_up = True

    def _is_due(self, step: Step, now: float) -> bool:
        if isinstance(step, Wait) or (isinstance(step, HangUp) and not step.when_listening):
            return True
        if isinstance(step, Speak | Press) and step.at_seconds is not None:
            return now - self._answered >= step.at_seconds
        far = self._far
        if len(far.onsets) > self._onsets_used:
            if isinstance(step, Speak | Press) and step.barge_in_after_seconds is not None:
                began = far.onsets[self._onsets_used] * FRAME_SECONDS
                return far.seconds - began >= step.barge_in_after_seconds
            return self._far_listens()
        if min(far.quiet_seconds, now - self._since) > self._setting["patience_seconds"]:
            self._events("patience_over", step=type(step).__name__)
            return True
        return False

    def _begin(self, step: Step, now: float) -> None:
        self._began = now
        self._onsets_used = len(self._far.onsets)
        if isinstance(step, Speak):
            speech = self._speech[step.file]
            self._sound.say(speech)
            self._events("speaking", file=str(step.file), seconds=round(len(speech) / (2 * RATE_HZ), 3))
        elif isinstance(step, Press):
            self.keys = step.digits
            self._lasts_seconds = KEY_SECONDS * len(step.digits)
            self._events("pressed", digits=step.digits)
        elif isinstance(step, HangUp):
            self.hang_up = True
        else:
            self._lasts_seconds = step.seconds if isinstance(step, Wait) else 0.0

    def _is_done(self, step: Step, now: float) -> bool:
        if not isinstance(step, Speak):
            return self._began is not None and now - self._began >= self._lasts_seconds
        stop_at = step.hang_up_after_seconds
        cut = stop_at is not None and self._sound.spoken_seconds >= stop_at
        if not cut and not self._sound.done:
            return False
        self._events("spoke", seconds=round(self._sound.spoken_seconds, 3))
        self.hang_up = self.hang_up or stop_at is not None
        return True


def _local_address(host: str, port: int) -> str:
    """Our address on the way there; nothing is sent."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((host, port))
        return str(probe.getsockname()[0])


def _host_and_port(uri: str) -> tuple[str, int]:
    """sip:user@host:port → (host, port); PhoneError `phone-uri-invalid`."""
    rest = uri.removeprefix("sip:").rpartition("@")[2].partition(";")[0]
    host, colon, port = rest.rpartition(":")
    if not colon or rest.endswith("]"):
        host, port = rest, "5060"
    host = host.strip("[]")
    if not uri.startswith("sip:") or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise PhoneError("phone-uri-invalid", f"{uri!r} is not sip:number@host:port")
    return host, int(port)


class Phone:
    """PJSIP, and the loop that drives it."""

    def __init__(self, setting: Mapping[str, Any], events: Events) -> None:
        self.setting = setting
        self.events = events
        self.sound = Sound()
        self.far = FarSpeech()
        self.walk = Walk(setting, self.sound, self.far, events)
        self.is_answerer = setting["role"] == "answer"
        self.commands: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.call: Any = None
        self.port: Any = None
        self.ended = False
        self.answered_at: float | None = None
        self.answer_at: float | None = None  # when a ringing call is to be answered
        self.hanging_up_since: float | None = None
        self.registered = False
        self._heard_file: wave.Wave_write | None = None

    # --- PJSIP's objects

    def open(self) -> None:
        host, port = _host_and_port(self.setting["registrar" if self.is_answerer else "uri"])
        address = _local_address(host, port)
        self.endpoint = pj.Endpoint()
        self.endpoint.libCreate()
        config = pj.EpConfig()
        config.uaConfig.threadCnt = 0
        config.uaConfig.maxCalls = 4
        config.logConfig.level = config.logConfig.consoleLevel = 0
        media = config.medConfig
        media.clockRate = media.sndClockRate = RATE_HZ
        media.audioFramePtime = FRAME_MS
        media.noVad = True  # a caller's silence is sent too
        media.ecTailLen = 0
        media.quality = 10
        self.endpoint.libInit(config)
        transport = pj.TransportConfig()
        transport.port = 0
        transport.boundAddress = address
        self.endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
        self.endpoint.libStart()
        self.endpoint.audDevManager().setNullDev()
        for codec in self.endpoint.codecEnum2():
            self.endpoint.codecSetPriority(codec.codecId, 255 if codec.codecId.startswith("PCMA/") else 0)
        self.account = PhoneAccount(self)
        self.account.create(self._account_config(host, port, address))

    def _account_config(self, host: str, port: int, address: str) -> Any:
        setting = self.setting
        config = pj.AccountConfig()
        user = quote(setting["number"], safe="+-_.!~*'()")
        domain = f"[{host}]" if ":" in host else host
        name = "".join("\\" + char if char in '"\\' else char for char in setting.get("display_name", ""))
        config.idUri = f'"{name}" <sip:{user}@{domain}>' if name else f"sip:{user}@{domain}"
        rtp = config.mediaConfig.transportConfig
        rtp.port = 0
        rtp.boundAddress = address
        if setting["password"]:
            config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", setting["number"], 0, setting["password"]))
        if self.is_answerer:
            config.regConfig.registrarUri = f"sip:{domain}:{port}"
            config.regConfig.timeoutSec = 300
            config.regConfig.retryIntervalSec = 0
        return config

    def dial(self) -> None:
        self.call = LineCall(self)
        option = pj.CallOpParam(True)
        option.opt.audioCount = 1
        option.opt.videoCount = 0
        self.call.makeCall(self.setting["uri"], option)
        self.events("calling", sip_call_id=self.call.getInfo().callIdString)

    # --- what PJSIP tells us

    def on_registration(self, code: int, reason: str, active: bool) -> None:
        if active and code // 100 == 2:
            if not self.registered:
                self.registered = True
                self.events("registered")
        elif code // 100 != 2 and not self.ended:
            self.events("problem", code="phone-registration-refused", message=f"{code} {reason}")
            self.ended = True

    def on_incoming(self, call_id: int) -> None:
        call = LineCall(self, call_id)
        option = pj.CallOpParam()
        if self.call is not None or not self.is_answerer:
            option.statusCode = 486
            call.hangup(option)
            return
        self.call = call
        info = call.getInfo()
        option.statusCode = 180
        call.answer(option)
        self.events("ringing", **{"from": info.remoteUri, "sip_call_id": info.callIdString})
        self.answer_at = time.monotonic() + self.setting["answer_after_seconds"]

    def on_state(self, call: Any) -> None:
        info = call.getInfo()
        if call is not self.call:
            return
        if info.state == pj.PJSIP_INV_STATE_CONFIRMED and self.answered_at is None:
            self.answered_at = time.monotonic()
            self.walk.answered(self.answered_at)
            self.sound.listening = True
            self.events("answered", sip_call_id=info.callIdString)
        elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            if self.is_answerer and self.answered_at is None and self.hanging_up_since is None:
                self.events("missed")  # cancelled while it rang; another call may come
                self.call = self.answer_at = None
                return
            self.ended = True
            self._take_heard()
            self.events(
                "hung_up",
                by="near" if self.hanging_up_since is not None else "far",
                code=int(info.lastStatusCode),
                reason=info.lastReason,
                speech_seconds=round(self.far.loud_frames * FRAME_SECONDS, 3),
            )

    def on_media(self, call: Any) -> None:
        info = call.getInfo()  # held: its media list is PJSIP's memory
        for index, media in enumerate(info.media):
            if media.type == pj.PJMEDIA_TYPE_AUDIO and media.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                audio = call.getAudioMedia(index)
                if self.port is None:
                    self.port = SoundPort(self.sound)
                audio.startTransmit(self.port)
                self.port.startTransmit(audio)

    # --- the loop

    def run(self) -> None:
        deadline = (
            time.monotonic() + self.setting["max_seconds"] + (self.setting["wait_seconds"] if self.is_answerer else 0.0)
        )
        wait_until = time.monotonic() + self.setting.get("wait_seconds", 0.0)
        if not self.is_answerer:
            self.dial()
        while not self.ended:
            self.endpoint.libHandleEvents(10)
            now = time.monotonic()
            self._take_heard()
            self._take_commands(now)
            if self.answer_at is not None and now >= self.answer_at:
                self.answer_at = None
                option = pj.CallOpParam()
                option.statusCode = 200
                self.call.answer(option)
            if self.answered_at is not None and self.hanging_up_since is None:
                self.walk.tick(now)
                self._carry_out(now)
            if self.is_answerer and self.call is None and now > wait_until:
                self.events("problem", code="phone-no-call", message="nobody called in time")
                return
            if now > deadline and self.hanging_up_since is None:
                self.events("problem", code="phone-call-too-long", message="the call's limit (max_seconds) was reached")
                self.hang_up(now)
            if self.hanging_up_since is not None and now > self.hanging_up_since + END_SECONDS:
                self.events("hung_up", by="near", code=0, reason="no answer to BYE", speech_seconds=0.0)
                return

    def _carry_out(self, now: float) -> None:
        if self.walk.keys:
            keys, self.walk.keys = self.walk.keys, ""
            self.call.dialDtmf(keys)
        if self.walk.hang_up:
            self.hang_up(now)

    def hang_up(self, now: float) -> None:
        if self.hanging_up_since is not None:
            return
        self.hanging_up_since = now
        if self.call is None:
            self.ended = True
            return
        self.call.hangup(pj.CallOpParam(True))

    def _take_commands(self, now: float) -> None:
        while not self.commands.empty():
            command = self.commands.get()
            if "step" in command:
                try:
                    self.walk.add(step_from_json(command["step"]))
                except (PhoneError, KeyError, TypeError) as error:
                    code = error.code if isinstance(error, PhoneError) else "phone-step-invalid"
                    self.events("problem", code=code, message=str(error))
            if command.get("no_more_steps"):
                self.walk.no_more_steps = True
            if command.get("hang_up"):
                self.hang_up(now)

    def _take_heard(self) -> None:
        while self.sound.heard:
            frame = self.sound.heard.popleft()
            if self._heard_file is None and self.setting["heard"]:
                self._heard_file = wave.open(self.setting["heard"], "wb")  # noqa: SIM115, open as long as the call
                self._heard_file.setnchannels(1)
                self._heard_file.setsampwidth(2)
                self._heard_file.setframerate(RATE_HZ)
            if self._heard_file is not None:
                self._heard_file.writeframesraw(frame)
            samples = np.frombuffer(frame, "<i2").astype(np.float32)
            if self.far.feed(float(np.sqrt(np.mean(samples * samples)))):
                self.events("heard_speech", heard_seconds=round(self.far.onsets[-1] * FRAME_SECONDS, 3))

    def close(self) -> None:
        """Players and recorders go before the library does, else PJSIP crashes at exit."""
        self.sound.listening = False
        if self._heard_file is not None:
            self._heard_file.close()
        if self.registered:
            self.registered = False
            self.ended = True
            self.account.setRegistration(False)
            deadline = time.monotonic() + 0.5
            while time.monotonic() < deadline:
                self.endpoint.libHandleEvents(10)
        self.port = None
        self.call = None
        self.account.shutdown()
        self.endpoint.libDestroy()


class SoundPort(pj.AudioMediaPort):
    """Where PJSIP's sound clock takes our frames and leaves the far side's."""

    def __init__(self, sound: Sound) -> None:
        super().__init__()
        self._sound = sound
        layout = pj.MediaFormatAudio()
        layout.init(pj.PJMEDIA_FORMAT_PCM, RATE_HZ, 1, FRAME_MS * 1000, 16)
        self.createPort("phone", layout)

    def onFrameRequested(self, frame: Any) -> None:
        data = self._sound.next_frame()
        frame.type = pj.PJMEDIA_FRAME_TYPE_AUDIO
        frame.buf = pj.ByteVector(data)
        frame.size = len(data)

    def onFrameReceived(self, frame: Any) -> None:
        if self._sound.listening:
            self._sound.heard.append(bytes(frame.buf)[:FRAME_BYTES].ljust(FRAME_BYTES, b"\0"))


class PhoneAccount(pj.Account):
    """Tells `Phone` of registrations and incoming calls."""

    def __init__(self, phone: Phone) -> None:
        super().__init__()
        self._phone = phone

    def onRegState(self, prm: Any) -> None:
        self._phone.on_registration(int(prm.code), prm.reason, self.getInfo().regIsActive)

    def onIncomingCall(self, prm: Any) -> None:
        self._phone.on_incoming(prm.callId)


class LineCall(pj.Call):
    """Tells `Phone` of a call's states and sound."""

    def __init__(self, phone: Phone, call_id: int = -1) -> None:
        super().__init__(phone.account, call_id)
        self._phone = phone

    def onCallState(self, prm: Any) -> None:
        self._phone.on_state(self)

    def onCallMediaState(self, prm: Any) -> None:
        self._phone.on_media(self)


def _read_commands(commands: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in sys.stdin.buffer:
        try:
            command = json.loads(line)
        except ValueError:
            continue
        if isinstance(command, dict):
            commands.put(command)
    commands.put({"hang_up": True})


def main() -> int:
    """One call; the setting is the first line of stdin. Exit status 0 when it ended in order."""
    events = Events()
    try:
        setting = json.loads(sys.stdin.buffer.readline())
        phone = Phone(setting, events)
    except PhoneError as error:
        events("problem", code=error.code, message=error.message)
        return 1
    except (ValueError, KeyError, TypeError) as error:
        events("problem", code="phone-script-invalid", message=repr(error))
        return 1
    code = 0
    try:
        phone.open()
        threading.Thread(target=_read_commands, args=(phone.commands,), daemon=True).start()
        phone.run()
        phone.close()
    except PhoneError as error:
        events("problem", code=error.code, message=error.message)
        code = 1
    except Exception as error:  # pjsua2.Error is one; the parent tells it on, with the traceback on stderr
        events("problem", code="phone-failed", message=str(getattr(error, "reason", "") or error))
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    sys.stderr.flush()
    os._exit(code)  # PJSIP's destructors and the interpreter's end do not go together
