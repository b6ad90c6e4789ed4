"""Pure: the telephone lines that clips are sent down, by name and by what is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

from speech.channel import Channel, Codec
from speech.errors import SpeechError

CLEAN = Channel(codec="none", low_hz=0.0, high_hz=4000.0)
PRESETS: dict[str, tuple[Channel, str]] = {
    "clean": (CLEAN, "no line at all: the clip at 8 kHz"),
    "telephone": (Channel(), "a good line: 300-3400 Hz, G.711 a-law"),
    "faint": (Channel(level_dbfs=-30.0, snr_db=30.0), "who speaks far from the phone: -30 dBFS, 30 dB above white noise"),
    "noisy": (Channel(snr_db=15.0, noise="babble"), "a room with people: 15 dB above babble"),
    "street": (Channel(snr_db=5.0, noise="babble"), "hardly understood by people: 5 dB above babble"),
    "lossy": (Channel(packet_loss=0.03), "3 % of the packets lost, in runs"),
}  # fmt: skip
MOST_CONDITIONS = 64
_LAWS: dict[str, Codec] = {"a": "alaw", "u": "ulaw", "none": "none"}


@dataclass(frozen=True, slots=True)
class Condition:
    name: str
    channel: Channel


def conditions(
    presets: Sequence[str] = (),
    *,
    snr_db: Sequence[float] = (),
    level_dbfs: Sequence[float] = (),
    packet_loss: Sequence[float] = (),
    law: str = "",
    noise: str = "",
) -> list[Condition]:
    """Every preset with every combination of what is asked for beside it. Raises SpeechError `channel-invalid`.

    Without a preset a good telephone line is taken. `noise` alone is no noise: it takes an `snr_db`.
    """
    unknown = [name for name in presets if name not in PRESETS]
    if unknown:
        raise SpeechError("channel-invalid", f"no channel is called {unknown[0]!r}: {', '.join(PRESETS)}")
    if law and law not in _LAWS:
        raise SpeechError("channel-invalid", f"law {law!r}: {', '.join(_LAWS)}")
    found: dict[Channel, Condition] = {}
    for name in presets or ("telephone",):
        base = PRESETS[name][0]
        if law:
            base = replace(base, codec=_LAWS[law])
        if noise:
            base = replace(base, noise=noise)
        if noise and not snr_db and base.snr_db is None:
            raise SpeechError("channel-invalid", f"noise {noise!r} on the channel {name}: say how loud, with a SNR")
        for snr, level, loss in product(
            snr_db or (base.snr_db,), level_dbfs or (base.level_dbfs,), packet_loss or (base.packet_loss,)
        ):
            channel = replace(base, snr_db=snr, level_dbfs=level, packet_loss=loss)
            found.setdefault(
                channel, Condition(name if channel == PRESETS[name][0] else _named(name, channel), channel)
            )
    if len(found) > MOST_CONDITIONS:
        raise SpeechError("channel-invalid", f"{len(found)} conditions: {MOST_CONDITIONS} are the most, ask for fewer")
    return list(found.values())


def _named(preset: str, channel: Channel) -> str:
    return f"{preset}: {channel.name}" if preset == "clean" else channel.name
