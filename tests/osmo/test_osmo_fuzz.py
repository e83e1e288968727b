"""For any values, the workflow that OSMO reads after its renders has the same content as the plan."""

import functools
import os
from typing import Any

import osmo_plans
import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from osmo_plans import blobs, job, read_yaml, render_plan, source
from osmo_stand_in.service import spec, submission
from pair_texts import has_pairs, is_declared
from robotrain.errors import select_errors
from robotrain.model.job import Job
from robotrain.model.plan import Plan
from robotrain_osmo.platform import OSMO
from robotrain_osmo.settings import OsmoSettings
from robotrain_osmo.spec import workflow
from robotrain_runtime.contract import document
from robotrain_workloads.lerobot_eval.workload import LEROBOT_EVAL
from robotrain_workloads.lerobot_train.workload import LEROBOT_TRAIN

TEMPLATES = """{{x}} {{workflow_id}} {{input:0}} {%raw%} {#c#} { } {{ }} ${HOME} $(HOME) $$ `id`"""
YAML = (
    """yes null 2026-01-01 0x1f 1e5 NaN !!python/object:os.system !tag &a *a --- ... workflow: %YAML | > ? : - @ [ ]"""
)
BLANKS = ("", " ", "\n", "\r\n", "\t", "\x85", "\u2028", "\ufeff")
OTHERS = ("'", '"', "\\", "é", "☃😀", "- x", " #", "a=b", "-p", "~", "\x00archive\x00")
NASTY = (*TEMPLATES.split(), *YAML.split(), *BLANKS, *OTHERS)
WORDS = (
    st.sampled_from(NASTY) | st.text(max_size=6) | st.sampled_from(["a", "acc", "s3://robots/runs", "1", "48Gi", "2h"])
)
TEXT = st.lists(WORDS, max_size=3).map("".join)
SETTINGS = (
    *("pool", "gpu_platform", "memory", "storage", "image", "exec_timeout", "queue_timeout", "dataset_bucket"),
    *("tracking_uri", "hf_credential", "wandb_credential", "blob_credential", "storage_container"),
    *("subscription_id", "resource_group", "workspace_name", "workload_identity"),
)
IMAGES = {"lerobot-train": LEROBOT_TRAIN.profile.container.image, "lerobot-eval": LEROBOT_EVAL.profile.container.image}
GOOD: dict[str, Any] = {
    "gpus": [None, 2, 4],
    "server": ["6.0", "6.3", "6.4"],
    "priority": [None, "HIGH"],
    "shared_memory": [None, "mount", "none"],
    "labels": [None, "team=arms", "a=b,c=d"],
    "buckets": [None, "mine=s3://robots/data"],
    "hf_credential": [None, "hf_token"],
    "blob_credential": [None, "store:key"],
    "tracking_uri": ["none", "https://mlflow.example"],
    "resource_group": [None, "rg(x)"],
    "queue_timeout": [None, "4h"],
}


@st.composite
def jobs(draw: st.DrawFn) -> tuple[Job, OsmoSettings]:
    """A job as core resolves it: sources that their kinds accept, and any other values."""
    parameters = {
        "job_name": draw(TEXT),
        "experiment_name": draw(st.none() | TEXT),
        "output_dir": draw(st.sampled_from([None, None, "/outputs", "mine"]) | TEXT),
        "publish_url": draw(st.none() | st.sampled_from(["s3://robots/runs", osmo_plans.ONE, "azure://acc/runs/x"])),
    }
    result = draw(st.one_of(trainings(parameters), trainings(parameters), evaluations(parameters)))
    good = {name: draw(st.sampled_from(values)) for name, values in GOOD.items() if draw(st.booleans())}
    wild = {}
    if draw(st.integers(0, 2)) == 0:
        wild[draw(st.sampled_from(SETTINGS))] = draw(TEXT.filter(lambda text: "\x00" not in text))
        wild |= draw(st.dictionaries(st.sampled_from(["labels", "buckets"]), TEXT.filter(has_pairs), max_size=1))
    chosen = {"storage_account": "acc"} | good | wild
    if chosen.get("server") not in (None, "6.4"):
        chosen["labels"] = None  # OSMO itself says that it has none
    return result, osmo_plans.settings(**chosen)


@st.composite
def trainings(draw: st.DrawFn, parameters: dict[str, Any]) -> Job:
    sources = draw(st.lists(sources_of, min_size=1, max_size=4))
    own = {"wandb": draw(st.booleans()), "num_gpus": draw(st.sampled_from([1, 1, 2]))}
    return job(*sources, trainer_args=tuple(draw(st.lists(TEXT, max_size=2))), **parameters, **own)


