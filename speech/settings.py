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
    heard_calls_max: int = Field(
        default=0, ge=0, description="calls heard live at once; 0: as many as the measured load allows"
    )
    admit_below_load: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="a call that would bring the recogniser past this load (1 is full) is recorded and transcribed later",
    )
    heard_later_at_once: int = Field(
        default=1,
        ge=1,
        le=64,
        description="recordings of calls not heard live that are transcribed at once, in idle time",
    )
    second_pass_model: str = Field(
        default="",
        description="a call is transcribed again after its end: 'wider' (the same model, a wider search) or a model as above; empty: not",
    )
