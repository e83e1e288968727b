"""One job on every platform is one job: the same document but for what the platform says of itself."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml
from parity_command import DATASET, ON, PLATFORMS, platform_words
from parity_document import Arrived
from robotrain.plugins.manager import get_plugins
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.parameter import get_parameters

A_PLATFORMS_OWN = ("platform", "placement", "record")
OWN_PLUGINS = ("tracking.", "platform.")
PLATFORM_SETTINGS = {
    platform: {flag[2:].replace("-", "_"): value for flag, value in options.items()} for platform, options in ON.items()
}
ACCOUNT = "https://account1.blob.core.windows.net/train"
TRAINING = {
    "workload": "lerobot-train",
    "sources": {
        "dataset": [{"blob_url": f"{ACCOUNT}/b"}, {"blob_url": f"{ACCOUNT}/a"}],
        "init_policy": [{"blob_url": f"{ACCOUNT}/policy"}],
    },
    "parameters": {
        **{"policy_type": "diffusion", "training_steps": 500, "learning_rate": "3e-4", "num_workers": 1},
        **{"job_name": "one job", "experiment_name": "three-platforms", "eval_freq": 50, "system_metrics": False},
        **{"register_checkpoint": "an_arm", "publish_url": f"{ACCOUNT}/runs"},
    },
    "trainer_args": ["--policy.horizon=16", "--policy.down_dims=[64, 128]"],
    "platforms": PLATFORM_SETTINGS,
}
EVALUATION = {
    "workload": "lerobot-eval",
    "sources": {
        "dataset": [{"blob_url": f"{ACCOUNT}/b"}, {"blob_url": f"{ACCOUNT}/a"}],
        "policy": [{"blob_url": f"{ACCOUNT}/policy"}],
    },
    "parameters": {
        **{"env": "pusht", "eval_episodes": 20, "success_reward": "0.95", "success_threshold": "0.5", "starts": "easy"},
        **{"job_name": "one job", "experiment_name": "three-platforms", "replay_episodes": "0-3", "env_workers": 2},
        **{"system_metrics": False, "register_model": "an_arm", "publish_url": f"{ACCOUNT}/runs"},
    },
    "trainer_args": ["--policy.n_action_steps=4", "--env.observation_height=96"],
    "platforms": PLATFORM_SETTINGS,
}
"""With a section for each platform."""
FLAGS = {"dataset": "--blob-url", "init_policy": "--init-from-policy-model", "policy": "--policy-url"}
NUMBERS = {"learning_rate": 3e-4, "success_reward": 0.95, "success_threshold": 0.5}


def shared_part(document: JobDocument) -> dict[str, Any]:
    """Without what a platform says of itself: where it is, what knows its tracking, and its own program on a node."""
    values = {name: value for name, value in dataclasses.asdict(document).items() if name not in A_PLATFORMS_OWN}
    return {
        **values,
        "container_plugins": {
            name: half for name, half in document.container_plugins.items() if not name.startswith(OWN_PLUGINS)
        },
    }


@pytest.fixture(params=[TRAINING, EVALUATION], ids=["training", "evaluation"])
def job(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(request.param)


@pytest.fixture
def rendered_everywhere(
    render_job, rendered_before: dict[tuple[str, ...], Arrived], job: dict[str, Any]
) -> dict[str, Arrived]:
    """What arrives of the one file on each platform; rendered once."""
    Path("job.yaml").write_text(yaml.safe_dump(job, sort_keys=False))
    for platform in PLATFORMS:
        if (job["workload"], platform) not in rendered_before:
            rendered_before[job["workload"], platform] = render_job(
                platform, "job.yaml", given=dict.fromkeys(ON[platform])
            )
    return {platform: rendered_before[job["workload"], platform] for platform in PLATFORMS}


def test_job_file_is_the_same_job_on_every_platform(rendered_everywhere: dict[str, Arrived]) -> None:
    first, *others = rendered_everywhere.values()
    assert {plan.document.platform for plan in rendered_everywhere.values()} == set(PLATFORMS)
    for other in others:
        assert shared_part(other.document) == shared_part(first.document)
        assert (other.run, other.document.job) == (first.run, first.document.job)


def test_values_of_the_job_file_reach_the_runtime(rendered_everywhere: dict[str, Arrived], job: dict[str, Any]) -> None:
    document = rendered_everywhere["osmo"].document
    values = {name: NUMBERS.get(name, value) for name, value in job["parameters"].items()}
    assert {name: document.parameters[name] for name in values} == values
    assert list(document.trainer_args) == job["trainer_args"]
    assert [source.uri[-1] for source in document.sources if source.role == "dataset"] == ["b", "a"]


def test_a_training_knows_what_gives_it_more_cores(rendered_everywhere: dict[str, Arrived]) -> None:
    for name, plan in rendered_everywhere.items():
        option = plan.document.placement.cores_option
        settings = get_parameters(get_plugins().platform(name).settings)
        flags = {flag for parameter in settings for flag in parameter.flags}
        assert bool(option) == (name != "local")  # which has the cores of this machine
        assert not option or option.partition(" ")[0] in flags


def test_options_are_equal_to_the_job_file(
    render_job, rendered_everywhere: dict[str, Arrived], job: dict[str, Any]
) -> None:
    values = {**job["parameters"]}
    words = ["--no-system-metrics"] if values.pop("system_metrics") is False else []
    words += [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]
    words += [
        word
        for role, sources in job["sources"].items()
        for source in sources
        for word in (FLAGS[role], source["blob_url"])
    ]
    for platform in PLATFORMS:
        plan = render_job(platform, job["workload"], *words, after=tuple(job["trainer_args"]))
        assert (plan.document, plan.digest) == (
            rendered_everywhere[platform].document,
            rendered_everywhere[platform].digest,
        )


def test_defaults_of_a_platform_are_explained(robotrain, render_job) -> None:
    usual = render_job("local", *DATASET).document.parameters
    for platform in PLATFORMS:
        parameters = render_job(platform, *DATASET).document.parameters
        other = {name for name, value in parameters.items() if value != usual[name]}
        answer = robotrain(
            "--no-plugins", "explain", "--platform", platform, *DATASET, *platform_words(platform)[2:], "--json"
        )
        values = {row["name"] for row in answer.json["values"] if row["origin"].startswith(f"platform {platform}: ")}
        assert other <= values
