"""docker/install-asterisk.sh: what it says when it cannot, and that it does nothing twice. No network is needed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hotline.asterisk import CHECKOUT, find_asterisk
from hotline.asterisk_install import OWN_PREFIX

SCRIPT = CHECKOUT / "docker" / "install-asterisk.sh"
NOBODY_LISTENS = "http://127.0.0.1:9/debian"
needs_apt = pytest.mark.skipif(
    shutil.which("apt-get") is None or not list(Path("/usr/share/keyrings").glob("debian-archive-keyring.*")),
    reason="only where Debian's apt is",
)


def install(prefix: Path | str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SCRIPT), str(prefix)],
        env=os.environ | {"HOTLINE_DEBIAN_MIRROR": NOBODY_LISTENS, "LC_ALL": "C"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def fake_asterisk(folder: Path, says: str) -> str:
    """A PATH whose `asterisk -V` says this."""
    folder.mkdir()
    command = folder / "asterisk"
    command.write_text(f"#!/bin/sh\necho '{says}'\n")
    command.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_what_is_there_is_not_installed_again() -> None:
    found = find_asterisk()
    done = install(OWN_PREFIX)
    assert done.returncode == 0, done.stderr
    assert found.version in done.stdout
    assert "downloading" not in done.stdout


@needs_apt
def test_no_mirror(tmp_path: Path) -> None:
    done = install(tmp_path / "prefix", PATH=fake_asterisk(tmp_path / "bin", "Asterisk 16.28.0"))
    assert done.returncode == 1
    assert "16.28.0" in done.stdout  # why the machine's own will not do
    assert f"{NOBODY_LISTENS} cannot be reached" in done.stderr
    assert "HOTLINE_DEBIAN_MIRROR" in done.stderr
    assert "copy the folder .asterisk" in done.stderr
    assert not (tmp_path / "prefix" / "usr").exists()
    assert not (tmp_path / "prefix" / "VERSION").exists()


@needs_apt
@pytest.mark.skipif(shutil.which("flock") is None, reason="without flock nothing is locked")
def test_two_at_once(tmp_path: Path) -> None:
    import fcntl

    prefix = tmp_path / "prefix"
    prefix.mkdir()
    with (prefix / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = install(prefix, PATH=fake_asterisk(tmp_path / "bin", "nothing that is known"))
    assert done.returncode == 1
    assert "another install-asterisk.sh is at work" in done.stderr


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = install(tmp_path / "file" / "prefix", PATH=fake_asterisk(tmp_path / "bin", "Asterisk 13.1.0"))
    assert done.returncode == 1
    assert "cannot write" in done.stderr


def test_half_an_install_is_none(tmp_path: Path) -> None:
    """A folder that was copied in part is installed anew, not believed."""
    prefix = tmp_path / "prefix"
    (prefix / "usr/sbin").mkdir(parents=True)
    (prefix / "usr/sbin/asterisk").write_text("#!/bin/sh\n")
    (prefix / "usr/sbin/asterisk").chmod(0o755)
    (prefix / "VERSION").write_text("22.0.0\n")
    done = install(prefix, PATH=fake_asterisk(tmp_path / "bin", "Asterisk 13.1.0"))
    assert done.returncode == 1
    assert "already" not in done.stdout


def test_the_own_one_is_whole() -> None:
    if find_asterisk().prefix is None:
        pytest.skip("the machine's own Asterisk is used")
    assert (OWN_PREFIX / "VERSION").read_text().strip() == find_asterisk().version
    assert not (OWN_PREFIX / "part").exists()
    # The licences of what was unpacked are there too.
    assert (OWN_PREFIX / "usr/share/doc/asterisk/copyright").is_file()
