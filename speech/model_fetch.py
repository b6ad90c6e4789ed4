"""Official models, fetched safely: resumed, checked, unpacked aside, and put in place in one step.

The site lists its models in `model-list.json`: [{"name", "md5", "size", …}]; the archive is `NAME.zip` beside it.
"""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import json
import os
import re
import shutil
import ssl
import stat
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import stamina
import structlog

from speech.errors import SpeechError
from speech.vosk_files import check_model

log = structlog.get_logger(__name__)

OFFICIAL_SITE = "https://alphacephei.com/vosk/models"
ORIGIN_FILE = "hotline-origin.json"
_TIMEOUT_SECONDS = 30
_CHUNK_BYTES = 256 * 1024
_MAX_LIST_BYTES = 4 * 2**20
_MAX_UNPACKED_BYTES = 8 * 2**30
_MAX_FILES = 10_000


@dataclass(frozen=True, slots=True)
class Progress:
    """`step`: fetching | checking | unpacking. `total_bytes` 0 when it is not known."""

    step: str
    done_bytes: int
    total_bytes: int


class _Interrupted(Exception):
    """The connection broke; what has come is kept."""


def fetch_model(name: str, models_dir: Path, progress: Callable[[Progress], None] | None, *, site: str) -> Path:
    """Download, check and unpack `name`; returns its folder.

    Raises SpeechError `model-site-unreachable` (recoverable; says what to do without a network), `model-site-refused`,
    `model-not-listed`, `model-download-broken` (recoverable), `model-checksum-wrong` (recoverable), `model-disk-full`,
    `model-unwritable`, `model-busy`, or those of `unpack_model`.
    """
    try:
        models_dir.mkdir(parents=True, exist_ok=True)
        with _alone(models_dir, name):
            return _fetch(name, models_dir, progress, site)
    except _Interrupted as error:
        raise SpeechError(
            "model-download-broken", f"{error}; what has come is kept: run it again to go on", recoverable=True
        ) from error
    except OSError as error:
        raise SpeechError("model-unwritable", f"cannot keep {name} in {models_dir}: {error.strerror}") from error


def _fetch(name: str, models_dir: Path, progress: Callable[[Progress], None] | None, site: str) -> Path:
    listed = _listed(name, site)
    part = models_dir / f".{name}.zip.part"
    for attempt in stamina.retry_context(on=_Interrupted, attempts=6, timeout=None, wait_initial=1, wait_max=20):
        with attempt, _plain_errors(site):
            _download(f"{site}/{name}.zip", part, listed.get("size"), progress)
    digests = _digests(part, progress)
    if digests["md5"] != listed["md5"].lower():
        part.unlink()
        raise SpeechError(
            "model-checksum-wrong",
            f"what came for {name} is not what the site lists (md5 {digests['md5']}, not {listed['md5']}); "
            "it was thrown away, try again",
            recoverable=True,
        )
    origin = {"name": name, "site": site, "fetched_at": datetime.now(UTC).isoformat(timespec="seconds"), **digests}
    folder = unpack_model(part, models_dir, progress, name=name, origin=origin)
    part.unlink()
    log.info("speech_model_added", name=name, sha256=digests["sha256"], bytes=digests["bytes"])
    return folder


