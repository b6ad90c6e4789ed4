"""Learns the models of drafting from labelled messages, and says by cross-validation how right they will be.

A field's weights are ridge regression on one column a class over tf-idf n-grams (characters and sounds), solved in its
dual form, so that the time depends on the number of messages. The word tables' phrases are learned from too, as little
texts that belong to their entry: what nobody labelled yet is not forgotten. How much model and tables count in the
joint vote, and the curve from vote to confidence, come from answers to messages that were not learned from.
Deterministic: the same messages give the same model.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from cases.drafting.calibration import SURE_FROM, calibrated, calibration_of
from cases.drafting.classifier import Model, Vote, grams_of, joint_vote
from cases.drafting.homophones import with_homophones
from cases.drafting.labelled import Labelled
from cases.drafting.model_file import Learned
from cases.drafting.word_votes import LEARNED_FIELDS, table_phrases, word_votes

MAX_MESSAGES = 12_000  # the kernel of more does not fit into 1 GB
FOLDS = 10
LEAST_MESSAGES = 20  # of a field
_RIDGE = 1.0
_LEAST_IN_TEXTS = 2  # a gram that one text has says nothing of others
_NOISE = 0.1  # calibration hears half of its messages as a recogniser would write them
_RATIOS = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 15.0)  # of the model's power to the tables'
# Few messages know less than the tables: with 655 a ratio above 4 was righter on them and less right on
# tests/data/complaints_dev.tsv, whose words the tables were made for.
_MOST_RATIO, _FEW_MESSAGES = 4.0, 2000
_TABLE_POWERS = (0.5, 1.0, 1.5, 2.0)
_ROWS = {"level1": 9000, "appeal_type": 6000, "urgency": 4000}  # what keeps the file below 1 MB
_PHRASES_A_TEXT = 4

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Score:
    """How right answers to messages that were not learned from are. Shares are of `messages`, `sure_right` of the sure."""

    messages: int
    right: float
    sure: float
    sure_right: float | None  # None: nothing was sure


@dataclass(frozen=True, slots=True)
class FieldReport:
    """`before`: the model in use, on the messages it had not learned from; None when it knows them all."""

    field: str
    classes: int
    after: Score
    before: Score | None
    after_on_same: Score | None  # the new one on the messages of `before`

    @property
    def worse(self) -> bool:
        """Clearly less right than the model in use: by a point of a hundred and by two messages."""
        if self.before is None or self.after_on_same is None:
            return False
        lost = self.before.right - self.after_on_same.right
        return lost > 0.01 and lost * self.before.messages >= 2


@dataclass(frozen=True, slots=True)
class LearnedResult:
    learned: Learned
    reports: tuple[FieldReport, ...]
    left_out: tuple[str, ...]  # fields that could not be learned, and what to do


Told = Callable[[str, int, int], None]
"""What is being done, done so far, of how many."""


def fingerprint(text: str) -> int:
    return crc32(text.strip().encode())


def learn(
    messages: Sequence[Labelled],
    ours: Sequence[Labelled] = (),
    *,
    before: Learned | None = None,
    told: Told = lambda step, done, total: None,
) -> LearnedResult:
    """The models of `messages` and of `ours` (bundled ones, learned from beside them but not judged by).

    A field that cannot be learned keeps the model of `before`. More than MAX_MESSAGES: the last ones are used.
    """
    before = before or Learned({})
    own_texts = {one.text.strip() for one in messages}
    every = [*(one for one in ours if one.text.strip() not in own_texts), *messages][-MAX_MESSAGES:]
    judged = {one.text.strip() for one in messages}
    fields: dict[str, Model] = dict(before.fields)
    reports: list[FieldReport] = []
    left_out: list[str] = []
    for number, name in enumerate(LEARNED_FIELDS):
        told(name, number, len(LEARNED_FIELDS))
        given = [one for one in messages if _allowed(one, name)]
        problem = _cannot_learn(name, given)
        if problem:
            left_out.append(problem)
            continue
        trainer = _Trainer(name, [one for one in every if _allowed(one, name)])
        fields[name], votes = trainer.learn()
        reports.append(_report(trainer, votes, judged, before))
    told("done", len(LEARNED_FIELDS), len(LEARNED_FIELDS))
    texts = frozenset(fingerprint(one.text) for one in every)
    return LearnedResult(Learned(fields, texts), tuple(reports), tuple(left_out))


def _allowed(one: Labelled, name: str) -> tuple[str, ...]:
    """The right answers that can be learned. An emergency is recognised by its words (emergency.py): it is learned as urgent."""
    labels = one.labels.get(name, ())
    if name == "urgency":
        labels = tuple(dict.fromkeys("urgent" if label == "emergency" else label for label in labels))
    return tuple(label for label in labels if label)


def _cannot_learn(name: str, given: Sequence[Labelled]) -> str:
    if not given:
        return f"{name}: no message has it; it stays as it is"
    if len(given) < LEAST_MESSAGES:
        return f"{name}: {len(given)} messages have it; {LEAST_MESSAGES} are the least to learn from; it stays as it is"
    classes = {label for one in given for label in _allowed(one, name)}
    if len(classes) == 1:
        return (
            f"{name}: all messages say {classes.pop()}: there is nothing to tell apart; "
            "add messages of other kinds, or leave the field out; it stays as it is"
        )
    return ""


class _Trainer:
    """One field. Rows of all matrices: messages, then the tables' phrases; `heard` are the messages with mistakes."""

    def __init__(self, name: str, messages: Sequence[Labelled]) -> None:
        self.name = name
        self.messages = list(messages)
        phrases = list(_phrase_texts(name))
        self.labels = tuple(
            sorted({label for one in self.messages for label in _allowed(one, name)} | {label for label, _ in phrases})
        )
        heard = [with_homophones(one.text, _NOISE, Random(f"{one.line}/{one.text}")) for one in self.messages]
        counted = [_counts([one.text]) for one in self.messages] + [_counts(texts) for _, texts in phrases]
        self._space = _Space(counted)
        self._x = self._space.rows(counted)
        heard_x = self._space.rows([_counts([text]) for text in heard])
        self._kernel: Matrix = (self._x @ self._x.T).toarray()
        self._heard_kernel: Matrix = (heard_x @ self._x.T).toarray()
        self._y = np.zeros((len(counted), len(self.labels)), dtype=np.float32)
        column = {label: at for at, label in enumerate(self.labels)}
        for row, one in enumerate(self.messages):
            self._y[row, [column[label] for label in _allowed(one, name)]] = 1.0
        for row, (label, _) in enumerate(phrases, len(self.messages)):
            self._y[row, column[label]] = 1.0
        self._tables = [word_votes(name, one.text) for one in self.messages]
        self._heard_tables = [word_votes(name, text) for text in heard]
        # the same text never stands on both sides
        self.folds = np.array([fingerprint(one.text) % FOLDS for one in self.messages])

    def learn(self) -> tuple[Model, list[list[Vote]]]:
        """The model, and what models that had not learned from it say of each message."""
        own, heard_own = self._held_out_scores()
        own_power, table_power = self._powers(own)
        votes = [joint_vote(o, t, own_power, table_power) for o, t in zip(own, self._tables, strict=True)]
        heard = [joint_vote(o, t, own_power, table_power) for o, t in zip(heard_own, self._heard_tables, strict=True)]
        self.heard_votes = heard
        rows = np.arange(len(self._y))
        dual, bias = self._solve(rows)
        weights: Matrix = self._x.T @ dual
        kept = self._space.strongest(weights, _ROWS[self.name])
        model = Model(
            self.labels,
            {gram: row for row, (gram, _) in enumerate(kept)},
            self._space.idf[[at for _, at in kept]],
            weights[[at for _, at in kept]],
            bias,
            own_power,
            table_power,
            calibration_of([*self.answers(votes), *self.answers(heard)]),
        )
        return model, votes

    def answers(self, votes: Sequence[list[Vote]], rows: Sequence[int] | None = None) -> list[tuple[float, bool]]:
        chosen = range(len(self.messages)) if rows is None else rows
        return [(votes[row][0].share, votes[row][0].label in _allowed(self.messages[row], self.name)) for row in chosen]

    def score(self, votes: Sequence[list[Vote]], rows: Sequence[int]) -> Score:
        """Of the new model, on `rows`: each fold's confidence comes from the curve of the other folds."""
        sure = sure_right = right = 0
        for fold in range(FOLDS):
            inside = [row for row in rows if self.folds[row] == fold]
            if not inside:
                continue
            others = [row for row in range(len(self.messages)) if self.folds[row] != fold]
            curve = calibration_of([*self.answers(votes, others), *self.answers(self.heard_votes, others)])
            for share, was_right in self.answers(votes, inside):
                right += was_right
                if calibrated(curve, share) >= SURE_FROM:
                    sure += 1
                    sure_right += was_right
        return _score(len(rows), right, sure, sure_right)

    def score_of(self, model: Model, rows: Sequence[int]) -> Score:
        """Of another model."""
        right = sure = sure_right = 0
        for row in rows:
            votes = model.votes(self.messages[row].text, self._tables[row])
            was_right = votes[0].label in _allowed(self.messages[row], self.name)
            right += was_right
            if model.confidence(votes) >= SURE_FROM:
                sure += 1
                sure_right += was_right
        return _score(len(rows), right, sure, sure_right)

    def _held_out_scores(self) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
        own = np.zeros((len(self.messages), len(self.labels)), dtype=np.float32)
        heard = np.zeros_like(own)
        phrases = np.arange(len(self.messages), len(self._y))
        for fold in range(FOLDS):
            inside, outside = np.flatnonzero(self.folds == fold), np.flatnonzero(self.folds != fold)
            if not len(inside) or not len(outside):
                continue
            rows = np.concatenate([outside, phrases])
            dual, bias = self._solve(rows)
            own[inside] = self._kernel[np.ix_(inside, rows)] @ dual + bias
            heard[inside] = self._heard_kernel[np.ix_(inside, rows)] @ dual + bias
        return [self._named(row) for row in own], [self._named(row) for row in heard]

    def _named(self, row: Matrix) -> dict[str, float]:
        return dict(zip(self.labels, map(float, row), strict=True))

    def _solve(self, rows: NDArray[np.intp]) -> tuple[Matrix, Matrix]:
        """Dual weights (rows × labels) and the bias (labels): the classes' shares among the messages."""
        bias: Matrix = self._y[rows[rows < len(self.messages)]].mean(axis=0)
        kernel = self._kernel[np.ix_(rows, rows)] + np.eye(len(rows), dtype=np.float32) * np.float32(_RIDGE)
        return np.linalg.solve(kernel, self._y[rows] - bias).astype(np.float32), bias

    def _powers(self, own: Sequence[Mapping[str, float]]) -> tuple[float, float]:
        """The pair under which the joint vote gives the right answers the most probability."""

        def loss(pair: tuple[float, float]) -> float:
            total = 0.0
            for one, scores, table in zip(self.messages, own, self._tables, strict=True):
                allowed = _allowed(one, self.name)
                share = sum(v.share for v in joint_vote(scores, table, *pair) if v.label in allowed)
                total -= float(np.log(max(share, 1e-9)))
            return total

        ratios = [one for one in _RATIOS if one <= _MOST_RATIO or len(self.messages) >= _FEW_MESSAGES]
        return min(((ratio * table, table) for ratio in ratios for table in _TABLE_POWERS), key=loss)


