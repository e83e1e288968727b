"""The stand-in's command has the arguments, output and exit codes of the real one (osmo.md, its source)."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml
from osmo_stand_in.example import URL, WORKFLOW, task


def written(tmp_path, workflow: object = WORKFLOW) -> str:
    file = tmp_path / "workflow.yaml"
    file.write_text(yaml.safe_dump({"workflow": workflow}))
    return str(file)


GRAMMAR = [
    ("6.4.0", "workflow logs x -t json", 2),  # -t is --task: the workflow is unknown
    ("6.4.0", "workflow list -t json", 0),
    ("6.4.0", "workflow list -f 1", 0),
    ("6.0.0", "workflow list -f 1", 2),
    ("6.3.1", "workflow list --label a=b", 2),
    ("6.4.0", "workflow list --label a=b", 0),
    ("6.3.1", "dataset list", 0),
    ("6.4.0", "dataset list", 2),
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
    words = f"{exports}\nosmo workflow submit {written(tmp_path)} -t json -p default && osmo workflow list -t json"
    told = subprocess.run(["sh", "-c", words], capture_output=True, text=True, check=False)
    assert (told.returncode, "hello-1" in told.stdout) == (0, True), told
    for code, said in ((0, "# exit code 0"), (1, "hello-1 does not run: it is COMPLETED")):
        ran = subprocess.run([*made, "--run", "hello-1"], env=environ, capture_output=True, text=True, check=False)
        assert (ran.returncode, said in ran.stdout + ran.stderr) == (code, True), ran


@pytest.mark.parametrize(("version", "words", "code"), GRAMMAR, ids=[f"{one[0]} {one[1]}" for one in GRAMMAR])
def test_the_command_takes_what_its_version_takes(osmo, osmo_cli, version, words, code):
    osmo.versions(client=version, service=version)
    assert osmo_cli(*words.split())[0] == code


@pytest.mark.parametrize("version", ["6.3.1", "6.4.0"])
def test_a_repeated_set_replaces_the_first_until_6_3(osmo, osmo_cli, tmp_path, version):
    osmo.versions(client=version)
    file = tmp_path / "w.yaml"
    file.write_text(yaml.safe_dump({"workflow": task(args=["{{a}}", "{{b}}"]), "default-values": {"a": "0", "b": "0"}}))
    osmo_cli("workflow", "submit", str(file), "-p", "default", "--set-string", "a=1", "--set-string", "b=2")
    assert osmo.workflows["hello-1"].task["args"] == (["0", "2"] if version == "6.3.1" else ["1", "2"])
    code, _, err = osmo_cli("workflow", "submit", "--set-string", "a=1", str(file))
    assert (code, "the following arguments are required: workflow_file" in err) == (2, True)


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


@pytest.mark.parametrize(("spoil", "code", "told", "number"), FAILURES, ids=[one[2].strip()[:30] for one in FAILURES])
def test_a_failure_goes_to_stdout_with_its_exit_status(osmo, osmo_cli, spoil, code, told, number):
    osmo.versions(client="6.2.10" if "out of date" in told else "6.4.0")
    spoil(osmo)
    found, out, err = osmo_cli("workflow", "query", "nope-1", "-t", "json")
    said = json.loads(out)
    assert (found, said["code"], told in said["message"]) == (code, number, True)
    assert ("Server responded with status code" in err) == (number > 1)


def test_the_executable_is_a_program_of_its_own(osmo, tmp_path):
    def run(*words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        given = {**os.environ, **environ}
        return subprocess.run(["osmo", *words], env=given, capture_output=True, text=True, stdin=subprocess.DEVNULL)

    osmo.versions(client="6.3.1")
    file = written(tmp_path)
    taken = run("workflow", "submit", file, "-t", "json", "-p", "default", "--priority", "low")
    assert (taken.returncode, json.loads(taken.stdout)["name"]) == (0, "hello-1")
    assert taken.stderr.startswith("WARNING: New client 6.4.0 available.\nCurrent version: 6.3.1.\n")
    without = run("workflow", "submit", file)
    assert (without.returncode, without.stdout.splitlines()[-1]) == (2, "Error code: 1")
    elsewhere = run("workflow", "query", "hello-1", "-t", "json", OSMO_CONFIG_FILE_DIR=str(tmp_path))
    assert elsewhere.returncode == 2
    assert osmo.calls[0][:2] == ["workflow", "submit"]
    assert osmo.workflows["hello-1"].priority == "LOW"


def test_a_file_of_json_is_taken_only_without_markers(osmo, osmo_cli, tmp_path):
    file = tmp_path / "w.json"
    plain = {"workflow": task(environment={}, files=[])}
    for document, code in ((plain, 0), ({"workflow": WORKFLOW}, 2)):
        file.write_text(json.dumps(document))
        assert osmo_cli("workflow", "submit", str(file), "-p", "default")[0] == code
    again, told, _ = osmo_cli("workflow", "submit", "hello-1", "-p", "default", "-t", "json")
    assert (again, json.loads(told)["name"]) == (0, "hello-2")
    code, told, _ = osmo_cli("workflow", "submit", "gone.yaml", "-p", "default")
    assert (code, "[Errno 2] No such file or directory" in told) == (1, True)


def test_submits_at_the_same_time_get_numbers_of_their_own(osmo, osmo_post):
    threads = [threading.Thread(target=osmo_post) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(osmo.workflows) == [f"hello-{number}" for number in range(1, 5)]


def test_an_answer_that_is_lost_leaves_the_workflow(osmo, osmo_cli, tmp_path):
    osmo.fail("workflow submit", "lost")
    assert osmo_cli("workflow", "submit", written(tmp_path), "-p", "default")[0] == 10
    assert osmo.workflows["hello-1"].status == "PENDING"


def test_the_time_limit_can_be_met_once(osmo, osmo_cli, tmp_path):
    osmo.fail("workflow submit", "sandbox", after=1)
    words = ("workflow", "submit", written(tmp_path), "-p", "default")
    assert [osmo_cli(*words)[0] for _ in range(3)] == [0, 1, 0]


def test_validate_keeps_a_failed_submission_that_a_list_shows_only_when_asked(osmo, osmo_cli, tmp_path):
    assert osmo_cli("workflow", "validate", written(tmp_path), "-p", "default")[1] == "Workflow validation succeeded.\n"
    assert osmo_cli("workflow", "validate", written(tmp_path, task(imagex="y")), "-p", "default")[0] == 1
    assert json.loads(osmo_cli("workflow", "list", "-t", "json")[1]) == {"workflows": []}
    found = json.loads(osmo_cli("workflow", "list", "-t", "json", "-s", "FAILED_SUBMISSION")[1])["workflows"]
    assert [one["name"] for one in found] == ["hello-1"]


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


def test_logs_of_a_running_workflow_stream_to_its_end(osmo, osmo_post):
    osmo_post()
    osmo.set_state("hello-1", task_status="RUNNING")
    osmo.say("hello-1", "first", "second")
    with subprocess.Popen(
        ["osmo", "workflow", "logs", "hello-1", "-n", "1"], stdout=subprocess.PIPE, text=True
    ) as logs:
        assert logs.stdout.readline() == "Workflow hello-1 has logs:\n"
        assert logs.stdout.readline().endswith(" [train] second\n")
        osmo.retry("hello-1")
        osmo.say("hello-1", "Downloading Start", control=True)
        assert logs.stdout.readline().endswith(" [train retry-1][osmo] Downloading Start\n")
        assert logs.poll() is None
        osmo.set_state("hello-1", task_status="COMPLETED")
        assert logs.stdout.read() == ""
    assert logs.returncode == 0


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
    assert json.loads(osmo_cli("data", "check", URL)[1])["status"] == "fail"
    osmo.data_access(False)
    code, out, _ = osmo_cli("data", "check", URL)
    assert (code, "Unable to locate credentials" in out) == (2, True)


def test_credentials_are_set_from_files_and_listed_without_values(osmo, osmo_cli, tmp_path):
    (tmp_path / "token").write_text("hf_secret\n")
    assert osmo_cli("credential", "set", "hf_token", "--payload-file", f"hf_token={tmp_path / 'token'}")[0] == 0
    listed = osmo_cli("credential", "--format-type", "json", "list")[1]
    assert json.loads(listed) == {"credentials": [{"cred_name": "hf_token", "cred_type": "GENERIC", "profile": None}]}
    assert osmo.credentials["hf_token"] == {"hf_token": "hf_secret"}
    assert osmo_cli("credential", "set", "1bad", "--payload", "a=b")[0] == 2
