"""Sources that nobody gives: a policy names a backbone that it does not contain, and the job brings it, pinned."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure_stand_in.http_server import Fault
from fake_engine import count_submissions, set_run_state
from hub_stand_in import HubStandIn
from robotrain.pipelines import progress
from robotrain.store import stored_job

WORKLOAD = """
from dataclasses import dataclass
from typing import Annotated
from robotrain.plugin import Metric, Param, Role, Workload, WorkloadProfile, hook

@dataclass(frozen=True, kw_only=True)
class Parameters:
    head: Annotated[str, Param(help="the policy type")] = "plain"
    steps: Annotated[int, Param(help="how long")] = 5

@hook
def robotrain_workloads():
    roles = {"policy": Role(takes="checkpoints"), "backbone": Role(many=True)}
    profile = WorkloadProfile(metrics=(Metric(name="train/loss", kind="loss", better="lower"),))
    declare = lambda name, makes: Workload(name=name, summary="", parameters=Parameters, roles=roles, produces=makes,
        profile=profile,
        container_plugin="arm_half", implies_sources=lambda job: job["head"] != "plain")
    return [declare("arm", "checkpoints"), declare("arm-eval", "results")]
"""
CONTAINER_PLUGIN = """
import json
from pathlib import Path

ENVIRONMENT = None
DESCRIBED = {"policy": ("config.json",)}

def list_names(document, described):
    if document.parameters["head"] == "broken":
        raise ValueError("no such head")
    names = [document.parameters["head"]] if "/" in document.parameters["head"] else []
    for folder in described.values():
        if (folder / "config.json").is_file():
            names += json.loads((folder / "config.json").read_text()).get("names", [])
    return names

def implied_sources(document, described):
    names = list_names(document, described)
    given = [source.uri.partition("@")[0] for source in document.sources if source.role == "backbone"]
    return {"backbone": [one for one in names if not any(uri.endswith(one) for uri in given)]}

def describe_output(document, described, folder):
    (folder / "config.json").write_text(json.dumps({"names": list_names(document, described)}))
