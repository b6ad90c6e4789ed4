"""Lexicon and language model as transducers, composed, and each unit made the acoustic model's one state.

Labels of the composition's input: phones 1 … P (unit + 1), above them P + 1 for "back off" and P + 2 + k to tell
homophones, and words that begin longer ones, apart; these are dropped at the end. Transition-ids are those of export.py:
2p - 1 stays in phone p, 2p enters it. Mohri, Pereira, Riley, "Speech recognition with weighted finite-state
transducers" (2008); pynini's OpenFst does what is heavy.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speech.training.language_model import BEGIN, END, BackoffModel
from speech.training.lexicon import Lexicon
from speech.training.transducer import Builder, Transducer
from speech.training.units import SILENCE, UNIT_INDEX, UNITS

PHONES = len(UNITS)
_SILENCE_PHONE = UNIT_INDEX[SILENCE] + 1
_BACK_OFF = PHONES + 1
# Costs (natural logarithms) of a pause beside that of ending a clause, and of one more frame of a unit.
_PAUSE, _STAY = 0.0, 0.1


def word_graph(lexicon: Lexicon, model: BackoffModel) -> Transducer:
    """From transition-ids to words (pynini needed)."""
    composed = _composed(lexicon_transducer(lexicon), grammar_transducer(model))
    return with_states(without_marks(composed))


def lexicon_transducer(lexicon: Lexicon) -> Transducer:
    """Phones to words, and two labels after the last word's: backing off, and a pause, which only silence makes."""
    ways: dict[tuple[int, ...], list[tuple[int, float]]] = defaultdict(list)
    for number, word in enumerate(lexicon.words, 1):
        for reading in lexicon.readings[word]:
            ways[tuple(UNIT_INDEX[unit] + 1 for unit in reading.units)].append((number, reading.cost))
    begun = {way[:length] for way in ways for length in range(1, len(way))}
    built = Builder()
    between = built.state()
    built.arc(between, _BACK_OFF, len(lexicon.words) + 1, 0.0, between)
    built.arc(between, _SILENCE_PHONE, len(lexicon.words) + 2, 0.0, between)
    built.final(between)
    for way, words in sorted(ways.items()):
        for place, (number, cost) in enumerate(words):
            labels = [*way, _BACK_OFF + 1 + place] if len(words) > 1 or way in begun else list(way)
            state = between
            for at, label in enumerate(labels):
                target = between if at == len(labels) - 1 else built.state()
                built.arc(state, label, number if at == 0 else 0, cost if at == 0 else 0.0, target)
                state = target
    return built.build(between)


