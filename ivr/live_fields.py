"""What is understood so far, as short values for a live row of the desk. Pure."""

from __future__ import annotations

from cases.schema import ComplaintDraft


def fields_shown(draft: ComplaintDraft) -> dict[str, str]:
    """Field path -> short display value, only of fields that have one. Numbers are shown by their last four digits."""
    shown: dict[str, str] = {}
    if draft.appeal_type.value is not None:
        shown["appeal_type"] = draft.appeal_type.value.value
    if (category := draft.category.value) is not None:
        shown["category"] = " › ".join(x for x in (category.level1, category.level2, category.level3) if x)
    if (place := draft.place.value) is not None:
        shown["place"] = "".join(x for x in (place.district, place.street, place.community, place.detail) if x)
    if (occurred := draft.occurred.value) is not None:
        shown["occurred"] = occurred.said
    for name in ("subject", "request"):
        if (value := getattr(draft, name).value) is not None:
            shown[name] = value
    if draft.urgency.value is not None:
        shown["urgency"] = draft.urgency.value.value
    if (number := draft.caller.callback_number.value) is not None:
        shown["caller.callback_number"] = "••••" + number[-4:]
    if (confidential := draft.caller.confidential.value) is not None:
        shown["caller.confidential"] = "保密" if confidential else "不保密"
    return shown
