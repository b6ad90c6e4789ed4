"""How a draft looks in a terminal."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from cases.schema import CALLER_FIELDS, UNDERSTOOD_FIELDS, Category, ComplaintDraft, Occurred, Place, Understood

SURE = 0.8  # as on the desk: at or above it a field needs no look

LABELS = {
    "appeal_type": "类型 type",
    "category": "分类 category",
    "place": "地点 place",
    "occurred": "时间 time",
    "subject": "标题 subject",
    "narrative": "内容 narrative",
    "request": "诉求 request",
    "urgency": "紧急 urgency",
    "name": "姓名 name",
    "callback_number": "电话 call back",
    "confidential": "保密 confidential",
}


def value_text(value: Any) -> str:
    """A field's value as one line."""
    match value:
        case None:
            return "—"
        case Category():
            return " › ".join(level for level in (value.level1, value.level2, value.level3) if level)
        case Place():
            return " ".join(part for part in (value.district, value.street, value.community, value.detail) if part)
        case Occurred():
            start = f"{value.start:%Y-%m-%d %H:%M}" if value.start else ""
            return f"{value.said} ({start} 起)" if start and value.end is None else f"{value.said} {start}".strip()
        case bool():
            return "是" if value else "否"
        case _:
            return str(value)


def sureness(field: Understood[Any]) -> str:
    if field.value is None:
        return "empty"
    return "sure" if field.confidence >= SURE else "check"


def evidence_text(draft: ComplaintDraft, field: Understood[Any]) -> str:
    """The words a field comes from, in the caller's own words (or the keys pressed)."""
    parts = []
    for evidence in field.evidence:
        turn = draft.turns[evidence.turn]
        parts.append(turn.text[evidence.start_char : evidence.end_char] or f"按键 {turn.digits}")
    return " · ".join(parts)


def fields_of(draft: ComplaintDraft) -> list[tuple[str, Understood[Any]]]:
    return [(name, getattr(draft, name)) for name in UNDERSTOOD_FIELDS] + [
        (name, getattr(draft.caller, name)) for name in CALLER_FIELDS
    ]


def draft_table(draft: ComplaintDraft) -> Table:
    """The draft with its evidence, a row a field."""
    table = Table(title=f"工单草稿 draft {draft.draft_id}", title_justify="left", show_lines=False)
    for heading, width in (("字段 field", 17), ("内容 value", None), ("把握", 6), ("依据 evidence", None)):
        table.add_column(heading, width=width, overflow="fold")
    styles = {"sure": "green", "check": "yellow", "empty": "dim"}
    for name, field in fields_of(draft):
        how = sureness(field)
        table.add_row(
            LABELS[name],
            Text(value_text(field.value)),
            Text(how, styles[how]),
            Text(evidence_text(draft, field), "dim"),
        )
    for alert in draft.alerts:
        table.add_row("警示 alert", Text(alert.kind, "bold red"), "", "")
    return table
