"""`robotrain doctor`: what would stop a submit is found and said with what to type."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from robotrain import network_deadline
from virtual_terminal import VirtualTerminal

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cache", "hub")]  # each looks at the whole machine

HEAD = """
import os, sys, time
from pathlib import Path
from robotrain.plugin import Check, Suggestion, hook, report_failure, report_ok, report_warning
from robotrain.model.health import report_missing

def check(name, look, **more):
    return Check(name=name, run=look, **more)
"""


def plugin_with(checks: str, body: str = "") -> str:
    return f"{HEAD}\n{body}\n@hook\ndef robotrain_health():\n    return [{checks}]\n"


@pytest.fixture(autouse=True)
def long_hook_timeout(monkeypatch):
    """A busy machine is no failure: a check without an answer is one."""
    monkeypatch.setenv("ROBOTRAIN_NETWORK_SECONDS", "60")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


@pytest.fixture
def state(tmp_path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def checks(robotrain):
    """Each check of `doctor --json …` by name."""

    def checks(*args: str) -> dict[str, dict]:
        return {check["name"]: check for check in robotrain("doctor", "--json", *args).json["checks"]}

    return checks


def check_result(check: dict, state: str, *facts: str) -> None:
    """Assert the state of a check, and facts in what it says or offers to type."""
    assert check["state"] == state
    ways = [way["text"] for finding in check["findings"] for way in finding["instead"]]
    shown = "\n".join([*(finding["says"] for finding in check["findings"]), *ways])
    assert [fact for fact in facts if fact not in shown] == [], shown


def summarize(answer) -> str:
    """Return the summary without what differs between machines: how many checks there are, and warnings."""
    parts = re.sub(r"of \d+", "of N", answer.stderr.strip()).split("; ")
    return "; ".join(part for part in parts if not re.fullmatch(r"\d+ warnings?", part))


def test_machine_without_a_fault_passes(robotrain):
    answer = robotrain("doctor", "--platform", "local")
    answer.check(0, "found nothing that would stop a submit")
    harmless = ("ok", "note", " ")
    assert not [line for line in answer.stdout.splitlines() if not line.startswith(harmless)]


def test_no_line_is_printed_twice(robotrain, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_NETWORK_SECONDS", "60")
    rows = [line.split("can be built")[0] for line in robotrain("doctor").stdout.splitlines() if "isaac" in line]
    assert rows
    assert len(rows) == len({*rows})


def test_checks_write_nothing(robotrain, state, cache):
    robotrain("doctor")
    assert not state.exists()
    assert not cache.exists()


def test_unwritable_state_folder_fails(robotrain, checks, state):
    state.write_text("a file")
    answer = robotrain("doctor")
    assert answer.exit_code == 4
    assert summarize(answer).startswith("1 of N checks failed")
    check_result(checks()["state folder"], "fail", f"{state} is a file", "ROBOTRAIN_STATE=FOLDER robotrain …")
    assert robotrain("submit", "--platform", "local", "--dataset-path", "x").exit_code != 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
def test_folder_on_a_full_disk_fails(checks, monkeypatch):
    """A new file can be made on a full disk; only writing to it fails."""
    import tempfile

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda dir: os.fdopen(os.open("/dev/full", os.O_WRONLY), "wb"))
    Path(os.environ["ROBOTRAIN_STATE"]).mkdir()
    check_result(checks()["state folder"], "fail", "No space left on device", "ROBOTRAIN_STATE=FOLDER robotrain …")


def test_folder_on_a_network_disk_is_named(checks, monkeypatch, tmp_path, state):
    from robotrain.store import files

    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"/dev/vda / ext4 rw 0 0\nserver:/x {tmp_path} nfs4 rw 0 0\nserver:/y {tmp_path}-not nfs rw 0 0\n"
    )
    monkeypatch.setattr(files, "MOUNTS_FILE", mounts)
    assert "nfs4" in checks()["state folder"]["findings"][0]["says"]


def test_unreadable_settings_files_fail(robotrain):
    Path(".env").write_text("this is no line\n")
    Path("robotrain.toml").write_text("platform = \n")
    answer = robotrain("doctor")
    assert answer.exit_code == 4
    assert ".env:1" in answer.stdout
    assert "robotrain.toml" in answer.stdout


@pytest.mark.parametrize(
    ("file", "fact"),
    [
        ('[parameters]\nbatch_size = "many"\n', "--batch-size"),
        ("[parameters]\nbatch_siz = 8\n", "batch_siz"),
        ('[platforms.slurm]\ntime = "abc"\n', "--time abc"),
        ('[platforms.slurm]\npartitions = "gpu"\n', "partitions"),
        ('[workloads.isaac-train]\nnum_envs = "x"\n', "--num-envs"),
        ('[platforms.azureml]\nsubscription_id = "S"\n', ""),  # the line may give the rest
        ('[platforms.slurm]\npartition = "gpu"\ntime = "3h"\n[parameters]\ntask = "Isaac-Ant"\n', ""),
    ],
)
def test_project_file_is_read_as_a_submit_reads_it(checks, file, fact):
    Path("robotrain.toml").write_text(file)
    check_result(checks()["settings files"], "fail" if fact else "ok", fact or "robotrain.toml")


def test_broken_plugin_fails_only_for_its_own_platform(robotrain, checks, install):
    install("acme-grid", {"platform.grid": "acme_grid"}, version="0.3", acme_grid="import grid_sdk_gone")
    assert robotrain("doctor").exit_code == robotrain("doctor", "--platform", "local").exit_code == 0
    ways = ("ROBOTRAIN_TRACEBACK=1 robotrain …", "robotrain --without acme-grid …")
    check_result(checks()["plugins"], "warn", "acme-grid 0.3", "No module named 'grid_sdk_gone'", *ways)
    answer = robotrain("doctor", "--platform", "grid")
    assert answer.exit_code == 4
    assert "acme-grid 0.3" in answer.stdout


def test_checks_of_plugins_are_run(robotrain, install):
    body = "def look():\n    yield report_failure('the proxy is down', Suggestion('systemctl start proxy', 'as root'))"
    install("acme", {"acme": "acme_health"}, acme_health=plugin_with("check('proxy', look)", body))
    answer = robotrain("doctor", "--json")
    assert answer.exit_code == 4
    (proxy,) = [check for check in answer.json["checks"] if check["name"] == "proxy"]
    assert proxy == {
        "name": "proxy",
        "by": "acme 1.0",
        "state": "fail",
        "findings": [
            {
                "state": "fail",
                "says": "the proxy is down",
                "instead": [{"text": "systemctl start proxy", "remark": "as root"}],
            }
        ],
    }
    shown = robotrain("doctor").stdout
    assert re.search(r"proxy is down\n +use  systemctl start proxy   \(as root\)", shown), shown


def test_missing_setting_fails_only_for_the_named_platform(robotrain, install):
    body = """def look():
    yield report_missing('no pool is set', Suggestion('--pool NAME'))
    yield report_warning('the pool is small')
    yield report_warning('it is far away')
