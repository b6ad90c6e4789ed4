"""Where the caller's words lie in recording.wav: word times of the journal depend on it (contract: second 0 of what
AudioSocket delivers lies at first frame minus HOTLINE_RECORDING_EPOCH_MS). Measured: 20 ms too late; allowed: 0.4 s,
because this test's own clock stops when the machine is busy."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from hotline.asterisk import AsteriskServer
from hotline.phone import CallScript, Press, Speak, Wait, place_call

SILENT_FRAME = b"\x10" + struct.pack(">H", 320) + bytes(320)


class AudioSocketStub:
    """Takes one AudioSocket connection, sends silence, keeps frames with the time of their coming."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.frames: list[tuple[float, bytes]] = []
        self.digits = ""
        self.end = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        connection, _ = self.listener.accept()
        self.listener.close()
        threading.Thread(target=self._pace, args=(connection,), daemon=True).start()
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as file:
            while len(head := file.read(3)) == 3:
                payload = file.read(struct.unpack(">H", head[1:])[0])
                if head[0] == 0x10:
                    self.frames.append((time.time(), payload))
                elif head[0] == 0x03:
                    self.digits += payload.decode()
                elif head[0] == 0x00:
                    break

    def _pace(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while not self.end.wait(0.02):
                connection.sendall(SILENT_FRAME)
            connection.sendall(b"\x00\x00\x00")


@pytest.mark.parametrize("late_seconds", [0.0, 1.0])
async def test_the_recording_keeps_the_callers_time(
    asterisk: AsteriskServer, agi: Any, tones: Any, voice: Path, tmp_path: Path, late_seconds: float
) -> None:
    audio = AudioSocketStub()

    def handle(line: Any) -> None:
        line.keep()
        time.sleep(late_seconds)
        line.say(f'EXEC AudioSocket "{line.env["agi_arg_1"]},127.0.0.1:{audio.port}"')
        line.finish("completed")

    agi.handle = handle
    steps = [Speak(voice, at_seconds=1.5 + late_seconds), Wait(0.5), Press("7", at_seconds=0.0), Wait(1.0)]

    def on_event(event: Any) -> None:
        if event.kind == "out_of_steps":
            audio.end.set()

    report = await place_call(CallScript(asterisk.sip_uri, steps), on_event=on_event)
    assert (report.hung_up_by, report.problems) == ("far", [])
    env = agi.lines[0].env
    await asyncio.sleep(1.0)  # the recording's last second is still being written
    recording = Path(env["agi_arg_2"]) / "recording.wav"
    heard = tmp_path / "heard.wav"
    soundfile.write(heard, np.frombuffer(b"".join(frame for _, frame in audio.frames), "<i2"), 8000)
    assert audio.digits == "7"
    in_heard, in_recording = tones.first_second(heard, tones.VOICE_HZ), tones.first_second(recording, tones.VOICE_HZ)
    assert in_heard > 0
    assert in_recording > 0
    promised = audio.frames[0][0] - int(env["agi_arg_3"]) / 1000
    assert promised > late_seconds
    assert in_recording - in_heard == pytest.approx(promised, abs=0.4)
    # The whole of what was said is in both.
    assert tones.seconds(heard, tones.VOICE_HZ) == pytest.approx(1.2, abs=0.15)
    assert tones.seconds(recording, tones.VOICE_HZ) == pytest.approx(1.2, abs=0.15)
