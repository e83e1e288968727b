"""Whatever a person types, the job that Azure ML and the container read is the one that was meant."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import azureml_plans
import pytest
import yaml
from azureml_plans import blobs, job, read_yaml, source
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pair_texts import has_pairs, is_declared
from robotrain.errors import select_errors
from robotrain.model.job import Job
from robotrain.model.plan import Plan
from robotrain_azureml.platform import AZUREML
from robotrain_azureml.settings import AzureMLSettings
from robotrain_azureml.spec import command_job
from robotrain_runtime.contract.parameter import parse_pairs

TEMPLATES = """${{inputs.x}} ${{outputs.checkpoints}} ${{name}} ${{ {x} {inputs.x} {{x}} ${HOME} $(HOME) $$ `id` ;ls"""
YAML = """yes null 2026-01-01 0x1f 1e5 1_0 1:30 .5 NaN !!python/object:os.system !tag &a *a --- ... | > ? : - @ [ ]"""
BLANKS = ("", " ", "\n", "\r\n", "\t", "\x85", "\u2028", "\ufeff", "\x00")
OTHERS = ("'", '"', "\\", "é", "☃😀", "- x", " #", "# x", "a: b", "a=b", "-p", "~", "x:", "azureml:x:1", "../..")
NASTY = (*TEMPLATES.split(), *YAML.split(), *BLANKS, *OTHERS)
WORDS = st.sampled_from(NASTY) | st.text(max_size=6) | st.sampled_from(["a", "mine", "x.y/z", "1", "8g", "2h", "a b"])
TEXT = st.lists(WORDS, max_size=3).map("".join)
SETTINGS = (
    *("compute", "instance_type", "image", "environment_name", "environment_version", "display_name", "exec_timeout"),
    *("shm_size", "datastore", "hf_credential", "key_vault", "workload_identity", "subscription_id"),
    *("resource_group", "workspace_name", "aks_cluster"),
)
GOOD: dict[str, Any] = {
    "compute_kind": [None, "kubernetes", "managed"],
    "instance_type": [None, None, "mine", "gpu"],
    "labels": [None, "team=arms", "on=off,a b=1:30", "x=#,y=- z,z=é"],
    "display_name": [None, "LeRobot: a #1", "yes", "it's"],
    "exec_timeout": [None, "12h", "1s"],
    "output_mode": ["upload", "rw_mount"],
    "resource_group": ["rg(x)", "größe", "rg-tf"],
    "hf_credential": [None, "hf", "https://robots.vault.azure.net/secrets/hf"],
    "key_vault": [None, "robots"],
    "environment_version": [None, "1.0", "0"],
    "compute": [None, "mine", "on", "no"],
    "datastore": ["workspaceblobstore", "mine", "null"],
    "workload_identity": [None, "11111111-2222-3333-4444-555555555555"],
}
SCOPES = (
    "registries/r",
    "locations/l/workspaces/w",
    "subscriptions/S/resourcegroups/g(1)/workspaces/w",
    "subscriptions/S/resourcegroups/g/providers/Microsoft.MachineLearningServices/workspaces/w",
)
BLOB_TAILS = ["a", "a b", "é", "$(x)", "$$(x)$$", "${{x}}", "a%b", "#!", "[x]", "a,b", "a: b", "- a", "☃😀", "o'b", '"']
COMMAND = {"code": "code", "command": "/bin/sh python.sh -I start.py"}


def asset_names(kind: str, folder: str, role: str) -> st.SearchStrategy[Any]:
    """A name of the workspace's, or one with its scope."""
    name = st.sampled_from(["a", "A.b-c_d", "_x", "1", "on", "null", "1e3"])
    short = st.builds(lambda name, version: f"azureml:{name}:{version}", name, st.integers(0, 999))
    long = st.builds(
        lambda scope, name, version: f"azureml://{scope}/{folder}/{name}/versions/{version}",
        st.sampled_from(SCOPES),
        name,
        st.integers(0, 999_999_999),
    )
    return (short | long).map(lambda uri: source(kind, uri, role))


DATASETS = st.one_of(
    asset_names("data_asset", "data", "dataset"),
    st.sampled_from(BLOB_TAILS).map(lambda tail: blobs(f"https://account1.blob.core.windows.net/train/{tail}")[0]),
    st.builds(
        lambda name, pin: source("local_path", f"/data/{name}", pin=pin),
        TEXT,
        st.sampled_from(["", azureml_plans.PINNED]),
    ),
    st.just(source("huggingface", "lerobot/pusht")),
)
POLICIES = st.one_of(
    st.none(),
    asset_names("model_asset", "models", "policy"),
    asset_names("model_asset", "models", "init_policy"),
    st.sampled_from(BLOB_TAILS).map(
        lambda tail: source("blob_url", f"https://account1.blob.core.windows.net/mox/{tail}", "init_policy")
    ),
    TEXT.map(lambda name: source("local_path", f"/c/{name}", "resume")),
)


@st.composite
def jobs(draw: st.DrawFn) -> tuple[Job, AzureMLSettings]:
    """A job as core hands it on: sources that their own kinds took, everything else as it may be typed."""
    sources = draw(st.lists(DATASETS, min_size=1, max_size=4))
    policy = draw(POLICIES)
    parameters = {
        "job_name": draw(TEXT),
        "experiment_name": draw(st.none() | st.sampled_from(["mine", "on", "15"]) | TEXT),
        "output_dir": draw(st.none() | TEXT),
        "publish_url": draw(st.none() | st.just(azureml_plans.ONE)),
        "num_gpus": draw(st.sampled_from([1, 1, 2, 4])),
    }
    good = {name: draw(st.sampled_from(values)) for name, values in GOOD.items() if draw(st.booleans())}
    wild: dict[str, Any] = {}
    if draw(st.integers(0, 2)) == 0:
        wild[draw(st.sampled_from(SETTINGS))] = draw(TEXT)
        wild |= draw(st.dictionaries(st.just("labels"), TEXT.filter(has_pairs), max_size=1))
    given_job = job(
        *sources, *([policy] if policy else []), trainer_args=tuple(draw(st.lists(TEXT, max_size=2))), **parameters
    )
    return given_job, azureml_plans.settings(**good | wild)


def check_render(of: Job, settings: AzureMLSettings) -> Plan | None:
    """The plan of a job, which says what was meant; None if the job is refused."""
    if not is_declared(settings) or select_errors(AZUREML.plans.check(of, settings)):
        return None
    made = AZUREML.plans.render(of, settings, of.run_name(1), azureml_plans.payload(), azureml_plans.PLUGIN_MODULES)
    content = made.files["job.yaml"].decode()
    spec = read_yaml(content)
    assert {name: spec[name] for name in COMMAND} == COMMAND
    (output,) = spec["outputs"].values()
    assert (content.count("${{"), output["path"].count("${{name}}")) == (1, 1)
    path, output["path"] = output["path"], command_job.Expression(output["path"])
    assert command_job.dump_yaml(spec) == content
    output["path"] = path
    assert read_yaml(yaml.dump(spec, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper))) == spec
    assert_unchanged(of, settings, made, spec)
    return made


def assert_unchanged(of: Job, settings: AzureMLSettings, made: Plan, spec: Mapping[str, Any]) -> None:
    """The container reads the job that was meant, and nothing that a person typed is a value of another kind."""
    document = azureml_plans.read_document(made)
    assert (document.parameters, document.sources, document.trainer_args) == (
        dict(of.parameters),
        of.sources,
        of.trainer_args,
    )
    assert spec["display_name"] == (settings.display_name or spec["name"])
    own = {"robotrain.run": made.run, "robotrain.job": of.digest}
    assert spec["tags"] == own | parse_pairs(settings.labels)
    environment = spec["environment_variables"]
    assert all(isinstance(text, str) and "$(" not in text and "$$" not in text for text in environment.values())
    assert {name: environment[name] for name in document.placement.promised} == document.placement.promised
    assert json.loads(environment.get("BLOB_URLS", "[]")) == uris(of, "blob_url")
    assert json.loads(environment.get("DATASET_ASSETS", "[]")) == uris(of, "data_asset")
    mounted = [mount.folder for mount in document.placement.mounts]
    assert mounted == [f"${{AZURE_ML_INPUT_{name}}}" for name in spec.get("inputs", {})]
    assert environment["AZURE_RESOURCE_GROUP"] == settings.resource_group


def uris(of: Job, kind: str) -> list[str]:
    return [source.uri for source in of.sources if (source.role, source.kind) == ("dataset", kind)]


QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]


