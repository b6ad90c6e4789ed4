"""工单编号: a template of the settings, filled with the city's day and that day's sequence. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from cases.errors import CasesError


def counter_name(today: datetime) -> str:
    """The counter of a day's sequence; `today` in the city's zone."""
    return f"case:{today:%Y%m%d}"


def case_number(template: str, today: datetime, sequence: int) -> str:
    return template.format(date=today, sequence=sequence)


def check_template(template: str) -> None:
    """CasesError `case-number-template` unless every day and every case of a day gives another number."""
    days = [datetime(*day, tzinfo=UTC) for day in ((2026, 1, 31), (2026, 2, 1), (2026, 2, 2), (2027, 2, 1))]
    try:
        numbers = {case_number(template, day, sequence) for day in days for sequence in (1, 12, 1_000_000)}
    except (KeyError, ValueError, IndexError, AttributeError) as error:
        raise CasesError("case-number-template", f"cases.case_number cannot be filled in: {error!r}") from error
    if len(numbers) < 12 or max(map(len, numbers)) > 64 or not all(re.fullmatch(r"[\w.-]+", n) for n in numbers):
        raise CasesError(
            "case-number-template",
            "cases.case_number needs {date:…} with the day and {sequence:…}, and makes at most 64 letters and digits",
        )
