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
    r"^(?:(?:胡同|绿地|河道|水库|景区|院子|公园|小区|村子|山|湖|河|地下室|车库|楼道|厂子|工地|学校|院|店|田|地)[里边上口内外]|景区门口|小区|社区|这小区|我们小区|附近|门口|路口|楼下|旁边|对面|村|里|街|路|号|楼|城|园|医院|学校|超市|市场|公园|路|大街|桥|人民政府|政府|工地|楼上|层|栋|单元|室|家|院里|北京市?)+$"
)
_MEANINGLESS = re.compile(r"^(?:[这那哪每某一两几]|我们|你们|他们|咱们|好几|许多|整)")


@dataclass(frozen=True, slots=True)
class Anchor:
    """A district, street or everyday name at `[start, end)`. `bare`: a street without 街道, 镇, 乡, 地区 behind it."""

    start: int
    end: int
    bare: bool = False
    everyday: bool = False


@dataclass(frozen=True, slots=True)
class Detail:
    """`text` is the turn's own characters at `span`. `weight` ranks the details of a call."""

    text: str
    span: Span
    weight: float
    asked: bool


# behind a street's name it makes a road, an estate or a station of it
_ROAD = re.compile(
    r"[东南西北中前后大小]?(?:大街|路|街|桥|站|胡同|巷|地铁站)|[东南西北中前后]?[里园苑]|[东南西北中一二三四五六七八九十]+区"
)


@lru_cache(maxsize=1)
def _unknown() -> re.Pattern[str]:
    """A whole answer that says that the caller cannot tell."""
    phrases = "|".join(map(re.escape, places_table().unknown_answers))
    return re.compile(rf"^(?:{phrases}|[啊呃嗯哦我也这个那个呢吧了的])+$")


@lru_cache(maxsize=1)
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    table = places_table()

    def either(phrases: Sequence[str]) -> str:
        return "|".join(map(re.escape, sorted(phrases, key=len, reverse=True)))

    # 安慧里 is an estate, 屋里 is none
    ends = re.compile(either(table.detail_ends) + "|(?<![家屋院楼房村厂店库区场校河水路哪这那])里(?![面头边])")
    stops = re.compile(either(table.detail_stops))
    opens = re.compile(
        either([p for p in table.locative_before if p not in ("到", "来", "我们", "咱们", "我是", "归")])
    )
    return ends, stops, opens


def find_details(turn: int, text: str, anchors: Sequence[Anchor], *, asked: bool) -> list[Detail]:
    """Details behind an anchor (a district or street that was said), behind a locative, or in a whole answer."""
    _, _, opens = _patterns()
    found = []
    starts = [(anchor.end, 2.0) for anchor in anchors if not _keeps_name(anchor, text)]
    starts += [(anchor.start, 2.1) for anchor in anchors if _keeps_name(anchor, text)]
    starts += [(match.end(), 1.0) for match in opens.finditer(text)]
    for start, weight in starts:
        detail = _detail_from(turn, text, start, weight, asked)
        if detail and not any(_cut(anchor, detail, text) for anchor in anchors):
            found.append(detail)
    if not found:
        found += [
            Detail(text[a.start : a.end], Span(turn, a.start, a.end), 0.8 + asked, asked) for a in anchors if a.everyday
        ]
    if asked and not found and not _unknown().match(text):
        found += _whole_answer(turn, text, anchors)
    return found


def _keeps_name(anchor: Anchor, text: str) -> bool:
    """Whether the anchor's name is part of the detail: 中关村南大街, 八里庄西里, and every everyday name."""
    return anchor.everyday or (anchor.bare and bool(_ROAD.match(text, anchor.end)))


def _cut(anchor: Anchor, detail: Detail, text: str) -> bool:
    """Whether the detail runs into an anchor that is no part of it."""
    if anchor.start == detail.span.start and _keeps_name(anchor, text):
        return False
    return anchor.start < detail.span.end and detail.span.start < anchor.end


def _detail_from(turn: int, text: str, start: int, weight: float, asked: bool) -> Detail | None:
    leading = _LEADING.match(text[start:])
    if leading:
        start += leading.end()
    segment = text[start : start + _LONGEST_CHARS]
    last = _last_end(segment, asked)
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


def _last_end(segment: str, asked: bool) -> int:
    """Where the last address word before the first stop ends; 0 when there is none. An answer to "where" has no stops.

    At each place the longer of an address word and a stop counts: 家园 is an address, 楼道 is none.
    """
    ends, stops, _ = _patterns()
    at = last = 0
    while at < len(segment):
        end, stop = ends.match(segment, at), stops.match(segment, at)
        if stop and not asked and (not end or len(stop.group()) >= len(end.group())):
            break
        if end:
            last = at = end.end()
        else:
            at += 1
    return last


def _whole_answer(turn: int, text: str, anchors: Sequence[Anchor]) -> list[Detail]:
    """The longest stretch of the answer between the anchors, when it holds something."""
    edges = [0, *(edge for a in sorted(anchors, key=lambda a: a.start) for edge in (a.start, a.end)), len(text)]
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
