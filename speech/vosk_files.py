"""What a Vosk model's folder must hold, looked at before native code is let at it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from speech.errors import SpeechError

_FST_MAGIC = b"\xd6\xfd\xb2\x7e"  # OpenFst's 2125659606, little endian


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """What a Vosk folder offers. `rate_hz`: the rate that it wants to be fed with."""

    supports_grammar: bool
    rate_hz: int


def check_model(folder: Path) -> ModelFiles:
    """Look whether a folder can be a Vosk model, before native code is let at it.

    Raises SpeechError `speech-model-missing` (no such folder) or `speech-model-broken` (says which file).
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SpeechError(
            "speech-model-missing",
            f"there is no model folder {folder}; `hotline model list` shows what there is, `hotline model add small-cn` fetches one",
        )
    # Two layouts are in use: am/, conf/, graph/ and, older, everything in the folder itself.
    flat = (folder / "final.mdl").is_file()
    graph = folder if flat else folder / "graph"
    acoustic = folder / "final.mdl" if flat else folder / "am" / "final.mdl"
    mfcc = folder / "mfcc.conf" if flat else folder / "conf" / "mfcc.conf"
    dynamic = (graph / "HCLr.fst").is_file() and (graph / "Gr.fst").is_file()
    graphs = [graph / "HCLr.fst", graph / "Gr.fst"] if dynamic else [graph / "HCLG.fst", graph / "words.txt"]
    needed = [acoustic, mfcc, *graphs, *([] if flat else [folder / "conf" / "model.conf"])]
    for file in needed:
        if not file.is_file() or file.stat().st_size == 0:
            raise SpeechError(
                "speech-model-broken", f"{folder} is no whole Vosk model: {file.relative_to(folder)} is missing"
            )
    for file in graphs:
        if file.suffix == ".fst":
            with open(file, "rb") as content:
                if content.read(4) != _FST_MAGIC:
                    raise SpeechError("speech-model-broken", f"{file} is no word graph: fetch the model anew")
    return ModelFiles(supports_grammar=dynamic, rate_hz=_feature_rate_hz(mfcc))


def _feature_rate_hz(mfcc_conf: Path) -> int:
    """Kaldi's default is 16 kHz when the file does not say."""
    for line in mfcc_conf.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.split("#")[0].strip().partition("=")
        if name.strip() == "--sample-frequency":
            try:
                return int(float(value))
            except ValueError as error:
                raise SpeechError("speech-model-broken", f"{mfcc_conf}: no number in {line.strip()}") from error
    return 16000
