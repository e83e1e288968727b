"""Where a training publishes its checkpoints, and the metadata of a registered model."""

import dataclasses
import json

import pytest
import yaml
from job_documents import check_findings, check_job, find_problems, folders
from problem_assertions import check_problems
from robotrain.model.job import Job
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.parameter import get_parameters
from robotrain_runtime.publishing import registration
from robotrain_sources.huggingface import layout
from robotrain_workloads import rules
from robotrain_workloads.lerobot_eval.parameters import EvalParameters
from robotrain_workloads.lerobot_train import container
from robotrain_workloads.lerobot_train.parameters import TrainParameters
from robotrain_workloads.lerobot_train.workload import LEROBOT_TRAIN

COMMIT = "a" * 40


def check_url(url, **others):
    return check_job(LEROBOT_TRAIN, publish_url=url, **others)


def make_publishing(document, data=None):
    return container.publishing(document, data or {})


def test_the_metadata_of_a_model_is_kept_for_a_later_registration(training, tmp_path):
    spec = make_publishing(training(register_checkpoint="pusher"))
    registration.write_publishing_spec(tmp_path, spec)
    assert spec.tags
    read = registration.read_publishing_spec(tmp_path)
    assert dataclasses.asdict(read) == json.loads(json.dumps(dataclasses.asdict(spec)))  # a file has lists, no tuples


@pytest.mark.parametrize(
    ("url", "to"),
    [
        ("/mnt/models", "/mnt/models"),
        ("//mnt//models/", "/mnt/models"),
        ("file:///mnt/my%20models", "/mnt/my models"),
        (None, ""),
    ],
)
def test_a_place_to_publish_to_is_one_absolute_folder(training, url, to):
    assert [target.to for target in container.targets(training(publish_url=url), {})] == list(filter(None, [to]))
    assert check_url(url) == []


@pytest.mark.parametrize(
    "url",
    [
        "./models",
        "/",
        "file://host/x",
        "file://[x/y",
        "file:///a?b",
        "file:///a?",
        "file:///a#",
        "file:///a\tb",
        "/a%0Ab\n",
    ],
)
def test_what_is_no_absolute_folder_is_refused_with_the_form_of_one(url):
    (problem,) = check_url(url)
    assert problem.stage.exit_code == 2
    check_problems([problem], f"{problem.code} --publish-url")


@pytest.mark.parametrize("url", ["me/act", "me/act@try"])
def test_a_name_at_the_hub_is_shown_as_its_address_too(url):
    (problem,) = check_url(url)
    check_problems([problem], f"{problem.code} --publish-url")


def test_an_address_of_the_hub_that_is_wrong_is_no_folder():
    assert [*check_url("hf:me/act")] == []  # the kind of source says what it should be


@pytest.mark.parametrize("url", ["me/act", "./act", "act", "me/act/more"])
def test_results_and_other_folders_are_no_names_at_the_hub(url):
    evaluation = Job(workload="lerobot-eval", parameters=(("publish_url", url),))
    problems = [*rules.check_publish_url(evaluation, "results"), *(check_url(url) if url != "me/act" else ())]
    assert problems
    assert not [way for problem in problems for way in problem.suggestions if "hf://" in way.text]


def test_help_says_where_checkpoints_and_results_go():
    helps = [
        next(parameter.param.help for parameter in get_parameters(declared) if parameter.name == "publish_url")
        for declared in (TrainParameters, EvalParameters)
    ]
    assert ["hf://OWNER/NAME" in help for help in helps] == [True, False]


@pytest.mark.parametrize(
    "option",
    ["--policy.push_to_hub=true", "--policy.repo_id=me/act", "--save_checkpoint_to_hub=true"],
)
def test_options_that_push_to_the_hub_are_answered_with_what_publishes_there(robotrain, option):
    words = ("render", "--platform", "local", "-d", "lerobot/pusht", "--json", "--", option)
    (problem,) = robotrain(*words).json["problems"]
    assert "--publish-url hf://OWNER/NAME" in json.dumps(problem)


@pytest.mark.parametrize(
    "option",
    [
        "--x={path: /home/me}",
        "--x=[a,/home/me/y]",
        "--x='/home/me'",
        "--x=[ '/home/me' ]",
        "--x=a:/home/me",
        "--wandb.notes=see /home/me",
        "--x=/home/me/two words",
    ],
)
def test_no_form_of_an_option_brings_a_folder_into_the_card(training, option):
    document = training("/data/pusht", (option, "--u=https://host/home/me", "--y=a / b"))
    text = dict(make_publishing(document).describes["sections"])["Repeat the training"]
    assert text.count("/home/me") == text.count("https://host/home/me") == 1
    assert "FOLDER" in text
    assert "--y=a / b" in text


