"""Archives of a commit: unpacked safely, and where hosts offer them for machines without git."""

import http.client
import os
import re
import shutil
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import quote, urlsplit

from robotrain_sources.fetching.errors import FetchError, blame_no_answer
from robotrain_sources.git.reference import GitRepository
from robotrain_sources.transfer.origin import find_name_problem

MAX_BYTES, MAX_FILES = 2 << 30, 200_000
REQUEST_SECONDS = 30.0
COMMIT_HEADER = "comment"
"""The header in which `git archive`, which all hosts use, writes the commit."""


def unpack_archive(stream: IO[bytes], mode: str, folder: Path, commit: str) -> None:
    """Write the files of an archive, which are below one folder in it, to `folder`. Raise FetchError.

    Nothing is written outside: a link that leads out is left out, and links are made after all files.

    :param mode: as `tarfile.open` has it: `r|` or `r|gz`.
    """
    links: dict[str, str] = {}
    size = count = 0
    try:
        with tarfile.open(fileobj=stream, mode=mode) as tar_archive:  # type: ignore[call-overload]
            for member in tar_archive:
                if (archive_commit := tar_archive.pax_headers.get(COMMIT_HEADER)) != commit:
                    raise FetchError(
                        f"the archive is of the commit {archive_commit or 'nobody knows which'}, not {commit}"
                    )
                path = member.name.strip("/").partition("/")[2]
                if not path or member.isdir():
                    continue
                if problem := find_name_problem(path):
                    raise FetchError(problem, "data")
                size, count = size + member.size, count + 1
                if size > MAX_BYTES or count > MAX_FILES:
                    limits = f"{MAX_FILES:,} files of {MAX_BYTES >> 30} GiB"
                    raise FetchError(
                        f"the repository is too large for code: it has more than {limits}", "configuration"
                    )
                if member.issym():
                    links[path] = member.linkname
                elif member.isreg() and (member_file := tar_archive.extractfile(member)):
                    _write_file(folder / path, member_file, member.mode)
                else:
                    raise FetchError(f"the archive has an entry {path!r} that is no file", "data")
            if not count:
                raise FetchError(f"the commit {commit} has no files", "configuration")
            _make_links(folder, links)
    except (tarfile.TarError, EOFError) as error:
        raise FetchError(f"the archive is damaged: {error}", "network") from None
    except (FileExistsError, NotADirectoryError) as error:
        raise FetchError(
            f"the archive has two entries of one name: {error.filename2 or error.filename}", "data"
        ) from None


def _write_file(path: Path, content: IO[bytes], mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        shutil.copyfileobj(content, file)
    path.chmod(0o755 if mode & 0o100 else 0o644)


def _make_links(folder: Path, links: Mapping[str, str]) -> None:
    for path, link_target in links.items():
        if any(str(parent) in links for parent in PurePosixPath(path).parents):  # it would be made where that one leads
            raise FetchError(f"the archive has an entry below the link {str(PurePosixPath(path).parent)!r}", "data")
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).symlink_to(link_target)
    root = os.path.realpath(folder)
    outside = [path for path in links if not os.path.realpath(folder / path).startswith(root + os.sep)]
    for path in outside:
        (folder / path).unlink()
    if outside:
        print(f"left out, because they lead out of the repository: {', '.join(outside)}", flush=True)


def list_archives(repository: GitRepository, commit: str, token: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the addresses that may have an archive of a commit, each with the headers of its request."""
    root = repository.url.removesuffix(".git")
    name = repository.path.rpartition("/")[2]
    origin = root.removesuffix(f"/{repository.path}")
    if repository.host == "github.com":
        if token:
            yield (
                f"https://api.github.com/repos/{repository.path}/tarball/{commit}",
                {"Authorization": f"Bearer {token}"},
            )
        else:
            yield f"https://codeload.github.com/{repository.path}/tar.gz/{commit}", {}
        return
    gitlab = f"{origin}/api/v4/projects/{quote(repository.path, safe='')}/repository/archive.tar.gz?sha={commit}"
    forms = [
        (gitlab, {"PRIVATE-TOKEN": token}) if token else (f"{root}/-/archive/{commit}/{name}-{commit}.tar.gz", {}),
        (f"{root}/archive/{commit}.tar.gz", {"Authorization": f"token {token}"} if token else {}),  # Gitea, Forgejo
    ]
    yield from forms if "gitlab" in repository.host else reversed(forms)


class _SafeRedirections(urllib.request.HTTPRedirectHandler):
    """Follows redirections without taking a token to another host, or to one without encryption."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        redirected_request = super().redirect_request(req, fp, code, msg, headers, newurl)
        old_address = urlsplit(req.full_url)
        new_address = urlsplit(newurl)
        if old_address.scheme == "https" and new_address.scheme != "https":
            raise urllib.error.URLError("redirected to an address without encryption")
        if redirected_request is not None and old_address.netloc != new_address.netloc:
            for name in ("Authorization", "Private-token"):
                redirected_request.remove_header(name)
        return redirected_request


def fetch_archive(repository: GitRepository, commit: str, token: str, folder: Path) -> None:
    """Write the files of a commit to `folder`, from an archive of its host. Raise FetchError."""
    opener = urllib.request.build_opener(_SafeRedirections)
    answers: list[str] = []
    for address, headers in list_archives(repository, commit, token):
        request = urllib.request.Request(address, headers={"User-Agent": "robotrain", **headers})
        try:
            with opener.open(request, timeout=REQUEST_SECONDS) as response:
                if re.match(r"text/html", response.headers.get("Content-Type", "")):
                    answers.append("a page")  # of a sign-in
                    continue
                unpack_archive(response, "r|gz", folder, commit)
                return
        except urllib.error.HTTPError as error:
            error.close()
            answers.append(f"HTTP {error.code}")
        except (urllib.error.URLError, ConnectionError, TimeoutError, http.client.HTTPException) as error:
            reason: object = getattr(error, "reason", error)
            raise FetchError(f"{repository.host} cannot be reached: {reason}", blame_no_answer(error)) from None
    explanation = f"git is not installed here, and {repository.host} gives no archive of {repository.path} at {commit}"
    raise FetchError(f"{explanation} ({', '.join(answers)}): use an image that has git", "configuration")
