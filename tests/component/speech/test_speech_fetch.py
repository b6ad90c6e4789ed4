"""Fetching a model from a site that behaves, and from ones that do not. The site is real HTTP on loopback."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import shutil
import stat
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import stamina

from speech.errors import SpeechError
from speech.model_fetch import ORIGIN_FILE, Progress
from speech.models import BUNDLED_DIR, add_model, find_model
from speech.vosk_engine import VoskEngine

NAME = "vosk-model-small-cn-0.22"


class Site(ThreadingHTTPServer):
    """`cut_at`: bytes after which each connection ends, one a request; `ranges`: whether Range is understood."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.cut_at: list[int] = []
        self.ranges = True
        self.asked: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def offer(self, archive: bytes, *, md5: str | None = None, name: str = NAME) -> None:
        self.files[f"/{NAME}.zip"] = archive
        listed = [{"name": name, "md5": md5 or hashlib.md5(archive).hexdigest(), "size": len(archive)}]
        self.files["/model-list.json"] = json.dumps([{"name": "other", "md5": "0" * 32}, *listed]).encode()


class Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append((self.path, wanted))
        content = self.server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.ranges else 0
        if start and start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.end_headers()
            return
        body = content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = self.server.cut_at.pop(0) if self.path.endswith(".zip") and self.server.cut_at else len(body)
        self.wfile.write(body[:cut])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[Site]:
    server = Site()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def no_waiting_between_tries() -> Iterator[None]:
    stamina.set_testing(True, attempts=6)
    yield
    stamina.set_testing(False)


@pytest.fixture(scope="module")
def archive() -> bytes:
    """The bundled model under an official name: a real model that Vosk loads."""
    return zipped(
        {f"{NAME}/{f.relative_to(BUNDLED_DIR)}": f.read_bytes() for f in BUNDLED_DIR.rglob("*") if f.is_file()}
    )


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as content:
        for name, data in files.items():
            content.writestr(name, data)
    return out.getvalue()


def left_over(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


def test_a_model_is_fetched_checked_and_loads(site: Site, archive: bytes, tmp_path: Path) -> None:
    site.offer(archive)
    steps: list[Progress] = []
    info = add_model("small-cn", tmp_path, steps.append, site=site.url)
    assert info.installed
    assert info.path == tmp_path / NAME
    assert left_over(tmp_path) == {NAME}
    assert list(dict.fromkeys(step.step for step in steps)) == ["fetching", "checking", "unpacking"]
    fetched = [step for step in steps if step.step == "fetching"]
    assert fetched[-1] == Progress("fetching", len(archive), len(archive))
    origin = json.loads((info.path / ORIGIN_FILE).read_text())
    assert origin["sha256"] == hashlib.sha256(archive).hexdigest()
    engine = VoskEngine(find_model("small-cn", tmp_path).path, workers=1)
    engine.load()
    engine.close()
    asked = len(site.asked)
    assert add_model("small-cn", tmp_path, site=site.url) == info
    assert len(site.asked) == asked, "what is installed is not asked for again"


def test_a_connection_that_breaks_goes_on_where_it_stopped(site: Site, archive: bytes, tmp_path: Path) -> None:
    site.offer(archive)
    site.cut_at = [300_000, 1_000_000]
    assert add_model("small-cn", tmp_path, site=site.url).installed
    ranges = [asked for path, asked in site.asked if path.endswith(".zip")]
    assert ranges == [None, "bytes=300000-", "bytes=1300000-"]


def test_a_later_run_goes_on_where_an_earlier_one_gave_up(site: Site, archive: bytes, tmp_path: Path) -> None:
    site.offer(archive)
    site.cut_at = [100_000] + [0] * 5
    with pytest.raises(SpeechError) as caught:
        add_model("small-cn", tmp_path, site=site.url)
    assert (caught.value.code, caught.value.recoverable) == ("model-download-broken", True)
    site.cut_at, site.asked = [], []
    assert add_model("small-cn", tmp_path, site=site.url).installed
    assert site.asked[-1] == (f"/{NAME}.zip", "bytes=100000-")


def test_a_site_that_knows_no_ranges_sends_it_all_again(site: Site, archive: bytes, tmp_path: Path) -> None:
    site.offer(archive)
    site.ranges, site.cut_at = False, [300_000]
    assert add_model("small-cn", tmp_path, site=site.url).installed


@pytest.mark.parametrize("rubbish", [100, 10**8])
def test_a_part_of_something_else_is_thrown_away(site: Site, archive: bytes, tmp_path: Path, rubbish: int) -> None:
    site.offer(archive)
    part = tmp_path / f".{NAME}.zip.part"
    part.write_bytes(bytes(rubbish))
    if rubbish < len(archive):
        with pytest.raises(SpeechError, match="model-checksum-wrong"):
            add_model("small-cn", tmp_path, site=site.url)
        assert not part.exists()
    assert add_model("small-cn", tmp_path, site=site.url).installed


def test_a_whole_part_is_not_fetched_again(site: Site, archive: bytes, tmp_path: Path) -> None:
    site.offer(archive)
    (tmp_path / f".{NAME}.zip.part").write_bytes(archive)
    assert add_model("small-cn", tmp_path, site=site.url).installed


def test_a_wrong_checksum_installs_nothing(site: Site, archive: bytes, tmp_path: Path) -> None:
    site.offer(archive, md5="0" * 32)
    with pytest.raises(SpeechError) as caught:
        add_model("small-cn", tmp_path, site=site.url)
    assert (caught.value.code, caught.value.recoverable) == ("model-checksum-wrong", True)
    assert left_over(tmp_path) == set()


def test_without_a_network_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SpeechError, match=r"hotline model add FILE\.zip") as caught:
        add_model("small-cn", tmp_path, site="http://127.0.0.1:1")
    assert caught.value.code == "model-site-unreachable"


