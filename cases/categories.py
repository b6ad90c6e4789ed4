"""The table of categories as the desk edits by it: the very table that drafting classifies with."""

from __future__ import annotations

from functools import lru_cache

from cases.drafting.tables import categories_table
from cases.schema import Category
from cases.views import CategoriesView, Level1View, Level2View, Level3View


@lru_cache(maxsize=1)
def categories() -> CategoriesView:
    """Raises CasesError `drafting-table-broken` when the table is faulty."""
    table = categories_table()
    return CategoriesView(
        version=table.version,
        categories=tuple(
            Level1View(
                name=level1.name,
                children=tuple(
                    Level2View(name=level2.name, children=tuple(Level3View(name=leaf.name) for leaf in level2.level3))
                    for level2 in level1.level2
                ),
            )
            for level1 in table.level1
        ),
    )


@lru_cache(maxsize=1)
def _paths() -> frozenset[tuple[str, str | None, str | None]]:
    paths: set[tuple[str, str | None, str | None]] = set()
    for level1 in categories().categories:
        paths.add((level1.name, None, None))
        for level2 in level1.children:
            paths.add((level1.name, level2.name, None))
            paths |= {(level1.name, level2.name, level3.name) for level3 in level2.children}
    return frozenset(paths)


def category_exists(category: Category) -> bool:
    """Whether the table has exactly this path; deeper levels may be left out."""
    return (category.level1, category.level2 or None, category.level3 or None) in _paths()