"""
    install("acme", {"acme": "acme_health"}, acme_health=plugin_with("check('pool', look)", body))
    answer = robotrain("doctor")
    assert answer.exit_code == 0
    result = sum(line.startswith("warn") for line in answer.stdout.splitlines())
    assert result >= 3
    assert f"; {result} warnings" in answer.stderr
    named = robotrain("doctor", "--platform", "local")
    assert named.exit_code == 4
    assert "fail  pool" in named.stdout


def be_patient_with_others(groups, limit, ask_all=network_deadline.ask_all):
    """Hold only the last check, of the plugin, to the time limit: on a busy machine robotrain's own take longer."""
    *others, last = groups
    return [*ask_all(others, 60.0), *ask_all([last], limit)]


@pytest.mark.parametrize(
    ("body", "fact"),
    [
        ("time.sleep(60)", "ROBOTRAIN_NETWORK_SECONDS=30 robotrain doctor …"),
        ("raise KeyError('x')", "KeyError: 'x'"),
        ("sys.exit(1)", "SystemExit: 1"),
    ],
)
def test_check_that_hangs_or_fails_is_named_and_the_others_are_run(checks, install, monkeypatch, body, fact):
    monkeypatch.setenv("ROBOTRAIN_NETWORK_SECONDS", "1")
    monkeypatch.setattr(network_deadline, "ask_all", be_patient_with_others)
    install("acme", {"acme": "acme_bad"}, acme_bad=plugin_with("check('odd', look)", f"def look():\n    {body}"))
    results = checks()
    check_result(results["odd"], "warn", fact)
    assert results["robotrain"]["state"] == "ok"


@pytest.mark.parametrize(("more", "exit_code"), [("", 0), ("check('bad', fail), ", 4)])
def test_check_without_an_answer_is_reported_and_hides_no_failure(install, robotrain, monkeypatch, more, exit_code):
    monkeypatch.setenv("ROBOTRAIN_NETWORK_SECONDS", "1")
    monkeypatch.setattr(network_deadline, "ask_all", be_patient_with_others)
    body = "def look():\n    time.sleep(60)\n\ndef fail():\n    yield report_failure('it is broken')\n"
    install("acme", {"acme": "acme_bad"}, acme_bad=plugin_with(f"{more}check('odd', look)", body))
    answer = robotrain("doctor")
    assert answer.exit_code == exit_code
    assert summarize(answer).endswith("no answer of odd")
    assert ("1 of N checks failed" in summarize(answer)) == (exit_code == 4)
    assert "ROBOTRAIN_NETWORK_SECONDS=30 robotrain doctor …" in answer.stdout
    assert robotrain("doctor", "--json").json["unanswered"] == ["odd"]


