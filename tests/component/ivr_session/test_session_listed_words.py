"""A place that the recogniser never learned, added while the call handler runs: the next call's draft knows it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cases.drafting.gazetteer import use_listed_places
from hotline.settings import CHECKOUT, load_settings
from hotline.vocabulary import lists_in_use
from ivr.events import PromptSaid, TurnEnded
from speech.models import BUNDLED_DIR
from speech.voice import Voice
from speech.vosk_engine import VoskEngine

pytestmark = pytest.mark.timeout(180)
# Written as no recogniser would write what it hears.
NAME = "瑾园云墅小区"


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    folder = tmp_path / "prompts"
    shutil.copytree(CHECKOUT / "prompts", folder)
    return folder


@pytest.fixture
def listening(prompts: Path, tmp_path: Path) -> Iterator[VoskEngine]:
    settings = load_settings(ivr={"prompts_dir": prompts}, state_dir=tmp_path / "state")
    engine = VoskEngine(BUNDLED_DIR, vocabulary=lists_in_use(settings).current)
    engine.load()
    yield engine
    engine.close()
    use_listed_places(())


async def told(lab: Any, pcm: bytes) -> tuple[Any, Any]:
    """The turn of the story, and its call."""
    call = await lab.dial()
    await call.told(PromptSaid, step="opening")
    await call.say(pcm)
    call.hang_up()
    turn = await call.told(TurnEnded)
    await call.until(lambda: (call.folder / "draft.json").exists())
    return turn, call


async def test_a_place_that_is_listed_now_is_in_the_next_draft_with_what_was_heard(
    lab: Any, listening: VoskEngine, prompts: Path, voice: Voice, drafted: Callable[[Any], Any]
) -> None:
    pcm = voice.speak(f"我家住在{NAME}，楼道里的灯坏了半个月了", speed=1.1)
    lab.engine = listening
    await lab.serve()
    before, call = await told(lab, pcm)
    assert NAME not in before.text
    assert (drafted(call)["place"]["value"] or {}).get("street") is None

    (prompts / "places.tsv").write_text(f"{NAME}\t\t朝阳区\t望京街道\n", "utf-8")
    after, call = await told(lab, pcm)
    assert NAME in after.text
    (put_in,) = [word for word in after.words if word.heard]
    assert put_in.text == NAME
    assert put_in.heard in before.text
    draft = drafted(call)
    place = draft["place"]["value"]
    assert (place["district"], place["street"]) == ("朝阳区", "望京街道")
    assert place["detail"].startswith(NAME)
    assert [word["heard"] for word in draft["turns"][0]["words"] if word["heard"]] == [put_in.heard]
