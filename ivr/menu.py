"""The menu of prompts/: loaded and checked whole, and kept while an admin edits it."""

from __future__ import annotations

import threading
from pathlib import Path

import structlog

from ivr.menu_file import MenuReader
from ivr.menu_graph import check_menu
from ivr.menu_states import Menu
from ivr.texts import AUDIO_LANGUAGE, LOCK_FILE, MENU_FILE, TEXTS_FILE, Problem, check_audio, read_texts

log = structlog.get_logger(__name__)

__all__ = ["Menu", "MenuError", "MenuKeeper", "check_prompts", "load_menu", "stamp_of"]

Stamp = tuple[tuple[str, int, int], ...]


class MenuError(Exception):
    """The menu cannot be used. `problems` names everything that is wrong, warnings included."""

    code = "menu-broken"

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        errors = [problem for problem in problems if problem.severity == "error"]
        super().__init__(f"{self.code}: {len(errors)} to mend\n" + "\n".join(map(str, errors)))


def _read(prompts_dir: Path) -> tuple[Menu | None, list[Problem]]:
    texts, voice, problems = read_texts(prompts_dir)
    reader = MenuReader(prompts_dir, texts)
    menu = reader.read()
    if menu is not None:
        check_menu(menu, reader.source.problem)
    return menu, [*reader.problems, *problems, *check_audio(prompts_dir, texts, voice)]


def check_prompts(prompts_dir: Path) -> list[Problem]:
    """Everything that is wrong with menu, texts and sound, in one go; empty when all is well."""
    return _read(prompts_dir)[1]


def load_menu(prompts_dir: Path) -> Menu:
    """The menu of `prompts_dir`; MenuError names all problems when it cannot be used. Warnings do not stop it."""
    menu, problems = _read(prompts_dir)
    if menu is None or any(problem.severity == "error" for problem in problems):
        raise MenuError(problems)
    return menu


def stamp_of(prompts_dir: Path) -> Stamp:
    """Changes with every edit of menu, texts or sound."""
    files = [prompts_dir / name for name in (MENU_FILE, TEXTS_FILE, LOCK_FILE)]
    files += sorted((prompts_dir / AUDIO_LANGUAGE).glob("*.wav"))
    stamps = []
    for path in files:
        try:
            status = path.stat()
            stamps.append((path.name, status.st_mtime_ns, status.st_size))
        except OSError:
            stamps.append((path.name, 0, -1))
    return tuple(stamps)


class MenuKeeper:
    """Gives each new call the newest menu that is whole: a broken edit never reaches a caller.

    The first menu has to be whole (MenuError). Thread safe; `current` costs a few `stat`s when nothing changed.
    """

    def __init__(self, prompts_dir: Path) -> None:
        self._prompts_dir = prompts_dir
        self._lock = threading.Lock()
        self._stamp = stamp_of(prompts_dir)
        self._menu = load_menu(prompts_dir)
        self.problems: list[Problem] = []  # of the edit that was not taken, for the desk and doctor

    def current(self) -> Menu:
        with self._lock:
            stamp = stamp_of(self._prompts_dir)
            if stamp != self._stamp:
                self._stamp = stamp
                self._reload()
            return self._menu

    def _reload(self) -> None:
        try:
            self._menu = load_menu(self._prompts_dir)
        except MenuError as error:
            self.problems = error.problems
            log.error("menu_kept", reason=error.code, problems=[str(problem) for problem in error.problems])
        except OSError as error:  # unreadable in the middle of an edit
            log.error("menu_kept", reason="menu-unreadable", problems=[str(error)])
        else:
            self.problems = []
            log.info("menu_loaded", digest=self._menu.digest, states=len(self._menu.states))
