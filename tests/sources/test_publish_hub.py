"""Checkpoints really published to a Hub of this machine: by huggingface_hub in the data environment."""

import contextlib
import dataclasses
import os
import shutil
from pathlib import Path

import pytest
import yaml
from azure_stand_in import Fault
from hub_stand_in import Repository
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.checkpoint import MANIFEST
from robotrain_runtime.contract.container_plugin import ContainerContext, ModelDescription
from robotrain_runtime.contract.failure import PermanentError
from robotrain_runtime.contract.target import CheckpointMark, CheckpointOwner
from robotrain_sources.huggingface import fetch, layout
from robotrain_sources.huggingface_publish import target

pytestmark = pytest.mark.slow

RUN = "lerobot-train-00000000-1"
ADDRESS = "hf://me/act"
FILES = {
    "pretrained_model/model.safetensors": os.urandom(300_000),
    "pretrained_model/config.json": b'{"type": "act"}',
    "pretrained_model/train_config.json": b'{"dataset": {"root": "/data/episodes"}, "steps": 6}',
    "training_state/optimizer.safetensors": os.urandom(200_000),
    "training_state/training_step.json": b'{"step": 200}',
}
DESCRIPTION = ModelDescription(
    title="A policy",
    metadata={"library_name": "lerobot", "pipeline_tag": "robotics", "datasets": ["lerobot/pusht"], "base_model": []},
    sections=[("Use", "`{repository}` at `{tag}`")],
)


@pytest.fixture
def place(tmp_path, data_python, hub, monkeypatch) -> ContainerContext:
    monkeypatch.setenv("HF_TOKEN", hub.token)
    return ContainerContext(
        cache=tmp_path / "cache",
        python=data_python,
        log_line=[].append,
        describe_checkpoint=lambda step: DESCRIPTION,
        path_files={"*/train_config.json": None},
    )


@pytest.fixture
def save(tmp_path):
    """Make a sealed checkpoint: `save(200)`."""

    def save(step: int, files=FILES, run: str = RUN, submission: str = "") -> Path:
        folder = tmp_path / run / f"{step:06}"
        shutil.rmtree(folder, ignore_errors=True)
        for name, content in {**files, "training_state/number.json": str(step).encode()}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        names = {"run": run, "job": "0" * 64, "model": "pretrained_model", "submission": submission}
        checkpoint.seal_checkpoint(folder, step=step, **names)
        return folder

    return save


@pytest.fixture
def publish(place):
    """Publish a folder with a program of its own: `publish(folder, ADDRESS)`."""

    def publish(folder: Path, address: str = ADDRESS) -> bool:
        with contextlib.closing(target.open(address, place)) as writer:
            return writer.write(folder, checkpoint.read_manifest(folder), lambda: False)

    return publish


@pytest.fixture
def repository(hub):
    return lambda name="me/act": hub.repositories[f"models/{name}"]


def read_tag(repository: Repository, tag: str) -> dict[str, bytes]:
    return dict(repository.commits[repository.tags[tag]])


def test_a_checkpoint_is_a_commit_and_a_tag_with_the_model_at_the_root(hub, publish, save, repository):
    folder = save(200)
    assert publish(folder)
    repo = repository()
    assert (repo.shut, list(repo.tags), list(repo.branches)) == ("private", ["step-000200"], ["main"])
    assert repo.branches["main"] == repo.tags["step-000200"]
    files = read_tag(repo, "step-000200")
    assert files["model.safetensors"] == FILES["pretrained_model/model.safetensors"]
    assert files["training_state/optimizer.safetensors"] == FILES["training_state/optimizer.safetensors"]
    manifest = checkpoint.parse_manifest(files[MANIFEST])
    assert manifest
    assert (manifest.run, manifest.step, manifest.model) == (RUN, 200, "pretrained_model")
    for path, where in layout.map_paths(manifest).items():
        assert checkpoint.hash_bytes(files[where]) == manifest.files[path]
    posts = [request for request in hub.requests if request.startswith("POST")]
    assert [request.split()[1].split("/")[5] for request in posts if "/api/models/" in request][-2:] == [
        "commit",
        "tag",
    ]
    assert not [request for request in hub.requests if "xet" in request]


