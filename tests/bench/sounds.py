"""Callers' sound for the benchmarks: spoken by the bundled voice, with a telephone line's silences. Seeded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hotline.calling import CALLER_SPEED
from speech.audio import BYTES_PER_SECOND, FRAME_BYTES, seconds_of
from speech.voice import Voice

# Of no data set: load, not accuracy, is measured with them.
SENTENCES = (
    "我要投诉，丰台区方庄街道芳古园一区，小区门口的垃圾桶三天没人清理了。",
    "海淀区上地街道上地西里，我家暖气不热，屋里只有十四度，希望尽快恢复供暖。",
    "朝阳区望京街道花家地小区，楼上邻居每天晚上大声放音乐，吵得老人睡不着。",
    "我们单位拖欠工资三个月了，老板电话也打不通，希望劳动部门管一管。",
    "门口这条路上的路灯坏了一个多星期，晚上黑灯瞎火的，老人走路很危险。",
    "公交车到站不停，司机态度也很恶劣，我等了四十分钟。",
    "楼下饭店每天晚上油烟特别大，窗户都不敢开，跟他们说了好几次也没有用。",
    "小区里的电梯坏了半个月，物业说没有钱修，我家住在十八层。",
    "工地夜里两点还在施工，声音特别大，孩子第二天还要上学。",
    "自来水发黄已经两天了，不知道还能不能喝，麻烦帮我们查一查。",
    "我想咨询一下，老年人办理公交卡需要带什么材料，去哪里办理。",
    "路边井盖丢了一个，差点摔着人，请尽快派人来处理。",
)
LINE_NOISE_DBFS = -65.0


@dataclass(frozen=True, slots=True)
class Clip:
    """What a caller's side of the line sounds like. `speech_seconds`: how much of it is the voice."""

    pcm: bytes
    speech_seconds: float
    text: str

    @property
    def seconds(self) -> float:
        return seconds_of(self.pcm)


class Callers:
    """The clips. What was spoken once is kept in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._voice = Voice(folder / "voice")
        self._rng = np.random.default_rng(12345)

    def sentence(self, number: int) -> bytes:
        return self._voice.speak(SENTENCES[number % len(SENTENCES)], speed=CALLER_SPEED)

    def story(self, seconds: float, first: int = 0) -> Clip:
        """Speech without a pause between the sentences, cut to the length."""
        pcm, text, number = b"", "", first
        while seconds_of(pcm) < seconds:
            pcm += self.sentence(number)
            text += SENTENCES[number % len(SENTENCES)]
            number += 1
        pcm = pcm[: int(seconds * 50) * FRAME_BYTES]
        return Clip(pcm, seconds_of(pcm), text)

    def turn(self, number: int) -> Clip:
        """One listening turn: the question is heard out or nearly, then a complaint in one or two pieces, then silence.

        Question 3 to 7 s, a pause of 0.4 to 1.0 s before the second piece, 1.5 s of silence at the end.
        """
        pieces: list[bytes | float] = [float(self._rng.uniform(3.0, 7.0)), self.sentence(number)]
        text = SENTENCES[number % len(SENTENCES)]
        if number % 2:
            pieces += [float(self._rng.uniform(0.4, 1.0)), self.sentence(number + 5)]
            text += SENTENCES[(number + 5) % len(SENTENCES)]
        return self.compose([*pieces, 1.5], text)

    def call(self, number: int) -> Clip:
        """A whole call's caller side: silent while questions are asked and read back, as `hotline call` sounds."""
        return self.compose(
            [8.0, self.sentence(number), 1.5, 6.0, self.sentence(number + 3), 1.5, 7.0],
            SENTENCES[number % len(SENTENCES)] + SENTENCES[(number + 3) % len(SENTENCES)],
        )

    def compose(self, pieces: Sequence[bytes | float], text: str) -> Clip:
        """Sounds, and seconds of silence; the line's noise under all of it; whole frames."""
        sound = b"".join(
            piece if isinstance(piece, bytes) else bytes(2 * int(piece * BYTES_PER_SECOND / 2)) for piece in pieces
        )
        sound = sound.ljust(-(-len(sound) // FRAME_BYTES) * FRAME_BYTES, b"\0")
        samples = np.frombuffer(sound, "<i2").astype(np.float64)
        noise = self._rng.normal(0.0, 32768 * 10 ** (LINE_NOISE_DBFS / 20), len(samples))
        noisy = np.clip(np.rint(samples + noise), -32768, 32767).astype("<i2").tobytes()
        return Clip(noisy, sum(seconds_of(piece) for piece in pieces if isinstance(piece, bytes)), text)


def frames_of(pcm: bytes) -> list[bytes]:
    """Whole frames of 20 ms; a last part of one is filled up."""
    return [pcm[at : at + FRAME_BYTES].ljust(FRAME_BYTES, b"\0") for at in range(0, len(pcm), FRAME_BYTES)]
