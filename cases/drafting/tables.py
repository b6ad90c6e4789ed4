"""The editable tables of `data/`, read once, checked whole: every problem of every file is named at once.

They are configuration (catalogues change yearly), so each carries a `version`. What goes wrong on load is a
CasesError with the code `drafting-table-broken`; its message names the file, the place in it, and what to change.
"""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterator
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import TypeVar

from pydantic import ValidationError

from cases.drafting.table_models import (
    LEVEL1,
    AlertsTable,
    CategoriesTable,
    ContactTable,
    Division,
    Emergencies,
    PlacesTable,
    SpeechTable,
    Table,
    TypesTable,
    UrgencyTable,
)
from cases.errors import CasesError

BROKEN = "drafting-table-broken"
T = TypeVar("T", bound=Table)


def data_folder() -> Traversable:
    return resources.files("cases.drafting") / "data"


def read_table(model: type[T], name: str, folder: Traversable | None = None) -> T:
    """One TOML table. Raises CasesError `drafting-table-broken` with all its problems."""
    file = (folder or data_folder()) / name
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CasesError(BROKEN, f"{name}: {error}") from error
    try:
        table = model.model_validate(raw)
    except ValidationError as error:
        problems = [f"{name}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise CasesError(BROKEN, "; ".join(problems)) from error
    problems = [f"{name}: {problem}" for problem in _cross_problems(table)]
    if problems:
        raise CasesError(BROKEN, "; ".join(problems))
    return table


def _cross_problems(table: Table) -> Iterator[str]:
    if isinstance(table, CategoriesTable):
        yield from _category_problems(table)
    if isinstance(table, Emergencies):
        number_of = {"fire": "119", "medical": "120", "crime": "110", "traffic": "122"}
        for kind in table.kinds:
            if number_of[kind.kind] != kind.number:
                yield f"{kind.kind} is {number_of[kind.kind]}, not {kind.number}"
        for missing in sorted(set(number_of) - {kind.kind for kind in table.kinds}):
            yield f"no phrases for {missing}"


def _category_problems(table: CategoriesTable) -> Iterator[str]:
    names = [level1.name for level1 in table.level1]
    for name in LEVEL1:
        if names.count(name) != 1:
            yield f"level 1 {name!r} stands {names.count(name)} times, not once"
    for name in sorted(set(names) - set(LEVEL1)):
        yield f"{name!r} is no level 1 category; those are {'、'.join(LEVEL1)}"
    for level1 in table.level1:
        for level2 in level1.level2:
            if [other.name for other in level1.level2].count(level2.name) > 1:
                yield f"{level1.name}/{level2.name} stands twice"
            for level3 in level2.level3:
                path = f"{level1.name}/{level2.name}/{level3.name}"
                if [other.name for other in level2.level3].count(level3.name) > 1:
                    yield f"{path} stands twice"
                if not (level3.strong or level3.words or level3.weak):
                    yield f"{path} has no words that speak for it"


def read_divisions(folder: Traversable | None = None) -> tuple[Division, ...]:
    """The gazetteer: every community with its street and district. Raises CasesError `drafting-table-broken`."""
    name = "beijing-divisions.tsv"
    try:
        lines = ((folder or data_folder()) / name).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CasesError(BROKEN, f"{name}: {error}") from error
    problems = []
    divisions = []
    for number, row in enumerate(csv.DictReader(lines, delimiter="\t"), start=2):
        values = [row.get(column) or "" for column in ("community", "street", "district")]
        if all(values):
            divisions.append(Division.model_construct(community=values[0], street=values[1], district=values[2]))
        else:
            problems.append(f"{name}: line {number}: community, street and district are needed")
    if not divisions and not problems:
        problems.append(f"{name}: no line")
    if problems:
        raise CasesError(BROKEN, "; ".join(problems[:50]))
    return tuple(divisions)


@lru_cache(maxsize=1)
def emergencies() -> Emergencies:
    return read_table(Emergencies, "emergencies.toml")


@lru_cache(maxsize=1)
def alerts_table() -> AlertsTable:
    return read_table(AlertsTable, "alerts.toml")


@lru_cache(maxsize=1)
def types_table() -> TypesTable:
    return read_table(TypesTable, "appeal_types.toml")


@lru_cache(maxsize=1)
def categories_table() -> CategoriesTable:
    return read_table(CategoriesTable, "categories.toml")


@lru_cache(maxsize=1)
def urgency_table() -> UrgencyTable:
    return read_table(UrgencyTable, "urgency.toml")


@lru_cache(maxsize=1)
def speech_table() -> SpeechTable:
    return read_table(SpeechTable, "speech.toml")


@lru_cache(maxsize=1)
def contact_table() -> ContactTable:
    return read_table(ContactTable, "contact.toml")


@lru_cache(maxsize=1)
def places_table() -> PlacesTable:
    return read_table(PlacesTable, "places.toml")
