"""Pure: may one more call be heard live, and what is given up first when the recogniser falls behind?

A call is heard whole or not at all. One that is not is answered, asked and recorded all the same, and transcribed when
there is room. Time and load come in as arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

# A caller listens to the greeting first: until so long after it was let in a call may not show in the measured load.
YOUNG_SECONDS = 25.0
# What of such a call's time will be speech that has to be decoded.
TALK_SHARE = 0.6
# A level is left only when the load has been this much below its limit for so long.
CALMER = 0.8
CALM_SECONDS = 3.0


class Level(IntEnum):
    """What is given up, each level what the one before gave up too."""

    NORMAL = 0
    PARTIALS_SHED = 1  # partial transcripts come rarely, so that final ones come in time
    FULL = 2  # no partials, and a call that comes now is not heard live


@dataclass(frozen=True, slots=True)
class Load:
    """What the recogniser has to do, of calls heard live.

    `workload`: decode seconds per wall second and worker over the last seconds, what waits counted in.
    `behind_seconds`: how long the workers need for the sound that waits. `pace`: decode seconds a second of sound.
    """

    workload: float
    behind_seconds: float
    pace: float
    workers: int


@dataclass(frozen=True, slots=True)
class Limits:
    """`calls_max` 0: as many as the load allows. A load of 1 is a recogniser without a free moment."""

    admit_below_load: float = 0.8
    shed_partials_at_load: float = 0.65
    full_at_load: float = 1.0
    shed_partials_behind_seconds: float = 0.3
    full_behind_seconds: float = 1.0
    calls_max: int = 0


class Admission:
    """The calls that are heard live, and the level. Not thread safe: who holds it locks it."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._let_in_at: list[float] = []  # of the calls heard now, oldest first
        self._level = Level.NORMAL
        self._calm_since: float | None = None
        self._seen_at = float("-inf")

    @property
    def calls(self) -> int:
        """Calls heard live now."""
        return len(self._let_in_at)

    @property
    def level(self) -> Level:
        return self._level

    def enter(self, load: Load, at_seconds: float) -> float | None:
        """A call comes. The ticket to give back by `leave` when it is heard live; None: there is no room."""
        level = self.see(load, at_seconds)
        limits = self._limits
        if level is Level.FULL or (limits.calls_max and self.calls >= limits.calls_max):
            return None
        young = sum(at > at_seconds - YOUNG_SECONDS for at in self._let_in_at)
        expected = load.workload + (young + 1) * TALK_SHARE * load.pace / load.workers
        # The first call is heard by any machine, however slow: there is nothing to gain by hearing nobody.
        if self.calls and expected > limits.admit_below_load:
            return None
        self._let_in_at.append(at_seconds)
        return at_seconds

    def leave(self, ticket: float) -> None:
        if ticket in self._let_in_at:
            self._let_in_at.remove(ticket)

    def see(self, load: Load, at_seconds: float) -> Level:
        """The level by a load measured now: up at once, down when it has been calm for a while."""
        seen_at, self._seen_at = self._seen_at, at_seconds
        wanted = self._level_of(load, 1.0)
        if wanted > self._level:
            self._level, self._calm_since = wanted, None
        elif self._level_of(load, CALMER) >= self._level:
            self._calm_since = None
        else:
            # Nobody measured for a while because there was nothing to decode: the load now is of that while.
            if self._calm_since is None:
                self._calm_since = at_seconds if at_seconds - seen_at < CALM_SECONDS else seen_at
            if at_seconds - self._calm_since >= CALM_SECONDS:
                self._level, self._calm_since = self._level_of(load, CALMER), None
        return self._level

    def _level_of(self, load: Load, share: float) -> Level:
        """The level by limits of which only `share` is allowed."""
        limits = self._limits
        if load.workload > limits.full_at_load * share or load.behind_seconds > limits.full_behind_seconds * share:
            return Level.FULL
        if (
            load.workload > limits.shed_partials_at_load * share
            or load.behind_seconds > limits.shed_partials_behind_seconds * share
        ):
            return Level.PARTIALS_SHED
        return Level.NORMAL
