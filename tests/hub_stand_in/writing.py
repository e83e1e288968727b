"""What one may write to the Hub on this machine: repositories, branches, tags, commits, and large files beside them.

It refuses what the real one refuses: names of somebody else, a token without the right to write, a commit whose parent
is not the head, large files that never arrived or are others, a tag twice, a card whose metadata nobody can read.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import yaml

if TYPE_CHECKING:
    from hub_stand_in import HubStandIn, Repository

MAX_TEXT = 10 << 20
"""Bytes; a longer file, and one that is no text, has to be large."""
ATTRIBUTES = b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n*.bin filter=lfs diff=lfs merge=lfs -text\n"
LICENSES = {"mit", "apache-2.0", "bsd-3-clause", "cc-by-4.0", "openrail", "other", "unknown"}
_NAME = r"(?!.*(?:--|\.\.))[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?"
_CARD = re.compile(r"\s*---\r?\n(.*?)\r?\n---(?:\r?\n|$)", re.DOTALL)


class WriteRefused(Exception):
    """An answer to something that may not be written."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.why, self.code = status, message, code


def find_card_errors(content: str) -> list[str]:
    """What the Hub finds wrong with the metadata of a card."""
    match = _CARD.match(content)
    if match is None:
        return []
    try:
        values = yaml.safe_load(match[1])
    except yaml.YAMLError as error:
        return [f"bad YAML: {error}".splitlines()[0]]
    if not isinstance(values, dict):
        return ["the metadata is no mapping"]
    errors = []
    if (license := values.get("license")) is not None and license not in LICENSES:
        errors.append(f'"license" must be one of {sorted(LICENSES)}')
    for name in ("datasets", "tags", "base_model"):
        listed = values.get(name, [])
        listed = [listed] if isinstance(listed, str) and name == "base_model" else listed
        if not isinstance(listed, list) or not all(isinstance(text, str) for text in listed):
            errors.append(f'"{name}" must be an array of strings')
        elif name != "tags" and not all(re.fullmatch(rf"(?:{_NAME}/)?{_NAME}", text) for text in listed):
            errors.append(f'"{name}" with value {listed} is not valid: use an id of the Hub')
    return errors


