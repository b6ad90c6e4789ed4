"""The `[ivr]` section of hotline.toml."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator


class IvrSettings(BaseModel):
    """Where the call handler listens and what it keeps to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    agi_host: str = "127.0.0.1"
    agi_port: int = Field(default=4573, ge=0, le=65535)
    audiosocket_host: str = "127.0.0.1"
    audiosocket_port: int = Field(default=4574, ge=0, le=65535)
    metrics_port: int = Field(default=4575, ge=0, le=65535, description="health and metrics on loopback")
    spool_dir: Path | None = Field(default=None, description="default <state>/spool; shared with Asterisk")
    prompts_dir: Path | None = Field(default=None, description="default: prompts/ of the checkout")
    cases_url: str = Field(default="", description="the backend; empty: this machine's [cases]")
    max_calls: int = Field(
        default=200, ge=1, description="conversations at once; past it the dialplan takes the caller"
    )
    recover_every_seconds: float = Field(default=60, gt=0)
    drain_seconds: float = Field(default=5, ge=0, description="at its end, ivr lets running calls go on this long")
    keep_days: float = Field(
        default=30,
        gt=0,
        description="a call's folder is kept this long once the backend has all, or only a human spoke with the caller",
    )
    node: int = Field(default=1, ge=1, le=9, description="first digit of this node's reference numbers")
    timezone: str = Field(default="Asia/Shanghai")

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("no such time zone; a name like Asia/Shanghai") from None
        return value
