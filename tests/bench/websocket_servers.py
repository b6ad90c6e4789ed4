"""Two servers of vosk-server's websocket protocol: the usual way of serving Vosk, and our pipeline.

Protocol: the client sends `{"config": {"sample_rate": 8000}}`, then sound (binary, s16le mono), then `{"eof": 1}`; each
sound message and the eof is answered by one message, `{"partial": …}` or `{"result": […], "text": …}`, and after the
eof's answer the server closes.

usage: python -m bench.websocket_servers usual|ours MODEL_FOLDER [--core N]; prints `ready PORT` when it takes streams.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import vosk
from aiohttp import WSMsgType, web

from speech.audio import BYTES_PER_SECOND, FRAME_BYTES, SAMPLE_RATE_HZ
from speech.recognizer import Partial, RecognizerStream
from speech.transcribe import SpeechOnly
from speech.vosk_engine import VoskEngine

_VIOLATION = 1007  # RFC 6455: the message's data is not what its kind says


class Session(Protocol):
    """One connection's stream. Each method's answer goes to the client as it is."""

    async def accept(self, sound: bytes) -> str: ...

    async def finish(self) -> str: ...

    def close(self) -> None: ...


class UsualSession:
    """The usual way: everything is decoded, each message in a pool of threads, a partial result a message."""

    def __init__(self, model: Any, pool: ThreadPoolExecutor, rate_hz: float) -> None:
        self._pool = pool
        self._recognizer = vosk.KaldiRecognizer(model, rate_hz)
        self._recognizer.SetWords(True)

    async def accept(self, sound: bytes) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._decode, sound)

    def _decode(self, sound: bytes) -> str:
        heard = self._recognizer.AcceptWaveform(sound)
        told: str = self._recognizer.Result() if heard else self._recognizer.PartialResult()
        return told

    async def finish(self) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._recognizer.FinalResult)

    def close(self) -> None:
        pass


class OurSession:
    """Our pipeline as in a call: speech detector, speech only, the engine's stream. `late`: sound was left out."""

    def __init__(self, engine: VoskEngine) -> None:
        self._engine = engine
        self._only = SpeechOnly()
        self._rest = b""
        self._taken_bytes = 0
        self._stream: RecognizerStream | None = None
        self._partial = ""

    async def accept(self, sound: bytes) -> str:
        self._rest += sound
        whole = len(self._rest) - len(self._rest) % FRAME_BYTES
        for at in range(0, whole, FRAME_BYTES):
            self._take(self._rest[at : at + FRAME_BYTES])
        self._rest = self._rest[whole:]
        return json.dumps({"partial": self._partial}, ensure_ascii=False)

    def _take(self, frame: bytes) -> None:
        for wanted, at_seconds in self._only.take(frame, self._taken_bytes / BYTES_PER_SECOND):
            if self._stream is None:
                self._stream = self._engine.open(on_partial=self._note)
            self._stream.feed(wanted, at_seconds)
        self._taken_bytes += FRAME_BYTES

    def _note(self, partial: Partial) -> None:
        self._partial = partial.text

    async def finish(self) -> str:
        if self._rest:
            self._take(self._rest.ljust(FRAME_BYTES, b"\0"))
        if self._stream is None:
            return json.dumps({"text": ""})
        heard = await self._stream.finish()
        words = [
            {"word": word.text, "start": word.start_seconds, "end": word.end_seconds, "conf": word.confidence}
            for word in heard.words
        ]
        return json.dumps({"result": words, "text": heard.text, "late": heard.late}, ensure_ascii=False)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()


class ProtocolError(Exception):
    """A client's message that is none of the protocol; says what was expected."""


def text_message(text: str) -> dict[str, Any]:
    """`config` or `eof` of a client; ProtocolError for anything else."""
    try:
        message = json.loads(text)
    except ValueError:
        raise ProtocolError("a text message is JSON: config or eof") from None
    if not isinstance(message, dict) or not ("eof" in message or isinstance(message.get("config"), dict)):
        raise ProtocolError('a text message is {"config": {…}} or {"eof": 1}')
    rate = message["config"].get("sample_rate", SAMPLE_RATE_HZ) if "eof" not in message else SAMPLE_RATE_HZ
    if not isinstance(rate, int | float) or isinstance(rate, bool) or not 1000 <= rate <= 96000:
        raise ProtocolError("sample_rate is a number of hertz")
    return message


def make_app(make_session: Callable[[float], Session]) -> web.Application:
    """Serves the protocol at `/`; `make_session` gets the sound's sample rate."""

    async def stream(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=2**22)
        await socket.prepare(request)
        session: Session | None = None
        rate_hz = float(SAMPLE_RATE_HZ)
        try:
            async for message in socket:
                if message.type is WSMsgType.BINARY:
                    if len(message.data) % 2:
                        raise ProtocolError("sound comes in whole samples of 16 bit")
                    session = session or make_session(rate_hz)
                    await socket.send_str(await session.accept(message.data))
                elif message.type is WSMsgType.TEXT:
                    told = text_message(message.data)
                    if "eof" in told:
                        session = session or make_session(rate_hz)
                        await socket.send_str(await session.finish())
                        break
                    rate_hz = float(told["config"].get("sample_rate", rate_hz))
        except ProtocolError as error:
            await socket.close(code=_VIOLATION, message=str(error).encode()[:120])
        except ConnectionError:
            pass  # the client has left
        finally:
            if session is not None:
                session.close()
        await socket.close()
        return socket

    app = web.Application()
    app.router.add_get("/", stream)
    return app


def usual_app(model_dir: Path) -> web.Application:
    model = vosk.Model(str(model_dir))
    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))
    return make_app(lambda rate_hz: UsualSession(model, pool, rate_hz))


def our_app(engine: VoskEngine) -> web.Application:
    """`engine` is loaded. It takes 8 kHz only, as telephones do."""

    def session(rate_hz: float) -> Session:
        if rate_hz != SAMPLE_RATE_HZ:
            raise ProtocolError(f"this server hears telephones: sample_rate {SAMPLE_RATE_HZ}")
        return OurSession(engine)

    return make_app(session)


async def _serve(app: web.Application) -> None:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    print(f"ready {runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("usual", "ours"))
    parser.add_argument("model", type=Path)
    parser.add_argument("--core", type=int)
    given = parser.parse_args()
    if given.core is not None:
        os.sched_setaffinity(0, {given.core})  # before the first thread, so that all have it
    if given.kind == "usual":
        app = usual_app(given.model)
    else:
        engine = VoskEngine(given.model, workers=len(os.sched_getaffinity(0)))
        engine.load()
        app = our_app(engine)
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(app))


if __name__ == "__main__":
    from hotline.logs import configure_logging

    configure_logging(quiet=True)
    main()
