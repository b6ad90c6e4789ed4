"""The spool with the real drafting and the real case backend."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from aiohttp.test_utils import TestServer

from cases import drafting
from cases.client import CasesClient
from cases.schema import AppealType, Asks, Ended, Word, draft_id_of
from cases.settings import CasesSettings
from cases.web.app import make_app
from ivr.callfolder import FolderState, look_at, read_draft
from ivr.events import (
    AudioConnected,
    CallEnded,
    CallStarted,
    DraftDelivered,
    Fact,
    RecordingDelivered,
    TurnEnd,
    TurnEnded,
)
from ivr.journal import encode_fact, read_journal
from ivr.spool import Spool
from speech.audio import write_wav

TOKEN = "a-producer-token-of-some-length-0123456789"
TEXT = "我要投诉朝阳区望京街道楼上半夜装修噪音太大"


@pytest.mark.timeout(60)
async def test_a_killed_call_reaches_the_desk_once(tmp_path: Path) -> None:
    folder = tmp_path / "spool" / "2026-11-24" / str(uuid4())
    folder.mkdir(parents=True)
    at = datetime.now(UTC)
    words = tuple(Word(text=c, start_seconds=n, end_seconds=n + 1, confidence=0.9) for n, c in enumerate(TEXT))
    facts: list[Fact] = [
        CallStarted(folder.name, at, "13910001234", "12345", "1000017", at),
        AudioConnected(folder.name, at, 0.0),
        TurnEnded(folder.name, at, 0, "open", Asks.NARRATION, "请说", TEXT, words, "", TurnEnd.SILENCE, 0, 20),
        CallEnded(folder.name, at, Ended.HUMAN, "place"),
    ]
    (folder / "journal.jsonl").write_bytes(b"".join(encode_fact(fact) for fact in facts))
    write_wav(folder / "recording.wav", bytes(16000 * 21))
    settings = CasesSettings(producer_token=TOKEN)
    async with TestServer(make_app(settings, tmp_path / "state")) as server:
        url = str(server.make_url("")).rstrip("/")
        async with CasesClient(url, TOKEN) as client:
            spool = Spool(tmp_path / "spool", client, drafting.draft, channel_quiet_seconds=0, settled_seconds=0)
            await spool.start()
            async with asyncio.timeout(40):
                while look_at(folder).state is not FolderState.DONE:  # noqa: ASYNC110 - on disk
                    await asyncio.sleep(0.02)
            await spool.stop()
            draft = read_draft(folder)
            assert draft is not None
            again = await client.deliver_draft(draft)
    assert draft.draft_id == draft_id_of(folder.name)
    assert draft.appeal_type.value is AppealType.COMPLAINT
    assert draft.place.value is not None
    assert draft.place.value.street == "望京街道"
    assert not again.created
    done = read_journal(folder / "journal.jsonl")
    assert [fact.created for fact in done if isinstance(fact, DraftDelivered)] == [True]
    assert [fact.seconds for fact in done if isinstance(fact, RecordingDelivered)] == [21.0]
