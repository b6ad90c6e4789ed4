"""Where the parts of the web app find each other."""

from __future__ import annotations

from aiohttp import web

from cases.service import CasesService
from cases.web.login_limit import LoginLimit

SERVICE = web.AppKey("service", CasesService)
PRODUCER_TOKEN = web.AppKey("producer_token", str)
LOGIN_LIMIT = web.AppKey("login_limit", LoginLimit)
BEHIND_TLS = web.AppKey("behind_tls", bool)