"""
JOB = ("arm", "--platform", "fake")


@pytest.fixture
def hub(install, fake_platform, monkeypatch, tmp_path) -> Iterator[HubStandIn]:
    """A Hub with the policy lab/arm, which names the backbone org/vlm, and the tokenizer org/words."""
    claims = {"workload.arm": "arm_workload", "workload.arm-eval": "arm_workload"}
    install("robotrain-arm", claims, arm_workload=WORKLOAD, arm_half=CONTAINER_PLUGIN)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with HubStandIn() as stand_in:
        stand_in.repository("lab/arm", {"config.json": json.dumps({"names": ["org/vlm"]}).encode()})
        stand_in.repository("org/vlm", {"config.json": b"{}"})
        stand_in.repository("org/words", {"tokenizer.json": b"{}"})
        monkeypatch.setenv("HF_ENDPOINT", stand_in.address)
        yield stand_in


@pytest.fixture
def submit(robotrain, hub):
    """Submit a job of the workload; return the answer and, if it was sent, the sources of its document."""

    def submit(*words, command=("submit", *JOB)):
        answer = robotrain(*command, *words)
        run = answer.stdout.strip()
        return answer, read_sources(run) if answer.exit_code == 0 else []

    return submit


def read_sources(run: str) -> list[tuple[str, str, str, bool]]:
    sources = json.loads((stored_job.get_plan_folder(run) / "job.json").read_text())["sources"]
    return [(source["role"], source["uri"], source["pin"], source.get("implied", False)) for source in sources]


def get_commit(hub: HubStandIn, name: str) -> str:
    return hub.repositories[f"models/{name}"].branches["main"]


def test_a_backbone_that_a_policy_of_the_hub_names_is_pinned_with_it(submit, hub):
    answer, sources = submit("--head", "vla", "--policy-repo-id", "lab/arm")
    answer.check(0)
    assert sources == [
        ("policy", "lab/arm", get_commit(hub, "lab/arm"), False),
        ("backbone", "org/vlm", get_commit(hub, "org/vlm"), True),
    ]
    read = [request for request in hub.requests if request.startswith("GET ") and "/resolve/" in request]
    assert len(read) == 1, "the file that names it is read once"
    rows = {row["name"]: row for row in stored_job.read_stored_values(answer.stdout.strip())}
    assert (rows["backbone"]["value"], rows["backbone"]["origin"]) == ("huggingface org/vlm", "implied by the job")


def test_a_job_that_implies_nothing_asks_for_nothing(submit, hub):
    _, sources = submit("--policy-repo-id", "lab/arm")
    assert [source[:2] for source in sources] == [("policy", "lab/arm")]
    assert not [request for request in hub.requests if "/resolve/" in request and "config.json" not in request]
    assert "vlm" not in "".join(hub.requests)


def test_an_implied_source_is_not_part_of_the_identity_of_a_job(robotrain, hub, tmp_path):
    folder = make_policy(tmp_path / "arm", "org/vlm")
    run = robotrain("render", *JOB, "--head", "vla", "--policy-path", folder, "--json").json
    (folder / "config.json").write_text(json.dumps({"names": ["org/vlm", "org/words"]}))
    other = robotrain("render", *JOB, "--head", "vla", "--policy-path", folder, "--json").json
    texts = [plan["files"]["job.json"]["text"] for plan in (run, other)]
    assert [text.count('"implied": true') for text in texts] == [1, 2]
    assert run["run"] == other["run"]


def make_policy(folder: Path, *names: str) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"names": names}))
    (folder / "model.safetensors").write_bytes(b"")
    return folder


def test_explain_shows_what_a_policy_of_this_machine_implies_and_a_job_file_does_not_repeat_it(
    robotrain, hub, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    words = ("--head", "vla", "--policy-path", make_policy(tmp_path / "arm", "org/vlm"))
    rows = {row["name"]: row for row in robotrain("explain", *JOB, *words, "--json").json["values"]}
    assert (rows["backbone"]["value"], rows["backbone"]["origin"]) == ("huggingface org/vlm", "implied by the job")
    assert hub.requests == []
    assert robotrain("submit", *JOB, *words, "--save-as", "job.yaml", "--dry-run").exit_code == 0
    assert "backbone" not in (tmp_path / "job.yaml").read_text()


def test_a_given_backbone_stands_for_the_implied_one(submit, hub, tmp_path):
    copy = tmp_path / "org/vlm"
    copy.mkdir(parents=True)
    (copy / "config.json").write_text("{}")
    _, sources = submit("--head", "org/words", "--policy-repo-id", "lab/arm", "--backbone-path", copy)
    assert [(role, uri, implied) for role, uri, _, implied in sources] == [
        ("policy", "lab/arm", False),
        ("backbone", str(copy), False),
        ("backbone", "org/words", True),
    ]
    _, sources = submit("--head", "vla", "--policy-repo-id", "lab/arm", "--backbone-repo-id", "org/vlm@main")
    assert [source[1::2] for source in sources] == [("lab/arm", False), ("org/vlm@main", False)]


def test_a_backbone_is_given_by_a_job_file_and_by_a_variable(submit, hub, tmp_path, monkeypatch):
    (tmp_path / "job.yaml").write_text("workload: arm\nsources:\n  backbone:\n    - huggingface: org/words\n")
    _, sources = submit(command=("submit", tmp_path / "job.yaml", "--platform", "fake"))
    assert [source[:2] for source in sources] == [("backbone", "org/words")]
    monkeypatch.setenv("ROBOTRAIN_BACKBONE_REPO_ID", '["org/vlm", "org/words"]')
    _, sources = submit()
    assert [source[1] for source in sources] == ["org/vlm", "org/words"]


def test_a_backbone_that_is_not_open_stops_the_submit(submit, hub, fake_platform, monkeypatch):
    for shut, token in (("gated", ""), ("private", ""), ("unaccepted", hub.token)):
        hub.repositories["models/org/vlm"].shut = shut
        if token:
            monkeypatch.setenv("HF_TOKEN", token)
        check_backbone_missing(submit)
    del hub.repositories["models/org/vlm"]
    check_backbone_missing(submit)
    assert count_submissions(fake_platform) == {}


def check_backbone_missing(submit):
    answer, _ = submit("--head", "vla", "--policy-repo-id", "lab/arm")
    answer.check_problems(4, "pin-unknown backbone (implied by the job) org/vlm")
    assert answer.stderr.count("org/vlm is gated") <= 1
    assert "--no-pin" not in answer.stderr, "it would not be sent at all"


def test_a_gated_backbone_that_an_option_names_may_be_left_to_the_run(submit, hub, fake_platform):
    hub.repositories["models/org/words"].shut = "gated"
    answer, _ = submit("--head", "org/words")
    answer.check_problems(4, "pin-unknown backbone (implied by the job) org/words")
    assert count_submissions(fake_platform) == {}
    assert submit("--head", "org/words", "--no-pin")[1] == [("backbone", "org/words", "", True)]


def test_a_platform_that_does_not_take_what_a_policy_implies_refuses_it(submit, hub, fake_platform, tmp_path):
    import fake_plugin

    fake_plugin.FAKE.capabilities.sources.pop(("backbone", "huggingface"))
    for words in (("--policy-repo-id", "lab/arm"), ("--policy-path", make_policy(tmp_path / "arm", "org/vlm"))):
        answer, _ = submit("--head", "vla", *words)
        answer.check_problems(3, "source-not-accepted backbone (implied by the job) org/vlm")
    assert count_submissions(fake_platform) == {}


RULE = """
from robotrain.plugin import Problem, Stage, hook

