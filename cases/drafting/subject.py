"""标题: at most 30 characters, as an operator writes it: where and what (海淀上地东里小区暖气不热)."""

from __future__ import annotations

from collections.abc import Sequence

from cases.drafting.category import Classified
from cases.drafting.evidence import Span, evidence_of, turns_asked
from cases.drafting.gazetteer import street_stem
from cases.drafting.narrative import cleaned
from cases.schema import SUBJECT_MAX_CHARS, AppealType, Asks, Evidence, Place, Turn, Understood

_VERB = {
    AppealType.ENQUIRY: "咨询",
    AppealType.SUGGESTION: "建议",
    AppealType.PRAISE: "表扬",
    AppealType.REPORT: "举报",
}
_LONGEST_DETAIL = 12
_EXCERPT_CHARS = 20
_EXCERPT_CONFIDENCE = 0.3


def subject(
    turns: Sequence[Turn],
    place: Understood[Place],
    classified: Classified,
    appeal: Understood[AppealType],
) -> Understood[str]:
    """Place and problem from what was understood; without a category the caller's first words."""
    if not classified.category.evidence:
        return _excerpt(turns)
    where = short_place(place.value) if place.value else ""
    verb, what = _what(classified, appeal.value)
    evidence = [*classified.category.evidence, *(place.evidence if where else ())]
    confidence = min(classified.category.confidence, place.confidence if where else 1.0)
    return Understood[str](
        value=(verb + where + what)[:SUBJECT_MAX_CHARS],
        confidence=round(confidence, 2),
        evidence=evidence_of(turns, map(_span, evidence)),
    )


def short_place(place: Place) -> str:
    """海淀上地东里小区: district and street without their suffixes, and a short detail; '' when nothing is known."""
    district = (place.district or "").removesuffix("区")
    street = street_stem(place.street) if place.street else ""
    detail = place.detail or ""
    if len(detail) > _LONGEST_DETAIL:
        detail = ""
    if district and street.startswith(district) and street != district:
        district = ""
    if street and detail.startswith(street):
        street = ""
    if street == district:
        street = ""
    return district + street + detail


def _what(classified: Classified, appeal: AppealType | None) -> tuple[str, str]:
    """What an operator puts before the place, and what behind it."""
    verb = _VERB.get(appeal, "") if appeal else ""
    short = classified.short
    if appeal is AppealType.PRAISE and short.startswith("表扬"):
        return verb, "工作人员"
    return ("", short) if short.startswith(verb) and verb else (verb, short)


def _excerpt(turns: Sequence[Turn]) -> Understood[str]:
    for number, turn in turns_asked(turns, Asks.NARRATION):
        value = cleaned(turn.text)[:_EXCERPT_CHARS]
        if value:
            return Understood[str](
                value=value,
                confidence=_EXCERPT_CONFIDENCE,
                evidence=evidence_of(turns, [Span(number, 0, len(turn.text))]),
            )
    return Understood[str]()


def _span(evidence: Evidence) -> Span:
    return Span(evidence.turn, evidence.start_char, evidence.end_char)