class HubWriting:
    """Answers requests that write; `answer` returns JSON, or None where it knows no such request."""

    def __init__(self, hub: "HubStandIn") -> None:
        self.hub = hub

    def answer(self, command: str, path: str, authorization: str, body: bytes) -> Any:
        """The answer to one request. Raise WriteRefused."""
        if path == "/api/whoami-v2":
            return self._describe_account(authorization)
        if path == "/api/validate-yaml" and command == "POST":
            if errors := find_card_errors(str(json.loads(body)["content"])):
                raise WriteRefused(
                    400, json.dumps({"errors": [{"message": error} for error in errors], "warnings": []})
                )
            return {"errors": [], "warnings": []}
        if path == "/api/repos/create" and command == "POST":
            return self._create_repository(authorization, json.loads(body))
        if batch := re.fullmatch(r"/([^/]+/[^/]+)\.git/info/lfs/objects/(batch|verify)", path):
            self._find(authorization, batch[1])
            return self._describe_uploads(batch[1], json.loads(body)) if batch[2] == "batch" else self._verify(body)
        if api := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(refs|commits|commit|preupload|branch|tag)(?:/(.+))?", path):
            return self._act(command, authorization, api[1], api[2], unquote(api[3] or ""), body)
        return None

    def store(self, digest: str, content: bytes) -> None:
        """A large file that arrives. Raise WriteRefused if it is another one."""
        if hashlib.sha256(content).hexdigest() != digest:
            raise WriteRefused(400, "XAmzContentSHA256Mismatch")
        if len(content) != self.hub.expected_sizes.get(digest):
            raise WriteRefused(400, "the size is not the one that was announced")
        self.hub.large_files[digest] = content

    def _describe_account(self, authorization: str) -> Any:
        role = self.hub.roles.get(authorization.removeprefix("Bearer "))
        if role is None:
            raise WriteRefused(401, "Invalid credentials in Authorization header")
        orgs = [{"name": name, "roleInOrg": "write"} for name in self.hub.organizations]
        token = {"displayName": "test", "role": role}
        return {
            "type": "user",
            "name": self.hub.user,
            "orgs": orgs,
            "auth": {"type": "access_token", "accessToken": token},
        }

    def _check_right(self, authorization: str, owner: str) -> None:
        role = self.hub.roles.get(authorization.removeprefix("Bearer "))
        if role is None:
            raise WriteRefused(401, "Invalid username or password.")
        if role == "read" or owner not in (self.hub.user, *self.hub.organizations):
            raise WriteRefused(403, f'You don\'t have the rights to create a model under the namespace "{owner}"')

    def _find(self, authorization: str, name: str, *, reading: bool = False) -> "Repository":
        """The repository that one may write to."""
        repository, role = self.hub.repositories.get(f"models/{name}"), authorization.removeprefix("Bearer ")
        if repository is None or (repository.shut == "private" and role not in self.hub.roles):
            raise WriteRefused(404 if authorization else 401, "Repository not found", "RepoNotFound")
        if not reading:
            self._check_right(authorization, name.partition("/")[0])
        return repository

    def _create_repository(self, authorization: str, wanted: Mapping[str, Any]) -> Any:
        owner, name = str(wanted.get("organization") or self.hub.user), str(wanted["name"])
        self._check_right(authorization, owner)
        if not re.fullmatch(_NAME, name):
            raise WriteRefused(400, f"Invalid name: {name}")
        if wanted.get("type", "model") != "model":
            raise WriteRefused(400, "only models are made here")
        address = f"{self.hub.address}/{owner}/{name}"
        if f"models/{owner}/{name}" in self.hub.repositories:
            raise WriteRefused(409, json.dumps({"error": "You already created this model repo", "url": address}))
        is_private = wanted.get("private") or wanted.get("visibility") == "private"
        made = self.hub.add_repository(f"{owner}/{name}", shut="private" if is_private else "")
        made.commit({".gitattributes": ATTRIBUTES}, message="initial commit")
        return {"url": address, "name": f"{owner}/{name}", "id": f"{owner}/{name}"}

    def _act(self, command: str, authorization: str, name: str, what: str, argument: str, body: bytes) -> Any:
        repository = self._find(authorization, name, reading=command == "GET")
        with repository.lock:
            match command, what:
                case "GET", "refs":
                    return _describe_references(repository)
                case "GET", "commits":
                    return [*_list_commits(repository, _resolve(repository, argument or "main"))]
                case "POST", "preupload":
                    return _choose_modes(repository, argument, json.loads(body))
                case "POST", "branch":
                    return _create_branch(repository, argument, json.loads(body))
                case "POST", "tag":
                    return _create_tag(repository, argument, json.loads(body))
                case "DELETE", "tag":
                    return _delete_tag(repository, argument)
                case "POST", "commit":
                    return self._commit(repository, name, argument, body)
        raise WriteRefused(405, "no such request")

    def _describe_uploads(self, name: str, wanted: Mapping[str, Any]) -> Any:
        """Where each large file goes that is not here; nothing for one that is."""
        objects = []
        for lfs_object in wanted["objects"]:
            digest, size = str(lfs_object["oid"]), int(lfs_object["size"])
            if not re.fullmatch(r"[0-9a-f]{64}", digest):
                raise WriteRefused(422, "an oid is a SHA-256")
            self.hub.expected_sizes[digest] = size
            upload = {"href": f"{self.hub.elsewhere}/upload/{digest}?{self.hub.signature}"}
            verify = {"href": f"{self.hub.address}/{name}.git/info/lfs/objects/verify", "header": {}}
            is_here = digest in self.hub.large_files
            objects.append(
                {"oid": digest, "size": size} | ({} if is_here else {"actions": {"upload": upload, "verify": verify}})
            )
        return {"transfer": "basic", "objects": objects}

    def _verify(self, body: bytes) -> Any:
        wanted = json.loads(body)
        if len(self.hub.large_files.get(wanted["oid"], b"")) != wanted["size"]:
            raise WriteRefused(404, "the object did not arrive")
        return {}

    def _commit(self, repository: "Repository", name: str, branch: str, body: bytes) -> Any:
        lines = [json.loads(line) for line in body.splitlines() if line.strip()]
        if not lines or lines[0].get("key") != "header" or not lines[0]["value"].get("summary"):
            raise WriteRefused(400, "a commit begins with its header")
        if branch not in repository.branches:
            raise WriteRefused(404, "Invalid rev id", "RevisionNotFound")
        header, head = lines[0]["value"], repository.branches[branch]
        if header.get("parentCommit", head) != head:
            raise WriteRefused(412, "A commit has happened since. Please refresh and try again.")
        files = dict(repository.commits[head])
        for line in lines[1:]:
            self._apply(files, line["key"], line["value"])
        if errors := find_card_errors(files.get("README.md", b"").decode()):
            raise WriteRefused(400, f"Invalid metadata in README.md: {errors[0]}")
        made = repository.commit(files, branch, message=f"{header['summary']}\n{header.get('description', '')}")
        return {
            "success": True,
            "commitOid": made,
            "commitUrl": f"{self.hub.address}/{name}/commit/{made}",
            "hookOutput": "",
        }

    def _apply(self, files: dict[str, bytes], key: str, value: Mapping[str, Any]) -> None:
        path = str(value["path"])
        if not {"", ".", "..", ".git"}.isdisjoint(path.rstrip("/").split("/")):
            raise WriteRefused(400, f"Invalid path: {path}")
        if key == "file":
            try:
                content = base64.b64decode(value["content"], validate=True)
                content.decode()
            except (binascii.Error, UnicodeDecodeError):
                raise WriteRefused(400, "Your push was rejected because it contains binary files.") from None
            if len(content) > MAX_TEXT:
                raise WriteRefused(400, "Your push was rejected because it contains files larger than 10 MiB.")
            files[path] = content
        elif key == "lfsFile":
            content = self.hub.large_files.get(str(value["oid"]), b"")
            if len(content) != value.get("size", len(content)) or not content:
                raise WriteRefused(
                    400, f"Your push was rejected because an LFS pointer pointed to a file that does not exist: {path}"
                )
            files[path] = content
        elif key == "deletedFile":
            if files.pop(path, None) is None:
                raise WriteRefused(404, "A file with this name doesn't exist", "EntryNotFound")
        elif key == "deletedFolder":
            for child in [file for file in files if file.startswith(path.rstrip("/") + "/")]:
                del files[child]
        else:
            raise WriteRefused(400, f"unknown operation {key}")


