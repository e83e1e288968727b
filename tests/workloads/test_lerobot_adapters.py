"""Adapters: what a job asks for is checked before it is sent, and an adapter's base is a source of each job of it."""

import dataclasses
import json
import shutil
from pathlib import Path

import job_documents
import pytest
from hub_stand_in import HubStandIn
from robotrain_runtime.contract.checkpoint import hash_file
from robotrain_runtime.contract.document import JobSource
from robotrain_workloads.lerobot import adapter, versions
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot_train import tracking, trainer_installation, trainer_options

EXAMPLE = Path(__file__).parents[2] / "examples/pusht-camera"
START = ("--dataset-path", str(EXAMPLE / "dataset"), "--rename", "observation.image=observation.images.camera1")
BACKBONE = ("--backbone-path", str(EXAMPLE / "backbones/HuggingFaceTB/SmolVLM2-500M-Video-Instruct"))
COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS_DIGEST = hash_file(EXAMPLE / "base/model.safetensors")
WEIGHTS_SIZE = (EXAMPLE / "base/model.safetensors").stat().st_size


@pytest.fixture
def make_adapter(tmp_path):
    """Make the shell of an adapter of the example's base: `make_adapter(rank=8, base=Base(…))`."""

    def make(folder="adapter", base: adapter.Base | None = None, **changes) -> Path:
        at = tmp_path / folder
        shutil.copytree(EXAMPLE / "base", at, ignore=shutil.ignore_patterns("model.safetensors"))
        settings = json.loads((at / "config.json").read_text())
        (at / "config.json").write_text(json.dumps({**settings, "use_peft": True}))
        named = {"peft_type": "LORA", "r": 4, "lora_alpha": 4, "base_model_name_or_path": base.name if base else None}
        (at / "adapter_config.json").write_text(json.dumps({**named, "revision": None, **changes}))
        shutil.copyfile(EXAMPLE / "base/model.safetensors", at / "adapter_model.safetensors")
        if base:
            adapter.save_base(at, base)
        return at

    return make


@pytest.fixture
def render(robotrain):
    """Render a training of the example: `render("--lora-rank", "4")`."""

    def run(*words, workload="lerobot-train", platform="local"):
        data = START if workload == "lerobot-train" else START[:2]
        return robotrain("render", workload, "--platform", platform, "--json", *data, *BACKBONE, *words)

    return run


def list_base_sources(answer) -> list[tuple[str, str]]:
    backbone = BACKBONE[1]
    sources = job_documents.read_job(answer)["sources"]
    return [
        (source["kind"], source["uri"])
        for source in sources
        if source["role"] == "backbone" and source["uri"] != backbone
    ]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--lora-rank", "4"), "option-without-effect"),
        (("--reward-model", "sarm", "--lora-rank", "4"), "option-without-effect"),
        (("--reward-model", "sarm", "--policy-repo-id", "lab/x", "--lora-rank", "4"), "option-without-effect"),
        (("--policy-path", str(EXAMPLE / "base"), "--lora-rank", "0"), "value-invalid"),
        (("--policy-path", str(EXAMPLE / "base"), "--lora-rank", "4", "--", "--peft.r=4"), "options-conflict"),
        (
            ("--policy-path", str(EXAMPLE / "base"), "--lora-rank", "4", "--", "--peft.method_type=LORA"),
            "options-conflict",
        ),
        (("--policy-type", "act", "--policy-repo-id", "lab/act", "--lora-rank", "4"), "adapter-modules-unknown"),
        (("--policy-type", "act", "--policy-repo-id", "lab/act", "--", "--peft.r=4"), "adapter-modules-unknown"),
    ],
)
def test_adapter_that_cannot_be_trained_is_refused_at_once(robotrain, words, code):
    robotrain("render", "--platform", "local", *START[:2], *words).check_problems(2, code)


def test_type_without_known_modules_takes_named_ones(robotrain):
    words = ("--policy-type", "act", "--policy-repo-id", "lab/act", "--lora-rank", "4")
    options = ("--", "--peft.target_modules=all-linear")
    robotrain("render", "--platform", "local", "--json", *START[:2], *words, *options).check(0)


def test_every_version_says_which_types_an_adapter_knows_its_modules_of():
    for version in versions.list_versions():
        names = [name for name, policy in version.policies.items() if policy.adapter_modules]
        assert names == ["molmoact2", "pi0", "pi05", "smolvla"]


