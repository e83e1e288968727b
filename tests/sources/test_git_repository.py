"""Repositories of git: what is typed, what is pinned, and what a job fetches, with git and without."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from git_server import GitHost, git, pack, serve_repository
from problem_assertions import check_refusals
from robotrain.model.source import SourceError, SourceNotFound, SourceUnreachable
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.git import archive, fetch, git_command, pin
from robotrain_sources.git.kind import KIND
from robotrain_sources.git.reference import FORM, GitRepository, parse_repository

BASE = Path("/work")
FILES = {"train.py": "print(1)\n", "src/util.py": "x = 1\n", "run.sh": "echo\n"}
TOKEN = "S3CRETzz9kq0123456789"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[GitHost]:
    with serve_repository(tmp_path / "host") as served:
        yield served


@pytest.fixture
def commit(host: GitHost) -> str:
    return host.commit(FILES)


@pytest.fixture
def get(host: GitHost, tmp_path: Path) -> Callable[..., dict[str, str]]:
    """The files that a job fetches: `get("@main")`, with pin, credential and way as for the program."""

    def run(end: str = "", pin: str = "", credential: str = "", way: str = "") -> dict[str, str]:
        repository = parse_repository(f"git+{host.url}{end}")
        folder = fetch.RepositoryFetcher(repository, pin, credential, way).fetch(tmp_path / "cache")
        return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}

    return run


def resolve(text: str) -> str:
    return pin.resolve_pin(KIND.parse(text, BASE), "code")


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("https://github.com/lab/policy", "git+https://github.com/lab/policy"),
        ("https://github.com/lab/policy.git", "git+https://github.com/lab/policy"),
        ("https://gitlab.com/a/b/c/-/tree/main/src", "git+https://gitlab.com/a/b/c@main"),
        ("git@github.com:lab/policy.git", "git+https://github.com/lab/policy"),
        ("git+ssh://git@github.com/lab/policy@v1", "git+https://github.com/lab/policy@v1"),
        ("git+https://me:token@github.com/lab/policy@v1", "git+https://github.com/lab/policy@v1"),
        ("git+http://example.org/lab/policy", "git+https://example.org/lab/policy"),
        ("git+https://example.org/lab/policy?token=x", "git+https://example.org/lab/policy"),
        ("git+https://example.org/lab/policy@--upload-pack=x", "git+https://example.org/lab/policy@REVISION"),
        ("git+https://example.org/lab/policy#subdirectory=../..", "git+https://HOST/OWNER/REPO@COMMIT"),
        ("git+file:///etc", ""),
    ],
)
def test_another_form_of_address_is_refused_with_the_one_to_type(text: str, suggestion: str) -> None:
    with pytest.raises(SourceError) as raised:
        KIND.parse(text, BASE)
    assert raised.value.suggestion == suggestion
    assert "token" not in raised.value.suggestion


def test_a_folder_is_not_an_address() -> None:
    assert not KIND.recognizes("./policy")
    assert KIND.parse("policy", BASE).kind == "local_path"


def test_a_branch_and_a_tag_are_pinned_to_their_commits(host: GitHost, commit: str) -> None:
    git(host.folder, "tag", "--annotate", "v1", "--message", "first")
    later = host.commit({"train.py": "print(2)\n"})
    commits = [resolve(f"git+{host.url}{end}") for end in ("", "@main", "@v1", f"@{commit}")]
    assert commits == [later, later, commit, commit]
    assert pin.read_tags(KIND.parse(f"git+{host.url}", BASE), "code", later) == (f"commit={later}",)


@pytest.mark.parametrize(
    "end",
    ["@mian", "@0123abc", f"@{'a' * 40}"],
)
def test_a_revision_that_does_not_exist_is_refused_before_submission(host: GitHost, commit: str, end: str) -> None:
    with pytest.raises(SourceNotFound) as raised:
        resolve(f"git+{host.url}{end}")
    check_refusals(raised.value, "source-not-found")


def test_a_repository_that_does_not_exist_or_is_private_is_told(host: GitHost, commit: str) -> None:
    with pytest.raises(SourceNotFound):
        resolve(f"git+{host.url}x@main")
    host.token = TOKEN
    with pytest.raises(SourceUnreachable) as refused:
        resolve(f"git+{host.url}@main")
    check_refusals(refused.value, "source-unreachable")
    assert resolve(f"git+{host.url}@{commit}") == commit


def test_no_configuration_of_a_folder_counts(
    host: GitHost, commit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(host.folder, "config", "url.http://127.0.0.1:1/.insteadOf", host.url)
    monkeypatch.chdir(host.folder)
    monkeypatch.setenv("GIT_DIR", str(host.folder / ".git"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    assert resolve(f"git+{host.url}@main") == commit


def test_exactly_one_commit_is_fetched_once(host: GitHost, commit: str, get: Any) -> None:
    host.commit({"train.py": "print(2)\n"})
    assert get("@main", pin=commit) == FILES
    request_count = len(host.asked)
    assert get("@main", pin=commit) == FILES
    assert len(host.asked) == request_count
    assert get(f"@{commit}#subdirectory=src") == {"util.py": "x = 1\n"}
    with pytest.raises(FetchError) as refused:
        get(f"@{commit}#subdirectory=scr")
    assert str(refused.value).endswith("the nearest is src")
    check_refusals(refused.value, "fetch-error configuration")


def test_a_commit_that_the_host_does_not_advertise_is_found_among_all(host: GitHost, commit: str, get: Any) -> None:
    host.is_dumb = True
    host.commit({"train.py": "print(2)\n"})
    assert get(f"@{commit}") == FILES


def test_attributes_of_the_repository_leave_nothing_out(host: GitHost, get: Any) -> None:
    files = {**FILES, ".gitattributes": "src export-ignore\n*.py export-subst filter=x\n", "a.py": "$Format:%H$\n"}
    assert get(f"@{host.commit(files)}") == files


def test_without_git_the_archive_of_the_host_is_fetched(
    host: GitHost, commit: str, get: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_command, "find_git", lambda: "")
    with pytest.raises(FetchError) as refused:
        get(f"@{'a' * 40}")
    check_refusals(refused.value, "fetch-error configuration")
    with pytest.raises(FetchError) as refused:
        get("@main")
    check_refusals(refused.value, "fetch-error configuration")
    assert get(f"@{commit}") == FILES


@pytest.mark.parametrize("has_git", [True, False])
def test_a_token_is_read_where_the_job_runs_and_never_shown(
    host: GitHost, commit: str, get: Any, tmp_path: Path, monkeypatch: Any, capfd: Any, has_git: bool
) -> None:
    monkeypatch.setattr(git_command, "find_git", git_command.find_git if has_git else lambda: "")
    host.token = TOKEN
    file = tmp_path / "token"
    with pytest.raises(FetchError) as raised:
        get(f"@{commit}", way="--git-credential NAME")
    assert not has_git or "--git-credential NAME" in str(raised.value)
    file.write_text("another-token\n")
    with pytest.raises(FetchError) as raised:
        get(f"@{commit}", credential=str(file))
    assert "another-token" not in str(raised.value)
    file.write_text(f"{TOKEN}\n")
    assert get(f"@{commit}", credential=str(file)) == FILES
    files = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert not any(TOKEN in path.read_text() for path in files)
    assert TOKEN not in "".join(capfd.readouterr())


@pytest.mark.parametrize("name", ["p/../../evil", "p//etc/evil", "p/a/../../../evil"])
def test_an_archive_writes_nothing_outside(
    host: GitHost, commit: str, get: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(git_command, "find_git", lambda: "")
    host.archive = pack({"p/a.py": b"1", name: b"evil"}, commit)
    with pytest.raises(FetchError) as refused:
        get(f"@{commit}")
    check_refusals(refused.value, "fetch-error data")
    assert not list(tmp_path.rglob("evil"))


def test_links_out_of_an_archive_are_left_out(
    host: GitHost, commit: str, get: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setattr(git_command, "find_git", lambda: "")
    members = {"p/a.py": b"1", "p/b.py": "a.py", "p/up": "../../..", "p/etc": "/etc", "p/here": "sub", "p/sub/x": b"2"}
    host.archive = pack({**members, "p/in": "here/../.."}, commit)
    assert get(f"@{commit}") == {"a.py": "1", "b.py": "1", "sub/x": "2"}
    assert "etc" in capfd.readouterr().out


def test_no_link_is_made_below_a_link(
    host: GitHost, commit: str, get: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_command, "find_git", lambda: "")
    outside = tmp_path / "outside"
    outside.mkdir()
    host.archive = pack({"p/a.py": b"1", "p/up": str(outside), "p/up/deep/evil": "/etc"}, commit)
    with pytest.raises(FetchError) as refused:
        get(f"@{commit}")
    check_refusals(refused.value, "fetch-error data")
    assert not list(outside.iterdir())


@pytest.mark.parametrize(
    "content",
    [
        lambda commit: b"no archive",
        lambda commit: pack({"p/a.py": b"1"}, "b" * 40),
        lambda commit: pack({"p": b""}, commit),
        lambda commit: pack({"p/a": "b", "p/a/x": b""}, commit),
    ],
    ids=["no archive", "another commit", "no files", "two entries"],
)
def test_an_archive_of_something_else_is_refused(
    host: GitHost, commit: str, get: Any, monkeypatch: pytest.MonkeyPatch, content: Any
) -> None:
    monkeypatch.setattr(git_command, "find_git", lambda: "")
    host.archive = content(commit)
    with pytest.raises(FetchError) as refused:
        get(f"@{commit}")
    check_refusals(refused.value, "fetch-error")


def test_a_repository_that_is_too_large_for_code_is_refused(
    host: GitHost, commit: str, get: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_FILES", 2)
    with pytest.raises(FetchError) as refused:
        get(f"@{commit}")
    check_refusals(refused.value, "fetch-error configuration")


@pytest.mark.parametrize(
    ("url", "token", "expected"),
    [
        ("github.com/lab/policy", "", ["https://codeload.github.com/lab/policy/tar.gz/C"]),
        ("github.com/lab/policy", "t", ["https://api.github.com/repos/lab/policy/tarball/C"]),
        ("gitlab.com/a/b/c", "", ["https://gitlab.com/a/b/c/-/archive/C/c-C.tar.gz"]),
        ("gitlab.com/a/b/c", "t", ["https://gitlab.com/api/v4/projects/a%2Fb%2Fc/repository/archive.tar.gz?sha=C"]),
        ("codeberg.org/lab/policy", "", ["https://codeberg.org/lab/policy/archive/C.tar.gz"]),
    ],
)
def test_hosts_offer_archives_in_their_own_forms(url: str, token: str, expected: list[str]) -> None:
    addresses = [
        address for address, _ in archive.list_archives(parse_repository(f"git+https://{url}.git"), "C", token)
    ]
    assert addresses[:1] == expected


def test_a_token_answers_its_own_host_alone(tmp_path: Path) -> None:
    _, environ = git_command.make_command(tmp_path, [], git_command.GitToken("https://example.org/a", TOKEN))
    prompts = (
        "Password for 'https://x-access-token@example.org': ",
        "Password for 'https://x-access-token@evil.org': ",
    )
    answers = [subprocess.check_output([environ["GIT_ASKPASS"], text], env=environ) for text in prompts]
    assert answers == [f"{TOKEN}\n".encode(), b""]


def test_the_kind_and_its_parser_name_the_same_form():
    assert (KIND.form, KIND.name) == (FORM, GitRepository.kind)