def unpack_model(
    archive: Path,
    models_dir: Path,
    progress: Callable[[Progress], None] | None = None,
    *,
    name: str | None = None,
    origin: dict[str, Any] | None = None,
) -> Path:
    """A model's ZIP (one folder in it) as `models_dir/<that folder>`, whole or not at all.

    Raises SpeechError `model-archive-broken` (no ZIP, damaged, a path or size that is not a model's),
    `speech-model-broken`, `model-disk-full`, `model-exists`.
    """
    models_dir.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=models_dir, prefix=".unpacking-"))
    try:
        top = _extract(archive, aside, progress)
        if name is not None and top != name:
            raise SpeechError("model-archive-broken", f"{archive.name} holds {top}, not {name}")
        check_model(aside / top)
        target = models_dir / top
        if target.exists():
            raise SpeechError("model-exists", f"{target} is there already; remove it first to replace it")
        if origin is not None:
            (aside / top / ORIGIN_FILE).write_text(json.dumps(origin, indent=1) + "\n", "utf-8")
        os.replace(aside / top, target)
        return target
    except FileNotFoundError as error:
        raise SpeechError("model-archive-broken", f"there is no file {archive}") from error
    except (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise SpeechError("model-archive-broken", f"{archive} is no ZIP file that can be read: {error}") from error
    except OSError as error:
        raise SpeechError("model-disk-full", f"cannot unpack into {models_dir}: {error.strerror}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _extract(archive: Path, aside: Path, progress: Callable[[Progress], None] | None) -> str:
    """Everything in the archive into `aside`; returns its one folder's name."""
    with zipfile.ZipFile(archive) as content:
        top = _checked_members(content, archive)
        total = sum(member.file_size for member in content.infolist())
        if shutil.disk_usage(aside).free < total + 2**20:
            raise SpeechError("model-disk-full", f"{aside.parent} has no room for {total / 1e6:.0f} MB")
        done = 0
        for member in content.infolist():
            content.extract(member, aside)
            done += member.file_size
            if progress:
                progress(Progress("unpacking", done, total))
    return top


def _checked_members(content: zipfile.ZipFile, archive: Path) -> str:
    """The name of the one folder in the archive; no member leads out of it, none is a link, all fit a model's size."""
    members = content.infolist()
    tops = {member.filename.split("/")[0] for member in members}
    total = sum(member.file_size for member in members)
    if len(members) > _MAX_FILES or total > _MAX_UNPACKED_BYTES:
        raise SpeechError("model-archive-broken", f"{archive.name}: {len(members)} files, {total} bytes are no model")
    for member in members:
        parts = member.filename.split("/")
        if member.filename.startswith("/") or "\\" in member.filename or ".." in parts or ":" in parts[0]:
            raise SpeechError("model-archive-broken", f"{archive.name}: {member.filename!r} leads out of its folder")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise SpeechError("model-archive-broken", f"{archive.name}: {member.filename!r} is a link")
    if len(tops) != 1 or not re.fullmatch(r"\w[\w.+-]*", next(iter(tops))):
        raise SpeechError(
            "model-archive-broken", f"{archive.name} must hold exactly one folder, not {sorted(tops)[:5]}"
        )
    return next(iter(tops))


def _listed(name: str, site: str) -> dict[str, Any]:
    with _plain_errors(site):
        try:
            with urllib.request.urlopen(f"{site}/model-list.json", timeout=_TIMEOUT_SECONDS) as answer:
                content = answer.read(_MAX_LIST_BYTES)
        except _BROKEN as error:
            raise _Interrupted(str(error)) from error
    try:
        models = {model["name"]: model for model in json.loads(content)}
    except (ValueError, TypeError, KeyError) as error:
        raise SpeechError("model-site-refused", f"{site}/model-list.json is not the list expected") from error
    if name not in models or not re.fullmatch("[0-9a-fA-F]{32}", str(models[name].get("md5"))):
        raise SpeechError(
            "model-not-listed", f"{site} lists no {name} with a checksum; see its model page for its successor"
        )
    return models[name]


_BROKEN = (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError)


@contextmanager
def _plain_errors(site: str) -> Iterator[None]:
    """What the network says, in our one shape. A connection broken midway stays `_Interrupted`, for another try."""
    try:
        yield
    except urllib.error.HTTPError as error:
        raise SpeechError("model-site-refused", f"{site} answers {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise SpeechError(
            "model-site-unreachable",
            f"{site} cannot be reached ({error.reason}). Without a network: fetch the model's ZIP elsewhere, "
            "bring it here and run `hotline model add FILE.zip`",
            recoverable=True,
        ) from error


def _download(url: str, part: Path, listed_bytes: Any, progress: Callable[[Progress], None] | None) -> None:
    """Append what is missing to `part`."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        # Everything is here already, or too much of something else: the checksum tells.
        if str(error.headers.get("Content-Range", "")).endswith(f"/{have}"):
            return
        part.unlink()
        raise _Interrupted("the part at hand is not of this file") from error
    except _BROKEN as error:
        raise _Interrupted(str(error)) from error
    with answer:
        resumed = answer.status == http.client.PARTIAL_CONTENT
        if resumed and not str(answer.headers.get("Content-Range", "")).startswith(f"bytes {have}-"):
            part.unlink()
            raise _Interrupted("the site sent another piece than the one asked for")
        have = have if resumed else 0
        missing = int(answer.headers.get("Content-Length") or 0)
        total = have + missing or (listed_bytes if isinstance(listed_bytes, int) else 0)
        if shutil.disk_usage(part.parent).free < missing:
            raise SpeechError("model-disk-full", f"{part.parent} has no room for {missing / 1e6:.0f} MB")
        with open(part, "ab" if resumed else "wb") as out:
            while chunk := _chunk(answer):
                out.write(chunk)
                have += len(chunk)
                if progress:
                    progress(Progress("fetching", have, total))
    if missing and have < total:
        raise _Interrupted(f"the connection ended after {have} of {total} bytes")


def _chunk(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read(_CHUNK_BYTES)
    except _BROKEN as error:
        raise _Interrupted(str(error)) from error


def _digests(file: Path, progress: Callable[[Progress], None] | None) -> dict[str, Any]:
    # md5 is what the site publishes: against a damaged download, not against an attacker (that is TLS).
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    total, done = file.stat().st_size, 0
    with open(file, "rb") as content:
        while chunk := content.read(2**20):
            md5.update(chunk)
            sha256.update(chunk)
            done += len(chunk)
            if progress:
                progress(Progress("checking", done, total))
    return {"md5": md5.hexdigest(), "sha256": sha256.hexdigest(), "bytes": total}


@contextmanager
def _alone(models_dir: Path, name: str) -> Iterator[None]:
    """One download of a model at a time; the lock goes with the process."""
    with open(models_dir / f".{name}.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SpeechError("model-busy", f"{name} is being added already", recoverable=True) from error
        yield