def test_rank_gives_lerobot_an_adapter_that_adds_as_it_is(tmp_path):
    """The scale of a LoRA adapter is alpha / rank: LeRobot's default of 8 would halve one of rank 16."""
    place = {"work": str(tmp_path), "cache": str(tmp_path)}
    starts = {"policy": EXAMPLE / "base"}
    job = job_documents.training(EXAMPLE / "dataset", place, starts=starts, lora_rank=16)
    options = job_documents.read_options(job_documents.get_work(job).arguments)
    assert {name: value for name, value in options.items() if name.startswith("--peft.")} == {
        "--peft.method_type": "LORA",
        "--peft.r": "16",
        "--peft.lora_alpha": "16",
    }
    assert job_documents.read_request(job_documents.get_work(job).arguments).base == str(EXAMPLE / "base")
    other = dataclasses.replace(job, trainer_args=("--peft.lora_alpha=32",))
    options = job_documents.read_options(job_documents.get_work(other).arguments)
    assert options["--peft.lora_alpha"] == "32"
    plain = job_documents.training(EXAMPLE / "dataset", place, starts=starts)
    assert not job_documents.read_request(job_documents.get_work(plain).arguments).base


def test_the_card_of_an_adapter_names_its_base_and_not_what_it_went_on_from(make_adapter, tmp_path):
    place = {"work": str(tmp_path / "work"), "cache": str(tmp_path)}

    def describe(start: JobSource, folder: Path, **parameters) -> dict:
        job = job_documents.training(EXAMPLE / "dataset", place, starts={"policy": start}, **parameters)
        return tracking.describe_policy(LerobotJob(job, {start: folder}))["metadata"]

    base = JobSource(role="policy", kind="huggingface", uri="lab/base", pin=COMMIT)
    made = describe(base, EXAMPLE / "base", lora_rank=4)
    assert (made["base_model"], made["base_model_relation"]) == (["lab/base"], "adapter")
    whole = describe(base, EXAMPLE / "base")
    assert (whole["base_model"], whole.get("base_model_relation")) == (["lab/base"], None)
    earlier = JobSource(role="policy", kind="huggingface", uri="me/adapter", pin=COMMIT)
    made = describe(earlier, make_adapter(base=adapter.Base("huggingface", "lab/base", COMMIT)))
    assert (made["base_model"], made["base_model_relation"]) == (["lab/base"], "adapter")
    folder = make_adapter("other", base=adapter.Base("local_path", sha256=WEIGHTS_DIGEST, size=WEIGHTS_SIZE))
    assert not {"base_model", "base_model_relation"} & describe(earlier, folder).keys()


def test_the_card_of_an_adapter_says_which_folder_its_base_is(make_adapter, tmp_path):
    """`adapter_config.json` calls such a base by its digest, which is no repository of the Hub."""
    place = {"work": str(tmp_path / "work"), "cache": str(tmp_path)}

    def describe(start: JobSource, folder: Path, **parameters) -> tuple[str, str, str]:
        job = job_documents.training(EXAMPLE / "dataset", place, starts={"policy": start}, **parameters)
        sections = dict(tracking.describe_policy(LerobotJob(job, {start: folder}))["sections"])
        return sections["Use"], sections["Adapter"], job.run

    base = JobSource(role="policy", kind="local_path", uri=str(EXAMPLE / "base"))
    use, about, run = describe(base, EXAMPLE / "base", lora_rank=4)
    assert 'from_pretrained("FOLDER_OF_THE_BASE", config=config)' in use
    assert "base_model_name_or_path" not in use
    assert "--backbone-path FOLDER_OF_THE_BASE" in use
    for text in (use, about):
        assert (
            f"the run `{run}` started from, whose `model.safetensors` has the `sha256` of `adapter_base.json`" in text
        )
        assert str(EXAMPLE) not in text
    with_digest = make_adapter(base=adapter.Base("local_path", sha256=WEIGHTS_DIGEST, size=WEIGHTS_SIZE))
    earlier = JobSource(role="policy", kind="huggingface", uri="me/adapter", pin=COMMIT)
    assert all(f"`sha256:{WEIGHTS_DIGEST}`" in text for text in describe(earlier, with_digest)[:2])
    hub = JobSource(role="policy", kind="huggingface", uri="lab/base", pin=COMMIT)
    use, about, _ = describe(hub, EXAMPLE / "base", lora_rank=4)
    assert "from_pretrained(name, revision=revision, config=config)" in use
    assert "FOLDER_OF_THE_BASE" not in use
    assert f"`hf://lab/base@{COMMIT}`" in about