def grammar_transducer(model: BackoffModel) -> Transducer:
    """Words to words with the model's costs. A state is a history that longer n-grams have, or none; word n of the
    model has label n - 1, then come backing off and a pause.

    A pause ends a clause and begins one: a silence arc at every history would take a third of the room, and the texts
    have a clause on each line.
    """
    words = model.words
    histories = [np.unique(level.keys // words) for level in model.levels[1:]]
    first = np.cumsum([1, *(len(keys) for keys in histories)])
    built = Builder(int(first[-1]))

    def state_of(keys: NDArray[np.int64], length: int) -> NDArray[np.int64]:
        """Of the longest end of these n-grams that is a state; 0 has no history."""
        found = np.zeros(len(keys), np.int64)
        for taken in range(1, min(length, len(histories)) + 1):
            known, ends = histories[taken - 1], keys % words**taken
            if len(known):
                at = np.minimum(np.searchsorted(known, ends), len(known) - 1)
                found = np.where(known[at] == ends, first[taken - 1] + at, found)
        return found

    back_off, pause = words - 1, words
    begin = int(state_of(np.array([BEGIN]), 1)[0])
    for length, level in enumerate(model.levels, 1):
        last, source = level.keys % words, state_of(level.keys // words, length - 1)
        for state, logp in zip(source[last == END].tolist(), level.logp[last == END].tolist(), strict=True):
            built.final(state, -logp)
            built.arc(state, pause, 0, _PAUSE - logp, begin)
        said = last > END
        label = last[said] - 1
        built.many(source[said], label, label, -level.logp[said], state_of(level.keys[said], length))
    for length, known in enumerate(histories, 1):
        label = np.full(len(known), back_off)
        source = first[length - 1] + np.arange(len(known))
        shorter = state_of(known % words ** (length - 1), length - 1)
        built.many(source, label, np.zeros(len(known), np.int64), -model.backoff(known, length), shorter)
    if begin:  # silence before the first word, after the last one, and nothing else but silence
        built.arc(begin, pause, 0, 0.0, begin)
        built.final(begin)
    return built.build(begin)


def without_marks(phones: Transducer) -> Transducer:
    """The same without states that a word's last phone enters and only marks of homophones leave: the phone's arcs go
    where the marks' arcs did. Fewer states, and units that can hold their loop on the state after them.

    A state stays where an arc would have two words, and where not a phone enters it.
    """
    mark = phones.inputs > _BACK_OFF
    count = phones.states
    leaving = np.bincount(phones.source, minlength=count)
    gone = (leaving > 0) & (np.bincount(phones.source[mark], minlength=count) == leaving) & ~np.isfinite(phones.final)
    gone[phones.start] = False
    gone[phones.target[(phones.inputs == 0) | (phones.inputs >= _BACK_OFF)]] = False
    worded = phones.outputs > 0
    into, out_of = np.zeros(count, bool), np.zeros(count, bool)
    into[phones.target[worded]] = True
    out_of[phones.source[worded]] = True
    gone &= ~(into & out_of)
    order = np.argsort(phones.source, kind="stable")
    first = np.cumsum(leaving) - leaving
    through = np.flatnonzero(gone[phones.target])  # arcs into such states, each continued by every arc out of them
    many = leaving[phones.target[through]]
    before = np.repeat(through, many)
    place = np.arange(len(before)) - np.repeat(np.cumsum(many) - many, many)
    after = order[first[phones.target[before]] + place]
    rest = np.flatnonzero(~gone[phones.target] & ~gone[phones.source])
    number = np.cumsum(~gone) - 1
    source = np.concatenate([phones.source[rest], phones.source[before]])
    target = np.concatenate([phones.target[rest], phones.target[after]])
    return Transducer(
        int(number[phones.start]),
        phones.final[~gone],
        number[source].astype(np.int32),
        np.concatenate([phones.inputs[rest], phones.inputs[before]]),
        np.concatenate([phones.outputs[rest], phones.outputs[before] + phones.outputs[after]]),
        np.concatenate([phones.cost[rest], phones.cost[before] + phones.cost[after]]),
        number[target].astype(np.int32),
    )


def with_states(phones: Transducer) -> Transducer:
    """Phones to transition-ids. The loop of a unit is on the state that its arc leads to; a state that several units
    enter gets one state before it for each."""
    unit = np.where(phones.inputs > PHONES, 0, phones.inputs).astype(np.int64)
    entered = np.unique(phones.target.astype(np.int64) * (PHONES + 1) + unit)
    entered = np.unique(np.append(entered, np.int64(phones.start) * (PHONES + 1)))
    by_state = np.bincount(entered // (PHONES + 1), minlength=phones.states)
    alone = entered[(by_state[entered // (PHONES + 1)] == 1) & (entered % (PHONES + 1) > 0)]
    shared = entered[(by_state[entered // (PHONES + 1)] > 1) & (entered % (PHONES + 1) > 0)]
    built = Builder(phones.states + len(shared))
    for state in np.flatnonzero(np.isfinite(phones.final)):
        built.final(int(state), float(phones.final[state]))
    key = phones.target.astype(np.int64) * (PHONES + 1) + unit
    target = phones.target.astype(np.int64)
    if len(shared):
        at = np.minimum(np.searchsorted(shared, key), len(shared) - 1)
        target = np.where(shared[at] == key, phones.states + at, target)
    source = phones.source.astype(np.int64)
    built.many(source, 2 * unit, phones.outputs.astype(np.int64), phones.cost.astype(np.float64), target)
    before = phones.states + np.arange(len(shared))
    for at_states, keys in ((alone // (PHONES + 1), alone), (before, shared)):
        loops = 2 * (keys % (PHONES + 1)) - 1
        built.many(at_states, loops, np.zeros_like(loops), np.full(len(loops), _STAY), at_states)
    nothing = np.zeros(len(shared), np.int64)
    built.many(before, nothing, nothing, np.zeros(len(shared)), shared // (PHONES + 1))
    return built.build(phones.start)


def _composed(lexicon: Transducer, grammar: Transducer) -> Transducer:
    """Deterministic and minimal."""
    import pywrapfst

    def mutable(made: Transducer) -> Any:
        return pywrapfst.convert(pywrapfst.Fst.read_from_string(made.to_bytes()), "vector")

    sounds, words = mutable(lexicon).arcsort("olabel"), mutable(grammar).arcsort("ilabel")
    both = pywrapfst.determinize(pywrapfst.compose(sounds, words)).minimize(allow_nondet=True)
    return Transducer.from_bytes(pywrapfst.convert(both, "const").write_to_string())
