"""Prompts folders to break: the shipped texts and sounds with a menu of the test's own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ivr.menu import load_menu
from ivr.menu_states import Menu

SHIPPED = Path(__file__).parents[3] / "prompts"


@pytest.fixture
def prompts_copy(tmp_path: Path) -> Path:
    """A copy of prompts/ that a test may spoil."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "prompts"))


@pytest.fixture
def with_menu(tmp_path: Path) -> Callable[[str], Path]:
    """A folder with this menu.toml and the shipped texts and sounds (linked, not to be changed)."""

    def make(menu: str) -> Path:
        folder = tmp_path / "own"
        folder.mkdir(exist_ok=True)
        (folder / "menu.toml").write_text(menu, encoding="utf-8")
        for name in ("texts.toml", "audio.lock.toml", "zh"):
            if not (folder / name).exists():
                (folder / name).symlink_to(SHIPPED / name)
        return folder

    return make


@pytest.fixture(scope="session")
def shipped_menu() -> Menu:
    return load_menu(SHIPPED)