def _describe_references(repository: "Repository") -> Any:
    branches = [
        {"name": name, "ref": f"refs/heads/{name}", "targetCommit": at} for name, at in repository.branches.items()
    ]
    tags = [{"name": name, "ref": f"refs/tags/{name}", "targetCommit": at} for name, at in repository.tags.items()]
    return {"branches": branches, "tags": tags, "converts": []}


def _list_commits(repository: "Repository", name: str) -> Iterator[Any]:
    """A commit and those before it, newest first."""
    at: str | None = name
    while at:
        title, _, message = repository.messages.get(at, "").partition("\n")
        date = "2026-11-24T12:00:00.000Z"
        yield {"id": at, "title": title, "message": message, "authors": [{"user": "me"}], "date": date}
        at = repository.parents.get(at)


def _resolve(repository: "Repository", revision: str) -> str:
    commit = repository.branches.get(revision) or repository.tags.get(revision) or revision
    if commit not in repository.commits:
        raise WriteRefused(404, "Invalid rev id", "RevisionNotFound")
    return commit


def _choose_modes(repository: "Repository", branch: str, wanted: Mapping[str, Any]) -> Any:
    """How each file is to be sent: a text as it is, anything else as a large file."""
    files = repository.commits[_resolve(repository, branch)]
    answers = []
    for file in wanted["files"]:
        try:
            base64.b64decode(file["sample"]).decode()
            is_text = file["size"] <= MAX_TEXT and not file["path"].endswith((".safetensors", ".bin"))
        except UnicodeDecodeError as error:  # a sample may end within a character
            is_text = error.end >= len(base64.b64decode(file["sample"])) and error.reason == "unexpected end of data"
        answer = {"path": file["path"], "uploadMode": "regular" if is_text else "lfs", "shouldIgnore": False}
        if (there := files.get(file["path"])) is not None:
            digest = hashlib.sha1(b"blob %d\0" % len(there) + there) if is_text else hashlib.sha256(there)
            answer["oid"] = digest.hexdigest()
        answers.append(answer)
    return {"files": answers}


def _create_branch(repository: "Repository", name: str, wanted: Mapping[str, Any]) -> Any:
    if name in repository.branches:
        raise WriteRefused(409, f"Reference already exists: {name}")
    repository.branches[name] = _resolve(repository, str(wanted.get("startingPoint") or "main"))
    return {}


def _create_tag(repository: "Repository", revision: str, wanted: Mapping[str, Any]) -> Any:
    at, name = _resolve(repository, revision), str(wanted["tag"])
    if name in repository.tags:
        raise WriteRefused(409, f"Tag reference exists already: {name}")
    repository.tags[name] = at
    return {}


def _delete_tag(repository: "Repository", tag: str) -> Any:
    if repository.tags.pop(tag, None) is None:
        raise WriteRefused(404, f"Reference does not exist: {tag}", "RevisionNotFound")
    return {}