class _Space:
    """The grams that more than one text has, and their inverse document frequency."""

    def __init__(self, counted: Sequence[Counter[str]]) -> None:
        texts_with = Counter(gram for counts in counted for gram in counts)
        self.grams = sorted(gram for gram, texts in texts_with.items() if texts >= _LEAST_IN_TEXTS)
        self._at = {gram: at for at, gram in enumerate(self.grams)}
        frequency = np.array([texts_with[gram] for gram in self.grams], dtype=np.float32)
        self.idf: Matrix = (np.log((1 + len(counted)) / (1 + frequency)) + 1).astype(np.float32)

    def rows(self, counted: Sequence[Counter[str]]) -> Any:
        """A scipy CSR matrix (texts × grams), each row of length 1."""
        from scipy import sparse

        starts, columns, values = [0], [], []
        for counts in counted:
            at = sorted(self._at[gram] for gram in counts if gram in self._at)
            row = (1 + np.log([counts[self.grams[a]] for a in at])) * self.idf[at] if at else np.zeros(0)
            values.append((row / (np.linalg.norm(row) or 1.0)).astype(np.float32))
            columns += at
            starts.append(len(columns))
        flat = np.concatenate(values) if values else np.zeros(0, dtype=np.float32)
        return sparse.csr_matrix((flat, columns, starts), shape=(len(counted), len(self.grams)))

    def strongest(self, weights: Matrix, most: int) -> list[tuple[str, int]]:
        """The grams that move a vote most, with their row, in their own order."""
        power = np.linalg.norm(weights, axis=1) * self.idf
        chosen = sorted(np.argsort(-power, kind="stable")[:most])
        return [(self.grams[at], int(at)) for at in chosen]


