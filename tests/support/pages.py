"""The real commands that serve a page, and a viewer that asks them as the page does."""

import http.client
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import preloaded
from tests.support.commands import wait_for
from tests.support.paths import ROOT

ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/#(\S+)")


@dataclass(slots=True)
class Viewer:
    """One program that knows the address."""

    process: subprocess.Popen[str]
    log: Path
    address: str
    port: int
    token: str
    key: str | None = None
    received: list[bytes] = field(default_factory=list)
    """All bodies that were answered."""

    def request(
        self, method: str, path: str, values: Any = None, **headers: str
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        """Status, body and headers of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        body = None if values is None else json.dumps(values)
        if self.key is not None:
            headers.setdefault("Authorization", f"Bearer {self.key}")
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        self.received.append(content)
        connection.close()
        return answer.status, content, answer.headers

    def ask(self, path: str, values: Any = None) -> Any:
        """What the server answers, once it has."""
        status, content, _ = self.request("GET" if values is None else "POST", path, values)
        assert status == 200, content
        return json.loads(content)

    def enter(self) -> Any:
        """Take the key; the answer is what the page begins with."""
        start = self.ask("/viewer", {"token": self.token})
        self.key = start["key"]
        return start

    def views(self, number: int) -> list[Any]:
        """This many views, one after another."""
        views: list[Any] = []
        while len(views) < number:
            view = self.ask(f"/view?after={views[-1]['seq'] if views else 0}")
            if view is not None:
                views.append(view)
        return views


@contextmanager
def serving(
    name: str, folder: Path, *options: str | Path, before: Sequence[str] = ()
) -> Iterator[Viewer]:
    """The command of this name on a free port; it is ended with SIGTERM."""
    log = folder / "page.log"
    # a tracer that comes before should see nothing of Python's own bytecode
    environment = os.environ | ({"PYTHONDONTWRITEBYTECODE": "1"} if before else {})
    command = [*before, sys.executable, "-m", "edge", name, "--port", "0", *map(str, options)]
    with log.open("w") as output:
        process = preloaded.Popen(
            command, cwd=ROOT, stdout=output, stderr=output, text=True, env=environment
        )
    try:
        wait_for(
            lambda: ADDRESS.search(log.read_text()) or process.poll() is not None,
            "no address is printed",
        )
        match = ADDRESS.search(log.read_text())
        assert match, log.read_text()
        yield Viewer(process, log, match[0], int(match[1]), match[2])
    finally:
        process.terminate()
        assert process.wait(20) == 0, log.read_text()
