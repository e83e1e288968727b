"""Settings that name a file, program, secret or account of the user say so: no run of another machine brings them."""

import json
import re
from pathlib import Path

import pytest
from robotrain.plugins.manager import get_plugins
from robotrain_runtime.contract.parameter import get_parameters

SIGNS = re.compile(
    r"secret|credential|token|password|\bkey|vault|identity|storage account|variable|command|program|file\b"
)
IMPERSONAL = {
    ("local", "tracking_uri"): "where metrics go; only MLFLOW_TRACKING_URI is mentioned",
    ("slurm", "tracking_uri"): "as that of local",
    ("osmo", "tracking_uri"): "as that of local",
    ("slurm", "sbatch"): "options of the job, which its variables give too",
    ("azureml", "mlflow_token_retries"): "a number",
    ("osmo", "mlflow_token_retries"): "a number",
}
SETTINGS = [
    (platform, setting)
    for platform in get_plugins().platforms().values()
    for setting in get_parameters(platform.settings)
]


@pytest.mark.parametrize(
    ("platform", "setting"), SETTINGS, ids=[f"{platform.name}-{setting.name}" for platform, setting in SETTINGS]
)
def test_a_setting_that_sounds_personal_says_what_it_names(platform, setting):
    sounds_personal = SIGNS.search(f"{setting.name.replace('_', ' ')} {setting.param.help}".lower())
    if sounds_personal and (platform.name, setting.name) not in IMPERSONAL:
        assert setting.param.names


@pytest.fixture
def folder(robotrain, tmp_path) -> Path:
    """The folder of a colleague's run, which a secret and a file of theirs were given."""
    (secret := tmp_path / "secret").write_text("hush")
    secret.chmod(0o600)
    plan = tmp_path / "plan"
    options = ("--secret", f"STOLEN={secret}", "--hub-token-file", secret, "--runs-dir", tmp_path, "--to", plan)
    answer = robotrain("render", "command", "--platform", "local", *options, "--", "env")
    assert answer.exit_code == 0, answer.stderr
    return plan.rename(tmp_path / json.loads((plan / "job.json").read_text())["run"])


def test_a_run_of_another_user_brings_no_setting_that_names_something_of_theirs(robotrain, folder):
    adopted = robotrain("adopt", "--platform", "local", folder)
    assert (adopted.exit_code, adopted.stderr.count("[adopted-in-part]")) == (0, 2), adopted.stderr
    answer = robotrain("resubmit", folder.name, "--new", "--dry-run")
    answer.check_problems(3, "not-on-this-machine hub_token_file", "not-on-this-machine secrets")
    own = ("--set", f"secrets.MINE={folder.parent}/secret", "--set", "hub_token_file=none")
    answer = robotrain("resubmit", folder.name, "--new", *own, "--dry-run", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert "STOLEN" not in answer.stdout