def test_the_card_repeats_the_job_without_folders_of_the_machine(training):
    packages = json.dumps(["/home/me/dist/my_policy-1.0-py3-none-any.whl", "/home/me/policies", "einops==0.8.1"])
    options = ("--policy.vlm_model_name=/data/vlm", '--dataset.roots=["/data/a", "b"]', "--policy.chunk_size=7")
    document = training("/data/pusht", options, packages=packages, allow_builds=True)
    text = dict(make_publishing(document).describes["sections"])["Repeat the training"]
    assert "/home" not in text
    assert "/data" not in text
    job = yaml.safe_load(text.partition("```yaml")[2].rstrip("`"))
    assert job["sources"] == {"dataset": [{"local_path": "FOLDER"}]}
    assert job["parameters"]["packages"] == ["FOLDER/my_policy-1.0-py3-none-any.whl", "FOLDER", "einops==0.8.1"]
    assert job["trainer_args"] == [
        "--policy.vlm_model_name=FOLDER",
        '--dataset.roots=["FOLDER", "b"]',
        "--policy.chunk_size=7",
    ]


def test_published_files_name_no_folder_of_the_machine(training, saved):
    folder = saved("run/000006", 6, config={"dataset": {"root": "/data/pusht"}, "output_dir": "/work/outputs"})
    model = folder / "pretrained_model"
    tokenizer = {"registry_name": "tokenizer_processor", "config": {"tokenizer_name": "/data/vlm"}}
    for name in ("policy_preprocessor.json", "policy_postprocessor.json"):
        (model / name).write_text(json.dumps({"steps": [tokenizer]}))
    (model / "robotrain_trainings.json").write_text('{"trainings": [{"model": "/work/outputs", "part": 0.0}]}')
    manifest = checkpoint.seal_checkpoint(folder, step=6, run="train-1", job="0" * 64, model="pretrained_model")
    published = layout.arrange_checkpoint(folder, manifest, make_publishing(training()).path_files)
    names = {path for path in manifest.files if path.endswith(".json")}
    texts = {path: published.contents.get(path, (folder / path).read_bytes()) for path in names}
    assert not [path for path, text in texts.items() if b'"/' in text]


def test_an_address_is_left_to_the_kinds_that_write_there(training, pusht):
    url = "https://acc.blob.core.windows.net/box/p"
    assert check_url(url) == []
    document = training(pusht, publish_url=url, keep=3)
    assert find_problems(document) == []
    (target,) = container.targets(document, {})
    assert (target.to, target.keep_last) == (url, 3)


def test_keep_needs_a_place_to_publish_to(training):
    assert check_url("/mnt/models", keep=2) == []
    (problem,) = check_url(None, keep=2)
    assert (problem.where, problem.stage.exit_code) == ("--keep", 2)
    assert problem.suggestions[0].text == "leave out --keep"


def test_a_target_knows_which_steps_the_run_will_save(training, saved, tmp_path):
    parameters = {"training_steps": 1000, "save_freq": 300, "publish_url": "https://a/c/p"}

    def saves(step, data=None, **starts):
        document = training(starts=starts, **parameters)
        (target,) = container.targets(document, data or {})
        return target.saves_step and target.saves_step(step)

    assert [step for step in (0, 200, 300, 900, 1000, 1200) if saves(step)] == [300, 900, 1000]
    assert [step for step in (300, 600, 900) if saves(step, resume="https://a/c/p/000600")] == [900]
    assert saves(900, resume="https://a/c/p") is None  # the run looks there first
    at = saved("there/000600", 600)
    source = training(starts={"resume": at}, **parameters).sources[1]
    assert [step for step in (300, 600, 900) if saves(step, {source: at}, resume=at)] == [900]


def test_checkpoints_that_are_scored_later_are_known_by_their_steps(training, saved):
    def list_steps(starts=None, **parameters):
        document = training(starts=starts, evaluate_checkpoints="600", **parameters)
        return list(make_publishing(document, folders(document)).saved_steps)

    assert list_steps(training_steps=1000, save_freq=300) == [300, 600, 900, 1000]
    assert list_steps(training_steps=900, save_freq=300) == [300, 600, 900]
    assert list_steps({"resume": saved("there/000600", 600)}, training_steps=1000, save_freq=300) == [900, 1000]
    assert list(make_publishing(training()).saved_steps) == []


def test_a_folder_that_cannot_be_written_to_is_reported_before_the_training(training, pusht, tmp_path):
    def find(to, **parameters):
        return find_problems(training(pusht, publish_url=str(to), **parameters))

    assert find(tmp_path / "new") == find(tmp_path) == []
    (tmp_path / "file").touch()
    for wrong in ("a/b", "file"):
        check_findings(find(tmp_path / wrong), fact=str(tmp_path / wrong))
    out = tmp_path / "out"
    out.mkdir()
    for folder in (out, out / "checkpoints"):
        check_findings(find(folder, output_dir=str(out)), fact=f"they are saved in {out}")


