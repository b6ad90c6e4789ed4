"""Gathers the packages' sections from one `hotline.toml`; the environment overrides; all problems are told at once.

Sources, strongest first: arguments, `HOTLINE_<SECTION>__<NAME>` (e.g. `HOTLINE_CASES__PORT=9000`), the file named by
`--config` or `HOTLINE_CONFIG` (default: `hotline.toml` in the working folder, when there is one), defaults.
"""

from __future__ import annotations

import json
import os
import sys
import tomllib
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from cases.settings import CasesSettings
from hotline.asterisk import AsteriskSettings
from ivr.settings import IvrSettings
from speech.settings import SpeechSettings

CHECKOUT = Path(__file__).resolve().parent.parent


class SettingsError(Exception):
    """`problems`: one line each, naming the setting and what is wrong with it."""

    code = "settings-invalid"

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Settings(BaseSettings):
    """Everything that can be set. A section's fields are documented in its package's `settings.py`."""

    model_config = SettingsConfigDict(
        env_prefix="HOTLINE_", env_nested_delimiter="__", extra="forbid", frozen=True, validate_default=True
    )

    state_dir: Path = Field(default=CHECKOUT / "var", description="database, spool, recordings, secrets, logs")
    speech: SpeechSettings = SpeechSettings()
    ivr: IvrSettings = IvrSettings()
    cases: CasesSettings = CasesSettings()
    asterisk: AsteriskSettings = AsteriskSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=_file_in_use)

    @property
    def spool_dir(self) -> Path:
        return (self.ivr.spool_dir or self.state_dir / "spool").resolve()

    @property
    def models_dir(self) -> Path:
        return (self.speech.models_dir or self.state_dir / "models").resolve()

    @property
    def learned_dir(self) -> Path:
        return (self.cases.learned_dir or self.state_dir / "learned").resolve()

    @property
    def prompts_dir(self) -> Path:
        return (self.ivr.prompts_dir or CHECKOUT / "prompts").resolve()

    @property
    def cases_url(self) -> str:
        return self.ivr.cases_url or f"http://{self.cases.host}:{self.cases.port}"


_file_in_use: Path | None = None


def load_settings(config: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings; raises SettingsError with every problem named, or its file's syntax error."""
    global _file_in_use
    named = config or (Path(os.environ["HOTLINE_CONFIG"]) if os.environ.get("HOTLINE_CONFIG") else None)
    if named is not None and not named.is_file():
        raise SettingsError([f"{named}: there is no such file"])
    _file_in_use = named or Path("hotline.toml")
    try:
        # HOTLINE_CONFIG names the file itself and is not a setting
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingsError(
            [f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']} (got {e['input']!r})" for e in error.errors()]
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([f"{_file_in_use}: not valid TOML: {error}"]) from error
    finally:
        _file_in_use = None


def example_toml() -> str:
    """Every setting with its default and what it is for: the text of docs/hotline.example.toml."""
    lines = [
        "# Every setting, with its default. Copy the lines that you change into hotline.toml.",
        "# In the environment: HOTLINE_<SECTION>__<NAME>, e.g. HOTLINE_CASES__PORT=9000.",
        "",
        f'# state_dir = "var"    # {Settings.model_fields["state_dir"].description}; default: var/ of the checkout',
    ]
    for section, model in (
        ("speech", SpeechSettings),
        ("ivr", IvrSettings),
        ("cases", CasesSettings),
        ("asterisk", AsteriskSettings),
    ):
        lines += ["", f"[{section}]"]
        for name, field in model.model_fields.items():
            note = f"    # {field.description}" if field.description else ""
            default = "" if field.default is None else field.default
            value = json.dumps(default, default=str, ensure_ascii=False)
            lines.append(f"# {name} = {value}{note}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(example_toml())
