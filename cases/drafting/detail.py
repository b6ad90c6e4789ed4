"""The part of an address that is in no gazetteer, kept as it was said: 东园三号楼二单元五零一, 城铁站东边那个路口."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from cases.drafting.evidence import Span
from cases.drafting.narrative import cleaned
from cases.drafting.tables import places_table

_LONGEST_CHARS = 28
_SHORTEST_CHARS = 2
_NUMBER = "[0-9零〇一二两三四五六七八九十百幺]"
_ROOM = re.compile(rf"{_NUMBER}{{3,5}}(?:室|号)?")
_LEADING = re.compile(
    r"^(?:就是|就|是|那个|这个|那边|这边|这儿|这里|的|呃|嗯|啊|在|街道|办事处|有个|有一个|一个|那儿|我住|我家|住|位于|地址|们|咱|里面|里头)+"
)
_GENERIC = re.compile(
    r"^(?:(?:胡同|绿地|河道|水库|景区|院子|公园|小区|村子|山|湖|河|地下室|车库|楼道|厂子|工地|学校|院|店|田|地)[里边上口内外]|景区门口|小区|社区|这小区|我们小区|附近|门口|路口|楼下|旁边|对面|村|里|街|路|号|楼|城|园|医院|学校|超市|市场|公园|路|大街|桥|工地|楼上|层|栋|单元|室|家|院里|北京市?)+$"
)
_MEANINGLESS = re.compile(r"^(?:[这那哪每某一两几]|我们|你们|他们|咱们|好几|许多|整)")


@dataclass(frozen=True, slots=True)
class Detail:
    """`text` is the turn's own characters at `span`. `weight` ranks the details of a call."""

    text: str
    span: Span
    weight: float
    asked: bool


@lru_cache(maxsize=1)
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    table = places_table()

    def either(phrases: Sequence[str]) -> str:
        return "|".join(map(re.escape, sorted(phrases, key=len, reverse=True)))

    ends = re.compile(either(table.detail_ends))
    stops = re.compile(either(table.detail_stops))
    opens = re.compile(
        either([p for p in table.locative_before if p not in ("到", "来", "我们", "咱们", "我是", "归")])
    )
    return ends, stops, opens


def find_details(turn: int, text: str, anchors: Sequence[tuple[int, int]], *, asked: bool) -> list[Detail]:
    """Details behind an anchor (a district or street at these offsets), behind a locative, or in a whole answer."""
    _, _, opens = _patterns()
    found = []
    for start, weight in [
        *((end, 2.0) for _, end in anchors),
        *((match.end(), 1.0) for match in opens.finditer(text)),
    ]:
        detail = _detail_from(turn, text, start, weight, asked)
        if detail and not any(a < detail.span.end and detail.span.start < b for a, b in anchors):
            found.append(detail)
    if asked and not found:
        found += _whole_answer(turn, text, anchors)
    return found


def _detail_from(turn: int, text: str, start: int, weight: float, asked: bool) -> Detail | None:
    ends, stops, _ = _patterns()
    leading = _LEADING.match(text[start:])
    if leading:
        start += leading.end()
    segment = text[start : start + _LONGEST_CHARS]
    last = 0
    stop = next((match.start() for match in stops.finditer(segment)), len(segment))
    for match in ends.finditer(segment):
        if match.start() > stop:
            break
        last = match.end()
    if not last:
        return None
    room = _ROOM.match(segment, last)
    if room:
        last = room.end()
    value = segment[:last]
    if len(value) < _SHORTEST_CHARS or _GENERIC.match(value) or _MEANINGLESS.match(value):
        return None
    bonus = 1.0 if asked else 0.0
    return Detail(value, Span(turn, start, start + last), weight + bonus + len(value) / 30, asked)


def _whole_answer(turn: int, text: str, anchors: Sequence[tuple[int, int]]) -> list[Detail]:
    """The longest stretch of the answer between the anchors, when it holds something."""
    edges = [0, *(edge for anchor in sorted(anchors) for edge in anchor), len(text)]
    details = []
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if end <= start:
            continue
        leading = _LEADING.match(text[start:end])
        begin = start + (leading.end() if leading else 0)
        value = text[begin:end]
        if len(cleaned(value)) >= _SHORTEST_CHARS and not _GENERIC.match(value):
            details.append(Detail(value, Span(turn, begin, end), 0.5 + len(value) / 30, asked=True))
    return details
