"""Spoken complaints through real calls: how many drafts have the right place and type.

usage: python tests/bench/spoken_complaints.py [FILE.tsv]     default: tests/data/complaints_spoken.tsv

Dials the hotline that runs with the current settings (`make serve`), one call after the other, as `hotline call --say`
does. FILE: text, types (alternatives by |), district, street. Prints a row a call and the share that is right.
"""

from __future__ import annotations

import asyncio
import csv
import sys
import tempfile
from pathlib import Path

from hotline.calling import CallOrder, run_call, sounds
from hotline.logs import configure_logging
from hotline.phone import Speak
from hotline.settings import load_settings
from ivr.events import TurnEnded

DATA = Path(__file__).parents[1] / "data" / "complaints_spoken.tsv"


def _same(street: str | None, expected: str) -> bool:
    """The statistics' 地区 is 镇 or 乡 in speech (DOMAIN)."""
    return street is not None and street.replace("地区", "镇") == expected.replace("地区", "镇")


async def main(file: Path) -> None:
    configure_logging(quiet=True)
    settings = load_settings()
    with file.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    right = {"type": 0, "place": 0, "both": 0}
    print("| # | said | heard | type | place | category |\n|---|---|---|---|---|---|")
    for number, row in enumerate(rows, 1):
        with tempfile.TemporaryDirectory() as folder:
            (sound,) = await sounds(settings, [row["text"]], [], Path(folder))
            order = CallOrder([Speak(sound, barge_in_after_seconds=1.0)], f"1391001{number:04}", hurried=True)
            result = await run_call(settings, order)
        draft = result.draft or {}
        place = (draft.get("place") or {}).get("value") or {}
        kind = (draft.get("appeal_type") or {}).get("value")
        category = (draft.get("category") or {}).get("value") or {}
        heard = next((fact.text for fact in result.facts if isinstance(fact, TurnEnded)), "")
        type_right = kind in row["types"].split("|")
        place_right = place.get("district") == row["district"] and _same(place.get("street"), row["street"])
        right["type"] += type_right
        right["place"] += place_right
        right["both"] += type_right and place_right
        marks = {True: "✓", False: "✗"}
        print(
            f"| {number} | {row['text']} | {heard} | {kind} {marks[type_right]} "
            f"| {place.get('district') or '—'} {place.get('street') or '—'} {marks[place_right]} "
            f"| {category.get('level1') or '—'} |",
            flush=True,
        )
    print(f"\nof {len(rows)}: " + ", ".join(f"{name} right {count}" for name, count in right.items()))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA))