@pytest.mark.parametrize(
    ("listing", "code"),
    [
        (b"<html>", "model-site-refused"),
        (b"{}", "model-not-listed"),
        (b"[1]", "model-site-refused"),
        (b'[{"name": "vosk-model-small-cn-0.22"}]', "model-not-listed"),
        (b"[]", "model-not-listed"),
        (None, "model-site-refused"),
    ],
)
def test_an_odd_list_says_so(site: Site, tmp_path: Path, listing: bytes | None, code: str) -> None:
    if listing is not None:
        site.files["/model-list.json"] = listing
    with pytest.raises(SpeechError) as caught:
        add_model("small-cn", tmp_path, site=site.url)
    assert caught.value.code == code


def test_listed_but_gone_says_so(site: Site, archive: bytes, tmp_path: Path) -> None:
    site.offer(archive)
    del site.files[f"/{NAME}.zip"]
    with pytest.raises(SpeechError, match="404") as caught:
        add_model("small-cn", tmp_path, site=site.url)
    assert caught.value.code == "model-site-refused"


def test_two_at_once_do_not_meet(site: Site, archive: bytes, tmp_path: Path) -> None:
    site.offer(archive)
    with open(tmp_path / f".{NAME}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(SpeechError, match="model-busy"):
            add_model("small-cn", tmp_path, site=site.url)


def test_a_place_that_cannot_be_written_says_so(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpeechError, match="model-unwritable"):
        add_model("small-cn", tmp_path / "file" / "models", site=site.url)


def test_a_full_disk_is_seen_before_it_is_full(
    site: Site, archive: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.offer(archive)
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr("speech.model_fetch.shutil.disk_usage", lambda _: usage)
    with pytest.raises(SpeechError, match="model-disk-full"):
        add_model("small-cn", tmp_path, site=site.url)
    (tmp_path / "a.zip").write_bytes(archive)
    with pytest.raises(SpeechError, match="model-disk-full"):
        add_model(str(tmp_path / "a.zip"), tmp_path)


def test_a_zip_at_hand_is_installed_too(archive: bytes, tmp_path: Path) -> None:
    (tmp_path / "brought.zip").write_bytes(archive)
    info = add_model(str(tmp_path / "brought.zip"), tmp_path / "models")
    assert info.path == tmp_path / "models" / NAME
    assert find_model("small-cn", tmp_path / "models").installed
    with pytest.raises(SpeechError, match="model-exists"):
        add_model(str(tmp_path / "brought.zip"), tmp_path / "models")
    with pytest.raises(SpeechError, match="there is no file"):
        add_model(str(tmp_path / "none.zip"), tmp_path / "models")


@pytest.mark.parametrize(
    "files",
    [
        {"../evil/x": b"x"},
        {"m/../../evil": b"x"},
        {"/etc/evil": b"x"},
        {"m\\..\\evil": b"x"},
        {"C:/evil": b"x"},
        {"one/x": b"x", "two/x": b"x"},
        {"flat.txt/": b""},
        {},
    ],
)
def test_an_archive_that_leads_elsewhere_is_refused(tmp_path: Path, files: dict[str, bytes]) -> None:
    (tmp_path / "bad.zip").write_bytes(zipped(files))
    with pytest.raises(SpeechError) as caught:
        add_model(str(tmp_path / "bad.zip"), tmp_path / "models")
    assert caught.value.code in ("model-archive-broken", "speech-model-broken")
    assert left_over(tmp_path / "models") == set()
    assert not (tmp_path / "evil").exists()


def test_links_bombs_and_damage_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = zipfile.ZipInfo("m/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as content:
        content.writestr(link, "/etc/passwd")
    monkeypatch.setattr("speech.model_fetch._MAX_UNPACKED_BYTES", 10**6)
    (tmp_path / "bomb.zip").write_bytes(zipped({"m/zeros": bytes(10**6 + 1)}))
    (tmp_path / "cut.zip").write_bytes(zipped({"m/x": b"x" * 1000})[:-30])
    damaged = bytearray(zipped({"m/x": bytes(range(256)) * 40}))
    damaged[60] ^= 0xFF
    (tmp_path / "damaged.zip").write_bytes(damaged)
    for name in ("link", "bomb", "cut", "damaged"):
        with pytest.raises(SpeechError) as caught:
            add_model(str(tmp_path / f"{name}.zip"), tmp_path / "models")
        assert caught.value.code == "model-archive-broken", name
        assert left_over(tmp_path / "models") == set()