@given(jobs())
@hypothesis_settings(max_examples=20, suppress_health_check=QUIET)
def test_a_job_is_refused_or_reads_as_it_was_meant(case: tuple[Job, AzureMLSettings]) -> None:
    check_render(*case)


@given(st.dictionaries(TEXT, TEXT, min_size=1, max_size=4))
@hypothesis_settings(max_examples=20, suppress_health_check=QUIET)
def test_any_text_is_read_back_or_is_never_written(values: dict[str, str]) -> None:
    for spec in (values, {"environment_variables": values, "number": 7}, {"x": {"y": values}}):
        try:
            written = command_job.dump_yaml(spec)
        except command_job.ExpressionError:
            assert "${{" in json.dumps(spec)
        else:
            assert read_yaml(written) == spec
            assert written.isascii()


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_sdk_reads_some_hundred_of_them_as_we_do(tmp_path: Path) -> None:
    from azure.ai.ml import load_job

    (tmp_path / "code").mkdir()
    seen = 0

    @given(jobs())
    @hypothesis_settings(max_examples=600, suppress_health_check=QUIET, database=None, deadline=None)
    def each(case: tuple[Job, AzureMLSettings]) -> None:
        nonlocal seen
        made = check_render(*case)
        if made is None:
            return
        (tmp_path / "job.yaml").write_bytes(made.files["job.yaml"])
        spec = azureml_plans.read_spec(made)
        sent = load_job(tmp_path / "job.yaml")._to_job()._to_rest_object().as_dict()["properties"]
        assert sent["command"] == COMMAND["command"]
        assert (sent["environmentVariables"], sent["tags"]) == (spec["environment_variables"], spec["tags"])
        assert (sent.get("displayName"), sent["experimentName"]) == (spec.get("display_name"), spec["experiment_name"])
        assert list(sent.get("inputs", {})) == list(spec.get("inputs", {}))
        seen += 1

    each()
    assert seen > 150
