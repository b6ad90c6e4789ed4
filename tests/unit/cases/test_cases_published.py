"""What `ivr` may see of `cases` is a list of what it may not: a new module must not slip through it."""

from __future__ import annotations

import pkgutil
import tomllib
from pathlib import Path

import cases

PUBLISHED = {"cases.schema", "cases.client", "cases.drafting", "cases.errors"}


def test_all_that_is_not_published_is_forbidden_to_ivr() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text("utf-8"))
    (contract,) = [c for c in project["tool"]["importlinter"]["contracts"] if c["source_modules"] == ["ivr"]]
    modules = {f"cases.{module.name}" for module in pkgutil.iter_modules(cases.__path__)}
    assert modules - PUBLISHED == {name for name in contract["forbidden_modules"] if name.startswith("cases.")}