def test_a_checkpoint_of_another_run_is_a_problem_only_under_a_name_that_is_needed(training, pusht, saved, tmp_path):
    def find(run="lerobot-train-99999999-1", save_freq=200, **parameters):
        shared = str(tmp_path / "shared")
        document = training(pusht, publish_url=shared, training_steps=1000, save_freq=save_freq, **parameters)
        return find_problems(dataclasses.replace(document, run=run))

    saved("shared/000400", 400)
    check_findings(find(), fact="it has 000400 of the run")
    assert find("lerobot-train-00000000-1") == find(save_freq=300) == []
    assert find(starts={"resume": tmp_path / "shared/000400"}) == []


def test_a_model_names_its_data_and_its_commit(training, pusht):
    hub = JobSource(role="dataset", kind="huggingface", uri="lerobot/pusht@main", pin=COMMIT)
    publishing = make_publishing(training(hub, register_checkpoint="m", training_steps=7), {hub: pusht})
    assert publishing.register == "m"
    expected = {"framework": "lerobot", "policy_type": "act", "job_name": "lerobot-act-training", "training_steps": "7"}
    expected |= {"dataset_source": "huggingface", "dataset_uri": "hf://lerobot/pusht@main", "dataset_pin": COMMIT}
    assert publishing.tags.items() >= {**expected, "dataset_repo_id": "lerobot/pusht@main"}.items()
    assert len(publishing.tags["dataset_lineage_sha256"]) == 64
    assert publishing.description.splitlines() == [
        "LeRobot act policy",
        "Job: lerobot-act-training, 7 steps (run lerobot-train-00000000-1)",
        f"Dataset: hf://lerobot/pusht@main at {COMMIT} (50 episodes, 2000 frames)",
    ]


def test_the_lineage_file_has_in_full_what_the_tags_shorten(training):
    urls = [f"https://a.blob.core.windows.net/box/{n}" for n in range(3)]
    blobs = [JobSource(role="dataset", kind="blob_url", uri=url) for url in urls]
    asset = JobSource(role="dataset", kind="data_asset", uri="azureml:d:3")
    publishing = make_publishing(training([asset, *blobs], dataset_id="pusht"))
    assert publishing.lineage == {
        "dataset_source": "mixed",
        "dataset_uri": " ".join(["azureml:d:3", *urls]),
        "dataset_summary": publishing.tags["dataset_uri"],
        "dataset_assets": ["azureml:d:3"],
        "blob_urls": urls,
        "dataset_repo_id": "pusht",
        "dataset_shares": None,
        "excluded_episodes": None,
        "azureml_run_id": None,
    }
    hub = make_publishing(training(JobSource(role="dataset", kind="huggingface", uri="lerobot/pusht"))).lineage
    assert (hub["dataset_uri"], hub["dataset_repo_id"]) == ("hf://lerobot/pusht", "lerobot/pusht")
    assert (hub["dataset_assets"], hub["blob_urls"]) == ([], [])


def test_the_lineage_digest_changes_with_the_commit_and_the_order_alone(training):
    hub = JobSource(role="dataset", kind="huggingface", uri="u/d", pin=COMMIT)
    moved = dataclasses.replace(hub, pin="b" * 40)

    def digest(*sources, **parameters):
        return make_publishing(training(list(sources), **parameters)).tags["dataset_lineage_sha256"]

    assert digest(hub) == digest(hub, batch_size=7)
    assert digest(hub) != digest(moved)
    assert digest(hub, moved) != digest(moved, hub)


def test_many_blobs_are_counted_and_named_by_one_digest(training):
    url = "https://a.blob.core.windows.net/box"
    blobs = [JobSource(role="dataset", kind="blob_url", uri=f"{url}/{number}") for number in range(64)]
    tags = make_publishing(training(blobs)).tags
    assert (tags["blob_url_count"], tags["dataset_uri_count"]) == ("64", "64")
    assert tags["blob_urls"].startswith("64 blob URLs; sha256:")
    assert tags["dataset_source"] == "azure-blob"
    assert max(map(len, tags.values())) <= 256
    assert make_publishing(training(blobs[0])).tags["blob_urls"] == blobs[0].uri


def test_a_model_names_the_policy_that_it_started_from_and_the_run_that_made_it(training, saved):
    folder = saved("other/checkpoints/000400", 400, run="lerobot-train-11111111-2")
    for start in (folder, folder / "pretrained_model"):
        document = training(starts={"policy": start})
        publishing = make_publishing(document, folders(document))
        assert publishing.tags["base_policy"] == str(start)
        assert publishing.tags["parent_run"] == "lerobot-train-11111111-2"
        assert (publishing.tags["parent_step"], len(publishing.tags["parent_checkpoint_sha256"])) == ("400", 64)
        assert f"fine-tuned from {start}" in publishing.description
    assert not any(name.startswith(("base_", "parent_")) for name in make_publishing(training()).tags)
