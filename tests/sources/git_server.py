"""A git host of this machine: repositories by smart or dumb http, and a token."""

import base64
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

from local_server import QuietHandler

CLEAN = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}


def git(folder: Path, *words: str) -> str:
    """Run git as a person would, without this machine's configuration; its output."""
    done = subprocess.run(["git", *words], cwd=folder, env=CLEAN, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit_files(folder: Path, files: Mapping[str, str], message: str = "work") -> str:
    """Commit all files of a working folder, which becomes a repository; return the commit."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "--initial-branch=main")
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "HEAD")


class GitHost(ThreadingHTTPServer):
    """A host; the working folder of its repository lab/policy is `folder`."""

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root, self.folder = root, root / "lab" / "policy"
        self.token = ""
        self.is_dumb = False
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        """The address of the repository."""
        return f"http://127.0.0.1:{self.server_port}/lab/policy"

    def commit(self, files: Mapping[str, str]) -> str:
        """Commit files to the repository; return the commit."""
        commit = commit_files(self.folder, files)
        git(self.folder, "update-server-info")
        return commit


@contextmanager
def serve_repository(root: Path) -> Iterator[GitHost]:
    """Serve a host until the block ends."""
    host = GitHost(root)
    thread = Thread(target=host.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield host
    finally:
        host.shutdown()
        host.server_close()
        thread.join()


class _Handler(QuietHandler):
    server: GitHost

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        path = unquote(urlsplit(self.path).path)
        if not self._is_allowed():
            return
        if self.server.is_dumb:
            self._send_file(self.server.root / path.strip("/").replace("lab/policy/", "lab/policy/.git/"))
        else:
            self._run_backend(path, b"")

    def do_POST(self) -> None:
        if self._is_allowed():
            self._run_backend(urlsplit(self.path).path, self.rfile.read(int(self.headers["Content-Length"])))

    def _is_allowed(self) -> bool:
        scheme, _, text = self.headers.get("Authorization", "").partition(" ")
        token = base64.b64decode(text).decode().partition(":")[2] if scheme == "Basic" else text
        if token == self.server.token:
            return True
        self._answer(401, b"", {"WWW-Authenticate": "Basic"})
        return False

    def _send_file(self, path: Path) -> None:
        self._answer(200, path.read_bytes()) if path.is_file() else self._answer(404, b"")

    def _run_backend(self, path: str, body: bytes) -> None:
        environ = {
            **CLEAN,
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path.replace("lab/policy/", "lab/policy/.git/"),
            "QUERY_STRING": urlsplit(self.path).query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=environ, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self._answer(int(headers.pop("Status", "200").split()[0]), content, headers)

    def _answer(self, status: int, content: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
