"""The AudioSocket wire; pure: bytes in any pieces to events, and frames to bytes.

Protocol (Asterisk `res_audiosocket.c`): a frame is kind (1 byte), length (2 bytes, big endian), payload. Kinds: 0x01
the call's 16-byte UUID, first and once; 0x10 sound, 8 kHz 16-bit signed little-endian mono, 320 bytes each 20 ms;
0x03 one DTMF digit; 0x00 hang up; 0xff error.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

KIND_HANG_UP = 0x00
KIND_UUID = 0x01
KIND_DTMF = 0x03
KIND_SOUND = 0x10
KIND_ERROR = 0xFF
SOUND_MAX_BYTES = 8000  # half a second in one frame: more is no telephone
SKIPPED_MAX_BYTES = 65535  # a kind of a later Asterisk may be as long as the length field allows
DIGITS = frozenset("0123456789*#ABCD")


@dataclass(frozen=True, slots=True)
class Identified:
    call_id: str  # canonical lower-case UUID


@dataclass(frozen=True, slots=True)
class Sound:
    pcm: bytes  # s16le mono 8 kHz, any even number of bytes


@dataclass(frozen=True, slots=True)
class Digit:
    digit: str


@dataclass(frozen=True, slots=True)
class PeerHungUp:
    """The peer sent 0x00."""


@dataclass(frozen=True, slots=True)
class PeerError:
    code: int | None


@dataclass(frozen=True, slots=True)
class Violation:
    """The peer broke the protocol; nothing after it is read."""

    reason: str  # closed set, used as a metric label: order | uuid | oversized | digit


WireEvent = Identified | Sound | Digit | PeerHungUp | PeerError | Violation


class AudioSocketParser:
    """Bytes in any pieces → events. Never raises. After PeerHungUp or Violation it ignores everything.

    Unknown kinds are skipped (a later Asterisk may add some). Holds at most one frame (64 KiB).
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._identified = False
        self._over = False

    def feed(self, data: bytes) -> list[WireEvent]:
        events: list[WireEvent] = []
        if self._over:
            return events
        self._buffer += data
        start = 0
        while not self._over and len(self._buffer) - start >= 3:
            kind = self._buffer[start]
            length = int.from_bytes(self._buffer[start + 1 : start + 3], "big")
            if violation := self._refuses(kind, length):
                events.append(violation)
                self._over = True
                break
            if len(self._buffer) - start - 3 < length:
                break
            event = self._event(kind, bytes(self._buffer[start + 3 : start + 3 + length]))
            start += 3 + length
            if event is not None:
                events.append(event)
                self._over = isinstance(event, PeerHungUp | Violation)
        if self._over:
            self._buffer.clear()
        else:
            del self._buffer[:start]
        return events

    def _refuses(self, kind: int, length: int) -> Violation | None:
        """What can be refused from the head alone, before its payload is waited for."""
        if (kind == KIND_UUID) == self._identified:
            return Violation("order")
        if kind == KIND_UUID and length != 16:
            return Violation("uuid")
        if kind == KIND_SOUND and length > SOUND_MAX_BYTES:
            return Violation("oversized")
        if kind == KIND_DTMF and length != 1:
            return Violation("digit")
        return None

    def _event(self, kind: int, payload: bytes) -> WireEvent | None:
        if kind == KIND_SOUND:
            whole = len(payload) & ~1  # half a sample at the end would turn the rest of the recording into noise
            return Sound(payload[:whole]) if whole else None
        if kind == KIND_DTMF:
            digit = payload.decode("latin-1").upper()
            return Digit(digit) if digit in DIGITS else Violation("digit")
        if kind == KIND_UUID:
            self._identified = True
            return Identified(str(UUID(bytes=payload)))
        if kind == KIND_HANG_UP:
            return PeerHungUp()
        if kind == KIND_ERROR:
            return PeerError(payload[0] if payload else None)
        return None


def encode_frame(kind: int, payload: bytes = b"") -> bytes:
    return bytes((kind,)) + len(payload).to_bytes(2, "big") + payload
