"""Secrets of a job's program: key vault secrets by name or address, which the job reads itself."""

import io
import json
import subprocess
import zipfile

import pytest
from azure_stand_in.ml.fixtures import vault, vault_session
from azureml_plans import find_codes, find_problems, job, read_placement, render_plan, settings
from robotrain.errors import Problem, format_problem
from robotrain.submission.packing import pack_modules
from robotrain_azureml.platform import AZUREML

__all__ = ["vault", "vault_session"]

OTHER = "https://other.vault.azure.net/secrets/x"
TOKEN = "hf_abcdefghijklmnopqrstuvwxyz0123"


def find_problem(code: str, **overrides: object) -> Problem:
    (problem,) = [problem for problem in find_problems(job(), **overrides) if problem.code == code]
    return problem


def test_plan_has_addresses_and_no_variable_of_the_job_names_a_secret() -> None:
    made = render_plan(job(), secrets=json.dumps({"API_TOKEN": "api", "OTHER": OTHER}), key_vault="Robots")
    address = "https://robots.vault.azure.net/secrets/api"
    assert read_placement(made).secrets == {"API_TOKEN": address, "OTHER": OTHER}
    assert "API_TOKEN" not in made.files["job.yaml"].decode()


def test_webhook_of_a_run_is_a_secret_of_the_vault_like_any_other() -> None:
    made = render_plan(job(), secrets='{"ROBOTRAIN_NOTIFY": "webhook"}', key_vault="robots")
    address = "https://robots.vault.azure.net/secrets/webhook"
    assert read_placement(made).secrets == {"ROBOTRAIN_NOTIFY": address}
    assert not read_placement(made).tells_end


def test_plugin_that_reads_key_vaults_is_sent_with_such_jobs_only() -> None:
    platform = AZUREML.plans
    plugin = platform.container_plugins(job(), settings(secrets='{"API_TOKEN": "api"}'))["secrets.key_vault"]
    with zipfile.ZipFile(io.BytesIO(pack_modules([plugin]).archive)) as packed:
        files = {"robotrain_sources/fetching/named_secret.py", "robotrain_runtime/data_environment/locks/data.txt"}
        assert files <= set(packed.namelist())
    assert "secrets.key_vault" not in platform.container_plugins(job(), settings())


@pytest.mark.parametrize(
    "reference", [TOKEN, "a_b", "", "http://robots.vault.azure.net/secrets/a", "0123456789abcdef" * 2]
)
def test_what_names_no_secret_is_refused_and_not_shown(reference: str) -> None:
    overrides = {"secrets": json.dumps({"API_TOKEN": reference}), "key_vault": "robots"}
    problem = find_problem("secret-reference-invalid", **overrides)
    assert problem.where == "--secret API_TOKEN"
    assert not reference or reference not in format_problem(problem)


@pytest.mark.parametrize("name", ["AZUREML_RUN_ID", "AZURE_AUTHORITY_HOST", "AZURE_SUBSCRIPTION_ID", "MLFLOW_RUN_ID"])
def test_variable_that_the_platform_sets_is_no_secret(name: str) -> None:
    assert find_codes(job(), secrets=json.dumps({name: "x"}), key_vault="robots") == {"variable-invalid"}


def test_name_needs_a_vault_and_an_address_does_not() -> None:
    problem = find_problem("value-missing", secrets='{"API_TOKEN": "api"}')
    assert problem.suggestions[0].text == "--key-vault NAME"
    assert "--secret API_TOKEN" in problem.title
    assert find_codes(job(), secrets=json.dumps({"API_TOKEN": OTHER})) == set()


@pytest.mark.slow  # builds two environments
@pytest.mark.long
def test_program_on_a_compute_gets_what_the_identity_of_its_job_may_read(cluster, machine, vault, command) -> None:
    vault.put("api", "correct-horse-battery")
    words = ("command", "--platform", "azureml", "--secret", "API_TOKEN=api", "--key-vault", "robots", "--json")

    def run(*more: str):
        show = ("bash", "-c", "echo value $API_TOKEN ${#API_TOKEN}")
        done = subprocess.run([*command, "submit", *words, *more, "--", *show], capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        job = cluster.jobs[json.loads(done.stdout)["reference"]["job"]]
        return machine.wait(job.name), "\n".join(job.read_log()), json.dumps(job.body)

    state, log, body = run()
    assert (state, "value <redacted> 21" in log) == ("Completed", True), log
    assert "correct-horse-battery" not in log + body
    vault.readers = set()
    state, log, _ = run("--new")
    assert (state, "Key Vault Secrets User" in log, "value <" in log) == ("Failed", True, False), log
