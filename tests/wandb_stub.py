"""A W&B service of a few answers on the loopback: enough for a run, its resumption, and a report."""

from __future__ import annotations

import gzip
import json
import re
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

ENTITY = "someone"
KEY = "k" * 40
USER = {
    "id": "user",
    "username": ENTITY,
    "name": ENTITY,
    "email": "",
    "admin": False,
    "entity": ENTITY,
    "flags": "{}",
    "deletedAt": None,
    "photoUrl": None,
    "accountType": None,
    "apiKeys": {"edges": []},
    "teams": {"edges": []},
}


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.connections: list[socket.socket] = []

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.connections.append(connection)
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: the client drops idle connections when it is done."""


class WandbStub:
    """Collect what clients send: `runs`, `rows` and `reports`, by id; `operations` in order."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.reports: dict[str, dict[str, Any]] = {}
        self.projects: list[str] = []
        self.files: list[str] = []
        self.ends: dict[str, Any] = {}
        self.operations: list[str] = []
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments: Any) -> None:
                pass

            def do_POST(self) -> None:
                body = self._body()
                if self.path.startswith("/graphql"):
                    query = json.loads(body)
                    self._answer(stub.answer(query["query"], query.get("variables") or {}))
                elif self.path.endswith("/file_stream"):
                    stub.stream(self.path.split("/")[-2], json.loads(body))
                    self._answer({"exitcode": None, "limits": {}})
                else:
                    self._answer({})

            def do_PUT(self) -> None:
                self._body()
                stub.files.append(self.path)
                self._answer({})

            def do_GET(self) -> None:
                self._answer({})

            def _body(self) -> bytes:
                if "chunked" in self.headers.get("Transfer-Encoding", ""):
                    chunks = []
                    while size := int(self.rfile.readline().strip() or b"0", 16):
                        chunks.append(self.rfile.read(size))
                        self.rfile.readline()
                    self.rfile.readline()
                    body = b"".join(chunks)
                else:
                    body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

            def _answer(self, content: Any) -> None:
                body = json.dumps(content).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> WandbStub:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.die()

    def die(self) -> None:
        """Stop answering: the port is closed, and so are the connections that clients keep."""
        self._server.shutdown()
        self._server.server_close()
        for connection in self._server.connections:
            with suppress(OSError):  # closed by the client
                connection.shutdown(socket.SHUT_RDWR)

    def stream(self, run: str, content: dict[str, Any]) -> None:
        lines = content.get("files", {}).get("wandb-history.jsonl", {}).get("content", [])
        self.rows.setdefault(run, []).extend(map(json.loads, lines))
        if content.get("complete"):
            self.ends[run] = content.get("exitcode")

    def answer(self, query: str, given: dict[str, Any]) -> dict[str, Any]:
        named = re.search(r"(?:query|mutation)\s+(\w+)", query)
        operation = named[1] if named else ""
        self.operations.append(operation)
        data = self._data(query, operation, given)
        # An empty `data` without errors crashes the client.
        return {"data": data} if data else {"data": None, "errors": [{"message": f"no {operation} here"}]}

    def _data(self, query: str, operation: str, given: dict[str, Any]) -> dict[str, Any] | None:
        project = {"id": "project", "name": given.get("project") or "", "entity": {"id": "e", "name": ENTITY}}
        if "upsertView" in query:
            name = given.get("id") or f"report{len(self.reports)}"
            self.reports[name] = given
            view = {
                "id": name,
                "type": given["type"],
                "name": given["name"],
                "displayName": given["displayName"],
                "description": given["description"],
                "project": {"id": "project", "name": given["projectName"], "entityName": given["entityName"]},
                "spec": given["spec"],
                "updatedAt": "2026-01-01T00:00:00Z",
            }
            return {"upsertView": {"view": view, "inserted": True}}
        if "upsertModel" in query:
            name = (given.get("input") or given)["name"]
            self.projects.append(name)
            model = {"id": "project", "name": name, "entityName": ENTITY, "description": ""}
            return {"upsertModel": {"model": model, "project": project | {"name": name}, "inserted": True}}
        if "upsertBucket" in query:
            name = given["name"]
            self.runs.setdefault(name, {}).update({k: v for k, v in given.items() if v is not None})
            return {"upsertBucket": {"bucket": self._bucket(name) | {"project": project}, "inserted": True}}
        if "createRunFiles" in query:
            files = [{"name": f, "uploadUrl": f"{self.url}/{given['run']}/{f}"} for f in given["files"]]
            return {"createRunFiles": {"runID": "run", "uploadHeaders": [], "files": files}}
        if operation == "RunResumeStatus":
            known = given["name"] in self.runs
            return {"model": project | {"bucket": self._bucket(given["name"]) if known else None}}
        if operation == "ProjectInternalId":
            return {"project": {"id": "project", "internalId": "UHJvamVjdEludGVybmFsSWQ6MQ=="}}
        if operation in ("GetProjects", "Projects"):
            nodes = [
                {
                    "id": "project",
                    "name": name,
                    "entityName": ENTITY,
                    "createdAt": "2026-01-01T00:00:00Z",
                    "isBenchmark": False,
                    "user": None,
                }
                for name in self.projects
            ]
            edges = [{"cursor": "", "node": node} for node in nodes]
            return {"models": {"edges": edges, "pageInfo": {"endCursor": None, "hasNextPage": False}}}
        if "serverInfo" in query:
            version = {"max_cli_version": "99.0.0"}
            return {
                "serverInfo": {
                    "features": [],
                    "cliVersionInfo": version,
                    "latestLocalVersionInfo": None,
                    "exposesExplicitRunQueueAckPath": True,
                    "accessTokenScopesSupported": False,
                }
            }
        if "viewer" in query:
            return {"viewer": USER}
        if "__type" in query:
            types = re.findall(r"(\w+)\s*:\s*__type", query) or ["__type"]
            return {name: {"fields": [], "inputFields": []} for name in types}
        return None

    def _bucket(self, name: str) -> dict[str, Any]:
        rows = self.rows.get(name, [])
        return {
            "id": f"run-{name}",
            "name": name,
            "displayName": name,
            "description": "",
            "config": "{}",
            "sweepName": None,
            "summaryMetrics": "{}",
            "logLineCount": 0,
            "historyLineCount": len(rows),
            "eventsLineCount": 0,
            "historyTail": json.dumps([json.dumps(row) for row in rows[-1:]]),
            "eventsTail": "[]",
            "tags": [],
            "wandbConfig": '{"t": 1}',
        }