@hook
def robotrain_check(job, platform):
    for source in job.sources:
        if source.uri == "org/vlm":
            yield Problem(code="no-vlm", stage=Stage.CHECK, title="this site has not released org/vlm")
"""


def test_the_rules_of_a_site_hold_for_what_a_policy_implies(submit, hub, install, fake_platform, tmp_path):
    install("robotrain-site", {"site.ours": "site_rule"}, site_rule=RULE)
    for words in (("--policy-repo-id", "lab/arm"), ("--policy-path", make_policy(tmp_path / "arm", "org/vlm"))):
        answer, _ = submit("--head", "vla", *words)
        answer.check_problems(3, "no-vlm")
        assert answer.stderr.count("[no-vlm]") == 1
    assert count_submissions(fake_platform) == {}


def test_a_folder_that_only_a_file_names_is_not_uploaded(submit, robotrain, hub, fake_platform, tmp_path):
    secret = tmp_path / "org/private"
    secret.mkdir(parents=True)
    hub.repositories["models/lab/arm"].commit({"config.json": json.dumps({"names": [str(secret)]}).encode()})
    words = ("--head", "vla", "--policy-repo-id", "lab/arm")
    answer, _ = submit(*words)
    answer.check_problems(3, f"implied-folder backbone {secret}")
    assert count_submissions(fake_platform) == {}
    _, sources = submit(*words, "--backbone-path", secret)
    assert [source[1::2] for source in sources] == [("lab/arm", False), (str(secret), False)]
    here = make_policy(tmp_path / "arm", str(secret))
    words = ("explain", "arm", "--platform", "local", "--head", "vla", "--policy-path", here, "--json")
    rows = {row["name"]: row["value"] for row in robotrain(*words).json["values"]}
    assert rows["backbone"] == f"local_path {secret}", "on this machine it is read in place"


def test_without_pins_the_run_tells_what_is_missing(submit, hub):
    answer, sources = submit("--head", "vla", "--policy-repo-id", "lab/arm", "--no-pin")
    answer.check_problems(0, "implied-sources-unknown")
    assert [source[1] for source in sources] == ["lab/arm"]
    assert hub.requests == []


@pytest.mark.parametrize("silent", ["lab/arm", "org/vlm"])
def test_a_source_that_the_hub_does_not_pin_in_time_is_the_only_problem(submit, hub, monkeypatch, silent):
    monkeypatch.setattr("robotrain_sources.huggingface.pin.REQUEST_SECONDS", 0.3)
    hub.faults.append(Fault(f"GET /api/models/{silent}", stall=True))
    answer, _ = submit("--head", "vla", "--policy-repo-id", "lab/arm", "--json")
    assert [(problem["code"], silent in problem["title"]) for problem in answer.json["problems"]] == [
        ("pin-unknown", True)
    ]


def test_one_refused_request_does_not_end_a_submit(submit, hub, monkeypatch):
    monkeypatch.setattr("robotrain_sources.fetching.errors.RETRY_PAUSE_SECONDS", 0.0)
    for path in ("api/models/lab/arm", "resolve", "api/models/org/vlm"):
        hub.faults.append(Fault(path, status=503, times=1))
    answer, sources = submit("--head", "vla", "--policy-repo-id", "lab/arm")
    answer.check(0)
    assert [source[1] for source in sources] == ["lab/arm", "org/vlm"]


def test_a_hub_that_cannot_be_read_is_left_to_the_run(submit, hub, monkeypatch):
    monkeypatch.setattr("robotrain_sources.huggingface.pin.READ_SECONDS", 0.3)
    hub.faults.append(Fault("resolve", status=500))
    answer, sources = submit("--head", "org/words", "--policy-repo-id", "lab/arm")
    answer.check_problems(0, "implied-sources-unknown", "sources-unread policy")
    assert answer.stderr.count("[sources-unread]") == 1
    assert [source[1] for source in sources] == ["lab/arm", "org/words"]


def test_a_workload_that_fails_to_tell_is_named(submit, hub):
    answer, _ = submit("--head", "broken")
    answer.check_problems(0, "implied-sources-unknown")


def test_a_workload_that_fails_to_tell_is_not_named_beside_errors_of_the_job(install, robotrain, fake_platform):
    problem = "[Problem(code='head-unknown', stage=Stage.CHECK, title='there is no such head')]"
    checked = WORKLOAD.replace("profile=profile,", f"profile=profile, check=lambda job: {problem},")
    checked = checked.replace("Param,", "Param, Problem, Stage,")
    claims = {"workload.arm": "arm_checked", "workload.arm-eval": "arm_checked"}
    install("robotrain-arm", claims, arm_checked=checked, arm_half=CONTAINER_PLUGIN)
    answer = robotrain("render", *JOB, "--head", "broken")
    answer.check_problems(3, "head-unknown")
    assert "implied-sources-unknown" not in answer.stderr


@pytest.mark.parametrize("member", ["implies_sources", "data_packages"])
def test_a_declaration_that_fails_is_a_failure_of_its_plugin(install, robotrain, fake_platform, member):
    broken = WORKLOAD.replace('implies_sources=lambda job: job["head"] != "plain"', f"{member}=lambda job: 1 / 0")
    claims = {"workload.arm": "arm_broken", "workload.arm-eval": "arm_broken"}
    install("robotrain-arm", claims, arm_broken=broken, arm_half=CONTAINER_PLUGIN)
    robotrain("render", *JOB).check_problems(1, "plugin-failed")


@pytest.mark.slow
def test_a_resubmitted_run_keeps_its_pins_until_it_is_pinned_again(submit, hub):
    answer, sources = submit("--head", "vla", "--policy-repo-id", "lab/arm")
    run, first = answer.stdout.strip(), get_commit(hub, "org/vlm")
    hub.repositories["models/org/vlm"].commit({"config.json": b'{"new": 1}'})
    again, new_sources = submit(run, "--new", command=("resubmit",))
    again.check(0)
    assert new_sources == sources
    changed, new_sources = submit(run, "--set", "steps=9", command=("resubmit",))
    assert ("backbone", "org/vlm", first, True) in new_sources
    assert "backbone" not in changed.stderr, "what follows from the rest is no change of its own"
    _, explicit_sources = submit(run, "--set", "sources.backbone.huggingface=org/vlm", command=("resubmit",))
    assert [source for source in explicit_sources if source[0] == "backbone"] == [("backbone", "org/vlm", first, False)]
    _, renewed = submit(run, "--repin", command=("resubmit",))
    assert ("backbone", "org/vlm", get_commit(hub, "org/vlm"), True) in renewed
    _, without = submit(run, "--set", "head=plain", command=("resubmit",))
    assert [source[1] for source in without] == ["lab/arm"]


def test_another_commit_of_the_start_may_name_another_backbone(submit, hub, monkeypatch):
    monkeypatch.setattr("robotrain_sources.fetching.errors.RETRY_PAUSE_SECONDS", 0.0)
    run = submit("--head", "vla", "--policy-repo-id", "lab/arm")[0].stdout.strip()
    hub.repositories["models/lab/arm"].commit({"config.json": json.dumps({"names": ["org/words"]}).encode()})
    _, renewed = submit(run, "--repin", command=("resubmit",))
    assert [source[1] for source in renewed] == ["lab/arm", "org/words"]
    hub.faults.append(Fault("resolve", status=500))
    _, new_sources = submit(renewed and run, "--set", "steps=9", "--no-pin", command=("resubmit",))
    assert [source[1] for source in new_sources] == ["lab/arm", "org/vlm"], "what was known stays while nobody can tell"


def test_what_a_registered_model_implied_stays_with_a_changed_job(submit, hub):
    """Nobody can read its files before the run: what an earlier plan had is all that is known."""
    words = ("--head", "vla", "--backbone-repo-id", "org/words")
    run = submit(*words, "--policy-repo-id", "lab/arm")[0].stdout.strip()
    answer, sources = submit(run, "--set", "sources.policy.registered_model=models:/arm/3", command=("resubmit",))
    answer.check(0)
    assert [source[1] for source in sources] == ["models:/arm/3", "org/words", "org/vlm"]
    assert "[implied-sources-unknown]" not in answer.stderr, "it would come with every such job"


def test_render_with_pin_has_what_submit_would_send(robotrain, hub):
    words = ("render", *JOB, "--head", "vla", "--policy-repo-id", "lab/arm", "--json")
    assert "org/vlm" not in robotrain(*words).stdout
    pinned = robotrain(*words, "--pin").json["files"]["job.json"]["text"]
    assert [source["pin"] for source in json.loads(pinned)["sources"]] == [
        get_commit(hub, "lab/arm"),
        get_commit(hub, "org/vlm"),
    ]
    hub.repositories["models/org/vlm"].shut = "gated"
    robotrain(*words, "--pin").check_problems(4, "pin-unknown backbone (implied by the job) org/vlm")


@pytest.mark.parametrize("platform", ["fake", "dag"])
def test_each_step_of_a_pipeline_gets_its_own(robotrain, hub, dag_platform, tmp_path, platform):
    steps = {
        "train": {
            "workload": "arm",
            "parameters": {"head": "vla"},
            "sources": {"policy": [{"huggingface": "lab/arm"}]},
        },
        "evaluate": {
            "workload": "arm-eval",
            "parameters": {"head": "vla"},
            "sources": {"policy": [{"from": "train"}]},
        },
        "other": {"workload": "arm", "parameters": {"head": "org/words"}},
    }
    (tmp_path / "pipeline.yaml").write_text(json.dumps({"name": "p", "steps": steps}))
    words = ("pipeline", "submit", tmp_path / "pipeline.yaml", "--platform", platform, "--dry-run", "--json")
    answer = robotrain(*words)
    answer.check(0)
    spec = json.loads(next(text for text in find_texts(answer.json) if '"steps"' in text))
    if platform == "dag":
        steps = {name: step["job"]["sources"] for name, step in spec["steps"].items()}
    else:
        steps = {step["name"]: step["sources"] for step in spec["steps"]}
    uris_by_step = {name: [source["uri"] for source in sources] for name, sources in steps.items()}
    assert uris_by_step == {"train": ["lab/arm", "org/vlm"], "evaluate": ["train", "org/vlm"], "other": ["org/words"]}
    pins = {source["pin"] for sources in steps.values() for source in sources if source["uri"] == "org/vlm"}
    assert pins == {get_commit(hub, "org/vlm")}


@pytest.mark.slow
def test_a_step_that_a_driver_submits_keeps_the_backbones_of_the_plan(
    robotrain, hub, fake_platform, tmp_path, monkeypatch
):
    """Its policy cannot be read from here; another commit of the backbone would be another evaluation."""
    sites = (os.environ["FAKE_SITE"], str(tmp_path / "site-robotrain-arm"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sites))
    steps = {
        "train": {"workload": "arm", "parameters": {"head": "org/vlm"}},
        "evaluate": {
            "workload": "arm-eval",
            "parameters": {"head": "vla"},
            "sources": {"policy": [{"from": "train"}]},
        },
    }
    (tmp_path / "pipeline.yaml").write_text(json.dumps({"name": "p", "steps": steps}))
    first = get_commit(hub, "org/vlm")
    run = robotrain("pipeline", "submit", tmp_path / "pipeline.yaml", "--platform", "fake").stdout.strip()
    try:
        wait_for_step(run, "train")
        hub.repositories["models/org/vlm"].commit({"config.json": b'{"new": 1}'})
        set_run_state(fake_platform, progress.read_progress(run).steps["train"].run, checkpoints=[3])
        evaluation = wait_for_step(run, "evaluate")
        set_run_state(fake_platform, evaluation)
        assert robotrain("wait", run).exit_code == 0
        assert [source for source in read_sources(evaluation) if source[0] == "backbone"] == [
            ("backbone", "org/vlm", first, True)
        ]
    finally:
        robotrain("cancel", run)  # ends the driver, if the test fails


def wait_for_step(run: str, step: str) -> str:
    """Return the run of a step once it runs."""
    until = time.monotonic() + 60
    while True:
        current = progress.read_progress(run)
        if current and current.steps[step].state == "running":
            return current.steps[step].run
        assert time.monotonic() < until, current
        time.sleep(0.05)


def find_texts(document: object) -> Iterator[str]:
    """Yield the texts in JSON."""
    if isinstance(document, str):
        yield document
    for part in document.values() if isinstance(document, dict) else document if isinstance(document, list) else ():
        yield from find_texts(part)


def test_the_trials_of_a_sweep_imply_what_their_values_do(robotrain, hub, tmp_path):
    words = ("sweep", "arm", "--platform", "fake", "--over", "head=org/vlm,org/words", "--dry-run", "--json")
    answer = robotrain(*words)
    answer.check(0)
    spec = next(text for text in find_texts(answer.json) if '"steps"' in text)
    assert [[source["uri"] for source in step["sources"]] for step in json.loads(spec)["steps"]] == [
        ["org/vlm"],
        ["org/words"],
    ]
