"""Numbers as they are said: 十一, 二十五, 两, 半, 幺三八, 二〇二六."""

from __future__ import annotations

NUMERAL_CHARS = "0123456789零〇一二两三四五六七八九十百"
DIGIT_OF = {
    **{char: char for char in "0123456789"},
    **dict(zip("零〇一幺二两三四五六七八九", "0011223456789", strict=True)),
}


def number_of(said: str) -> float | None:
    """The value of a numeral up to 999 (半 is 0.5), or None when it is none. Digits in a row read as such (二六 → 26)."""
    if said == "半":
        return 0.5
    if not said or any(char not in NUMERAL_CHARS for char in said):
        return None
    if "十" not in said and "百" not in said:
        return float("".join(DIGIT_OF[char] for char in said))
    hundreds, _, rest = said.rpartition("百")
    tens, ten, ones = rest.rpartition("十")
    parts = (
        (_small(hundreds, 1 if "百" in said else 0), 100),
        (_small(tens, 1 if ten else 0), 10),
        (_small(ones if ten else rest, 0), 1),
    )
    total = 0.0
    for value, unit in parts:
        if value is None:
            return None
        total += value * unit
    return total


def _small(said: str, when_empty: int) -> int | None:
    said = said.strip("零〇")
    if not said:
        return when_empty
    return int(DIGIT_OF[said]) if len(said) == 1 and said in DIGIT_OF else None
