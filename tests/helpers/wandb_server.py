"""A stand-in for W&B's server on loopback: it answers what it is told to, and keeps what it was asked.

It knows nothing of W&B's schema: a test with it shows what the client sends, not what a W&B server makes of it.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

VIEWER: dict[str, Any] = {
    "id": "1",
    "entity": "team",
    "username": "somebody",
    "email": None,
    "flags": "{}",
    "teams": {"edges": []},
}
FIELDS = {  # which W&B 0.20 asks of a server first
    "RunType": {"fields": [{"name": "projectId"}]},
    "ProjectType": {"fields": [{"name": "internalId"}]},
}
RUN: dict[str, Any] = {
    **{"id": "r1", "name": "abcd1234", "displayName": "vits14-dino-k5", "state": "finished", "jobType": "explain"},
    **{"tags": [], "group": "sweep", "projectId": "1", "config": "{}", "systemMetrics": "{}", "historyKeys": None},
    **{
        "user": {"name": "somebody", "username": "somebody"},
        "createdAt": "2026-01-01T00:00:00Z",
        "heartbeatAt": "2026-01-01T00:01:00Z",
        "readOnly": True,
    },
    **{"sweepName": None, "commit": None, "description": None, "notes": None, "historyLineCount": 2},
}


@dataclass
class Server:
    """Address, what the project's one run holds (None: there is no such project), and the views that were saved."""

    address: str
    summary: dict[str, Any] | None = None
    views: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if "upsertView" in query:
            self.views.append(variables)
            return {"upsertView": {"view": {"id": "1", "name": variables["name"]}, "inserted": True}}
        if "project(" not in query:
            return {"viewer": VIEWER, **FIELDS}
        if self.summary is None:
            return {"project": None}
        run = RUN | {"summaryMetrics": json.dumps(self.summary)}
        runs = {"edges": [{"node": run, "cursor": "1"}], "pageInfo": {"endCursor": "1", "hasNextPage": False}}
        return {"project": {"internalId": "1", "runCount": 1, "readOnly": False, "runs": runs, "run": run}}


@contextmanager
def serving() -> Iterator[Server]:
    """Serves on a free port until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            answer: dict[str, Any] = {}
            if self.path == "/graphql":
                asked = json.loads(body)
                answer = {"data": server.answer(asked["query"], asked.get("variables") or {})}
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, format: str, *args: object) -> None: ...

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = Server(f"http://127.0.0.1:{listener.server_port}")
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()
