"""`robotrain publish`: checkpoints of a run, on this machine or on a platform, sent to a Hub of this machine."""

import json
import re
from pathlib import Path

import fake_engine
import pytest
import yaml
from fake_engine import set_run_state
from hub_stand_in import HubStandIn
from robotrain_runtime.contract import checkpoint, event
from robotrain_runtime.contract.event import Evaluated, Scored
from robotrain_workloads.lerobot import adapter
from snapshots import check_snapshot

PLACE = "hf://me/act"
STEPS = (200, 400)
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A Hub of this machine, and a token that may write there."""
    with HubStandIn() as stand_in:
        monkeypatch.setenv("HF_ENDPOINT", stand_in.address)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setenv("HF_TOKEN", stand_in.token)
        yield stand_in


@pytest.fixture
def save():
    """Make sealed checkpoints of a run in a folder: `save(folder, run)`."""

    def save(folder: Path, run: str, steps=STEPS) -> None:
        for step in steps:
            made = folder / f"{step:06}"
            for name, text in {"pretrained_model/config.json": "{}", "training_state/step.json": str(step)}.items():
                (made / name).parent.mkdir(parents=True, exist_ok=True)
                (made / name).write_text(text)
            checkpoint.seal_checkpoint(made, step=step, run=run, job="0" * 64, model="pretrained_model")

    return save


@pytest.fixture
def run(robotrain, fake_platform) -> str:
    """A training on another platform that succeeded."""
    submitted = robotrain("submit", "--platform", "fake", "-d", "lerobot/pusht", "--no-pin", "--json")
    assert submitted.exit_code == 0, submitted.stderr
    state = {"state": "succeeded", "checkpoints": STEPS}
    (fake_platform / "others.json").write_text(json.dumps(state))
    return submitted.json["run"]


@pytest.fixture
def left_there(fake_platform, save, run) -> Path:
    """The folder with the checkpoints that the platform has."""
    save(fake_platform / "left/checkpoints", run)
    return fake_platform / "left/checkpoints"


@pytest.fixture
def left_here(fake_platform, save, run, tmp_path) -> Path:
    """The folder with the checkpoints of a run on this machine."""
    save(tmp_path / "made/checkpoints", run)
    state = {"state": "succeeded", "checkpoints": STEPS, "at": str(tmp_path / "made")}
    (fake_platform / "others.json").write_text(json.dumps(state))
    return tmp_path / "made/checkpoints"


FORMS = {
    "no address": ("act", "target-not-accepted"),
    "without an owner": ("hf://act", "source-invalid"),
    "a branch that no tag can be named after": ("hf://me/act@a/b", "source-invalid"),
    "a scheme of nobody": ("ftp://b/p", "target-not-accepted"),
}


@pytest.mark.parametrize(("url", "code"), FORMS.values(), ids=FORMS)
def test_an_address_of_a_wrong_form_is_refused_before_anything_is_asked(robotrain, hub, run, url, code):
    answer = robotrain("publish", run, url, "--json")
    answer.check_problems(2, f"{code} URL {url}")
    ways = [way["text"] for problem in answer.json["problems"] for way in problem["instead"]]
    assert [way for way in ways if not way.startswith(f"robotrain publish {run} ")] == []
    assert hub.requests == []


def test_an_unknown_run_and_an_unknown_step_are_named(robotrain, hub, left_here, run):
    robotrain("publish", "nothing", PLACE).check_problems(2, "run-unknown")
    robotrain("publish", "--step", "300", run, PLACE).check_problems(2, "checkpoint-missing")
    assert hub.repositories == {}


@pytest.mark.slow
@pytest.mark.parametrize("where", ["left_here", "left_there"])
def test_checkpoints_are_sent_from_where_they_are_and_only_once(request, robotrain, hub, data_python, run, where):
    request.getfixturevalue(where)
    answer = robotrain("publish", run, PLACE)
    answer.check(0, run, PLACE, "step 200: published", "step 400: published")
    assert answer.stdout.splitlines() == [f"{PLACE}@step-000200", f"{PLACE}@step-000400"]
    assert ("step 400: downloading" in answer.stderr) == (where == "left_there")
    repository = hub.repositories["models/me/act"]
    assert sorted(repository.tags) == ["step-000200", "step-000400"]
    files = repository.commits[repository.tags["step-000400"]]
    manifest = checkpoint.parse_manifest(files[checkpoint.MANIFEST])
    assert manifest
    assert (manifest.run, manifest.step) == (run, 400)
    assert f"`{run}`" in files["README.md"].decode()
    again = robotrain("publish", "--json", run, PLACE)
    rows = [{"step": step, "to": f"{PLACE}@step-{step:06}", "new": False} for step in STEPS]
    assert again.json == {"run": run, "place": PLACE, "published": rows}
    again.check(0, "step 200: is there already", "step 400: is there already")
    shown = robotrain("status", "--json", run).json["published"]
    assert [(publication["step"], publication["to"]) for publication in shown] == [
        (row["step"], row["to"]) for row in rows
    ]


@pytest.fixture
def native_pipeline(robotrain, dag_platform, pusht) -> str:
    """A training and the evaluation of its checkpoints that an engine has run as one."""
    steps = ("--evaluate-checkpoints", "--env", "pusht", "--training-steps", "400", "--save-freq", "200")
    submitted = robotrain("submit", "--platform", "dag", "--dataset-path", pusht, "--no-pin", *steps, "--json")
    assert submitted.exit_code == 0, submitted.stderr
    run = str(submitted.json["run"])
    fake_engine.set_run_state(dag_platform, run, "succeeded")
    states = {"train": {"state": "succeeded", "checkpoints": STEPS}, "evaluate": {"state": "succeeded"}}
    (dag_platform / f"{run}.steps.json").write_text(json.dumps(states))
    return run


@pytest.mark.slow
def test_checkpoints_of_a_pipeline_are_those_of_its_training(
    robotrain, hub, data_python, dag_platform, save, native_pipeline
):
    training = f"{native_pipeline}-train"
    save(dag_platform / "left/checkpoints", training)
    rows = [{"step": step, "to": f"{PLACE}@step-{step:06}", "new": True} for step in STEPS]
    answer = robotrain("publish", "--json", native_pipeline, PLACE)
    assert answer.json == {"run": training, "place": PLACE, "published": rows}
    again = robotrain("publish", "--json", training, PLACE)  # as the log of the step names it
    assert [publication["new"] for publication in again.json["published"]] == [False, False]
    assert [publication["to"] for publication in robotrain("status", "--json", native_pipeline).json["published"]] == [
        row["to"] for row in rows
    ]


@pytest.mark.slow
def test_one_of_several_trainings_has_to_be_named(robotrain, hub, data_python, dag_platform, save, pusht, tmp_path):
    parameters = "{training_steps: 400, save_freq: 200, seed: SEED}"
    training = f"{{job: {pusht.parent}/job.yaml, parameters: {parameters}}}"
    evaluation = (
        f"{{job: {pusht.parent}/evaluate.yaml, parameters: {{checkpoints: all}}, sources: {{policy: [{{from: big}}]}}}}"
    )
    file = tmp_path / "here/pipeline.yaml"
    trainings = "".join(
        f"  {name}: {training.replace('SEED', seed)}\n" for name, seed in (("small", "1"), ("big", "2"))
    )
    file.write_text(f"steps:\n{trainings}  evaluate: {evaluation}\n")
    run = robotrain("pipeline", "submit", file, "--platform", "dag", "--no-pin", "--json").json["run"]
    scored = [event.format_event(Scored(step=200, episodes=4, scores={"rollout/success_rate": 0.9}))]
    states = {name: {"state": "succeeded", "checkpoints": STEPS} for name in ("small", "big")}
    fake_engine.set_run_state(dag_platform, run, "succeeded")
    (dag_platform / f"{run}.steps.json").write_text(
        json.dumps({**states, "evaluate": {"state": "succeeded", "log": scored}})
    )
    for words in (("register", run, "model", "--best"), ("publish", run, PLACE)):
        robotrain(*words).check_problems(2, "step-ambiguous")
    save(dag_platform / "left/checkpoints", f"{run}-big")
    robotrain("publish", f"{run}-big", PLACE).check(0, "400")


@pytest.mark.slow
def test_the_last_checkpoint_alone_goes_to_a_branch(robotrain, hub, data_python, left_there, run):
    answer = robotrain("publish", "--step", "last", "--json", run, f"{PLACE}@second")
    assert answer.json["published"] == [{"step": 400, "to": f"{PLACE}@second-step-000400", "new": True}]
    assert [*hub.repositories["models/me/act"].tags] == ["second-step-000400"]


@pytest.mark.slow
def test_checkpoints_are_missing_until_they_are_at_the_place(
    robotrain, hub, data_python, fake_platform, left_there, run
):
    reason = f"could not be published to {PLACE}: no"
    note = event.Note(level="warning", text=f"checkpoints 000200 and 000400 {reason}")
    state = {"state": "succeeded", "checkpoints": STEPS, "log": [event.format_event(note)]}
    (fake_platform / "others.json").write_text(json.dumps(state))
    for step, place, is_missing in (("400", f"{PLACE}-2", True), ("200", PLACE, True), ("400", PLACE, False)):
        robotrain("publish", "--step", step, run, place).check(0)
        assert (reason in " ".join(robotrain("status", "--json", run).json["warnings"])) == is_missing, (step, place)


@pytest.mark.slow
def test_a_card_has_the_scores_of_its_own_checkpoint(robotrain, hub, data_python, fake_platform, left_there, run):
    scored = [Scored(step=step, episodes=4, scores={"rollout/success_rate": step / 800}) for step in STEPS]
    state = {"state": "succeeded", "checkpoints": STEPS, "log": [event.format_event(run_event) for run_event in scored]}
    (fake_platform / "others.json").write_text(json.dumps(state))
    robotrain("publish", run, PLACE).check(0)
    repository = hub.repositories["models/me/act"]
    cards = {tag: repository.commits[commit]["README.md"].decode() for tag, commit in repository.tags.items()}
    scores = {tag: [row for row in card.splitlines() if row.startswith("| rollout/")] for tag, card in cards.items()}
    assert {tag: [row.split("| ")[-1] for row in rows] for tag, rows in scores.items()} == {
        "step-000200": ["0.25 |"],
        "step-000400": ["0.5 |"],
    }


@pytest.mark.slow
def test_a_card_has_the_scores_of_later_evaluations(robotrain, hub, data_python, fake_platform, left_there, run):
    words = ("--platform", "fake", "--policy-run", run, "--env", "pusht", "--json")
    scored = [Scored(step=step, episodes=4, scores={"rollout/success_rate": step / 800}) for step in STEPS]
    best = Evaluated(episodes=4, scores=scored[-1].scores, results="/work/results", step=400)
    ends = (
        [*scored, best],
        [Evaluated(episodes=4, scores={"replay/mse": 0.125}, results="/work/results", step=200)],
        [Evaluated(episodes=4, scores={"replay/mae": 0.5}, results="/work/results")],  # of an unknown step
    )
    for number, reported in enumerate(ends):
        evaluation = robotrain("submit", "lerobot-eval", *words, "--seed", str(number)).json["run"]
        log = [event.format_event(run_event) for run_event in reported]
        set_run_state(fake_platform, evaluation, state="succeeded", log=log)
    robotrain("publish", run, PLACE).check(0)
    repository = hub.repositories["models/me/act"]
    cards = {tag: repository.commits[commit]["README.md"].decode() for tag, commit in repository.tags.items()}
    assert {tag: re.findall(r"\| (\w+/\w+) \| (\S+) \|", card) for tag, card in cards.items()} == {
        "step-000200": [("replay/mse", "0.125"), ("rollout/success_rate", "0.25")],
        "step-000400": [("rollout/success_rate", "0.5")],
    }


@pytest.mark.slow
def test_a_branch_of_another_run_and_a_refused_token_end_before_anything_is_sent(
    robotrain, hub, data_python, left_there, run, monkeypatch
):
    robotrain("publish", run, PLACE).check(0)
    other = robotrain("submit", "--platform", "fake", "-d", "lerobot/aloha", "--no-pin", "--json").json["run"]
    refused = robotrain("publish", other, PLACE)
    refused.check_problems(4, "publish-unwritable")
    assert (run in refused.stderr, f"robotrain publish {other} {PLACE}@BRANCH" in refused.stderr) == (True, True)
    assert sorted(hub.repositories["models/me/act"].tags) == ["step-000200", "step-000400"]
    monkeypatch.setenv("HF_TOKEN", hub.read_token)
    answer = robotrain("publish", run, f"{PLACE}@second")
    answer.check_problems(4, "publish-unwritable")
    assert hub.read_token not in answer.stdout + answer.stderr
    monkeypatch.setenv("HF_TOKEN", hub.token)
    somebody = PLACE.replace("me/", "ada/")
    robotrain("publish", run, somebody).check_problems(4, "publish-unwritable")


@pytest.mark.slow
def test_an_adapter_names_its_base_by_repository_and_revision(robotrain, hub, data_python, fake_platform, tmp_path):
    start = ("--policy-repo-id", f"lab/base@{COMMIT}", "--policy-type", "smolvla", "--lora-rank", "4")
    words = ("--platform", "fake", "-d", "lerobot/pusht", "--no-pin", *start)
    submitted = robotrain("submit", "--json", *words)
    assert submitted.exit_code == 0, submitted.stdout
    run = submitted.json["run"]
    (fake_platform / "others.json").write_text('{"state": "succeeded", "checkpoints": [200]}')
    save_adapter(fake_platform / "left/checkpoints/000200", run, tmp_path)
    robotrain("publish", run, PLACE).check(0, "200")
    repository = hub.repositories["models/me/act"]
    files = repository.commits[repository.tags["step-000200"]]
    assert not [path for path, content in files.items() if str(tmp_path).encode() in content]
    settings = json.loads(files["adapter_config.json"])
    assert (settings["base_model_name_or_path"], settings["revision"]) == ("lab/base", COMMIT)
    assert json.loads(files["adapter_base.json"])["uri"] == "lab/base"
    _, metadata, text = files["README.md"].decode().split("---\n", 2)
    card = yaml.safe_load(metadata)
    assert (card["base_model"], card["base_model_relation"]) == (["lab/base"], "adapter")
    assert [fact for fact in ("LORA", "rank 4", f"`hf://lab/base@{COMMIT}`") if fact not in text] == []
    assert 'PeftModel.from_pretrained(base, "me/act", revision="step-000200"' in text


def save_adapter(folder: Path, run: str, machine: Path) -> None:
    """Make a sealed checkpoint of an adapter as a training saves it, with paths of the machine in LeRobot's files."""
    model, state = folder / "pretrained_model", folder / "training_state"
    model.mkdir(parents=True)
    state.mkdir()
    settings = {"type": "smolvla", "use_peft": True, "pretrained_path": str(machine / "cache/base")}
    (model / "config.json").write_text(json.dumps(settings))
    (model / "train_config.json").write_text(json.dumps({"policy": settings, "output_dir": str(machine / "out")}))
    (model / "README.md").write_text(f"base_model: {machine}/cache/base")
    (model / adapter.WEIGHTS_FILE).write_bytes(bytes(range(256)) * 8)
    saved = {"peft_type": "LORA", "r": 4, "lora_alpha": 4, "base_model_name_or_path": str(machine / "cache/base")}
    (model / adapter.CONFIG_FILE).write_text(json.dumps(saved))
    adapter.name_base(model, adapter.Base("huggingface", "lab/base", COMMIT, run, "a" * 64, 2048))
    (state / "training_step.json").write_text('{"step": 200}')
    checkpoint.seal_checkpoint(folder, step=200, run=run, job="0" * 64, model="pretrained_model")