def test_no_path_of_the_machine_and_no_token_is_in_what_is_pushed(hub, publish, save, repository, tmp_path):
    publish(save(200))
    for path, content in read_tag(repository(), "step-000200").items():
        assert b"/data/episodes" not in content, path
        assert str(tmp_path).encode() not in content, path
        assert hub.token.encode() not in content, path
    assert b'"root": null' in read_tag(repository(), "step-000200")["train_config.json"]
    assert not [request for request in hub.arrived_elsewhere if "authorization" in request.headers]


def test_the_card_has_its_metadata_and_names_the_tag(publish, save, repository):
    publish(save(200), f"{ADDRESS}@second")
    _, metadata, text = read_tag(repository(), "second-step-000200")["README.md"].decode().split("---\n", 2)
    expected = {"library_name": "lerobot", "pipeline_tag": "robotics", "datasets": ["lerobot/pusht"]}
    assert yaml.safe_load(metadata) == expected  # what is empty is left out
    assert "`me/act` at `second-step-000200`" in text


def test_a_card_that_the_hub_refuses_does_not_lose_the_checkpoint(place, save, repository):
    lines: list[str] = []
    wrong = ModelDescription(title="A policy", metadata={"license": "not a license"})
    place = ContainerContext(
        cache=place.cache, python=place.python, log_line=lines.append, describe_checkpoint=lambda step: wrong
    )
    with contextlib.closing(target.open(ADDRESS, place)) as writer:
        folder = save(200)
        assert writer.write(folder, checkpoint.read_manifest(folder), lambda: False)
    files = read_tag(repository(), "step-000200")
    assert "README.md" not in files
    assert "model.safetensors" in files
    assert [line for line in lines if line.startswith("warning: the Hub refuses the model card of me/act")]


def test_what_is_there_already_is_not_sent_again(hub, publish, save):
    folder = save(200)
    publish(folder)
    hub.requests.clear()
    assert not publish(folder)
    assert not [
        request for request in hub.requests if "/commit/" in request or "/tag/" in request or request.startswith("PUT")
    ]


def test_an_older_checkpoint_that_is_sent_later_never_becomes_the_head(publish, save, repository):
    publish(save(400))
    with pytest.raises(PermanentError, match=f"has step 400 already, .* such as {RUN}"):
        publish(save(200))
    repo = repository()
    assert [*repo.tags] == ["step-000400"]
    assert repo.branches == {"main": repo.tags["step-000400"]}
    repo.squash()
    with pytest.raises(PermanentError, match="has step 400 already"):
        publish(save(200))


def test_a_commit_without_its_tag_does_not_keep_an_older_step_out(hub, publish, save, repository):
    """A pod that is killed between the two loses its checkpoint, and trains it again."""
    hub.faults.append(Fault(r"POST /api/models/me/act/tag/", status=503, times=9))
    with pytest.raises(OSError, match="503"):
        publish(save(600))
    hub.faults.clear()
    for step in (500, 600):
        assert publish(save(step))
    repo = repository()
    assert sorted(repo.tags) == ["step-000500", "step-000600"]
    assert repo.branches == {"main": repo.tags["step-000600"]}


def test_a_step_that_is_saved_again_has_its_tag_anew(publish, save, repository):
    publish(save(200))
    assert publish(save(200, {**FILES, "training_state/more.json": b"{}"}))
    assert read_tag(repository(), "step-000200")["training_state/more.json"] == b"{}"
    assert publish(save(400))
    assert "training_state/more.json" not in read_tag(repository(), "step-000400")


