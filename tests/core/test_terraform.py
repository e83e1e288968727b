"""Terraform's outputs as a layer: read only when a value is missing, once, without secrets, and never in the way."""

import os
import time
from pathlib import Path

import pytest
from problem_assertions import check_problems
from robotrain.config import terraform as config_terraform

FOLDER = "infrastructure/terraform"
NEEDED = ("--subscription-id", "s", "--group", "g", "--probes", "2", "--no-rings")
EVERYTHING = (*NEEDED, "--dock", "d", "--pier", "p")
KEY = "kx8Wq2vT0pZ7mN4bR6yL1cJ9dF3hG5sA"


def value_and_origin(row):
    return row["value"], row["origin"]


def test_missing_values_are_read_from_the_outputs(explain_cloud, terraform):
    terraform.set_outputs(subscription_id="0000-1111", group={"name": "robots", "id": "/x"}, probes=3, rings=True)
    rows = explain_cloud()
    assert value_and_origin(rows["subscription_id"]) == ("0000-1111", f"{FOLDER} subscription_id.value")
    assert value_and_origin(rows["group"]) == ("robots", f"{FOLDER} group.value.name")
    assert value_and_origin(rows["probes"]) == (3, f"{FOLDER} probes.value")
    assert value_and_origin(rows["rings"]) == (True, f"{FOLDER} rings.value")
    assert explain_cloud.stderr == ""


def test_terraform_runs_once_in_its_folder_without_input(explain_cloud, terraform):
    ours, theirs = os.pipe()
    saved_stdin = os.dup(0)
    try:
        os.write(theirs, b"typed by somebody")
        os.close(theirs)
        os.dup2(ours, 0)
        explain_cloud()
    finally:
        os.dup2(saved_stdin, 0)
        os.close(saved_stdin), os.close(ours)
    assert terraform.calls == [[str(Path(FOLDER).absolute()), "output -json", "1", "0", "1", ""]]


def test_every_other_layer_is_stronger(explain_cloud, terraform, monkeypatch):
    terraform.set_outputs(subscription_id="outputs", group={"name": "outputs"}, probes=3, rings=True)
    Path("robotrain.toml").write_text('[platforms.cloud]\nsubscription_id = "toml"\n')
    Path(".env").write_text("CLOUD_GROUP=dotenv\n")
    rows = explain_cloud("--probes", "2")
    assert [rows[name]["value"] for name in ("subscription_id", "group", "probes", "rings")] == [
        "toml",
        "dotenv",
        2,
        True,
    ]


@pytest.mark.parametrize(
    "words",
    [
        ("explain", "--platform", "cloud", "--dataset-path", "x", *EVERYTHING),
        ("render", "--platform", "local", "--dataset-path", "x"),
        ("explain", "--help-all"),
        ("submit", "--platform", "cloud", "--help-all"),
        ("platforms",),
    ],
    ids=["every value is given", "a platform without such settings", "help", "help of a platform", "platforms"],
)
def test_terraform_is_not_run_where_no_value_is_needed(robotrain, cloud_platform, terraform, monkeypatch, words):
    if "local" in words:
        monkeypatch.setenv("ROBOTRAIN_TERRAFORM", "nowhere")
    assert robotrain(*words).exit_code == 0
    assert terraform.calls == []


def test_optional_setting_alone_does_not_run_terraform(explain_cloud, terraform):
    terraform.set_outputs(beacon="b", group={"name": "robots"})
    assert value_and_origin(explain_cloud(*EVERYTHING)["beacon"]) == (None, "default")
    assert terraform.calls == []
    assert value_and_origin(explain_cloud("--probes", "2")["beacon"]) == ("b", f"{FOLDER} beacon.value")
    assert len(terraform.calls) == 1


def test_setting_without_effect_does_not_run_terraform(explain_cloud, terraform):
    terraform.set_outputs(dock="d", pier="p")
    assert value_and_origin(explain_cloud(*NEEDED, "--tier", "high")["dock"]) == (None, "default")
    assert terraform.calls == []
    assert value_and_origin(explain_cloud(*NEEDED)["dock"]) == ("d", f"{FOLDER} dock.value")