def test_training_from_an_adapter_goes_on_with_it(make_adapter, tmp_path):
    folder = make_adapter(base=adapter.Base("local_path", sha256=WEIGHTS_DIGEST, size=WEIGHTS_SIZE))
    base = JobSource(role="backbone", kind="local_path", uri=str(EXAMPLE / "base"))
    place = {"work": str(tmp_path / "work"), "cache": str(tmp_path)}
    job = job_documents.training(
        EXAMPLE / "dataset", place, starts={"policy": folder, "backbone": base}, rename=START[3]
    )
    arguments = job_documents.get_work(job).arguments
    options, request = job_documents.read_options(arguments), job_documents.read_request(arguments)
    assert (options["--peft.method_type"], options["--peft.r"]) == ("LORA", "4")
    assert (options["--policy.path"], request.base) == (str(folder), str(EXAMPLE / "base"))
    assert request.base_reference["sha256"] == WEIGHTS_DIGEST


@pytest.mark.parametrize(
    ("rank", "args"),
    [
        (8, ()),
        (None, ("--peft.r=8",)),
        (None, ("--peft.lora_alpha=9",)),
    ],
)
def test_adapter_to_go_on_with_keeps_its_rank(make_adapter, tmp_path, rank, args):
    place = {"work": str(tmp_path / "work"), "cache": str(tmp_path)}
    job = job_documents.training(EXAMPLE / "dataset", place, args, {"policy": make_adapter()}, lora_rank=rank)
    job_documents.check_findings(trainer_options.find_problems(LerobotJob(job, job_documents.folders(job))))
    same = dataclasses.replace(job, parameters={**job.parameters, "lora_rank": 4}, trainer_args=("--peft.r=4",))
    assert list(trainer_options.find_problems(LerobotJob(same, job_documents.folders(same)))) == []


def test_checkpoint_of_all_weights_does_not_become_an_adapter(saved, tmp_path):
    place = {"work": str(tmp_path / "work"), "cache": str(tmp_path)}
    starts = {"resume": saved("run/checkpoints/000006", 6)}
    job = job_documents.training(EXAMPLE / "dataset", place, starts=starts, lora_rank=4)
    job_documents.check_findings(
        trainer_options.find_problems(LerobotJob(job, job_documents.folders(job))),
        fact="--policy-path CHECKPOINT --lora-rank RANK",
    )


@pytest.mark.parametrize(
    ("workload", "platform"),
    [("lerobot-train", "local"), ("lerobot-eval", "osmo")],
)
def test_base_at_the_hub_is_a_pinned_source_of_each_job_of_the_adapter(
    robotrain, make_adapter, monkeypatch, tmp_path, platform, workload
):
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with HubStandIn() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        for name in ("HuggingFaceTB/SmolVLM2-500M-Video-Instruct", "lab/base"):
            hub.repository(name, {"config.json": b"{}"})
        commit = hub.repositories["models/lab/base"].branches["main"]
        folder = make_adapter(base=adapter.Base("huggingface", "lab/base", commit, sha256=WEIGHTS_DIGEST, size=9))
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        hub.repository("lab/adapter", files)
        hub.repository("lab/pusht", {"meta/info.json": (EXAMPLE / "dataset/meta/info.json").read_bytes()}, "dataset")
        words = ("--dataset-repo-id", "lab/pusht", "--policy-repo-id", "lab/adapter", "--pin", "--json")
        rename = START[2:] if workload == "lerobot-train" else ()
        place = job_documents.PLATFORMS.get(platform, ("--platform", platform))
        answer = robotrain("render", workload, *place, *words, *rename)
        answer.check(0)
        sources = [source for source in job_documents.read_job(answer)["sources"] if "base" in source["uri"]]
    assert [
        (source["role"], source["kind"], source["uri"], source["pin"], source["implied"]) for source in sources
    ] == [("backbone", "huggingface", f"lab/base@{commit}", commit, True)]


def test_adapter_of_plain_lerobot_is_read_by_the_name_that_it_has(make_adapter, render):
    """LeRobot names the folder of the base, or its repository."""
    local = make_adapter("local", base_model_name_or_path=str(EXAMPLE / "base"))
    answer = render("--policy-path", str(local), workload="lerobot-eval")
    answer.check(0)
    assert list_base_sources(answer) == [("local_path", str(EXAMPLE / "base"))]
    remote = make_adapter("remote", base_model_name_or_path="lab/base", revision=COMMIT)
    base = adapter.load_adapter(remote).base
    assert (base.kind, adapter.format_source(base)) == ("huggingface", f"lab/base@{COMMIT}")


