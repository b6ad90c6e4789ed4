"""The tables are checked whole on load: every problem is named at once, and the sounds behind them are right."""

from __future__ import annotations

from pathlib import Path

import pytest

from cases.drafting.gazetteer import community_stem, load_gazetteer, street_stem
from cases.drafting.phrases import PhraseIndex, exact_floor, long_by_sound_floor, longest_only
from cases.drafting.pinyin import class_readings, hear, likeness, sound_class, syllable_of
from cases.drafting.table_models import LEVEL1, CategoriesTable, Emergencies, PlacesTable
from cases.drafting.tables import (
    alerts_table,
    categories_table,
    contact_table,
    data_folder,
    emergencies,
    places_table,
    read_divisions,
    read_table,
    speech_table,
    types_table,
    urgency_table,
)
from cases.errors import CasesError


def test_all_shipped_tables_are_sound() -> None:
    tables = (alerts_table(), categories_table(), contact_table(), emergencies(), places_table(), speech_table())
    assert all(table.version for table in (*tables, types_table(), urgency_table()))
    assert [level1.name for level1 in categories_table().level1] == list(LEVEL1)
    assert len(read_divisions()) == 7535


def faults(error: pytest.ExceptionInfo[CasesError]) -> str:
    assert error.value.code == "drafting-table-broken"
    return error.value.message


def test_all_problems_of_a_table_are_named_at_once(tmp_path: Path) -> None:
    text = (data_folder() / "categories.toml").read_text(encoding="utf-8")
    text = text.replace('name = "供水"', 'name = "供酒"').replace('usual = "求助"', 'usual = "乞求"', 1)
    text = text.replace('short = "停水"', 'short = ""', 1)
    (tmp_path / "categories.toml").write_text(text, encoding="utf-8")
    with pytest.raises(CasesError) as error:
        read_table(CategoriesTable, "categories.toml", tmp_path)
    assert faults(error).count("categories.toml") == 2  # both wrong values
    (tmp_path / "categories.toml").write_text(
        text.replace("乞求", "求助").replace('short = ""', 'short = "x"'), "utf-8"
    )
    with pytest.raises(CasesError) as error:
        read_table(CategoriesTable, "categories.toml", tmp_path)
    assert "供水" in faults(error)
    assert "供酒" in faults(error)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("", "version"),
        ("version = ", "emergencies.toml"),
        (
            'version = "2026-1"\nkinds = []\n[not_now]\nbefore = []\nafter = []\nnow = []\ninside = []\n',
            "no phrases for fire",
        ),
    ],
)
def test_broken_emergencies(tmp_path: Path, content: str, part: str) -> None:
    (tmp_path / "emergencies.toml").write_text(content, encoding="utf-8")
    with pytest.raises(CasesError) as error:
        read_table(Emergencies, "emergencies.toml", tmp_path)
    assert part in faults(error)


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CasesError) as error:
        read_table(PlacesTable, "places.toml", tmp_path)
    assert "places.toml" in faults(error)


@pytest.mark.parametrize("phrase", ["", "…水", "停…水…了", "停水!", "停 水", "a" * 25])
def test_phrases_must_be_sayable(tmp_path: Path, phrase: str) -> None:
    text = (data_folder() / "urgency.toml").read_text(encoding="utf-8").replace('"停水"', f'"{phrase}"', 1)
    (tmp_path / "urgency.toml").write_text(text, encoding="utf-8")
    with pytest.raises(CasesError) as error:
        read_table(type(urgency_table()), "urgency.toml", tmp_path)
    faults(error)


def test_everyday_places_must_lie_somewhere() -> None:
    table = places_table()
    wrong = table.model_copy(
        update={
            "everyday": (*table.everyday, table.everyday[0].model_copy(update={"street": "没有街道"})),
            "districts": {"没有区": ("没有",)},
            "street_aliases": {"朝阳区/没有": ("没有",)},
        }
    )
    with pytest.raises(CasesError) as error:
        load_gazetteer(table=wrong)
    assert faults(error).count("没有") >= 3


def test_a_broken_gazetteer_names_its_lines(tmp_path: Path) -> None:
    (tmp_path / "beijing-divisions.tsv").write_text("code\tcommunity\tstreet\n1\ta\tb\n2\t\tc\n", encoding="utf-8")
    with pytest.raises(CasesError) as error:
        read_divisions(tmp_path)
    assert "line 2" in faults(error)
    assert "line 3" in faults(error)


@pytest.mark.parametrize(
    ("official", "stem"),
    [
        ("望京街道", "望京"),
        ("仁和地区", "仁和"),
        ("张镇", "张镇"),
        ("于家务回族乡", "于家务"),
        ("喇叭沟门满族乡", "喇叭沟门"),
        ("金顶街街道", "金顶街"),
        ("北京经济技术开发区", "北京经济技术开发区"),
    ],
)
def test_street_stems(official: str, stem: str) -> None:
    assert street_stem(official) == stem


@pytest.mark.parametrize(
    ("official", "stem"),
    [
        ("南湖东园社区居委会", "南湖东园"),
        ("望京西园二区社区居民委员会", "望京西园二区"),
        ("太平村委会", "太平"),
        ("河西村民委员会", "河西"),
    ],
)
def test_community_stems(official: str, stem: str) -> None:
    assert community_stem(official) == stem


def test_equal_characters_always_sound_equal() -> None:
    for division in read_divisions()[::25]:
        assert hear(division.community).classes in class_readings(division.community) or len(division.community) > 6


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("zhi", "zi"),
        ("cheng", "cen"),
        ("shi", "si"),
        ("lan", "nan"),
        ("ying", "yin"),
        ("feng", "hen"),
        ("huang", "huan"),
    ],
)
def test_sounds_that_telephones_confuse(one: str, other: str) -> None:
    assert sound_class(one) == sound_class(other)


@pytest.mark.parametrize(("one", "other"), [("ba", "pa"), ("dong", "deng"), ("jia", "jie"), ("", "a")])
def test_sounds_that_stay_apart(one: str, other: str) -> None:
    assert sound_class(one) != sound_class(other)


def test_digits_letters_and_silence() -> None:
    assert [syllable_of(c) for c in "1幺。 A望"] == ["yi", "yao", "", "", "a", "wang"]


def test_likeness_weighs_characters_over_sounds() -> None:
    same, homophone, alike = (likeness("望京", hear(text), 0)[0] for text in ("望京", "忘京", "万今"))
    assert same == 1.0 > homophone > alike


def test_gapped_phrases_and_the_longer_one() -> None:
    index = PhraseIndex([("欠…工资", 1), ("通道", 2), ("消防通道", 3)], floor=exact_floor)
    assert [f.payload for f in index.find(hear("老板欠我们工资"))] == [1]
    assert index.find(hear("欠了很多很多很多很多钱工资")) == []
    assert [f.payload for f in longest_only(index.find(hear("消防通道堵了")))] == [3]
    assert PhraseIndex([]).find(hear("什么")) == []


def test_short_phrases_by_sound_only_from_three_syllables() -> None:
    index = PhraseIndex([("拿刀", 1), ("着火了", 2)], floor=long_by_sound_floor)
    assert [f.payload for f in index.find(hear("拿到了着伙了"))] == [2]


def test_warm_up_reads_every_table() -> None:
    from cases.drafting import warm_up
    from cases.drafting.gazetteer import gazetteer

    warm_up()
    readers = (alerts_table, categories_table, contact_table, emergencies, places_table, speech_table, urgency_table)
    assert all(reader.cache_info().currsize == 1 for reader in (*readers, types_table))
    assert gazetteer() is gazetteer()
