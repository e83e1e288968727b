"""What a run asks to be done with its checkpoints, and what a registered model is told of where it comes from."""

import dataclasses
from pathlib import Path

import pytest
from robotrain.model.job import Job
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.publishing import registration
from robotrain_workloads.lerobot_train import container
from robotrain_workloads.lerobot_train.parameters import TrainParameters
from robotrain_workloads.lerobot_train.workload import LEROBOT_TRAIN

COMMIT = "a" * 40


def check_job(url, **others):
    values = dataclasses.asdict(TrainParameters(publish_url=url, **others))
    return list(LEROBOT_TRAIN.check(Job(workload="lerobot-train", parameters=tuple(values.items()))))


def make_publishing(document, data=None):
    return container.publishing(document, data or {})


def test_what_a_run_says_of_its_model_is_kept_for_a_later_registration(training, tmp_path):
    spec = make_publishing(training(register_checkpoint="pusher"))
    registration.write_publishing_spec(tmp_path, spec)
    assert spec.tags
    assert registration.read_publishing_spec(tmp_path) == spec


def with_sources(document, *sources):
    return dataclasses.replace(document, sources=sources)


@pytest.mark.parametrize(
    ("said", "to"),
    [
        ("/mnt/models", "/mnt/models"),
        ("//mnt//models/", "/mnt/models"),
        ("file:///mnt/my%20models", "/mnt/my models"),
        (None, ""),
    ],
)
def test_a_place_to_publish_to_is_one_absolute_folder(training, said, to):
    assert [place.to for place in container.targets(training(publish_url=said), {})] == list(filter(None, [to]))
    assert check_job(said) == []


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("./models", "relative folder"),
        ("/", ""),
        ("file://host/x", "another machine"),
        ("file://[x/y", "another machine"),
        ("file:///a?b", "no query"),
        ("file:///a?", "no query"),
        ("file:///a#", "no query"),
        ("file:///a\tb", "control characters"),
        ("/a%0Ab\n", "control characters"),
    ],
)
def test_what_is_no_absolute_folder_is_refused_with_the_form_of_one(said, why):
    (problem,) = check_job(said)
    assert why in problem.why
    assert problem.stage.exit_code == 2
    assert problem.where == "--publish-url"
    assert problem.suggestions[0].text == "--publish-url /FOLDER/checkpoints"


def test_an_address_is_left_to_the_kinds_that_write_there(training, pusht):
    said = "https://acc.blob.core.windows.net/c/p"
    assert check_job(said) == []
    document = training(pusht, publish_url=said, keep=3)
    assert list(container.inspect(document, dict.fromkeys(document.sources, pusht))) == []
    (place,) = container.targets(document, {})
    assert (place.to, place.keep_last) == (said, 3)


def test_what_is_kept_is_what_was_published(training):
    assert check_job("/mnt/models", keep=2) == []
    (problem,) = check_job(None, keep=2)
    assert (problem.where, problem.stage.exit_code) == ("--keep", 2)
    assert problem.suggestions[0].text == "--publish-url FOLDER --keep 2"


def test_a_place_knows_which_steps_the_run_will_save(training, saved, tmp_path):
    given = {"training_steps": 1000, "save_freq": 300, "publish_url": "https://a/c/p"}

    def saves(step, data=None, **starts):
        document = training(starts=starts, **given)
        (place,) = container.targets(document, data or {})
        return place.saves_step and place.saves_step(step)

    assert [step for step in (0, 200, 300, 900, 1000, 1200) if saves(step)] == [300, 900, 1000]
    assert [step for step in (300, 600, 900) if saves(step, resume="https://a/c/p/000600")] == [900]
    assert saves(900, resume="https://a/c/p") is None  # the run looks there first
    at = saved("there/000600", 600)
    source = training(starts={"resume": at}, **given).sources[1]
    assert [step for step in (300, 600, 900) if saves(step, {source: at}, resume=at)] == [900]


def test_a_folder_that_could_never_be_written_to_is_told_before_the_training(training, pusht, tmp_path):
    def told(to, **parameters):
        document = training(pusht, publish_url=str(to), **parameters)
        return list(container.inspect(document, dict.fromkeys(document.sources, pusht)))

    assert told(tmp_path / "new") == []
    assert told(tmp_path) == []
    assert told(tmp_path / "a/b") == [
        f"checkpoints cannot be published to {tmp_path}/a/b: there is no {tmp_path}/a\nmkdir -p {tmp_path}/a"
    ]
    (tmp_path / "file").touch()
    assert "it is a file" in told(tmp_path / "file")[0]
    out = tmp_path / "out"
    out.mkdir()
    assert f"they are saved in {out}" in told(out, output_dir=str(out))[0]
    assert f"they are saved in {out}" in told(out / "checkpoints", output_dir=str(out))[0]


def test_a_checkpoint_of_another_run_is_not_in_the_way_unless_it_has_a_name_that_is_needed(
    training, pusht, saved, tmp_path
):
    def told(run="lerobot-train-00000000-1", starts=None, **parameters):
        document = training(pusht, publish_url=str(tmp_path / "shared"), starts=starts, **parameters)
        data = {source: Path(source.uri) for source in document.sources}
        return list(container.inspect(dataclasses.replace(document, run=run), data))

    saved("shared/000400", 400)
    given = {"training_steps": 1000, "save_freq": 200}
    (sentence,) = told("lerobot-train-99999999-1", **given)
    assert "000400 of the run lerobot-train-00000000-1" in sentence
    assert told(**given) == []
    assert told("lerobot-train-99999999-1", training_steps=1000, save_freq=300) == []
    assert told("lerobot-train-99999999-1", starts={"resume": tmp_path / "shared/000400"}, **given) == []


