"""A Hub on the loopback: the part of the documented API of huggingface.co that `huggingface_hub` asks for when it makes a repository,
commits small files to it, lists it and fetches files by revision. Repositories are dicts in memory; a commit is a snapshot."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from serving import in_thread

from cos.__main__ import main

TOKEN = "hf_SecretOfTheTest"
_API = re.compile(r"/api/(model|dataset|space)s/([^/]+/[^/]+)(?:/(preupload|commit|tree|revision)/([^/]+))?(?:/.*)?")
_FILE = re.compile(r"/(?:(dataset|space)s/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


@dataclass
class Repo:
    """`commits`: hash -> files; `refs`: branch -> hash."""

    private: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"0" * 40: {".gitattributes": b""}})
    refs: dict[str, str] = field(default_factory=lambda: {"main": "0" * 40})

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        commit = self.refs.get(revision, revision)
        return (commit, self.commits[commit]) if commit in self.commits else None

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[self.refs["main"]]


class FakeHub(ThreadingHTTPServer):
    """`repos`: (kind, owner/name) -> repository; `asked`: method and path of every request; `fault`: the status that every write gets."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repos: dict[tuple[str, str], Repo] = {}
        self.asked: list[str] = []
        self.fault: int | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def repo(self, name: str, kind: str = "model") -> Repo:
        return self.repos[kind, name]


@contextmanager
def hub_serving() -> Iterator[FakeHub]:
    with in_thread(FakeHub()) as server:
        yield server


def blob(content: bytes) -> str:
    """Git's hash of a file, which is the Hub's ETag of a small one."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeHub

    def do_HEAD(self) -> None:
        self._read()

    def do_GET(self) -> None:
        self._read()

    def do_POST(self) -> None:
        path, body = self._path(), self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._error(401, "Invalid username or password.")
        if self.server.fault is not None:
            return self._error(self.server.fault, "You don't have the rights")
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        found = _API.fullmatch(path)
        if found is None or (found[1], found[2]) not in self.server.repos:
            return self._error(404, "Repository not found", "RepoNotFound")
        repo = self.server.repos[found[1], found[2]]
        if found[3] == "preupload":
            return self._json({"files": [self._mode(repo, file["path"]) for file in json.loads(body)["files"]]})
        return self._commit(repo, f"{found[1]}s/{found[2]}", [json.loads(line) for line in body.splitlines()])

    def _create(self, asked: dict[str, Any]) -> None:
        kind, name = asked.get("type") or "model", f"{asked['organization']}/{asked['name']}"
        if (kind, name) in self.server.repos:
            return self._json({"url": f"{self.server.url}/{name}", "error": "You already created this repo"}, 409)
        self.server.repos[kind, name] = Repo(asked.get("visibility") == "private")
        self._json({"url": f"{self.server.url}/{'' if kind == 'model' else kind + 's/'}{name}"})

    def _mode(self, repo: Repo, path: str) -> dict[str, Any]:
        oid = blob(repo.files[path]) if path in repo.files else None
        return {"path": path, "uploadMode": "regular", "shouldIgnore": False, "oid": oid}

    def _commit(self, repo: Repo, name: str, lines: list[dict[str, Any]]) -> None:
        files = dict(repo.files)
        for line in lines[1:]:
            if line["key"] == "file":
                files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            else:
                assert line["key"] == "deletedFile", line["key"]
                del files[line["value"]["path"]]
        commit = hashlib.sha1(repr((repo.refs["main"], sorted(files.items()))).encode()).hexdigest()
        repo.commits[commit] = files
        repo.refs["main"] = commit
        self._json({"success": True, "commitUrl": f"{self.server.url}/{name}/commit/{commit}", "commitOid": commit})

    def _read(self) -> None:
        path = self._path()
        if found := _API.fullmatch(path):
            kind, name, what, revision = found.groups()
        elif file := _FILE.fullmatch(path):
            kind, name, what, revision = file[1] or "model", file[2], "file", file[3]
        else:
            return self._error(404, "no such page")
        repo = self.server.repos.get((kind, name))
        if repo is None or (repo.private and self.headers.get("Authorization") != f"Bearer {TOKEN}"):
            return self._error(401 if repo else 404, "Repository not found", "RepoNotFound")
        at = repo.at(unquote(revision or "main"))
        if at is None:
            return self._error(404, "Revision not found", "RevisionNotFound")
        commit, files = at
        if what == "file":
            return self._file(commit, files, _FILE.fullmatch(path)[4])  # type: ignore[index]
        rows = [{"type": "file", "oid": blob(content), "size": len(content), "path": name} for name, content in sorted(files.items())]
        if what == "tree":
            return self._json(rows)
        siblings = [{"rfilename": row["path"], "size": row["size"]} for row in rows]
        self._json({"id": name, "sha": commit, "private": repo.private, "tags": [], "siblings": siblings})

    def _file(self, commit: str, files: dict[str, bytes], path: str) -> None:
        if path not in files:
            return self._error(404, "Entry not found", "EntryNotFound")
        self._send(
            200, files[path], {"ETag": f'"{blob(files[path])}"', "X-Repo-Commit": commit, "Content-Type": "application/octet-stream"}
        )

    def _path(self) -> str:
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append(f"{self.command} {path}")
        return path

    def _json(self, value: Any, status: int = 200) -> None:
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _error(self, status: int, message: str, code: str = "") -> None:
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self._send(status, json.dumps({"error": message}).encode(), {"Content-Type": "application/json", **headers})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Tests are quiet."""


def pushed(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """What `cos push` prints as JSON; nothing it prints holds the token."""
    capsys.readouterr()
    assert main(["push", *words, "--json"]) == 0
    said = capsys.readouterr()
    assert TOKEN not in said.out + said.err
    return dict(json.loads(said.out))