def _counts(texts: Sequence[str]) -> Counter[str]:
    return Counter(gram for text in texts for gram, _, _ in grams_of(text))


def _phrase_texts(name: str) -> Iterator[tuple[str, list[str]]]:
    """The tables' phrases as little texts of a few phrases each."""
    by_entry: dict[tuple[str, str], list[str]] = defaultdict(list)
    for label, entry, phrase in table_phrases(name):
        by_entry[label, entry].append(phrase)
    for (label, _), phrases in by_entry.items():
        for at in range(0, len(phrases), _PHRASES_A_TEXT):
            yield label, phrases[at : at + _PHRASES_A_TEXT]


def _score(messages: int, right: int, sure: int, sure_right: int) -> Score:
    return Score(
        messages,
        right / messages if messages else 0.0,
        sure / messages if messages else 0.0,
        sure_right / sure if sure else None,
    )


def _report(trainer: _Trainer, votes: list[list[Vote]], judged: set[str], before: Learned) -> FieldReport:
    rows = [row for row, one in enumerate(trainer.messages) if one.text.strip() in judged]
    unseen = [row for row in rows if fingerprint(trainer.messages[row].text) not in before.messages]
    model = before.fields.get(trainer.name)
    return FieldReport(
        trainer.name,
        len(trainer.labels),
        trainer.score(votes, rows),
        trainer.score_of(model, unseen) if model and unseen else None,
        trainer.score(votes, unseen) if model and unseen else None,
    )
