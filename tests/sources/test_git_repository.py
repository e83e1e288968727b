"""Repositories of git: what is typed, and the commit that a job has as its code."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from git_server import GitHost, git, serve_repository
from problem_assertions import check_refusals
from robotrain.model.source import SourceError
from robotrain.store import code_folder
from robotrain_sources.git import clone
from robotrain_sources.git.kind import KIND
from robotrain_sources.git.reference import FORM, GitRepository

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


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))


def fetch(host: GitHost, end: str = "") -> dict[str, str]:
    """The files that travel: `fetch(host, "@main")`."""
    folder = clone.fetch_commit(KIND.parse(f"git+{host.url}{end}", BASE))
    files = code_folder.scan_folder(folder).files
    return {path: Path(real_path).read_text() for path, real_path in files.items()}


@pytest.mark.parametrize(
    "text",
    [
        *("https://github.com/lab/policy", "https://github.com/lab/policy.git", "git@github.com:lab/policy.git"),
        *("https://gitlab.com/a/b/c/-/tree/main/src", "git+ssh://git@github.com/lab/policy@v1", "git+file:///etc"),
        *("git+https://me:token@github.com/lab/policy@v1", "git+https://example.org/lab/policy?token=x"),
        *("git+http://example.org/lab/policy", "git+https://example.org", "git+https://example.org/lab/../policy"),
        *("git+https://example.org/lab/%2e%2e/policy", "git+https://example.org/lab%2fpolicy"),
        *("git+https://example.org/lab/policy@--upload-pack=x", "git+https://example.org/lab/policy@"),
        *("git+https://example.org/lab/policy@a..b", " git+https://example.org/lab/policy"),
        *("git+https://example.org/lab/policy#subdirectory=../..", "git+https://example.org/lab/policy#src"),
        *("git+https://example.org/lab/policy#subdirectory=a//b", "git+https://localhost.example.org@evil/x"),
    ],
)
def test_another_form_of_address_is_refused_with_the_one_to_type(text: str) -> None:
    with pytest.raises(SourceError) as raised:
        KIND.parse(text, BASE)
    assert FORM in raised.value.why
    assert "token=x" not in raised.value.why


def test_a_folder_is_not_an_address() -> None:
    assert not KIND.recognizes("./policy")
    assert KIND.parse("policy", BASE).kind == "local_path"


def test_a_branch_and_a_tag_are_fetched_as_they_are_now(host: GitHost, commit: str) -> None:
    git(host.folder, "tag", "--annotate", "v1", "--message", "first")
    later_files = {**FILES, "train.py": "print(2)\n"}
    host.commit(later_files)
    files = [fetch(host, end) for end in ("", "@main", "@v1", f"@{commit}")]
    assert files == [later_files, later_files, FILES, FILES]


@pytest.mark.parametrize("end", ["@mian", "@0123abc", f"@{'a' * 40}", "@main#subdirectory=scr"])
def test_what_does_not_exist_is_refused(host: GitHost, commit: str, end: str) -> None:
    with pytest.raises(SourceError, match=re.escape(host.url)):
        fetch(host, end)


def test_a_commit_is_fetched_once(host: GitHost, commit: str) -> None:
    host.commit({"train.py": "print(2)\n"})
    assert fetch(host, f"@{commit}") == FILES
    request_count = len(host.asked)
    assert fetch(host, f"@{commit}#subdirectory=src") == {"util.py": "x = 1\n"}
    assert len(host.asked) == request_count


def test_a_private_repository_is_read_with_the_users_own_credentials(
    host: GitHost, commit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    host.token = TOKEN
    with pytest.raises(SourceError) as refused:
        fetch(host, "@main")
    check_refusals(refused.value, "source-error")
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[credential]\n  helper = store\n[core]\n  autocrlf = true\n")
    address = host.url.replace("://", f"://me:{TOKEN}@").replace("/lab/policy", "")
    (home / ".git-credentials").write_text(f"{address}\n")
    monkeypatch.setenv("HOME", str(home))
    assert fetch(host, "@main") == FILES
    files = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert not any(TOKEN.encode() in path.read_bytes() for path in files)
    assert TOKEN not in "".join(capfd.readouterr())


def test_no_configuration_of_a_folder_counts(host: GitHost, commit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    git(host.folder, "config", "url.http://127.0.0.1:1/.insteadOf", host.url)
    monkeypatch.chdir(host.folder)
    monkeypatch.setenv("GIT_DIR", str(host.folder / ".git"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    assert fetch(host, "@main") == FILES


def test_a_commit_that_the_host_does_not_advertise_is_found_among_all(host: GitHost, commit: str) -> None:
    host.is_dumb = True
    host.commit({"train.py": "print(2)\n"})
    assert fetch(host, f"@{commit}") == FILES
    with pytest.raises(SourceError):
        fetch(host, f"@{'a' * 40}")


def test_nothing_of_the_commit_is_left_out_or_changed(host: GitHost) -> None:
    files = {**FILES, "job.yaml": "workload: command\n", "a.py": "$Format:%H$\n"}
    rules = {".gitattributes": "src export-ignore\n*.py export-subst filter=x\n", ".gitignore": "*.sh\n"}
    assert fetch(host, f"@{host.commit({**files, **rules})}") == files


def test_what_must_not_be_sent_of_a_folder_is_refused_of_a_commit(host: GitHost, commit: str, robotrain: Any) -> None:
    (host.folder / "data").symlink_to("/etc")
    host.commit({"hf_token": "x"})
    line = ("render", "command", "--platform", "local", "--code", f"git+{host.url}@main")
    refused = robotrain(*line, "--", "sh", "run.sh")
    refused.check_problems(2, "upload-links", "upload-secret")
    assert ".robotrainignore" not in refused.stderr
    accepted = robotrain(*line[:-1], f"{line[-1]}#subdirectory=src", "--", "python", "util.py")
    assert (accepted.exit_code, "packages-unknown" in accepted.stderr) == (0, False), accepted.stderr


def test_a_job_has_the_commit_as_its_code_and_is_repeated_with_it(host: GitHost, commit: str, robotrain: Any) -> None:
    line = ("command", "--platform", "local", "--code", f"git+{host.url}@main", "--json")
    command = ("--", "sh", "-c", "cat train.py")
    rendered = robotrain("render", *line, *command)
    assert rendered.exit_code == 0, rendered.stderr
    run = json.loads(robotrain("submit", *line, "--wait", *command).stdout)["run"]
    host.commit({"train.py": "print(2)\n"})
    repeated = json.loads(robotrain("resubmit", run, "--wait", "--json").stdout)["run"]
    for name in (run, repeated):
        assert commit[:12] in robotrain("status", name).stdout
        assert "print(1)" in robotrain("logs", name).stdout


def test_the_kind_and_its_parser_name_the_same_form():
    assert (KIND.form, KIND.name) == (FORM, GitRepository.kind)
