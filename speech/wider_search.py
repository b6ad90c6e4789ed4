"""The same model with a wider search: a folder of links to its files and a configuration of its own.

Slower, so nothing for a caller who waits; for a recording that can be decoded again.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from speech.errors import SpeechError
from speech.vosk_files import check_model

WIDER = "wider"  # what the settings call it

# What Vosk takes where a model does not say (Kaldi's own defaults).
_DEFAULTS = {"--beam": 16.0, "--max-active": 7000.0}
_WIDENED = {"--beam": 1.4, "--max-active": 2.5}


def wider_conf(conf: str) -> str:
    """A Vosk model.conf with a wider search; all else stays. Lines that set nothing known are kept as they are."""
    found = dict(_DEFAULTS)
    kept = []
    for line in conf.splitlines():
        name, _, value = line.split("#")[0].strip().partition("=")
        if name.strip() not in _WIDENED:
            kept.append(line)
            continue
        try:
            found[name.strip()] = float(value)
        except ValueError:
            raise SpeechError("speech-model-broken", f"model.conf: no number in {line.strip()}") from None
    wider = {name: found[name] * times for name, times in _WIDENED.items()}
    kept += [
        f"{name}={round(value)}" if name == "--max-active" else f"{name}={value:.1f}" for name, value in wider.items()
    ]
    return "\n".join(kept) + "\n"


def wider_conf_of(model_dir: Path) -> str:
    """The wider model.conf of a model. Raises SpeechError as `wider_model`, but for what concerns its own folder."""
    check_model(model_dir)
    conf = model_dir / "conf" / "model.conf"
    if not conf.is_file():
        raise SpeechError(
            "speech-model-not-widened",
            f"{model_dir} keeps its search settings in itself: name another model as speech.second_pass_model",
        )
    return wider_conf(conf.read_text("utf-8", "replace"))


def wider_model(model_dir: Path, into: Path) -> Path:
    """A folder in `into` that Vosk loads as `model_dir` with a wider search; blocks. Made anew each time: it is small.

    Raises SpeechError `speech-model-missing`, `speech-model-broken`, `speech-model-not-widened` (the old layout has no
    configuration to widen), `speech-state-unwritable`.
    """
    model_dir = Path(model_dir).resolve()
    conf = wider_conf_of(model_dir)
    target = into / f"{model_dir.name}-wider"
    try:
        into.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=into, prefix=f".{target.name}."))
        for entry in model_dir.iterdir():
            if entry.name != "conf":
                (made / entry.name).symlink_to(entry, target_is_directory=entry.is_dir())
        (made / "conf").mkdir()
        for entry in (model_dir / "conf").iterdir():
            if entry.name != "model.conf":
                (made / "conf" / entry.name).symlink_to(entry)
        (made / "conf" / "model.conf").write_text(conf, "utf-8")
        made.chmod(0o755)
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)
    except OSError as error:
        raise SpeechError("speech-state-unwritable", f"cannot make {target}: {error.strerror}") from error
    check_model(target)
    return target