@st.composite
def evaluations(draw: st.DrawFn, parameters: dict[str, Any]) -> Job:
    own = {"starts": draw(st.none() | TEXT), "register_model": draw(st.none() | st.just("pusht") | TEXT)}
    return osmo_plans.evaluation(
        draw(POLICIES),
        *draw(st.lists(sources_of.filter(lambda source: source.role == "dataset"), max_size=2)),
        **parameters,
        **own,
    )


POLICIES = st.sampled_from(
    [
        source("huggingface", "lerobot/act_pusht", "policy"),
        source("blob_url", osmo_plans.ONE, "policy"),
        source("model_asset", "azureml:pusht:7", "policy"),
        source("registered_model", "pusht:7", "policy"),
        source("local_path", "/data/$(policy) {{x}}", "policy", osmo_plans.PINNED),
    ]
)
sources_of = st.one_of(
    st.builds(functools.partial(source, "huggingface"), st.just("lerobot/pusht")),
    st.builds(
        lambda tail: blobs(f"https://account1.blob.core.windows.net/train/{tail}")[0],
        st.sampled_from(["a", "a b", "é", "$(x)", "$$(x)$$", "a%b", "#!", "[x]", "a,b", "a: b", "- a", "☃😀"]),
    ),
    st.builds(
        lambda name, pin: source("local_path", f"/data/{name}", pin=pin), TEXT, st.sampled_from(["", osmo_plans.PINNED])
    ),
    st.builds(
        functools.partial(source, "osmo_storage", role="resume"), st.just("s3://robots/runs/a-1/checkpoints/000400")
    ),
    st.builds(functools.partial(source, "osmo_dataset"), st.sampled_from(["pusht", "mine/pusht", "pusht:3", "a_b/c"])),
)


def renders(text: str) -> str:
    """Render as OSMO does: a section is taken out, its own tokens are kept, the rest is a template."""
    return submission.render(submission.find_workflow(text, (6, 4, 0)))


def check_render(of: Job, settings: OsmoSettings) -> bool:
    """Whether the job can be rendered."""
    if not is_declared(settings) or select_errors(OSMO.plans.check(of, settings)):
        return False
    made = OSMO.plans.render(of, settings, of.run_name(1), osmo_plans.payload(), osmo_plans.PLUGIN_MODULES)
    text = made.files["workflow.yaml"].decode()
    meant = read_yaml(text)
    for _ in range(4):  # the command's, the service's, and those of a restart; it writes the YAML anew in between
        text = yaml.dump(read_yaml(renders(text)), Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper))
        assert read_yaml(text) == meant
    version = tuple(int(part) for part in f"{settings.server}.0".split("."))
    assert spec.read_workflow(meant, version).name == made.run  # type: ignore[arg-type]
    assert_unchanged(of, settings, made, meant["workflow"]["tasks"][0])
    return True


def assert_unchanged(of: Job, settings: OsmoSettings, made: Plan, task: dict[str, Any]) -> None:
    """Require that the container reads the same job, and that no text becomes a value of another type."""
    (file,) = task["files"]
    parsed = document.parse_document(osmo_plans.unpack_archive(file["contents"])["job.json"].decode())
    expected = dict(of.parameters) | ({"publish_url": None} if "checkpoint" in task else {})
    assert (parsed.parameters, parsed.sources, parsed.trainer_args) == (expected, of.sources, of.trainer_args)
    assert parsed.run == made.run
    assert task["environment"].get("BLOB_URLS") == parsed.placement.promised.get("BLOB_URLS")
    assert task["image"] == (settings.image or IMAGES[of.workload])
    assert all(isinstance(text, str) for text in (*task["environment"].values(), *task["command"]))


QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]


@given(jobs())
@hypothesis_settings(max_examples=8, suppress_health_check=QUIET)
def test_any_job_is_refused_or_reads_the_same_after_every_render(case: tuple[Job, OsmoSettings]) -> None:
    check_render(*case)


@pytest.mark.slow
@pytest.mark.long
def test_thousands_of_jobs_are_refused_or_read_the_same() -> None:
    count = {"made": 0, "refused": 0}
    most = int(os.environ.get("ROBOTRAIN_TEST_FUZZED", "2000"))

    @given(jobs())
    @hypothesis_settings(max_examples=most, suppress_health_check=QUIET, database=None)
    def each(case: tuple[Job, OsmoSettings]) -> None:
        count["made" if check_render(*case) else "refused"] += 1

    each()
    print(count)
    assert count["made"] > 0.25 * most
    assert count["refused"] > 0.2 * most


def test_largest_workflow_is_rendered_in_time() -> None:
    made = render_plan(job(), packed=osmo_plans.payload(700 << 10))
    text = made.files["workflow.yaml"].decode()
    assert workflow.LARGE_WORKFLOW_BYTES < len(text) < workflow.MAX_WORKFLOW_BYTES
    assert read_yaml(renders(text)) == read_yaml(text)
