"""Human speech with transcripts, an option of the recipe: an `index.tsv` with the columns file, transcript, speaker,
seconds, licence, from. A transcript is characters, or `pinyin:ma3` for one syllable."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection
from pathlib import Path

from speech.training.clips import Clip, with_pauses
from speech.training.units import syllable_units

_HAN = re.compile("[\u4e00-\u9fff]+")


def words_of(transcript: str) -> list[list[str]] | None:
    """The units of each word; None for what is not Mandarin in characters (or `pinyin:`)."""
    import jieba
    from pypinyin import Style, lazy_pinyin

    if transcript.startswith("pinyin:"):
        spelled = [[transcript.removeprefix("pinyin:")]]
    elif re.search("[A-Za-z0-9]", transcript) or not _HAN.search(transcript):
        return None
    else:
        characters = "".join(_HAN.findall(transcript))
        spelled = [lazy_pinyin(word, style=Style.TONE3, neutral_tone_with_five=True) for word in jieba.lcut(characters)]
    words: list[list[str]] = []
    for word in spelled:
        words.append([])
        for pinyin in word:
            units = syllable_units(pinyin)
            if units is None:
                return None
            words[-1] += units
    return words


def human_clips(index: Path, left_out: Collection[str] = ()) -> list[Clip]:
    """The index's clips; `source` is the top folder. Sentences in `left_out` (a test's) are not among them."""
    clips = []
    with open(index, encoding="utf-8") as lines:
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            words = words_of(row["transcript"])
            if words and row["transcript"] not in left_out:
                path = str(index.parent / row["file"])
                source = row["file"].split("/")[0]
                clips.append(Clip(path, row["transcript"], source, row["speaker"], with_pauses(words)))
    return clips