def test_a_model_is_told_of_its_data_by_name_and_by_what_the_name_meant(training, pusht):
    hub = JobSource(role="dataset", kind="huggingface", uri="lerobot/pusht@main", pin=COMMIT)
    document = with_sources(training(register_checkpoint="m", training_steps=7), hub)
    found = make_publishing(document, {hub: pusht})
    assert found.register == "m"
    assert found.tags["framework"] == "lerobot"
    assert (found.tags["policy_type"], found.tags["job_name"]) == ("act", "lerobot-act-training")
    assert found.tags["training_steps"] == "7"
    assert found.tags["dataset_source"] == "huggingface"
    assert found.tags["dataset_uri"] == "hf://lerobot/pusht@main"
    assert found.tags["dataset_repo_id"] == "lerobot/pusht@main"
    assert found.tags["dataset_pin"] == COMMIT
    assert len(found.tags["dataset_lineage_sha256"]) == 64
    assert found.description.splitlines() == [
        "LeRobot act policy",
        "Job: lerobot-act-training, 7 steps (run lerobot-train-00000000-1)",
        f"Dataset: hf://lerobot/pusht@main at {COMMIT} (50 episodes, 2000 frames)",
    ]


def test_the_file_beside_a_model_says_in_full_what_the_tags_shorten(training):
    urls = [f"https://a.blob.core.windows.net/c/{n}" for n in range(3)]
    blobs = [JobSource(role="dataset", kind="blob_url", uri=url) for url in urls]
    asset = JobSource(role="dataset", kind="data_asset", uri="azureml:d:3")
    document = with_sources(training(dataset_id="pusht"), asset, *blobs)
    found = make_publishing(document)
    assert found.lineage == {
        "dataset_source": "mixed",
        "dataset_uri": " ".join(["azureml:d:3", *urls]),
        "dataset_summary": found.tags["dataset_uri"],
        "dataset_assets": ["azureml:d:3"],
        "blob_urls": urls,
        "dataset_repo_id": "pusht",
        "azureml_run_id": None,
    }
    hub = make_publishing(
        with_sources(training(), JobSource(role="dataset", kind="huggingface", uri="lerobot/pusht"))
    ).lineage
    assert (hub["dataset_uri"], hub["dataset_repo_id"]) == ("hf://lerobot/pusht", "lerobot/pusht")
    assert (hub["dataset_assets"], hub["blob_urls"]) == ([], [])


def test_the_lineage_digest_changes_with_what_a_name_meant_and_with_nothing_else(training):
    hub = JobSource(role="dataset", kind="huggingface", uri="u/d", pin=COMMIT)
    moved = dataclasses.replace(hub, pin="b" * 40)

    def digest(*sources, **parameters):
        return make_publishing(with_sources(training(**parameters), *sources)).tags["dataset_lineage_sha256"]

    assert digest(hub) == digest(hub, batch_size=7)
    assert digest(hub) != digest(moved)
    assert digest(hub, moved) != digest(moved, hub)


def test_many_blobs_are_counted_and_named_by_one_digest(training):
    blobs = [
        JobSource(role="dataset", kind="blob_url", uri=f"https://a.blob.core.windows.net/c/{n}") for n in range(64)
    ]
    tags = make_publishing(with_sources(training(), *blobs)).tags
    assert (tags["blob_url_count"], tags["dataset_uri_count"]) == ("64", "64")
    assert tags["blob_urls"].startswith("64 blob URLs; sha256:")
    assert tags["dataset_source"] == "azure-blob"
    assert max(map(len, tags.values())) <= 256
    (one,) = blobs[:1]
    assert make_publishing(with_sources(training(), one)).tags["blob_urls"] == one.uri
    asset = JobSource(role="dataset", kind="data_asset", uri="azureml:d:3")
    mixed = make_publishing(with_sources(training(), asset, one)).tags
    assert (mixed["dataset_source"], mixed["dataset_assets"], mixed["dataset_asset_count"]) == (
        "mixed",
        "azureml:d:3",
        "1",
    )


def test_a_model_is_told_of_the_policy_it_began_with_and_of_the_run_that_made_it(training, saved):
    at = saved("other/checkpoints/000400", 400, run="lerobot-train-11111111-2")
    document = training(starts={"policy": at})
    data = {source: Path(source.uri) for source in document.sources}
    found = make_publishing(document, data)
    assert found.tags["base_policy"] == str(at)
    assert found.tags["parent_run"] == "lerobot-train-11111111-2"
    assert (found.tags["parent_step"], len(found.tags["parent_checkpoint_sha256"])) == ("400", 64)
    assert f"fine-tuned from {at}" in found.description
    model = training(starts={"policy": at / "pretrained_model"})
    assert (
        make_publishing(model, {s: Path(s.uri) for s in model.sources}).tags["parent_run"] == "lerobot-train-11111111-2"
    )
    assert not any(name.startswith(("base_", "parent_")) for name in make_publishing(training()).tags)