@pytest.mark.parametrize("workload", ["lerobot-train", "lerobot-eval"])
def test_adapter_without_its_base_is_named_before_submission(robotrain, make_adapter, workload):
    folder = make_adapter(base=adapter.Base("local_path", sha256=WEIGHTS_DIGEST, size=WEIGHTS_SIZE))
    rename = START[2:] if workload == "lerobot-train" else ()
    words = (workload, "--platform", "local", *START[:2], *rename, *BACKBONE, "--policy-path", str(folder))
    robotrain("submit", *words, "--dry-run").check_problems(4, "data-unusable")
    brought = robotrain("submit", *words, "--backbone-path", str(EXAMPLE / "base"), "--dry-run", "--json")
    assert not any("base" in problem["title"] for problem in brought.json.get("problems", ()))


def test_base_of_an_unknown_run_is_named_before_submission(robotrain, make_adapter):
    folder = make_adapter(
        base=adapter.Base("local_path", run="lerobot-train-0badf00d-1", sha256=WEIGHTS_DIGEST, size=9)
    )
    words = ("--platform", "local", *START[:2], *BACKBONE, "--policy-path", str(folder))
    robotrain("render", "lerobot-eval", *words).check_problems(2, "source-invalid")


def test_another_policy_in_the_place_of_the_base_is_refused(make_adapter, tmp_path):
    folder = make_adapter(base=adapter.Base("local_path", sha256=WEIGHTS_DIGEST, size=WEIGHTS_SIZE))
    other = tmp_path / "lab/other"
    shutil.copytree(EXAMPLE / "base", other)
    content = bytearray((other / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (other / "model.safetensors").write_bytes(content)
    place = {"work": str(tmp_path / "work"), "cache": str(tmp_path)}
    for base, expected in ((other, 1), (EXAMPLE / "base", 0)):
        source = JobSource(role="backbone", kind="local_path", uri=str(base))
        starts = {"policy": folder, "backbone": source}
        job = job_documents.training(EXAMPLE / "dataset", place, starts=starts, rename=START[3])
        problems = [problem for problem in job_documents.find_problems(job) if "not the base of the adapter" in problem]
        job_documents.check_findings(problems, expected, "lab/other is not the base of the adapter")


def test_files_of_an_adapter_name_no_folder_of_the_machine():
    local = adapter.describe_base(
        JobSource(role="policy", kind="local_path", uri="/data/base", pin="folder:1"), "run-1"
    )
    assert local == adapter.Base("local_path", run="run-1")
    measured = adapter.measure_base(local, EXAMPLE / "base")
    assert (measured.sha256, measured.size) == (WEIGHTS_DIGEST, WEIGHTS_SIZE)
    assert measured.name == f"base-sha256-{WEIGHTS_DIGEST[:16]}"
    hub = JobSource(role="policy", kind="huggingface", uri="lab/base@main", pin=COMMIT)
    base = adapter.describe_base(hub, "run-1")
    assert (base.name, base.revision, str(base)) == ("lab/base", COMMIT, f"hf://lab/base@{COMMIT}")


def test_checkpoint_is_saved_with_the_base_by_reference(tmp_path):
    """A stand-in of LeRobot's trainer saves what it is given, as the real one does."""

    class Training:
        policy = type("Settings", (), {"pretrained_path": Path("/data/base")})()

    def save(*, checkpoint_dir, cfg):
        folder = checkpoint_dir / "pretrained_model"
        folder.mkdir(parents=True)
        named = {"base_model_name_or_path": "/data/base", "revision": None, "r": 4}
        (folder / "adapter_config.json").write_text(json.dumps(named))
        (folder / "README.md").write_text("base_model:adapter:/data/base")
        return cfg.policy.pretrained_path

    reference = adapter.Base("huggingface", "lab/base", COMMIT)
    base, training = trainer_installation.BasePolicy(EXAMPLE / "base", reference._asdict()), Training()
    assert base.save(save, checkpoint_dir=tmp_path, cfg=training) is None
    assert training.policy.pretrained_path == Path("/data/base")
    folder = tmp_path / "pretrained_model"
    settings, saved = (json.loads((folder / name).read_text()) for name in ("adapter_config.json", adapter.BASE_FILE))
    assert settings == {"base_model_name_or_path": "lab/base", "revision": COMMIT, "r": 4}
    assert (saved["uri"], saved["pin"], saved["sha256"]) == ("lab/base", COMMIT, WEIGHTS_DIGEST)
    assert not any("/data/base" in path.read_text() for path in folder.iterdir())
