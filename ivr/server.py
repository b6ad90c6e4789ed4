"""The call handler of a node: accepts calls from Asterisk, runs their conversations, hands what was kept to the spool.

A call's AGI thread stays in `EXEC AudioSocket` while the conversation runs on the event loop; when the conversation
closes the sound, the thread tells the dialplan how it ended. `HOTLINE_DONE` is set last: without it the dialplan takes
the caller itself (apology, human queue, message).
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from cases import drafting
from cases.client import CasesClient, LivePoster
from cases.schema import Ended
from ivr.agi import CHANNEL_UP, AgiCall, AgiServer, CallerGone
from ivr.answers import answer_of
from ivr.audiosocket import AudioSocketServer, Rendezvous
from ivr.errors import CallError
from ivr.menu import MenuKeeper
from ivr.prompts import PromptStore, Speaker
from ivr.reference import ReferenceNumbers
from ivr.second_pass import Ears, HearingLater
from ivr.session import CallFacts, CallSession, Door, Parts
from ivr.settings import IvrSettings
from ivr.spool import Spool
from speech.recognizer import Recognizer
from speech.transcribe import transcribe_file

log = structlog.get_logger(__name__)

BEGIN_SECONDS = 8.0
CUT_SECONDS = 3.0
END_SECONDS = 20.0
DEFAULT_CALL_SECONDS = "1800"
# Two read-backs rendered at once keep a small machine's other core for the recogniser.
RENDERS_AT_ONCE = 2
OUTCOMES = {
    Ended.COMPLETED: "completed",
    Ended.HUNG_UP: "completed",
    Ended.HUMAN: "human",
    Ended.EMERGENCY: "emergency",
    Ended.INTERRUPTED: "failed",
}


class IvrServer:
    """`start()` … `stop()`. Everything it needs is handed in ready; it owns the two listeners, the spool and health."""

    def __init__(
        self,
        settings: IvrSettings,
        *,
        spool_dir: Path,
        prompts_dir: Path,
        recognizer: Recognizer,
        voice: Speaker,
        client: CasesClient,
        timezone: ZoneInfo,
        door: Door | None = None,
        ears: Ears | None = None,
    ) -> None:
        """`door`: which calls are heard live, None: all. `ears`: what hears recordings after their calls, None: nobody."""
        self._settings = settings
        self._menus = MenuKeeper(prompts_dir)
        self._live = LivePoster(client)
        spool_dir.mkdir(parents=True, exist_ok=True)
        self._references = ReferenceNumbers(spool_dir / "reference.counter", settings.node)
        self._spool = Spool(
            spool_dir,
            client,
            drafting.draft,
            lambda path: transcribe_file(recognizer, path, background=True),
            HearingLater(ears, lambda turn: answer_of(self._menus.current(), turn)) if ears is not None else None,
            message_prompt=self._text("leave_message"),
            recover_every_seconds=settings.recover_every_seconds,
            keep_days=settings.keep_days,
        )
        self._prompts = PromptStore(prompts_dir)
        self._voice_threads = ThreadPoolExecutor(RENDERS_AT_ONCE, thread_name_prefix="voice")
        self._parts = Parts(
            prompts=self._prompts.snapshot(),
            recognizer=recognizer,
            voice=voice,
            live=self._live,
            voice_threads=self._voice_threads,
            timezone=timezone,
            door=door,
        )
        self._sound = AudioSocketServer(settings.audiosocket_host, settings.audiosocket_port)
        self._agi = AgiServer(
            settings.agi_host, settings.agi_port, {"/call": self._handle}, max_calls=settings.max_calls
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._health: web.AppRunner | None = None

    def _text(self, name: str) -> str:
        text = self._menus.current().texts.get(name)
        return text.zh if text is not None else ""

    async def start(self) -> None:
        """Accept calls; what was left is recovered beside them. OSError when an address is taken; CallError from the spool's lock."""
        self._loop = asyncio.get_running_loop()
        await self._spool.start()
        self._live.start()
        await self._sound.start()
        self._agi.start()
        await self._start_health()
        log.info("ivr_ready", agi_port=self._agi.port, audiosocket_port=self._sound.port)

    async def stop(self) -> None:
        """Take no more calls, let the running ones end for a while, cut the rest: the dialplan goes on with them."""
        await asyncio.to_thread(self._agi.stop_accepting)
        await asyncio.to_thread(self._agi.wait_idle, self._settings.drain_seconds)
        # The sound first: conversations end with it, and their threads have time to leave the callers to the dialplan.
        await self._sound.stop()
        await asyncio.to_thread(self._agi.stop, CUT_SECONDS)
        await self._live.close()
        await self._spool.stop()
        self._voice_threads.shutdown(wait=False, cancel_futures=True)
        if self._health is not None:
            await self._health.cleanup()

    async def _start_health(self) -> None:
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/metrics", self._metrics)
        self._health = web.AppRunner(app, access_log=None)
        await self._health.setup()
        await web.TCPSite(self._health, "127.0.0.1", self._settings.metrics_port).start()

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {"status": "ok", "calls": self._agi.live, "prompt_problems": [str(p) for p in self._menus.problems]}
        )

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    # one call, in its own thread

    def _handle(self, call: AgiCall) -> None:
        """The AGI conversation of one call; CallError is logged by the AGI server and leaves the caller to the dialplan."""
        assert self._loop is not None
        call_id = call.argument(1)
        folder = self._spool.call_folder(call.argument(2), call_id)
        with self._spool.live(folder):
            ended, told = self._converse(call, self._facts(call, call_id, folder))
            if told:
                call.set_variable("HOTLINE_OUTCOME", OUTCOMES[ended])
                call.set_variable("HOTLINE_DONE", "1")
            log.info("call_ended", call_id=call_id, ended=ended.value)
            if ended is Ended.INTERRUPTED:
                # Tells the spool to wait for the channel's end: the caller may still leave a message.
                raise CallError("conversation-failed", "the caller was left to the humans")

    def _facts(self, call: AgiCall, call_id: str, folder: Path) -> CallFacts:
        # Our first word: from here on the dialplan gives the conversation its full time.
        longest = call.get_variable("HOTLINE_CALL_SECONDS") or DEFAULT_CALL_SECONDS
        call.set_variable("TIMEOUT(absolute)", longest)
        return CallFacts(
            call_id=call_id,
            folder=folder,
            reference=self._references.next(),
            caller_number=call.caller_number,
            called_number=call.called_number,
            channel_name=call.channel,
            line_call_id=call.argument(4)[:128],
            recording_started_at=_epoch_ms(call.argument(3)),
            longest_seconds=float(longest) if longest.isdecimal() else float(DEFAULT_CALL_SECONDS),
        )

    def _converse(self, call: AgiCall, facts: CallFacts) -> tuple[Ended, bool]:
        """How the conversation ended, and whether the caller was told (if not, the dialplan's fallback tells)."""
        assert self._loop is not None
        # A call keeps the menu and the sounds that it began with, whatever an admin edits meanwhile.
        parts = replace(self._parts, prompts=self._prompts.snapshot())
        session = CallSession(facts, self._menus.current(), parts)
        rendezvous = self._begun(session)
        conversation = asyncio.run_coroutine_threadsafe(session.converse(rendezvous), self._loop)
        where = f"{self._settings.audiosocket_host}:{self._sound.port}"
        try:
            reply = call.exec("AudioSocket", facts.call_id, where)
            ended = conversation.result(END_SECONDS)
        except TimeoutError:
            raise CallError("conversation-stuck", "the conversation did not end after its sound did") from None
        finally:
            # Whatever went wrong on the AGI side: nobody else writes this call's journal once we have left it.
            if not conversation.done():
                conversation.cancel()
        # An end of the sound looks the same whether the caller left or Asterisk gave up on it; the channel knows.
        if ended is Ended.HUNG_UP and not isinstance(reply, CallerGone) and call.channel_status() == CHANNEL_UP:
            raise CallError("sound-lost", "the sound ended and the caller is still there")
        return ended, session.apologised if ended is Ended.INTERRUPTED else True

    def _begun(self, session: CallSession) -> Rendezvous:
        """The call on disk and its sound expected, before Asterisk is told to connect: it can never come too early."""
        assert self._loop is not None
        begun = asyncio.run_coroutine_threadsafe(self._begin(session), self._loop)
        try:
            return begun.result(BEGIN_SECONDS)
        except TimeoutError:
            begun.cancel()
            raise CallError("disk-slow", f"the call was not on disk in {BEGIN_SECONDS:g} s") from None

    async def _begin(self, session: CallSession) -> Rendezvous:
        try:
            await session.begin()
            return self._sound.expect(session.facts.call_id, taps=(session.recorder,))
        except BaseException:
            await session.close()
            raise


def _epoch_ms(text: str) -> datetime | None:
    """The dialplan's epoch in milliseconds; None when it says none that can be true."""
    if not text.isdecimal() or not 12 <= len(text) <= 14:
        return None
    return datetime.fromtimestamp(int(text) / 1000, UTC)