def test_incomplete_group_of_outputs_is_ignored_with_a_note(explain_cloud, terraform):
    terraform.set_outputs(dock="d")
    assert value_and_origin(explain_cloud()["dock"]) == (None, "default")
    check_problems(explain_cloud.stderr, f"found-in-part {FOLDER} dock.value")
    assert value_and_origin(explain_cloud("--pier", "p")["dock"]) == ("d", f"{FOLDER} dock.value")
    assert explain_cloud.stderr == ""
    assert value_and_origin(explain_cloud("--tier", "high")["dock"]) == (None, "default")
    assert explain_cloud.stderr == ""  # where they are idle nobody misses them


def test_an_empty_value_counts_as_unset_on_both_sides(explain_cloud, terraform, monkeypatch):
    monkeypatch.setenv("CLOUD_GROUP", "")
    terraform.set_outputs(subscription_id="", group={"name": "robots"})
    rows = explain_cloud("--group", "")
    assert rows["group"]["value"] == "robots"
    assert value_and_origin(rows["subscription_id"]) == (None, "default")


@pytest.mark.parametrize("value", [None, ["robots"], {"name": {"name": "robots"}}, "robots"])
def test_only_a_text_a_number_or_a_switch_is_a_value(explain_cloud, terraform, value):
    terraform.set_outputs(group=value)
    assert value_and_origin(explain_cloud()["group"]) == (None, "default")
    assert explain_cloud.stderr == ""


def test_invalid_value_is_reported_with_its_output(robotrain, cloud_platform, terraform):
    terraform.set_outputs(probes=1.5)
    answer = robotrain("explain", "--platform", "cloud", "--dataset-path", "x")
    answer.check_problems(2, f"value-invalid {FOLDER} probes.value 1.5")


class TestSensitiveOutputs:
    """They are dropped before anything looks at them."""

    @pytest.fixture
    def hidden(self, terraform):
        """`group` and another are sensitive."""
        secret = f'{{"sensitive": true, "type": "string", "value": "{KEY}"}}'
        group = f'{{"sensitive": true, "type": ["object", {{}}], "value": {{"name": "{KEY}"}}}}'
        probes = '{"sensitive": false, "type": "number", "value": 0}'
        terraform.set_output_text(f'{{"group": {group}, "secret": {secret}, "probes": {probes}}}')

    def test_sensitive_output_is_in_no_plan_and_no_error(self, robotrain, cloud_platform, hidden, tmp_path):
        words = ("--platform", "cloud", "--dataset-path", "x")
        assert robotrain("render", *words, "--probes", "1", "--to", tmp_path / "plan").exit_code == 0
        assert not [
            path for path in (tmp_path / "plan").rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()
        ]
        refused = robotrain("render", *words)
        assert refused.exit_code == 2
        assert KEY not in refused.stdout + refused.stderr


@pytest.mark.parametrize(
    "script",
    [
        'echo \'{"group": {"value": {"name": "SECRETS\'',
        "echo '[\"SECRETS\"]'",
        "printf 'SECRETS \\377'",
        "printf '[%.0s' $(seq 20000)",
        "echo SECRETS; exit 7",
        "printf '\\033[31m╷\\n│\\033[0m\\033[1m Error: no backend at /s?sig=1 password=hunter2\\n' >&2; exit 1",
    ],
)
def test_failure_is_one_warning_that_says_what_to_do(explain_cloud, terraform, script):
    terraform.set_script(script)
    assert value_and_origin(explain_cloud()["group"]) == (None, "default")
    check_problems(explain_cloud.stderr, f"terraform-unread {FOLDER}")
    assert explain_cloud.stderr.count("warning:") == 1
    assert not [text for text in ("SECRETS", "hunter2", "sig=1") if text in explain_cloud.stderr]


def test_without_terraform_the_warning_names_the_settings_that_are_missing(explain_cloud, terraform):
    terraform.remove()
    explain_cloud("--group", "g", "--probes", "2")
    check_problems(explain_cloud.stderr, f"terraform-unread {FOLDER}")


def test_a_command_that_cannot_be_started_is_a_warning(explain_cloud, terraform):
    (terraform.folder / "bin/terraform").write_text("#!/nowhere/sh\n")
    explain_cloud()
    check_problems(explain_cloud.stderr, f"terraform-unread {FOLDER}")


@pytest.mark.slow
def test_time_limit_stops_terraform_and_all_its_processes(explain_cloud, terraform, monkeypatch):
    monkeypatch.setattr(config_terraform, "TIME_LIMIT_SECONDS", 0.3)
    late = terraform.folder / "late"
    terraform.set_script(f"(sleep 1; touch '{late}') & sleep 30")
    started = time.monotonic()
    explain_cloud()
    assert time.monotonic() - started < 20  # of its 30 s
    check_problems(explain_cloud.stderr, f"terraform-unread {FOLDER}")
    time.sleep(1)
    assert not late.exists()


