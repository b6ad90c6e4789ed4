"""The little of SIP, RTP and G.711 that a caller needs; pure: bytes to messages and back.

SIP: RFC 3261 (a UAC over UDP), SDP: RFC 4566. RTP: RFC 3550. Keys: RFC 4733. A-law: ITU-T G.711.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np

PCMA, TELEPHONE_EVENT = 8, 101
FRAME_SAMPLES = 160
DIGITS = "0123456789*#ABCD"
_SAMPLE = struct.Struct("!BBHII")


def _alaw_table() -> np.ndarray:
    """G.711 A-law, octet → 16-bit sample: sign, three bits of segment, four of step; even bits are sent inverted."""
    octets = np.arange(256) ^ 0x55
    segment, step = (octets >> 4) & 7, octets & 0x0F
    low = (step << 4) + 8
    size = np.where(segment == 0, low, (low + 0x100) << np.maximum(segment - 1, 0))
    return np.where(octets & 0x80, size, -size).astype("<i2")


ALAW = _alaw_table()
_ORDER = np.argsort(ALAW, kind="stable")
_LEVELS = ALAW[_ORDER].astype(np.int32)
_BETWEEN = (_LEVELS[1:] + _LEVELS[:-1]) / 2
_ENERGY = ALAW.astype(np.float64) ** 2


def alaw_encode(pcm: bytes) -> bytes:
    """16-bit samples to the nearest A-law level."""
    return _ORDER[np.searchsorted(_BETWEEN, np.frombuffer(pcm, "<i2"))].astype(np.uint8).tobytes()


def alaw_decode(octets: bytes) -> bytes:
    return ALAW[np.frombuffer(octets, np.uint8)].tobytes()


def alaw_rms(octets: bytes) -> float:
    """Loudness of A-law sound, of 32,768."""
    return float(np.sqrt(np.mean(_ENERGY[np.frombuffer(octets, np.uint8)]))) if octets else 0.0


# --- RTP


@dataclass(frozen=True, slots=True)
class Rtp:
    kind: int
    sequence: int
    timestamp: int
    payload: bytes


def rtp(kind: int, sequence: int, timestamp: int, source: int, payload: bytes, *, marker: bool = False) -> bytes:
    head = _SAMPLE.pack(0x80, (0x80 if marker else 0) | kind, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, source)
    return head + payload


def parse_rtp(data: bytes) -> Rtp | None:
    """None for what is no RTP (STUN, RTCP, noise)."""
    if len(data) < 12 or data[0] >> 6 != 2 or 200 <= data[1] <= 204:
        return None
    first, kind, sequence, timestamp, _source = _SAMPLE.unpack_from(data)
    at = 12 + 4 * (first & 0x0F)
    if first & 0x10:
        if len(data) < at + 4:
            return None
        at += 4 + 4 * int.from_bytes(data[at + 2 : at + 4], "big")
    end = len(data) - (data[-1] if first & 0x20 else 0)
    return Rtp(kind & 0x7F, sequence, timestamp, data[at:end]) if at <= end else None


def key_payload(digit: str, duration: int, *, end: bool) -> bytes:
    """RFC 4733; `duration` in samples since the key went down."""
    return struct.pack("!BBH", DIGITS.index(digit), (0x80 if end else 0) | 10, min(duration, 0xFFFF))


def missing(sequences: list[int]) -> int:
    """How many packets of a stream never came, whatever their order; numbers wrap at 65,536."""
    if not sequences:
        return 0
    last = sequences[0]
    seen = {last}
    for sequence in sequences[1:]:
        step = (sequence - last + 0x8000 & 0xFFFF) - 0x8000
        last = last + step
        seen.add(last)
    return max(seen) - min(seen) + 1 - len(seen)


# --- SIP


@dataclass(frozen=True, slots=True)
class SipMessage:
    """`first`: the request or status line. Header names are lower case; of several of a name the first counts."""

    first: str
    headers: dict[str, str]
    body: str = ""
    via: tuple[str, ...] = field(default=())

    @property
    def status(self) -> int:
        """0 for a request."""
        words = self.first.split(" ", 2)
        return int(words[1]) if words[0] == "SIP/2.0" and len(words) > 1 and words[1].isdecimal() else 0

    @property
    def method(self) -> str:
        """Of a request, or of what a response answers."""
        if self.status:
            return self.headers.get("cseq", "").rpartition(" ")[2]
        return self.first.partition(" ")[0]

    @property
    def call_id(self) -> str:
        return self.headers.get("call-id", "")

    @property
    def contact(self) -> str:
        """The address in <…>."""
        return self.headers.get("contact", "").partition("<")[2].partition(">")[0]


_SHORT = {
    "i": "call-id",
    "f": "from",
    "t": "to",
    "v": "via",
    "m": "contact",
    "c": "content-type",
    "l": "content-length",
}


def parse_sip(data: bytes) -> SipMessage | None:
    """None for what is no SIP message (keep-alives, noise)."""
    head, _, body = data.decode("utf-8", "replace").partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    if "SIP/2.0" not in first:
        return None
    headers: dict[str, str] = {}
    via: list[str] = []
    for line in lines:
        name, colon, value = line.partition(":")
        key = _SHORT.get(name.strip().lower(), name.strip().lower())
        if not colon:
            continue
        if key == "via":
            via.append(value.strip())
        headers.setdefault(key, value.strip())
    return SipMessage(first, headers, body, tuple(via))


def media_address(sdp: str) -> tuple[str, int] | None:
    """Where the far side wants its sound; None when it says none."""
    host = ""
    for line in sdp.splitlines():
        if line.startswith("c=IN IP4 "):
            host = line.removeprefix("c=IN IP4 ").strip()
        elif line.startswith("m=audio "):
            port = line.split()[1]
            if port.isdecimal() and host:
                return host, int(port)
    return None


@dataclass(frozen=True, slots=True)
class Dialing:
    """What stays the same in all requests of a call."""

    number: str
    call_id: str
    tag: str
    target: tuple[str, int]
    local: tuple[str, int]

    def request(self, method: str, uri: str, sequence: int, branch: str, to: str, body: str = "") -> bytes:
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.local[0]}:{self.local[1]};branch=z9hG4bK{branch};rport",
            "Max-Forwards: 70",
            f"From: <sip:{self.number}@{self.local[0]}>;tag={self.tag}",
            f"To: {to}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {sequence} {method}",
            f"Contact: <sip:{self.number}@{self.local[0]}:{self.local[1]}>",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body.encode())}",
        ]
        return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()

    @property
    def uri(self) -> str:
        return f"sip:12345@{self.target[0]}:{self.target[1]}"

    def invite(self, rtp_port: int) -> bytes:
        sdp = "\r\n".join(
            [
                "v=0",
                f"o=- 1 1 IN IP4 {self.local[0]}",
                "s=-",
                f"c=IN IP4 {self.local[0]}",
                "t=0 0",
                f"m=audio {rtp_port} RTP/AVP {PCMA} {TELEPHONE_EVENT}",
                f"a=rtpmap:{PCMA} PCMA/8000",
                f"a=rtpmap:{TELEPHONE_EVENT} telephone-event/8000",
                f"a=fmtp:{TELEPHONE_EVENT} 0-16",
                "a=ptime:20",
                "a=sendrecv",
                "",
            ]
        )
        return self.request("INVITE", self.uri, 1, f"{self.tag}i", f"<{self.uri}>", sdp)


def answer(request: SipMessage, status: str) -> bytes:
    """A response to a request of the far side: its Via, From, To, Call-ID and CSeq as they came."""
    lines = [f"SIP/2.0 {status}", *(f"Via: {via}" for via in request.via)]
    lines += [f"{name}: {request.headers.get(name.lower(), '')}" for name in ("From", "To", "Call-ID", "CSeq")]
    return ("\r\n".join([*lines, "Content-Length: 0"]) + "\r\n\r\n").encode()
