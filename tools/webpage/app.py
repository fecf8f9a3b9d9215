"""The page, its numbers as JSON and CSV, and the live status."""

import base64
import csv
import hashlib
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tools.collection.connection import StoreError
from tools.collection.liveness import LiveDevices
from tools.webpage.calendar import Calendar, read_days
from tools.webpage.feed import Feed
from tools.webpage.overview import Overview, Question
from tools.webpage.table import HEADER, rows
from tools.webpage.watch import Key

FILES = Path(__file__).parent
MOST_DEVICES = 1000


def read_page() -> tuple[str, str]:
    """The page with its style and scripts inside, and the Content-Security-Policy for it."""
    page = (FILES / "page.html").read_text(encoding="utf-8")
    style = (FILES / "page.css").read_text(encoding="utf-8")
    script = "".join(
        (FILES / name).read_text(encoding="utf-8") for name in ("charts.js", "fleet.js", "page.js")
    )
    page = page.replace("/*style*/", style).replace("/*script*/", script)
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return page, policy


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


class Pages:
    """The routes of the page."""

    def __init__(
        self, overview: Overview, calendar: Calendar, live: LiveDevices, feed: Feed, page: str,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._overview, self._calendar, self._live = overview, calendar, live
        self._feed, self._page, self._clock = feed, page, clock

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/", self._index),
                Route("/api/overview", self._json),
                Route("/api/heat", self._heat),
                Route("/api/hours.csv", self._csv),
                Route("/api/events", self._events),
            ],
            exception_handlers={StoreError: _unavailable},
        )

    def _question(self, request: Request) -> Question:
        """Days and devices, the only things that can be chosen."""
        query = request.query_params
        unknown = set(query) - {"from", "to", "device"}
        if unknown:
            raise HTTPException(400, f"unknown parameter {sorted(unknown)[0]!r}")
        today = self._calendar.local(self._clock()).date()
        try:
            days = read_days(query.get("from"), query.get("to"), today)
        except ValueError as error:
            raise HTTPException(400, str(error)) from None
        return Question(days, tuple(_key(name) for name in query.getlist("device")[:MOST_DEVICES]))

    async def _index(self, _request: Request) -> Response:
        return HTMLResponse(self._page)

    def _json(self, request: Request) -> Response:
        question = self._question(request)
        return JSONResponse(self._overview.answer(question, self._live.snapshot(), self._clock()))

    def _heat(self, request: Request) -> Response:
        question = self._question(request)
        return JSONResponse(self._overview.heat(question, self._live.snapshot(), self._clock()))

    def _csv(self, request: Request) -> Response:
        question = self._question(request)
        text = io.StringIO()
        table = csv.writer(text)
        table.writerow(HEADER)
        table.writerows(rows(self._overview.by_hour(question), self._calendar))
        name = f"edge-tally_{question.days.first}_{question.days.last}.csv"
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(text.getvalue(), media_type="text/csv", headers=headers)

    async def _events(self, _request: Request) -> Response:
        headers = {"x-accel-buffering": "no"}  # or nginx would hold events back
        return StreamingResponse(
            self._feed.events(), media_type="text/event-stream", headers=headers
        )


def _key(name: str) -> Key:
    site, _, device = name.partition("/")
    return site, device


def _unavailable(_request: Request, error: Any) -> Response:
    return JSONResponse({"error": str(error)}, status_code=503)
