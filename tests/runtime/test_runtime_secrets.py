"""Secrets of the work: read before anything waits, given to the work alone, kept out of logs and files."""

import dataclasses
import json
from pathlib import Path

import pytest
from problem_assertions import check_refusals
from robotrain_runtime.contract import document
from robotrain_runtime.contract.event import Note, StageEvent
from robotrain_runtime.environments.work_secrets import WorkSecrets

VALUE = "correct-horse-battery"
SHOW = "import os; print('value', os.environ['API_TOKEN'], len(os.environ['API_TOKEN']))"


@pytest.fixture
def secret_file(tmp_path):
    """A file with a secret, outside the run's folders."""
    (tmp_path / "mine").mkdir()
    file = tmp_path / "mine" / "token"
    file.write_text(f"{VALUE}\n")
    return file


def list_texts(folder: Path):
    return [file.read_text(errors="replace") for file in folder.rglob("*") if file.is_file()]


def test_the_work_gets_a_secret_from_a_file_and_nothing_shows_it(run, job, secret_file, tmp_path):
    ran = run(job(SHOW, secrets={"API_TOKEN": str(secret_file)}))
    assert ran.ordinary == [f"value <redacted> {len(VALUE)}"]
    assert not [text for text in (*list_texts(tmp_path / "work"), ran.stderr, *ran.lines) if VALUE in text]


def test_a_variable_of_the_platform_reaches_the_work_under_its_own_name_only(run, job):
    program = "import os; print(os.environ.get('PLATFORM_SECRET'), os.environ['API_TOKEN'])"
    ran = run(job(program, secrets={"API_TOKEN": "${PLATFORM_SECRET}"}), PLATFORM_SECRET=VALUE)
    assert ran.ordinary == ["None <redacted>"]


def test_other_programs_of_a_run_get_no_secret(run, job, secret_file, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "numbers.txt").write_text("1")
    join = "import os, sys; os.mkdir(sys.argv[-1]); print('joined with', os.environ.get('API_TOKEN'))"
    made = job("pass", sources=[tmp_path / "data"], publish={"join": join}, secrets={"API_TOKEN": str(secret_file)})
    assert "joined with None" in run(made).ordinary


def test_a_program_that_warmed_up_for_the_work_has_its_secrets(run, job, secret_file):
    warm_up = f"import sys; sys.stdin.readline(); {SHOW}"
    ran = run(job("pass", publish={"warm_up": warm_up}, secrets={"API_TOKEN": str(secret_file)}))
    assert ran.ordinary == [f"value <redacted> {len(VALUE)}"]


def test_a_secret_in_the_reason_of_a_failure_is_hidden(run, job, secret_file):
    program = "import os; raise ValueError('no access with ' + os.environ['API_TOKEN'])"
    ran = run(job(program, secrets={"API_TOKEN": str(secret_file)}))
    assert ran.outcome["reason"] == "ValueError: no access with <redacted>"


@pytest.mark.parametrize(
    ("value", "line", "shown"),
    [
        ("loss", "loss 0.5", "loss 0.5"),
        ("correct-horse", "with correct-horse!", "with <redacted>!"),
        ("-----BEGIN KEY-----\nabcdefghijkl\n", "key: abcdefghijkl", "key: <redacted>"),
    ],
)
def test_a_line_without_the_values_of_secrets_unless_they_are_short(job, secret_file, value, line, shown):
    secret_file.write_text(value)
    secrets = WorkSecrets(job(secrets={"API_TOKEN": str(secret_file)}))
    assert secrets.read_here() == []
    assert secrets.hide(line) == shown


@pytest.mark.parametrize("content", [None, b" \n", b"\xff", b"a\0b"], ids=["missing", "empty", "no UTF-8", "zero byte"])
def test_an_unusable_file_is_a_finding_with_the_way_out(job, secret_file, content):
    secret_file.unlink() if content is None else secret_file.write_bytes(content)
    check_refusals(WorkSecrets(job(secrets={"API_TOKEN": str(secret_file)})).read_here(), "secret-unreadable")


def test_a_missing_secret_ends_the_run_in_its_preflight(run, job):
    ran = run(job(SHOW, secrets={"API_TOKEN": "${PLATFORM_SECRET}"}))
    assert (ran.exit_code, {stage.name for stage in ran.of_kind(StageEvent)}) == (4, {"preflight"})
    assert "The platform did not set PLATFORM_SECRET" in ran.of_kind(Note)[0].text


@pytest.fixture
def vault_job(job):
    """Make a document whose secrets are in a store: `vault_job("NAME")`."""

    def make(name: str, store: str = "secrets.vault"):
        made = job(SHOW, secrets={"API_TOKEN": f"vault://{name}"})
        return dataclasses.replace(made, container_plugins={**made.container_plugins, store: "pretend_vault"})

    return make


def test_a_secret_of_a_store_is_read(run, vault_job):
    assert run(vault_job("correct-horse")).ordinary == ["value <redacted> 13"]


def test_a_secret_that_its_store_does_not_have_is_told_with_the_remedy_of_the_store(run, vault_job):
    ran = run(vault_job("gone"))
    assert ran.exit_code == 4
    assert "There is no secret gone in the vault. Instead: vault create gone / --secret" in ran.of_kind(Note)[0].text


def test_an_address_that_no_plugin_reads_is_refused(run, vault_job):
    assert "no plugin" in run(vault_job("name", store="tracking.other")).of_kind(Note)[0].text.lower()


def test_a_document_without_secrets_is_as_it_was_before_there_were_any(job, secret_file):
    assert "secrets" not in json.loads(document.format_document(job()))["placement"]
    made = job(secrets={"API_TOKEN": str(secret_file)})
    assert document.parse_document(document.format_document(made)) == made
