"""What a human must see at once: a threat, an emergency, a minor, a case that has been told before."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from cases.drafting.emergency import hears_emergency, hears_threat
from cases.drafting.evidence import Span, evidence_of
from cases.drafting.phrases import PhraseIndex, long_by_sound_floor
from cases.drafting.pinyin import hear
from cases.drafting.tables import alerts_table
from cases.schema import Alert, AlertKind, Turn

# How often each was right on the labelled messages, counted with one right and one wrong more, since they are few
# (docs/drafting.md): emergency 2 of 3, threat 5 of 5, minor 6 of 6, repeat 9 of 10.
_CONFIDENCE = {AlertKind.THREAT: 0.86, AlertKind.EMERGENCY: 0.6, AlertKind.MINOR: 0.88, AlertKind.REPEAT: 0.83}


@lru_cache(maxsize=1)
def _index() -> PhraseIndex[AlertKind]:
    table = alerts_table()
    entries = [(phrase, AlertKind.MINOR) for phrase in table.minor.phrases]
    entries += [(phrase, AlertKind.REPEAT) for phrase in table.repeat.phrases]
    return PhraseIndex(entries, floor=long_by_sound_floor)


def alerts(turns: Sequence[Turn]) -> tuple[Alert, ...]:
    """One alert a kind, with all its words as evidence, in the order of AlertKind. All turns are listened to."""
    spans: dict[AlertKind, list[Span]] = {kind: [] for kind in AlertKind}
    for number, turn in enumerate(turns):
        if not turn.text:
            continue
        threat = hears_threat(turn.text)
        if threat:
            spans[AlertKind.THREAT].append(Span(number, threat.start_char, threat.end_char))
        emergency = hears_emergency(turn.text)
        if emergency:
            spans[AlertKind.EMERGENCY].append(Span(number, emergency.start_char, emergency.end_char))
        for found in _index().find(hear(turn.text)):
            spans[found.payload].append(Span(number, found.start, found.end))
    return tuple(
        Alert(kind=kind, confidence=_CONFIDENCE[kind], evidence=evidence_of(turns, found))
        for kind, found in spans.items()
        if found
    )