@pytest.mark.parametrize(
    ("words", "environ", "where"),
    [(("--platform", "lcal"), {}, "--platform"), ((), {"ROBOTRAIN_PLATFORM": "lcal"}, "ROBOTRAIN_PLATFORM")],
)
def test_misspelt_platform_is_answered_with_the_nearest(robotrain, monkeypatch, words, environ, where):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    robotrain("doctor", *words).check_problems(2, f"plugin-not-loaded {where} lcal")


def test_online_checks_are_run_only_with_online(checks, install):
    body = "def look():\n    yield report_ok('asked')"
    install("acme", {"acme": "acme_net"}, acme_net=plugin_with("check('service', look, online=True)", body))
    assert "service" not in checks()
    assert checks("--online")["service"]["state"] == "ok"


PLATFORM = """
from robotrain.model.capabilities import Capabilities
from robotrain.model.support import YES
from robotrain.model.platform import Platform, PlatformEngine
def look():
    yield report_ok("seen")
@hook
def robotrain_platforms():
    return [Platform(name={name!r}, engine_class=PlatformEngine, capabilities=Capabilities(features={features}))]
"""


def test_checks_of_other_platforms_are_left_out(checks, install):
    for name, features in (("near", "{'runs_here': YES}"), ("far", "{}")):
        source = plugin_with(f"check('{name} one', look)", PLATFORM.format(name=name, features=features))
        install(f"acme-{name}", {f"platform.{name}": f"acme_{name}"}, **{f"acme_{name}": source})
    assert {"near one", "far one", "lerobot-train"} <= set(checks())
    near, far = set(checks("--platform", "near")), set(checks("--platform", "far"))
    assert {"near one", "lerobot-train"} <= near
    assert "far one" not in near
    assert "far one" in far
    assert not {"near one", "lerobot-train"} & far  # there, a container brings the environment


def test_json_of_the_checks(robotrain):
    answer = robotrain("doctor", "--json", "--platform", "local").json
    assert list(answer) == ["platform", "healthy", "checks", "unanswered"]
    assert (answer["platform"], answer["healthy"]) == ("local", True)
    for check in answer["checks"]:
        assert list(check) == ["name", "by", "state", "findings"]
        assert all(list(finding) == ["state", "says", "instead"] for finding in check["findings"])
    names = [check["name"] for check in answer["checks"] if check["by"] is None]
    assert names == [
        *("robotrain", "plugins", "state folder", "cache folder", "cache", "settings files"),
        "configuration folder",
    ]


def test_distributions_of_different_versions_fail(checks, monkeypatch):
    versions = {"robotrain-sources": "0.0.9"}
    monkeypatch.setattr("robotrain.doctor.installation.find_version", lambda name: versions.get(name, "0.1.0"))
    check_result(checks()["robotrain"], "fail", "pip install robotrain-sources==0.1.0", "robotrain-core is 0.1.0")


def test_text_of_a_hanging_check_is_not_in_the_json(command, install, tmp_path):
    body = "def look():\n    while True:\n        print('noise')\n        time.sleep(0.01)"
    folder = install("acme", {"acme": "acme_noise"}, acme_noise=plugin_with("check('noise', look)", body))
    environ = {**os.environ, "PYTHONPATH": str(folder), "ROBOTRAIN_NETWORK_SECONDS": "1"}
    done = subprocess.run([*command, "doctor", "--json"], env=environ, capture_output=True, text=True, timeout=60)
    answer = json.loads(done.stdout)
    (noise,) = [check for check in answer["checks"] if check["name"] == "noise"]
    assert noise["state"] == "warn"
    assert answer["healthy"] is (done.returncode == 0)  # on a busy machine, others may take longer than 1 s too


def test_sentences_are_wrapped_on_a_narrow_terminal(command):
    words = [*command, "doctor", "--platform", "local"]
    terminal = VirtualTerminal(words, os.environ | {"TERM": "xterm", "NO_COLOR": "1"}, 70)
    assert terminal.end() == 0
    terminal.close()
    lines = terminal.raw.partition("found nothing")[0].splitlines()
    assert len(lines) > 10
    assert all(len(line) <= 70 or " " not in line[22:].strip() for line in lines)  # a long path stays whole
    assert "\x1b" not in terminal.raw
