"""Which Asterisk to run: the machine's own, or the one that docker/install-asterisk.sh put into `.asterisk`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hotline.asterisk_site import AsteriskError

CHECKOUT = Path(__file__).resolve().parents[1]
OWN_PREFIX = CHECKOUT / ".asterisk"
OLDEST_MAJOR = 18
NEEDED_MODULES = ("chan_pjsip.so", "res_agi.so", "res_audiosocket.so", "app_audiosocket.so", "app_queue.so")


@dataclass(frozen=True, slots=True)
class AsteriskInstall:
    """How to run an Asterisk: `command` comes before its options."""

    command: tuple[str, ...]
    version: str
    modules_dir: Path
    data_dir: Path
    prefix: Path | None  # None: the system's

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])


def find_asterisk(prefix: Path | None = None) -> AsteriskInstall:
    """`prefix` when given; else the system's, if it is new enough and whole; else the checkout's `.asterisk`."""
    reasons: list[str] = []
    if prefix is None:
        system = shutil.which("asterisk", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if system is None:
            reasons.append("no asterisk command on this machine")
        else:
            modules = [*Path("/usr/lib").glob("*/asterisk/modules"), Path("/usr/lib/asterisk/modules")]
            modules += [Path("/usr/lib64/asterisk/modules"), Path("/usr/local/lib/asterisk/modules")]
            data = Path("/usr/share/asterisk")
            found = _examine((system,), modules, data if data.is_dir() else Path("/var/lib/asterisk"), None, reasons)
            if found:
                return found
    root = (prefix or OWN_PREFIX).absolute()
    loaders = [*root.glob("usr/lib64/ld-linux-*.so.*"), *root.glob("usr/lib/ld-linux-*.so.*")]
    libraries = [path for path in root.glob("usr/lib/*-linux-gnu*") if (path / "asterisk").is_dir()]
    if not loaders or not libraries:
        reasons.append(f"nothing installed in {root}")
    else:
        # The prefix's own loader and C library, so that it runs on an older host, without chroot and without root.
        command = (str(loaders[0]), "--library-path", str(libraries[0]), str(root / "usr/sbin/asterisk"))
        modules = [libraries[0] / "asterisk/modules"]
        if found := _examine(command, modules, root / "usr/share/asterisk", root, reasons):
            return found
    raise AsteriskError("asterisk-missing", f"{'; '.join(reasons)}. Run docker/install-asterisk.sh (or make setup)")


def _examine(
    command: tuple[str, ...], modules: Sequence[Path], data_dir: Path, prefix: Path | None, reasons: list[str]
) -> AsteriskInstall | None:
    """What lies there, or None and why not in `reasons`."""
    try:
        said = subprocess.run([*command, "-V"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        reasons.append(f"{command[-1]} does not run: {error}")
        return None
    match = re.search(r"Asterisk\s+(?:certified[/-])?(\d+(?:\.\d+)*)", said.stdout)
    if not match:
        reasons.append(f"{command[-1]} -V says {(said.stdout + said.stderr).strip()[:200]!r}")
        return None
    version = match[1]
    if int(version.split(".")[0]) < OLDEST_MAJOR:
        reasons.append(f"{command[-1]} is Asterisk {version}, older than {OLDEST_MAJOR}")
        return None
    lacking: list[str] = []
    for folder in modules:
        lacking = [name for name in NEEDED_MODULES if not (folder / name).is_file()]
        if not lacking:
            return AsteriskInstall(command, version, folder, data_dir, prefix)
    reasons.append(f"{command[-1]} (Asterisk {version}) lacks modules: {', '.join(lacking) or 'all'}")
    return None