@pytest.mark.slow
def test_a_merged_policy_names_its_base_and_no_folder(robotrain, hub, data_python, fake_platform, tmp_path):
    source = ("--policy-repo-id", f"me/adapter@{COMMIT}", "--backbone-repo-id", f"lab/base@{COMMIT}")
    submitted = robotrain("submit", "lerobot-merge", "--json", "--platform", "fake", "--no-pin", *source)
    assert submitted.exit_code == 0, submitted.stdout
    run = submitted.json["run"]
    (fake_platform / "others.json").write_text('{"state": "succeeded", "checkpoints": [200]}')
    model = fake_platform / "left/checkpoints/000200/pretrained_model"
    model.mkdir(parents=True)
    (model / "model.safetensors").write_bytes(bytes(range(256)) * 8)
    folders = {
        "config.json": {"type": "act", "pretrained_path": f"{tmp_path}/base"},
        "train_config.json": {"dataset": {"root": f"{tmp_path}/data"}, "output_dir": f"{tmp_path}/out"},
        "robotrain_trainings.json": {"trainings": [{"model": f"{tmp_path}/out", "started_from": f"{tmp_path}/base"}]},
    }
    for name, content in folders.items():
        (model / name).write_text(json.dumps(content))
    checkpoint.seal_checkpoint(model.parent, step=200, run=run, job="0" * 64, model="pretrained_model")
    robotrain("publish", run, PLACE).check(0, "200")
    repository = hub.repositories["models/me/act"]
    files = repository.commits[repository.tags["step-000200"]]
    assert not [path for path, content in files.items() if str(tmp_path).encode() in content]
    _, metadata, text = files["README.md"].decode().split("---\n", 2)
    assert yaml.safe_load(metadata)["base_model"] == ["lab/base"]
    assert [fact for fact in (f"`me/adapter@{COMMIT}`", f"`lab/base@{COMMIT}`") if fact not in text] == []
    assert "--resume-from" not in text  # it has no training state
    check_snapshot("cli/snapshots/model-card-of-a-merge.txt", text)


@pytest.mark.slow
def test_a_checkpoint_that_is_not_the_runs_own_is_not_sent(robotrain, hub, data_python, fake_platform, save, run):
    save(fake_platform / "left/checkpoints", "another-1")
    answer = robotrain("publish", run, PLACE)
    answer.check_problems(1, "not-published")
    assert hub.repositories == {}
