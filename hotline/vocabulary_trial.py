"""The trial of `hotline evaluate vocabulary`: listed names spoken in sentences, and speech that holds none of them.

The names are invented, so no recogniser learned them. Each sentence goes over a telephone line and through the very
code of a call; what the recogniser told before a name was put in is kept, so the same decoding also says what would
have been heard without the list, and over the first hearing alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hotline.endpointing_trial import STORIES, read_texts
from speech.audio import SAMPLE_RATE_HZ, read_telephone, seconds_of
from speech.channel import Channel, telephone
from speech.confusions import SoundCosts
from speech.pauses import samples_of
from speech.recognizer import SpokenWord
from speech.transcribe import transcribe_sound
from speech.vocabulary import Hearing, Vocabulary
from speech.vocabulary_list import read_list
from speech.vocabulary_search import Entry
from speech.voice import Voice
from speech.vosk_engine import VoskEngine

WAYS = {
    "without": "without the list",
    "first": "the first hearing alone",
    "hearings": "other hearings too",
}
Given = tuple[tuple[SpokenWord, ...], tuple[Hearing, ...]]
_SOUND_FILES = (".wav", ".flac", ".ogg", ".opus")
# Estates as builders name them. Two parts that hardly anybody has heard together.
_STEMS = (
    "翠屏 锦澜 云栖 观棠 紫宸 碧湖 枫丹 沁芳 鹭岛 汀兰 柏悦 橡树 瀚林 琅桥 拾光 青鸾 荔湖 揽翠 溪畔 听涛 望岳 "
    "凤栖 麓鸣 玺悦 旭辉 澄江 璞玉 朗逸 悦榕 蔚蓝 颐和 瑞雪 盛唐 天鹅 丹桂 芙蓉 九棵 百丈 清荷 燕归 西斗 榆钱 "
    "磨盘 驼铃 仓南 铁匠 三槐 石榴"
)
_ENDS = "家园 小区 嘉苑 花园 公馆 新村 大街 路 胡同 里 湾 府 名邸 广场 桥 东里"
_WORDS = (
    "拼多多 哈啰单车 青桔单车 飞线充电 接诉即办 吹哨报到 群租房 隔断间 快递柜 网约车 剧本杀 月子中心 老头乐 "
    "直播带货 长租公寓 丰巢柜 闪送员 充电桩 开墙打洞 共有产权房 新能源车 电子围栏 人脸识别 加装电梯"
)
_ABOUT_PLACES = (
    "我家住在{}，楼道里的灯坏了半个月了，没有人来修",
    "{}门口天天有人摆摊，晚上十二点还在吵",
    "你好，我想反映一下，{}这边的垃圾，已经三天没有人收了",
    "就在{}，三号楼的暖气一直不热",
    "我是{}的居民，昨天又停水了，请你们问一问",
    "昌平区，{}，靠近地铁站的那个路口，红绿灯不亮了",
    "我要投诉，{}旁边的工地，夜里还在施工",
    "麻烦您记一下，地址是{}五号院",
)
_ABOUT_WORDS = (
    "我想反映{}的问题，已经找过好几次了",
    "楼下的{}，没有人管，请你们查一查",
    "我想问一下，{}，到底归哪个部门管",
    "关于{}，我上个月就打过电话，一直没有答复",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """`listed`: invented names in the list; `spoken` of them are said. `sounds`: recordings that hold none of them."""

    listed: int = 200
    spoken: int = 60
    seed: int = 1
    texts: Path | None = None
    sounds: Path | None = None
    model: str | None = None
    snr_db: float | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """One sentence, heard in each way. `name`: the listed name that was said in it, or ''. `given`: to the vocabulary."""

    said: str
    name: str
    seconds: float
    ways: dict[str, tuple[SpokenWord, ...]]
    given: tuple[Given, ...] = ()

    def text(self, way: str) -> str:
        return "".join(word.text for word in self.ways[way])

    def put_in(self, way: str) -> list[SpokenWord]:
        """The listed names that were put in, but for those that the sentence has by chance."""
        return [
            word for word in self.ways[way] if word.heard and (word.text == self.name or word.text not in self.said)
        ]


def invented(plan: Plan) -> tuple[Entry, ...]:
    """The list of the trial: three parts places, one part new words. The same plan, the same list."""
    rng = np.random.default_rng([plan.seed, 0])
    places = [f"{stem}{end}\t\t昌平区" for stem in _STEMS.split() for end in _ENDS.split()]
    rng.shuffle(places)
    words = _WORDS.split()[: max(1, plan.listed // 4)]
    rng.shuffle(words)
    found = read_list(places[: max(0, plan.listed - len(words))], "places.tsv", places=True).entries
    return (*found, *read_list(words, "vocabulary.tsv", places=False).entries)


def sentences(plan: Plan, entries: Sequence[Entry]) -> Iterator[tuple[str, str]]:
    """(sentence, the name in it)."""
    rng = np.random.default_rng([plan.seed, 1])
    places = [entry for entry in entries if entry.is_place]
    words = [entry for entry in entries if not entry.is_place]
    for number in range(plan.spoken):
        kind, about = (words, _ABOUT_WORDS) if number % 4 == 3 and words else (places, _ABOUT_PLACES)
        name = kind[int(rng.integers(len(kind)))].written
        yield about[int(rng.integers(len(about)))].format(name), name


def without_names(plan: Plan) -> list[str]:
    """Sentences with none of the names."""
    return read_texts(plan.texts) if plan.texts is not None else list(STORIES)


def sound_files(plan: Plan) -> list[Path]:
    """Raises ValueError when there are none."""
    if plan.sounds is None:
        return []
    found = sorted(path for path in plan.sounds.rglob("*") if path.suffix.lower() in _SOUND_FILES)
    if not found:
        raise ValueError(f"{plan.sounds}: no sound file ({', '.join(_SOUND_FILES)}) is in it")
    return found


class Watched(Vocabulary):
    """A vocabulary that keeps what it was given."""

    def __init__(self, entries: Sequence[Entry], sounds: SoundCosts) -> None:
        super().__init__(entries, sounds)
        self.given: list[Given] = []

    def snap(self, words: Sequence[SpokenWord], hearings: Sequence[Hearing] = ()) -> list[SpokenWord]:
        self.given.append((tuple(words), tuple(hearings)))
        return super().snap(words, hearings)

    def took(self) -> tuple[Given, ...]:
        """What was given since the last time."""
        given, self.given = tuple(self.given), []
        return given


class Trial:
    """Speaks and hears. `vocabulary` is the engine's."""

    def __init__(self, plan: Plan, voice: Voice, sounds: SoundCosts) -> None:
        self.plan = plan
        self.entries = invented(plan)
        self.vocabulary = Watched(self.entries, sounds)
        self._voice = voice

    async def run(self, engine: VoskEngine, progress: Callable[[int, int], None]) -> tuple[list[Heard], list[Heard]]:
        """Sentences with a name, and speech with none. Raises the recogniser's and the voice's SpeechErrors."""
        named = list(sentences(self.plan, self.entries))
        files = sound_files(self.plan)
        plain = without_names(self.plan) if not files or self.plan.texts is not None else []
        total = len(named) + len(plain) + len(files)
        with_name: list[Heard] = []
        with_none: list[Heard] = []
        for number, (text, name) in enumerate([*named, *((text, "") for text in plain)]):
            pcm = await asyncio.to_thread(self._spoken, text, number)
            (with_name if name else with_none).append(await self._heard(engine, text, name, pcm))
            progress(number + 1, total)
        for number, path in enumerate(files, total - len(files)):
            pcm = self._over_line(await asyncio.to_thread(read_telephone, path), number)
            with_none.append(await self._heard(engine, path.stem, "", pcm))
            progress(number + 1, total)
        return with_name, with_none

    def _spoken(self, text: str, number: int) -> bytes:
        speed = float(np.random.default_rng([self.plan.seed, 2, number]).choice([0.9, 1.0, 1.1]))
        return self._over_line(self._voice.speak(text, speed=speed), number)

    def _over_line(self, pcm: bytes, number: int) -> bytes:
        line = Channel(snr_db=self.plan.snr_db)
        rng = np.random.default_rng([self.plan.seed, 3, number])
        return telephone(samples_of(pcm), SAMPLE_RATE_HZ, line, rng).astype("<i2").tobytes()

    async def _heard(self, engine: VoskEngine, said: str, name: str, pcm: bytes) -> Heard:
        self.vocabulary.took()
        # In the background: no caller waits, and no load of the machine changes what is heard.
        told = await transcribe_sound(engine, pcm, background=True)
        given = self.vocabulary.took()
        first = [word for words, _ in given for word in Vocabulary.snap(self.vocabulary, words)]
        ways = {
            "without": tuple(word for words, _ in given for word in words),
            "first": tuple(first),
            "hearings": told.words,
        }
        return Heard(said, name, seconds_of(pcm), ways, given)