FAULTS = {
    "the Hub is busy": Fault(r"POST /api/models/me/act/commit/", status=500, times=1),
    "too many requests": Fault(r"POST /api/models/me/act/preupload/", status=429, times=1),
    "the answer of the commit is lost": Fault(r"POST /api/models/me/act/commit/", after=1, lost=True, times=1),
    "the answer of the tag is lost": Fault(r"POST /api/models/me/act/tag/", lost=True, times=1),
    "an upload is cut": Fault(r"PUT /upload/", gone=True, times=1),
    "the tag is refused": Fault(r"POST /api/models/me/act/tag/", status=503, times=1),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_after_a_fault_the_next_try_completes_one_commit_and_one_tag(hub, publish, save, repository, fault):
    hub.faults.append(fault)
    folder = save(200)
    for _ in range(3):
        with contextlib.suppress(OSError):
            publish(folder)
    repo = repository()
    assert list(repo.tags) == ["step-000200"]
    steps = [commit for commit, message in repo.messages.items() if message.startswith("step 200")]
    assert steps == [repo.tags["step-000200"]]


def test_a_branch_belongs_to_the_run_that_was_first(publish, save, repository):
    publish(save(200))
    with pytest.raises(PermanentError, match=f"belongs to the run {RUN}: name a branch"):
        publish(save(400, run="another-1"))
    assert publish(save(400, run="another-1"), f"{ADDRESS}@another")
    assert sorted(repository().tags) == ["another-step-000400", "step-000200"]
    assert "model.safetensors" in repository().commits[repository().branches["main"]]


def test_of_two_runs_that_begin_at_once_one_gets_the_branch(hub, publish, save, repository):
    other = checkpoint.read_manifest(save(100, run="another-1"))

    def commit_other() -> None:
        repo = repository()
        files = repo.commits[repo.branches["main"]]
        repo.commit({**files, MANIFEST: checkpoint.format_manifest(other)})

    hub.faults.append(Fault(r"POST /api/models/me/act/commit/", act=commit_other))
    with pytest.raises(PermanentError, match="belongs to the run another-1"):
        publish(save(200))
    assert repository().tags == {}


def test_a_branch_with_other_files_is_left_alone(hub, publish, save, repository):
    hub.repository("me/act", {"weights.bin": b"mine", "README.md": b"mine"})
    with pytest.raises(PermanentError, match=r"holds other files, such as weights\.bin"):
        publish(save(200))
    assert repository().commits[repository().branches["main"]]["weights.bin"] == b"mine"
    assert publish(save(200), f"{ADDRESS}@robotrain")  # a new branch has nothing of it
    assert "weights.bin" not in read_tag(repository(), "robotrain-step-000200")


@pytest.mark.parametrize("run", [RUN, "another-1"])
def test_a_new_branch_has_nothing_of_a_squashed_main(place, publish, save, repository, run):
    publish(save(400))
    repository().squash()
    second = f"{ADDRESS}@second"
    assert publish(save(200, run=run), second)
    files = read_tag(repository(), "second-step-000200")
    assert checkpoint.parse_manifest(files[MANIFEST]).run == run
    assert files["training_state/number.json"] == b"200"
    assert repository().branches["second"] == repository().tags["second-step-000200"]
    assert target.inspect(second, place).owner == CheckpointOwner(run=run)


def test_a_branch_that_was_only_created_belongs_to_nobody(place, publish, save, repository):
    """A run may end between the branch and its first commit."""
    publish(save(400))
    repo = repository()
    repo.squash()
    repo.branches["second"] = repo.branches["main"]
    inspected = target.inspect(f"{ADDRESS}@second", place)
    assert (inspected.owner, inspected.problems) == (None, ())


def test_a_squashed_branch_keeps_its_files(place, publish, save, repository):
    publish(save(200))
    repo = repository()
    repo.branches["mine"] = repo.branches["main"]
    repo.commit({"weights.bin": b"mine"}, "mine")
    repo.squash("mine")
    with pytest.raises(PermanentError, match=r"holds other files, such as weights\.bin"):
        publish(save(200), f"{ADDRESS}@mine")
    (problem,) = target.inspect(f"{ADDRESS}@mine", place).problems
    assert "holds other files, such as weights.bin" in problem.title
    assert repo.commits[repo.branches["mine"]] == {"weights.bin": b"mine"}


def test_a_squashed_branch_still_belongs_to_its_run(publish, save, repository):
    publish(save(200))
    for address, branch in ((ADDRESS, "main"), (f"{ADDRESS}@second", "second")):
        publish(save(200), address)
        repository().squash(branch)
        assert publish(save(400), address)
        with pytest.raises(PermanentError, match=f"belongs to the run {RUN}"):
            publish(save(400, run="another-1"), address)


def test_the_oldest_tags_of_the_run_go(place, publish, save, repository):
    for step in (200, 400, 600):
        publish(save(step))
    with contextlib.closing(target.open(ADDRESS, place)) as writer:
        assert writer.trim(RUN, 2, lambda: False) == ("000200",)
        assert writer.trim("another-1", 1, lambda: False) == ()
    assert sorted(repository().tags) == ["step-000400", "step-000600"]


def test_a_place_tells_whose_it_is_and_what_is_there(place, publish, save):
    assert target.inspect(ADDRESS, place).problems == ()
    publish(save(200, submission="job-7"))
    inspection = target.inspect(ADDRESS, place)
    assert (inspection.problems, inspection.warnings, inspection.owner) == (
        (),
        (),
        CheckpointOwner(run=RUN, submission="job-7"),
    )
    assert inspection.runs == {200: RUN}
    assert inspection.marks == {200: CheckpointMark(name="000200", submission="job-7")}


REFUSED = {
    "a repository of somebody else": (
        ADDRESS.replace("me/", "ada/"),
        "token",
        ("ada/act belongs to somebody else: me", "hf://me/act"),
    ),
    "a branch of somebody else": (
        f"{ADDRESS.replace('me/', 'ada/')}@try",
        "token",
        ("ada/act belongs to somebody else: me", "hf://me/act@try"),
    ),
    "a token that may only read": (ADDRESS, "read_token", ("your token (HF_TOKEN) may not write", "hf auth login")),
    "a dataset": ("hf://me/episodes", "token", ("on the Hub me/episodes is a dataset", "hf://me/NAME")),
    "other files": (
        "hf://me/full",
        "token",
        ("the branch main of me/full holds other files, such as weights.bin", "hf://me/full@BRANCH"),
    ),
}


@pytest.mark.parametrize(("address", "token", "expected"), REFUSED.values(), ids=REFUSED)
def test_a_place_that_cannot_be_written_to_says_so_and_what_to_do(hub, place, monkeypatch, address, token, expected):
    hub.repository("me/episodes", {"meta/info.json": b"{}"}, "dataset")
    hub.repository("me/full", {"weights.bin": b"mine"})
    monkeypatch.setenv("HF_TOKEN", getattr(hub, token))
    (problem,) = target.inspect(address, place).problems
    assert problem.title.startswith(expected[0])
    assert [way.text for way in problem.suggestions] == [expected[1]]
    assert getattr(hub, token) not in str(problem)


def test_without_a_token_and_with_a_wrong_one_the_place_says_so(hub, place, monkeypatch):
    for token, message in ((None, "requires a token to publish"), ("hf_wrong12345678", "does not accept your token")):
        monkeypatch.delenv("HF_TOKEN") if token is None else monkeypatch.setenv("HF_TOKEN", token)
        (problem,) = target.inspect(ADDRESS, place).problems
        assert message in problem.title
        assert [way.text for way in problem.suggestions] == ["hf auth login"]
        assert str(token) not in str(problem)


def test_a_job_is_shown_its_platforms_way_to_a_token(hub, place, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    hints = {"huggingface": "robotrain-platform credential set"}
    (problem,) = target.inspect(ADDRESS, dataclasses.replace(place, credential_hints=hints)).problems
    assert problem.title.endswith(f"requires a token to publish: {hints['huggingface']}")


def test_a_hub_that_does_not_answer_is_no_reason_against_a_run(hub, place):
    hub.status = 503
    inspection = target.inspect(ADDRESS, place)
    assert inspection.problems == ()
    assert "answered HTTP 503" in inspection.warnings[0]


def test_a_token_in_a_file_counts_before_that_of_the_machine(hub, place, save, monkeypatch, tmp_path, repository):
    (tmp_path / "token").write_text(f"{hub.token}\n")
    monkeypatch.setenv("HF_TOKEN", hub.read_token)
    context = ContainerContext(
        cache=place.cache, python=place.python, log_line=[].append, credentials={"huggingface": str(tmp_path / "token")}
    )
    with contextlib.closing(target.open(ADDRESS, context)) as writer:
        folder = save(200)
        assert writer.write(folder, checkpoint.read_manifest(folder), lambda: False)
    assert list(repository().tags) == ["step-000200"]


def test_a_checkpoint_is_fetched_with_its_files_where_they_were(place, publish, save, tmp_path):
    folder = save(200)
    publish(folder)
    files = fetch.open("me/act@step-000200", "", "resume", "")
    names = {file.name: files.get_store_path(file.name) for file in files.list_files()}
    expected = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names.keys() == expected
    assert names["pretrained_model/model.safetensors"] == "model.safetensors"
    policy = [file.name for file in fetch.open("me/act@step-000200", "", "policy", "").list_files()]
    assert {"config.json", "model.safetensors"} <= {*policy}