class TestTerraformFolder:
    """Named by a setting, else one of the usual ones that has state."""

    @pytest.fixture
    def read_in(self, explain_cloud, terraform):
        """The folder it was read in, relative to the test's; None when it was not run."""

        def run(*args):
            before = len(terraform.calls)
            explain_cloud(*args)
            new = terraform.calls[before:]
            return str(Path(new[0][0]).relative_to(terraform.folder.parent)) if new else None

        return run

    def test_default_folders_in_their_order(self, read_in, terraform_folder):
        terraform_folder("deploy/001-iac")
        assert read_in() == f"here/{FOLDER}"
        Path(FOLDER, "terraform.tfstate").unlink()
        assert read_in() == "here/deploy/001-iac"
        Path(FOLDER, ".terraform").mkdir()
        assert read_in() == f"here/{FOLDER}"

    def test_without_state_nothing_is_run(self, read_in, explain_cloud):
        Path(FOLDER, "terraform.tfstate").unlink()
        assert read_in() is None
        assert explain_cloud.stderr == ""

    def test_folder_of_the_checkout_counts_in_its_subfolders(self, read_in, explain_cloud, terraform, monkeypatch):
        terraform.set_outputs(group={"name": "robots"})
        Path("deep/er").mkdir(parents=True)
        monkeypatch.chdir("deep/er")
        assert read_in() is None
        Path("../../.git").write_text("gitdir: elsewhere\n")  # as in a worktree
        assert read_in() == f"here/{FOLDER}"
        assert explain_cloud()["group"]["origin"] == f"../../{FOLDER} group.value.name"

    def test_folder_of_the_environment_is_stronger_than_that_of_dotenv(self, read_in, terraform_folder, monkeypatch):
        terraform_folder("infra"), terraform_folder("production")
        Path(".env").write_text("ROBOTRAIN_TERRAFORM=./infra\n")
        assert read_in() == "here/infra"
        monkeypatch.setenv("ROBOTRAIN_TERRAFORM", "production")
        assert read_in() == "here/production"

    def test_folder_of_robotrain_toml_is_relative_to_it(self, read_in, terraform_folder, monkeypatch):
        terraform_folder("infra"), terraform_folder("production")
        Path("robotrain.toml").write_text('terraform = "infra"\n[profiles.big]\nterraform = "production"\n')
        Path("deep").mkdir()
        monkeypatch.chdir("deep")
        assert read_in() == "here/infra"
        assert read_in("--profile", "big") == "here/production"

    def test_none_disables_it(self, read_in, explain_cloud, monkeypatch):
        monkeypatch.setenv("ROBOTRAIN_TERRAFORM", "none")
        assert read_in() is None
        assert explain_cloud.stderr == ""

    @pytest.mark.parametrize("exists", [False, True])
    def test_named_folder_without_state_is_an_error(self, robotrain, cloud_platform, terraform, exists):
        if exists:
            Path("infra").mkdir()
        Path("robotrain.toml").write_text('terraform = "infra"\n')
        answer = robotrain("render", "--platform", "cloud", "--dataset-path", "x")
        answer.check_problems(2, "terraform-folder robotrain.toml infra")
        assert terraform.calls == []


def test_python_calls_read_outputs(cloud_platform, terraform):
    import robotrain.api

    terraform.set_outputs(group={"name": "robots"})
    rows = {row["name"]: row for row in robotrain.api.explain(platform="cloud", dataset_path="x")}
    assert value_and_origin(rows["group"]) == ("robots", f"{FOLDER} group.value.name")


def test_resubmitted_run_keeps_its_values(robotrain, cloud_platform, terraform):
    sent = robotrain("submit", "--platform", "cloud", "--dataset-path", "x", "--no-pin", *EVERYTHING[:2])
    assert sent.exit_code == 0, sent.stderr
    terraform.set_outputs(group={"name": "robots"}, probes=9)
    before = len(terraform.calls)
    answer = robotrain("resubmit", sent.stdout.strip(), "--set", "slots=60", "--dry-run")
    assert answer.exit_code == 0, answer.stderr
    assert "robots" not in answer.stdout + answer.stderr
    assert len(terraform.calls) == before
