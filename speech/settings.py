"""The `[speech]` section of hotline.toml."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class SpeechSettings(BaseModel):
    """What a call's ear and voice are made of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(default="bundled", description="'bundled', an installed model's name, or a Vosk model's folder")
    models_dir: Path | None = Field(
        default=None, description="where `hotline model add` keeps models; default <state>/models"
    )
    workers: int = Field(default=0, ge=0, le=64, description="recogniser threads; 0: one a core")
