"""The `[cases]` section of hotline.toml."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator


class CasesSettings(BaseModel):
    """Where the backend listens, keeps and whom it lets in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(default="127.0.0.1", description="address of the API and the desk")
    port: int = Field(default=8012, ge=0, le=65535)
    database_url: str = Field(default="", description="SQLAlchemy async URL; empty: SQLite in the state folder")
    recordings_dir: Path | None = Field(default=None, description="default <state>/recordings")
    learned_dir: Path | None = Field(
        default=None, description="where `hotline learn` installs its model of drafting; default <state>/learned"
    )
    producer_token: str = Field(
        default="", description="bearer token of producers; empty: made at first start, kept in the state folder"
    )
    session_hours: float = Field(default=12, gt=0, description="an operator's session ends after this long")
    undo_seconds: float = Field(default=10, ge=0, description="confirm, reject and return can be undone this long")
    take_minutes: float = Field(
        default=15, gt=0, description="a taken draft with nobody at it goes back after this long"
    )
    case_number: str = Field(
        default="{date:%Y%m%d}{sequence:06d}", description="工单编号; the sequence starts anew each day"
    )
    timezone: str = Field(default="Asia/Shanghai")
    behind_tls: bool = Field(default=False, description="True behind an HTTPS proxy: cookies become Secure")
    max_recording_bytes: int = Field(default=256 * 2**20, gt=0)

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("no such time zone; a name like Asia/Shanghai") from None
        return value
