"""Which models there are: the bundled one, any Vosk folder by path, and the official ones that can be fetched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from speech.errors import SpeechError
from speech.model_fetch import OFFICIAL_SITE, Progress, fetch_model, unpack_model
from speech.vosk_files import check_model

BUNDLED = "bundled"
BUNDLED_DIR = Path(__file__).parent / "bundled" / "zh-telephone"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model, installed or to be had. `size_bytes` is on disk (of one not installed: about)."""

    name: str
    path: Path
    description: str
    description_zh: str
    licence: str
    size_bytes: int
    installed: bool
    bundled: bool
    hears_people: bool

    def describe(self) -> str:
        """One line for a terminal: name, size, licence, how it hears."""
        size = f"{self.size_bytes / 1e6:.0f} MB" if self.size_bytes < 1e9 else f"{self.size_bytes / 1e9:.1f} GB"
        state = "" if self.installed else ", not installed"
        return f"{self.name} ({size}, {self.licence}{state}): {self.description}"


@dataclass(frozen=True, slots=True)
class _Official:
    short: str
    name: str
    size_bytes: int
    description: str
    description_zh: str


# From the Vosk project's model page; sizes are the archives', a model unpacked is about half as large again.
_OFFICIALS = (
    _Official(
        "small-cn",
        "vosk-model-small-cn-0.22",
        65_000_000,
        "the Vosk project's small Mandarin model: hears people, runs on any machine",
        "Vosk 官方普通话小模型：能听懂真人，普通机器即可运行",
    ),
    _Official(
        "cn",
        "vosk-model-cn-0.22",
        1_950_000_000,
        "the Vosk project's large Mandarin model: hears people best, wants 6 GB of memory",
        "Vosk 官方普通话大模型：识别最准，需要约 6 GB 内存",
    ),
)
OFFICIAL_NAMES = tuple(official.short for official in _OFFICIALS)
_OFFICIAL_LICENCE = "Apache-2.0"


def find_model(name_or_path: str | Path, models_dir: Path) -> ModelInfo:
    """'bundled', an official name (`small-cn`), an installed model's folder name, or the path of any Vosk folder.

    Raises SpeechError `speech-model-missing` (with the line that mends it) or `speech-model-broken`.
    """
    wanted = str(name_or_path)
    if wanted == BUNDLED:
        check_model(BUNDLED_DIR)
        return _bundled()
    official = _official(wanted)
    if official is not None:
        info = _official_info(official, models_dir)
        if not info.installed:
            raise SpeechError(
                "speech-model-missing", f"the model {wanted} is not installed: hotline model add {official.short}"
            )
        check_model(info.path)
        return info
    is_name = not any(mark in wanted for mark in "/\\") and wanted not in ("", ".", "..")
    path = Path(models_dir) / wanted if is_name and (Path(models_dir) / wanted).is_dir() else Path(wanted).expanduser()
    check_model(path)
    return _folder(path)


def list_models(models_dir: Path) -> list[ModelInfo]:
    """The bundled model, the official ones (installed or not), and whatever other model lies in `models_dir`."""
    found = [_bundled(), *(_official_info(official, models_dir) for official in _OFFICIALS)]
    known = {info.path for info in found}
    folder = Path(models_dir)
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path in known or path.name.startswith(".") or not path.is_dir():
            continue
        try:
            check_model(path)
        except SpeechError:
            continue  # `find_model` says what is wrong with it to who asks for it
        found.append(_folder(path))
    return found


def add_model(
    name: str, models_dir: Path, progress: Callable[[Progress], None] | None = None, *, site: str = OFFICIAL_SITE
) -> ModelInfo:
    """Install `small-cn` or `cn` from the Vosk project's site, or the model in a ZIP file at hand; blocks.

    A download that was cut off goes on where it stopped. Nothing appears under the model's name before it is whole
    and its checksum is right. An installed model is left as it is.
    Raises SpeechError `model-unknown`, and those of `fetch_model` and `unpack_model`.
    """
    models_dir = Path(models_dir)
    if name == BUNDLED:
        return find_model(BUNDLED, models_dir)
    if name.endswith(".zip"):
        return _folder(unpack_model(Path(name), models_dir, progress))
    official = _official(name)
    if official is None:
        raise SpeechError("model-unknown", f"no model is called {name!r}: {', '.join(OFFICIAL_NAMES)}, or a ZIP file")
    info = _official_info(official, models_dir)
    if info.installed:
        return info
    fetch_model(official.name, models_dir, progress, site=site)
    return _official_info(official, models_dir)


def _official(name: str) -> _Official | None:
    return next((official for official in _OFFICIALS if name in (official.short, official.name)), None)


def _bundled() -> ModelInfo:
    return ModelInfo(
        name=BUNDLED,
        path=BUNDLED_DIR,
        description="hears synthetic voices well and people badly (half of the characters wrong); "
        "for people: hotline model add small-cn",
        description_zh="只适合试用：听合成语音较准，听真人很差（约一半的字会错）；接听真人请运行 hotline model add small-cn",
        licence="CC BY-SA 4.0",
        size_bytes=_size(BUNDLED_DIR),
        installed=True,
        bundled=True,
        hears_people=False,
    )


def _official_info(official: _Official, models_dir: Path) -> ModelInfo:
    path = Path(models_dir) / official.name
    try:
        check_model(path)
        installed = True
    except SpeechError:
        installed = False
    return ModelInfo(
        name=official.short,
        path=path,
        description=official.description,
        description_zh=official.description_zh,
        licence=_OFFICIAL_LICENCE,
        size_bytes=_size(path) if installed else official.size_bytes,
        installed=installed,
        bundled=False,
        hears_people=True,
    )


def _folder(path: Path) -> ModelInfo:
    """Somebody's own model. Its licence is for them to know; that it hears people is assumed."""
    return ModelInfo(
        name=path.name,
        path=path,
        description="a Vosk model of your own",
        description_zh="自备的 Vosk 模型",
        licence="see its own papers",
        size_bytes=_size(path),
        installed=True,
        bundled=False,
        hears_people=True,
    )


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
