"""Names that the bundled model never learned, spoken over a telephone line and heard by the code of a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from speech.confusions import SoundCosts
from speech.models import BUNDLED_DIR
from speech.recognizer import SpokenWord, Transcript
from speech.transcribe import transcribe_sound
from speech.vocabulary import Hearing, Vocabulary
from speech.vocabulary_keeper import VocabularyKeeper
from speech.vocabulary_list import read_list
from speech.vosk_engine import VoskEngine

# Written as no recogniser would write what it hears.
NAME = "瑾园云墅小区"
TOLD = f"我家住在{NAME}，楼道里的灯坏了半个月了"


@pytest.fixture(scope="module")
def keeper(tmp_path_factory: pytest.TempPathFactory) -> VocabularyKeeper:
    folder = tmp_path_factory.mktemp("lists")
    return VocabularyKeeper(folder / "places.tsv", folder / "vocabulary.tsv", sounds=SoundCosts())


@pytest.fixture(scope="module")
def listening(keeper: VocabularyKeeper) -> Iterator[VoskEngine]:
    engine = VoskEngine(BUNDLED_DIR, workers=1, vocabulary=keeper.current)
    engine.load()
    yield engine
    engine.close()


@pytest.fixture
def list_places(keeper: VocabularyKeeper) -> Callable[[str], None]:
    """Saves places.tsv; empty at first."""
    (path,) = [path for path, of_places in keeper.files.items() if of_places]

    def save(text: str) -> None:
        path.write_text(text, "utf-8")

    save("")
    return save


async def hear(engine: VoskEngine, pcm: bytes) -> Transcript:
    return await transcribe_sound(engine, pcm, background=True)


async def test_a_name_is_known_from_the_next_stream_on_and_what_was_heard_stays(
    listening: VoskEngine, list_places: Callable[[str], None], caller: Callable[[str], bytes]
) -> None:
    pcm = caller(TOLD)
    before = await hear(listening, pcm)
    assert NAME not in before.text
    assert not any(word.heard for word in before.words)

    list_places(f"{NAME}\t\t朝阳区\t望京街道\n")
    after = await hear(listening, pcm)
    assert NAME in after.text
    (put_in,) = [word for word in after.words if word.heard]
    assert put_in.text == NAME
    # All that was heard is still there, and where it was.
    assert "".join(word.heard or word.text for word in after.words) == before.text
    assert after.words[-1].end_seconds == pytest.approx(before.words[-1].end_seconds)
    assert 0.5 < put_in.start_seconds < put_in.end_seconds < 4.0

    list_places("# nothing any more\n")
    assert (await hear(listening, pcm)).text == before.text


async def test_speech_that_holds_none_of_the_names_is_left_alone(
    listening: VoskEngine, list_places: Callable[[str], None], caller: Callable[[str], bytes]
) -> None:
    pcm = caller("我们小区停水两天了，物业说不知道什么时候来水")
    before = await hear(listening, pcm)
    names = ["翠屏湾小区", "锦澜家园", "云栖公馆", "旭辉湾小区", "凤栖东里"]
    list_places("\n".join(f"{name}\t\t朝阳区" for name in names))
    assert (await hear(listening, pcm)).words == before.words


async def test_an_answer_of_a_menu_is_never_taken_for_a_place(
    listening: VoskEngine, list_places: Callable[[str], None], caller: Callable[[str], bytes]
) -> None:
    pcm = caller(TOLD)
    list_places(f"{NAME}\t\t朝阳区\t望京街道\n")
    stream = listening.open(phrases=["是的", "不是"])
    stream.feed(pcm, 0.0)
    heard = await stream.finish()
    stream.close()
    assert heard.words
    assert not any(word.heard for word in heard.words)


async def test_a_list_that_fails_loses_no_word(caller: Callable[[str], bytes]) -> None:
    def broken() -> Vocabulary:
        raise RuntimeError("no list")

    engine = VoskEngine(BUNDLED_DIR, workers=1, vocabulary=broken)
    engine.load()
    try:
        assert "灯" in (await hear(engine, caller(TOLD))).text
    finally:
        engine.close()


async def test_a_list_that_fails_within_a_turn_loses_no_word(caller: Callable[[str], bytes]) -> None:
    class Broken(Vocabulary):
        def snap(self, words: Sequence[SpokenWord], hearings: Sequence[Hearing] = ()) -> list[SpokenWord]:
            raise RuntimeError("no match")

    entries = read_list([f"{NAME}\t\t朝阳区"], "places.tsv", places=True).entries
    broken = Broken(entries, SoundCosts())
    engine = VoskEngine(BUNDLED_DIR, workers=1, vocabulary=lambda: broken)
    engine.load()
    try:
        assert "灯" in (await hear(engine, caller(TOLD))).text
    finally:
        engine.close()
