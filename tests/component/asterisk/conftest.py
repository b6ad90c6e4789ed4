"""A real Asterisk with short tones for prompts, and a FastAGI daemon that does what a test tells it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hotline.asterisk import AsteriskServer, Surroundings, find_asterisk, on_free_ports

RATE_HZ = 8000
# What the caller hears is told apart by its pitch.
TONES_HZ = {"fallback_apology": 600, "queue_busy": 800, "leave_message": 1250, "goodbye": 1600, "human_wait": 2000}


class Tones:
    """Makes and finds tones; for tests by the fixture `tones`."""

    PROMPTS_HZ = TONES_HZ
    BEEP_HZ, RINGING_HZ, VOICE_HZ, OPERATOR_HZ = 1000, 450, 300, 1450

    @staticmethod
    def write(path: Path, hz: float, seconds: float) -> Path:
        return write_tone(path, hz, seconds)

    @staticmethod
    def seconds(path: Path, hz: float) -> float:
        """For how long a tone is to be heard in a file."""
        return seconds_of(load(path), hz)

    @staticmethod
    def first_second(path: Path, hz: float) -> float:
        """Where a tone begins; -1 when it is not there."""
        return first_second_of(load(path), hz)

    @staticmethod
    def order(path: Path, *pitches_hz: float) -> list[float]:
        """These pitches in the order of their first being heard; what is not heard is left out."""
        samples = load(path)
        found = {hz: first_second_of(samples, hz) for hz in pitches_hz}
        return sorted((hz for hz, second in found.items() if second >= 0), key=lambda hz: found[hz])


def tone(hz: float, seconds: float) -> np.ndarray:
    return (9000 * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE_HZ)) / RATE_HZ)).astype(np.int16)


def write_tone(path: Path, hz: float, seconds: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(hz, seconds), RATE_HZ, subtype="PCM_16")
    return path


def seconds_of(samples: np.ndarray, hz: float) -> float:
    """For how long a tone is to be heard: 20 ms frames with a third of their power at this pitch."""
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160).astype(float)
    power = np.abs(np.fft.rfft(frames * np.hanning(160), axis=1)) ** 2
    at = round(hz / 50)
    near = power[:, at - 1 : at + 2].sum(axis=1)
    loud = (frames**2).mean(axis=1) > 200**2
    return float(np.sum(loud & (near > 0.3 * power.sum(axis=1)))) * 0.02


def first_second_of(samples: np.ndarray, hz: float) -> float:
    """Where a tone begins, to 20 ms; -1 when it is not there."""
    for start in range(0, len(samples) - 800, 160):
        if seconds_of(samples[start : start + 800], hz) > 0.08:
            return start / RATE_HZ
    return -1.0


def load(path: Path) -> np.ndarray:
    samples, rate_hz = soundfile.read(path, dtype="int16")
    assert rate_hz == RATE_HZ
    assert samples.ndim == 1
    return samples


@dataclass
class AgiLine:
    """One FastAGI conversation, seen from the daemon."""

    connection: socket.socket
    env: dict[str, str]
    file: object

    def say(self, command: str) -> str:
        self.connection.sendall(command.encode() + b"\n")
        while (line := self.file.readline().decode().strip()) == "HANGUP":  # type: ignore[attr-defined]
            pass
        return line

    def keep(self) -> None:
        """The daemon's first word."""
        assert self.say('SET VARIABLE "TIMEOUT(absolute)" "60"').startswith("200 result=1")

    def finish(self, outcome: str) -> None:
        self.say(f'SET VARIABLE HOTLINE_OUTCOME "{outcome}"')
        self.say('SET VARIABLE HOTLINE_DONE "1"')


@dataclass
class AgiStub:
    """Stands in for ivr where ivr is not the point."""

    port: int
    handle: Callable[[AgiLine], None] | None = None  # None: the daemon is down
    lines: list[AgiLine] = field(default_factory=list)


@pytest.fixture(scope="session")
def tone_prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prompts")
    for name, hz in TONES_HZ.items():
        write_tone(folder / "zh" / f"{name}.wav", hz, 0.5)
    return folder


@pytest.fixture(scope="session")
def _agi_listener() -> Iterator[tuple[AgiStub, list[socket.socket]]]:
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    stub = AgiStub(listener.getsockname()[1])
    open_ones: list[socket.socket] = []

    def converse(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            file = connection.makefile("rb")
            env = {}
            while line := file.readline().decode().strip():
                name, _, value = line.partition(":")
                env[name] = value.strip()
            agi = AgiLine(connection, env, file)
            stub.lines.append(agi)
            if stub.handle is not None:
                stub.handle(agi)
            connection.shutdown(socket.SHUT_RDWR)  # closing alone does not, while `file` is open

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                open_ones.append(connection)
                threading.Thread(target=converse, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield stub, open_ones
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for connection in open_ones:
        connection.close()


@pytest.fixture
def agi(_agi_listener: tuple[AgiStub, list[socket.socket]]) -> Iterator[AgiStub]:
    stub, open_ones = _agi_listener
    stub.handle = None
    stub.lines.clear()
    yield stub
    for connection in open_ones:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="session")
def asterisk(
    tmp_path_factory: pytest.TempPathFactory,
    tone_prompts: Path,
    _agi_listener: tuple[AgiStub, list[socket.socket]],
) -> Iterator[AsteriskServer]:
    """Running, with everything as delivered but short waits."""
    find_asterisk()  # says what to do when there is none
    state = tmp_path_factory.mktemp("asterisk")
    settings = on_free_ports(queue_seconds=4, first_word_seconds=2)
    around = Surroundings(state / "spool", tone_prompts, "127.0.0.1", _agi_listener[0].port)
    with AsteriskServer(settings, state_dir=state, around=around) as server:
        yield server


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    """What the caller says: 1.2 s of a low tone."""
    return write_tone(tmp_path / "voice.wav", Tones.VOICE_HZ, 1.2)


@pytest.fixture
def tones() -> type[Tones]:
    return Tones
