"""The stand-in's command has the arguments, output and exit codes of the real one (osmo.md, its source)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from osmo_stand_in.fixtures import URL, WORKFLOW


def write_workflow(tmp_path, workflow: object = WORKFLOW) -> str:
    file = tmp_path / "workflow.yaml"
    file.write_text(yaml.safe_dump({"workflow": workflow}))
    return str(file)


GRAMMAR = [
    ("6.4.0", "workflow logs x -t json", 2),  # -t is --task: the workflow is unknown
    ("6.4.0", "workflow list -t json", 0),
    ("6.4.0", "workflow list -f 1", 0),
    ("6.0.0", "workflow list -f 1", 2),
    ("6.4.0", "dataset info pusht", 2),
    ("6.4.0", "credential list --format-type json", 2),
    ("6.4.0", "credential --format-type json list", 0),
    ("6.4.0", "workflow query", 2),
    ("6.4.0", "workflow list --output json", 2),
    ("6.4.0", "workflow submit /dev/null --priority urgent", 2),
    ("6.4.0", "data list https://x/y", 2),
    ("6.4.0", "", 0),
]


@pytest.mark.slow
def test_a_stand_in_made_by_hand_answers_when_its_maker_is_gone(tmp_path):
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    made = [sys.executable, "-m", "osmo_stand_in", str(tmp_path / "by hand")]
    exports = subprocess.run(made, env=environ, capture_output=True, text=True, check=True).stdout
    words = (
        f"{exports}\nosmo workflow submit {write_workflow(tmp_path)} -t json -p default && osmo workflow list -t json"
    )
    expected = subprocess.run(["sh", "-c", words], capture_output=True, text=True, check=False)
    assert (expected.returncode, "hello-1" in expected.stdout) == (0, True), expected
    for code, answer in ((0, "# exit code 0"), (1, "hello-1 does not run: it is COMPLETED")):
        ran = subprocess.run([*made, "--run", "hello-1"], env=environ, capture_output=True, text=True, check=False)
        assert (ran.returncode, answer in ran.stdout + ran.stderr) == (code, True), ran


@pytest.mark.parametrize(("version", "words", "code"), GRAMMAR, ids=[f"{one[0]} {one[1]}" for one in GRAMMAR])
def test_the_command_takes_what_its_version_takes(osmo, osmo_cli, version, words, code):
    osmo.versions(client=version, service=version)
    assert osmo_cli(*words.split())[0] == code


FAILURES = [
    (lambda osmo: osmo.logout(), 2, 'Must login first with "login" command', 1),
    (lambda osmo: osmo.expire(), 10, 'Please re-login with "osmo login"', 1),
    (lambda osmo: osmo.corrupt(), 2, "Traceback", 1),
    (lambda osmo: osmo.fail("workflow query", "refused"), 10, "\nCannot connect to OSMO service, with error:", 1),
    (lambda osmo: osmo.fail("workflow", "too_many"), 75, "local_rate_limited", 429),
    (lambda osmo: osmo.fail("", "server_error", status=503), 10, "Status Code: 503", 503),
    (lambda osmo: osmo.fail("workflow query", "html"), 10, "\nError decoding JSON: Expecting value", 1),
    (lambda osmo: osmo.fail("", "http", status=422, stdout='{"detail": []}'), 2, '{"detail": []}', 422),
    (lambda osmo: osmo.limits(min_supported="6.3.0"), 2, "Your client is out of date. Client version is 6.2.10", 400),
    (lambda osmo: None, 2, "Workflow nope-1 is not found.", 400),
]


@pytest.mark.parametrize(
    ("spoil", "code", "expected", "number"), FAILURES, ids=[one[2].strip()[:30] for one in FAILURES]
)
def test_a_failure_goes_to_stdout_with_its_exit_status(osmo, osmo_cli, spoil, code, expected, number):
    osmo.versions(client="6.2.10" if "out of date" in expected else "6.4.0")
    spoil(osmo)
    found, out, err = osmo_cli("workflow", "query", "nope-1", "-t", "json")
    answer = json.loads(out)
    assert (found, answer["code"], expected in answer["message"]) == (code, number, True)
    assert ("Server responded with status code" in err) == (number > 1)


def test_a_list_has_the_last_twenty_with_the_latest_at_the_bottom(osmo, osmo_cli, osmo_post):
    for _ in range(22):
        osmo_post()
    names = [one["name"] for one in json.loads(osmo_cli("workflow", "list", "-t", "json", "-n", "ell")[1])["workflows"]]
    assert (len(names), names[0], names[-1]) == (20, "hello-3", "hello-22")
    page = json.loads(osmo_cli("workflow", "list", "-t", "json", "-c", "2", "-f", "20", "-o", "desc")[1])
    assert [one["name"] for one in page["workflows"]] == ["hello-2", "hello-1"]


def test_cancel_ends_well_whatever_came_of_it(osmo, osmo_cli, osmo_post):
    osmo_post()
    code, out, _ = osmo_cli("workflow", "cancel", "nope-1", "hello-1", "-t", "json")
    assert (code, out.splitlines()[0]) == (
        0,
        "Workflow cancelation failed for workflow nope-1: Workflow nope-1 is not found.",
    )
    assert osmo.workflows["hello-1"].status == "FAILED_CANCELED"
    assert "already finished" in osmo_cli("workflow", "cancel", "hello-1")[1]


def test_data_has_its_quirks(osmo, osmo_cli, tmp_path):
    folder, target = tmp_path / "dir", tmp_path / "out"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub/a").write_text("A")
    target.mkdir()
    assert osmo_cli("data", "upload", f"{URL}/p", str(folder))[0] == 0
    assert osmo_cli("data", "upload", f"{URL}/q", f"{folder}/*")[0] == 0
    assert osmo.objects(URL) == {"p/dir/sub/a": b"A", "q/sub/a": b"A"}
    osmo_cli("data", "download", f"{URL}/p", str(target))
    assert (target / "dir/sub/a").read_text() == "A"
    code, _, err = osmo_cli("data", "download", f"{URL}/typo", str(target))
    assert (code, "No entries found for prefix" in err) == (0, True)
    assert osmo_cli("data", "list", f"{URL}/p", "--no-pager")[1] == "data/p/dir/\n\nTotal 1 objects found\n"
    assert osmo_cli("data", "list", f"{URL}/p", "--no-pager", "-r")[1].startswith("data/p/dir/sub/a\n")
    assert osmo_cli("data", "list", f"{URL}/typo", "--no-pager")[:2] == (0, "\nTotal 0 objects found\n")
    osmo.data_access(True, denied="AuthorizationPermissionMismatch")
    code, _, err = osmo_cli("data", "upload", f"{URL}/r", str(folder))
    assert (code, "Upload Failed on files:" in err, osmo.objects(f"{URL}/r")) == (0, True, {})
    osmo.data_access(False)
    code, out, _ = osmo_cli("data", "list", URL, "--no-pager")
    assert (code, "Unable to locate credentials" in out) == (2, True)
