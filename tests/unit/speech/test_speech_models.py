from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from speech.errors import SpeechError
from speech.models import BUNDLED, BUNDLED_DIR, add_model, find_model, list_models
from speech.vosk_files import check_model

FST = b"\xd6\xfd\xb2\x7e" + bytes(60)


def fake_model(folder: Path, *, dynamic: bool = False, rate: str = "--sample-frequency=8000\n") -> Path:
    """Whole to look at; no engine would load it."""
    for name in ("am", "conf", "graph"):
        (folder / name).mkdir(parents=True)
    (folder / "am/final.mdl").write_bytes(b"\0Bx")
    (folder / "conf/mfcc.conf").write_text(rate)
    (folder / "conf/model.conf").write_text("--beam=10\n")
    for name in ("HCLr.fst", "Gr.fst") if dynamic else ("HCLG.fst",):
        (folder / "graph" / name).write_bytes(FST)
    if not dynamic:
        (folder / "graph/words.txt").write_text("<eps> 0\n")
    return folder


def test_the_bundled_model_is_whole_and_says_plainly_how_it_hears() -> None:
    info = find_model(BUNDLED, Path("nowhere"))
    assert info.bundled
    assert not info.hears_people
    assert "people badly" in info.describe()
    assert "CC BY-SA 4.0" in info.describe()
    assert 25e6 < info.size_bytes < 35e6
    assert (BUNDLED_DIR / "MODEL_CARD.md").is_file()
    assert "CC BY-SA 4.0" in (BUNDLED_DIR / "LICENSE.md").read_text("utf-8")
    assert not check_model(BUNDLED_DIR).supports_grammar


def test_models_are_found_by_path_and_by_their_name_among_the_installed(tmp_path: Path) -> None:
    own = fake_model(tmp_path / "elsewhere" / "own")
    assert find_model(str(own), tmp_path).path == own
    fake_model(tmp_path / "models" / "mine", dynamic=True)
    assert find_model("mine", tmp_path / "models").path == tmp_path / "models" / "mine"
    assert check_model(tmp_path / "models" / "mine").supports_grammar


def test_the_list_tells_what_is_there_and_what_can_be_had(tmp_path: Path) -> None:
    fake_model(tmp_path / "mine")
    fake_model(tmp_path / "vosk-model-small-cn-0.22", dynamic=True)
    (tmp_path / "no model").mkdir()
    (tmp_path / ".unpacking-x").mkdir()
    listed = {info.name: info.installed for info in list_models(tmp_path)}
    assert listed == {"bundled": True, "small-cn": True, "cn": False, "mine": True}
    assert find_model("small-cn", tmp_path).hears_people


def test_an_older_flat_folder_is_a_model_too(tmp_path: Path) -> None:
    (tmp_path / "final.mdl").write_bytes(b"x")
    (tmp_path / "mfcc.conf").write_text("--num-ceps=13\n")
    (tmp_path / "HCLr.fst").write_bytes(FST)
    (tmp_path / "Gr.fst").write_bytes(FST)
    files = check_model(tmp_path)
    assert files.supports_grammar
    assert files.rate_hz == 16000, "Kaldi's default"


@pytest.mark.parametrize("name", ["nowhere", "/no/such/folder", "", "..", "small-cn", "vosk-model-cn-0.22"])
def test_a_missing_model_says_how_to_get_one(tmp_path: Path, name: str) -> None:
    with pytest.raises(SpeechError) as caught:
        find_model(name, tmp_path / "models")
    assert caught.value.code in ("speech-model-missing", "speech-model-broken")
    if name:
        assert name in caught.value.message


def test_an_official_model_not_installed_names_the_line_that_installs_it(tmp_path: Path) -> None:
    with pytest.raises(SpeechError, match="hotline model add cn"):
        find_model("cn", tmp_path)


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("am/final.mdl", "am/final.mdl"),
        ("conf/mfcc.conf", "conf/mfcc.conf"),
        ("conf/model.conf", "conf/model.conf"),
        ("graph/HCLG.fst", "graph/HCLG.fst"),
        ("graph/words.txt", "graph/words.txt"),
    ],
)
@pytest.mark.parametrize("empty", [True, False])
def test_a_model_with_a_hole_names_the_hole(tmp_path: Path, damage: str, named: str, empty: bool) -> None:
    folder = fake_model(tmp_path / "m")
    (folder / damage).unlink()
    if empty:
        (folder / damage).touch()
    with pytest.raises(SpeechError, match=named) as caught:
        check_model(folder)
    assert caught.value.code == "speech-model-broken"


def test_what_is_no_word_graph_and_no_number_is_refused(tmp_path: Path) -> None:
    folder = fake_model(tmp_path / "m")
    (folder / "graph/HCLG.fst").write_bytes(b"version https://git-lfs")
    with pytest.raises(SpeechError, match="no word graph"):
        check_model(folder)
    shutil.rmtree(folder)
    with pytest.raises(SpeechError, match="no number"):
        check_model(fake_model(tmp_path / "m", rate="--sample-frequency=eight\n"))


def test_only_known_models_are_fetched(tmp_path: Path) -> None:
    with pytest.raises(SpeechError, match="small-cn, cn") as caught:
        add_model("klingon", tmp_path)
    assert caught.value.code == "model-unknown"
    assert add_model(BUNDLED, tmp_path).bundled
