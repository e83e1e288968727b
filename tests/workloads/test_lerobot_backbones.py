"""Which repositories of the Hub a policy of each type reads, and whose code runs."""

import dataclasses
import json

import job_documents
import pytest
from robotrain_runtime.contract.document import JobSource
from robotrain_workloads.lerobot import backbones, policy_repositories, remote_code, run_setup, versions
from robotrain_workloads.lerobot.backbones import PolicyFiles
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot.policy import read_policy_files
from robotrain_workloads.lerobot_eval.parameters import EvalParameters
from robotrain_workloads.lerobot_train.parameters import TrainParameters

SMOLVLM = "HuggingFaceTB/SmolVLM2-500M-Video-Instruct"
PALIGEMMA = "google/paligemma-3b-pt-224"
FAST = "lerobot/fast-action-tokenizer"
CLIP = "openai/clip-vit-base-patch16"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER_COMMIT = "f" * 40


def list_names(policy_type, *options, start=None, **parameters):
    values = dataclasses.asdict(TrainParameters(**parameters)) | {"policy_type": policy_type}
    return sorted(backbone.name for backbone in backbones.list_needed(values, options, start))


def policy_files(*processor_names, **settings):
    return PolicyFiles(settings=settings, processor_names=processor_names)


@pytest.mark.parametrize(
    ("policy_type", "options", "names"),
    [
        ("act", (), []),
        ("diffusion", (), []),
        ("smolvla", (), [SMOLVLM]),
        ("smolvla", ("--policy.vlm_model_name=lab/vlm",), ["lab/vlm"]),
        ("smolvla", ("--policy.vlm_model_name", "lab/vlm"), ["lab/vlm"]),
        ("smolvla", ("--policy.vlm_model_name=/models/vlm",), []),
        ("smolvla", ("--policy.vlm_model_name=./vlm",), []),
        ("multi_task_dit", (), [CLIP]),
        ("multi_task_dit", ("--policy.text_encoder_name=lab/clip",), [CLIP, "lab/clip"]),
        ("pi0", (), [PALIGEMMA]),
        ("pi05", (), [PALIGEMMA]),
        ("pi0_fast", (), [FAST, PALIGEMMA]),
        ("pi0_fast", ("--policy.text_tokenizer_name=lab/words",), [FAST, "lab/words"]),
        ("xvla", (), ["facebook/bart-large"]),
        ("groot", (), ["nvidia/GR00T-N1.7-3B", "nvidia/Cosmos-Reason2-2B"]),
        ("groot", ("--policy.base_model_path=lab/gr00t",), ["lab/gr00t", "nvidia/Cosmos-Reason2-2B"]),
        ("wall_x", (), ["x-square-robot/wall-oss-flow"]),
        ("wall_x", ("--policy.prediction_mode=fast",), ["x-square-robot/wall-oss-flow", FAST]),
        ("molmoact2", (), ["allenai/MolmoAct2", "allenai/MolmoAct2-FAST-Tokenizer"]),
        ("molmoact2", ("--policy.action_mode=continuous",), ["allenai/MolmoAct2"]),
        ("vla_jepa", (), ["Qwen/Qwen3-VL-2B-Instruct", "facebook/vjepa2-vitl-fpc64-256"]),
        ("vla_jepa", ("--policy.enable_world_model=false",), ["Qwen/Qwen3-VL-2B-Instruct"]),
        ("fastwam", (), ["google/umt5-xxl", "Wan-AI/Wan2.2-TI2V-5B-Diffusers", "lerobot/fastwam_base"]),
        ("fastwam", ("--policy.base_model_id=null",), ["google/umt5-xxl", "Wan-AI/Wan2.2-TI2V-5B-Diffusers"]),
        ("of_a_plugin", (), []),
    ],
)
def test_new_policy_reads_what_its_type_and_options_name(policy_type, options, names):
    assert list_names(policy_type, *options) == sorted(names)


@pytest.mark.parametrize(
    ("files", "options", "names"),
    [
        (policy_files(type="act"), (), []),
        (policy_files(type="smolvla"), (), [SMOLVLM]),
        (policy_files(type="smolvla", vlm_model_name="lab/vlm"), (), ["lab/vlm"]),
        # LeRobot takes the tokenizer of a pretrained policy from its own processors, whatever the options say
        (
            policy_files(("tokenizer_name", "lab/vlm"), type="smolvla", vlm_model_name="lab/vlm"),
            ("--policy.vlm_model_name=lab/other",),
            ["lab/other", "lab/vlm"],
        ),
        (policy_files(("tokenizer_name", PALIGEMMA), type="pi05"), (), [PALIGEMMA]),
        (policy_files(("tokenizer_name", "lab/words"), type="pi05"), (), [PALIGEMMA, "lab/words"]),
        # the processor of pi0_fast reads the constant again, whatever the options of its training said
        (policy_files(type="pi0_fast", text_tokenizer_name="lab/words"), (), [FAST, PALIGEMMA, "lab/words"]),
        (policy_files(type="groot", base_model_path=None), (), ["nvidia/GR00T-N1.7-3B", "nvidia/Cosmos-Reason2-2B"]),
        (policy_files(type="fastwam"), (), ["google/umt5-xxl", "Wan-AI/Wan2.2-TI2V-5B-Diffusers"]),
        (
            policy_files(("discrete_action_tokenizer", "lab/fast"), type="molmoact2", action_mode="continuous"),
            (),
            ["allenai/MolmoAct2"],
        ),
    ],
)
def test_pretrained_policy_reads_what_its_files_name(files, options, names):
    assert list_names("act", *options, start=files) == sorted(names)  # whatever --policy-type says


def test_reward_model_reads_its_own_repository_and_ignores_saved_processors():
    values = dataclasses.asdict(TrainParameters()) | {"reward_model": "reward_classifier"}
    start = policy_files(("tokenizer_name", "lab/words"), type="reward_classifier", model_name="lab/resnet")
    assert [backbone.name for backbone in backbones.list_needed(values, (), None)] == ["lerobot/resnet10"]
    assert [backbone.name for backbone in backbones.list_needed(values, (), start)] == ["lab/resnet"]
    options = ("--reward_model.model_name=lab/mine", "--policy.model_name=lab/no")
    assert [backbone.name for backbone in backbones.list_needed(values, options, None)] == ["lab/mine"]


def test_options_that_name_repositories_are_those_of_the_policy_that_a_training_makes():
    values = dataclasses.asdict(TrainParameters(policy_type="smolvla"))
    options = ("--policy.vlm_model_name=lab/vlm", "--policy.load_vlm_weights=true", "--policy.chunk_size=4")
    assert backbones.list_naming_options(values, options) == {"vlm_model_name": "lab/vlm", "load_vlm_weights": True}


def test_revision_of_an_option_is_the_revision_of_the_backbone():
    values = dataclasses.asdict(TrainParameters()) | {"policy_type": "molmoact2"}
    needed = backbones.list_needed(values, ("--policy.checkpoint_revision=v2",), None)
    assert [backbone.revision for backbone in needed] == ["v2", ""]


def test_every_version_says_what_its_types_read():
    for version in versions.list_versions():
        names = {name for name, policy in version.policies.items() if policy.repositories}
        assert {"smolvla", "pi0", "pi0_fast", "xvla", "multi_task_dit", "groot"} <= names


def test_names_are_read_from_the_files_of_a_policy(tmp_path):
    (tmp_path / "config.json").write_text('{"type": "smolvla", "vlm_model_name": "lab/vlm"}')
    steps = [
        {"registry_name": "tokenizer_processor", "config": {"tokenizer_name": "lab/words", "task_key": "a/b"}},
        {"registry_name": "device_processor"},
    ]
    (tmp_path / "policy_preprocessor.json").write_text(json.dumps({"steps": steps}))
    files = read_policy_files(tmp_path, with_processors=True)
    assert files.processor_names == (("tokenizer_name", "lab/words"),)
    assert read_policy_files(tmp_path, with_processors=False).processor_names == ()
    for odd in ("5", '["a", 1]', '[{"config": []}]', "null"):  # reported elsewhere
        (tmp_path / "policy_preprocessor.json").write_text(f'{{"steps": {odd}}}')
        assert read_policy_files(tmp_path, with_processors=True).processor_names == ()


@pytest.mark.parametrize(
    ("policy_type", "options", "names"),
    [
        ("smolvla", (), []),
        ("pi0", (), []),
        ("pi0_fast", (), [FAST]),
        ("pi0_fast", ("--policy.text_tokenizer_name=lab/words",), [FAST, "lab/words"]),
        ("pi0_fast", (f"--policy.action_tokenizer_name={PALIGEMMA}",), []),
        ("wall_x", (), []),
        ("wall_x", ("--policy.prediction_mode=fast",), [FAST]),
        ("groot", (), ["nvidia/Cosmos-Reason2-2B"]),
    ],
)
def test_repositories_whose_code_runs(policy_type, options, names):
    values = dataclasses.asdict(TrainParameters()) | {"policy_type": policy_type}
    with_code = {backbone.name for backbone in backbones.list_needed(values, options, None) if backbone.runs_code}
    assert with_code == set(names)


@pytest.mark.parametrize(
    ("policy_type", "options", "name", "start", "expected"),
    [
        ("pi0", (), PALIGEMMA, False, [False]),
        ("pi0", (), PALIGEMMA, True, [False, False, False]),  # by each type that reads it
        ("smolvla", (), SMOLVLM, False, [False]),
        ("smolvla", ("--policy.load_vlm_weights=true",), SMOLVLM, False, [True]),
        ("smolvla", (), SMOLVLM, True, [True]),  # its settings are not known yet
        ("smolvla", ("--policy.load_vlm_weights=false",), SMOLVLM, True, [False]),
        ("smolvla", ("--policy.vlm_model_name=lab/vlm",), "lab/vlm", False, [False]),
        ("smolvla", (), "lab/vlm", True, []),  # only the policy's own files name it
        ("eo1", (), "Qwen/Qwen2.5-VL-3B-Instruct", False, [True]),
        ("eo1", (), "Qwen/Qwen2.5-VL-3B-Instruct", True, [False]),
        ("multi_task_dit", (), CLIP, False, [True]),
    ],
)
def test_weights_are_fetched_only_where_they_are_read(policy_type, options, name, start, expected):
    values = dataclasses.asdict(TrainParameters()) | {"policy_type": policy_type}
    assert list(backbones.list_uses(values, options, name, is_new=not start)) == expected


def test_evaluation_reads_the_same():
    values = dataclasses.asdict(EvalParameters())
    assert backbones.list_needed(values, (), policy_files(type="smolvla"))[0].name == SMOLVLM


def hub_source(uri, pin=""):
    return JobSource(role="backbone", kind="huggingface", uri=uri, pin=pin)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (hub_source("lab/vlm@main"), "lab/vlm"),
        (JobSource(role="backbone", kind="local_path", uri="/data/models/lab/vlm"), "lab/vlm"),
        (JobSource(role="backbone", kind="local_path", uri=f"/c/models--lab--vlm/snapshots/{COMMIT}"), "lab/vlm"),
        (JobSource(role="backbone", kind="blob_url", uri="https://a.blob.core.windows.net/box/x/lab/vlm"), "lab/vlm"),
    ],
)
def test_repository_that_a_backbone_stands_for(source, name):
    assert backbones.get_repository_name(source) == name


def test_snapshot_is_the_commit_or_a_digest_of_the_content():
    assert backbones.get_snapshot_name(hub_source("lab/vlm", COMMIT)) == COMMIT
    assert backbones.get_snapshot_name(hub_source(f"lab/vlm@{COMMIT}")) == COMMIT
    folders = [JobSource(role="backbone", kind="local_path", uri="/lab/vlm", pin=pin) for pin in ("", "1", "2")]
    names = {backbones.get_snapshot_name(folder) for folder in folders}
    assert len(names) == 3
    assert all(backbones.COMMIT.fullmatch(name) for name in names)


def test_cache_serves_each_backbone_at_its_commit(tmp_path):
    folder, work = tmp_path / "fetched", tmp_path / "run"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    source = hub_source("lab/vlm@v2", COMMIT)
    for _ in range(2):  # a second attempt finds what the first one left
        run_setup.fill_cache({source: folder, JobSource(role="dataset", kind="local_path", uri="/d"): folder}, work)
    entry = work / "hub" / "models--lab--vlm"
    assert {path.name: path.read_text() for path in (entry / "refs").iterdir()} == {"main": COMMIT, "v2": COMMIT}
    assert (entry / "snapshots" / COMMIT / "config.json").read_text() == "{}"
    assert [path.name for path in (work / "hub").iterdir()] == ["models--lab--vlm"]
    variables = run_setup.make_cache_variables([source], work)
    assert variables["HF_HUB_CACHE"] == str(work / "hub")
    assert variables["HF_MODULES_CACHE"].startswith(str(work))
    assert run_setup.make_cache_variables([], work) == {}


class LocalEntryNotFoundError(Exception):
    """As the library of the Hub calls it."""


def download(repo_id, repo_type=None):
    try:
        raise LocalEntryNotFoundError("it is not in the cache")
    except LocalEntryNotFoundError as error:
        raise OSError(f"we could not connect, {len(repo_id)}") from error


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [(("lab/inner",), "--backbone-repo-id lab/inner"), (("lab/data", "dataset"), ""), (("/folder",), "")],
)
def test_repository_that_another_backbone_names_is_explained_by_its_name(arguments, fact):
    with pytest.raises(OSError, match="connect") as caught:
        download(*arguments)
    assert run_setup.explain_missing_repository(caught.value).endswith(fact)
    assert bool(run_setup.explain_missing_repository(caught.value)) == bool(fact)
    assert run_setup.explain_missing_repository(OSError("no space left")) == ""


@pytest.mark.parametrize(("names", "is_missing"), [((), True), (("lab/other",), True), ((SMOLVLM,), False)])
def test_run_stops_before_data_is_fetched_if_a_repository_is_missing(training, dataset, names, is_missing):
    document = training(dataset(), policy_type="smolvla")
    document = dataclasses.replace(document, sources=(*document.sources, *map(hub_source, names)))
    problems = [problem for problem in job_documents.find_problems(document) if "does not bring" in problem]
    job_documents.check_findings(problems, is_missing, f"--backbone-repo-id {SMOLVLM}")


@pytest.mark.parametrize(
    ("named", "options", "is_warned"),
    [
        ("/models/of/somebody", (), True),
        ("/models/of/somebody", ("--policy.vlm_model_name=lab/vlm",), False),
        ("/", (), False),  # it is here
        ("lab/vlm", (), False),
    ],
)
def test_folder_that_the_files_of_a_policy_name_is_warned_of(training, dataset, tmp_path, named, options, is_warned):
    (tmp_path / "config.json").write_text(json.dumps({"type": "smolvla", "vlm_model_name": named}))
    policy = JobSource(role="policy", kind="huggingface", uri="lab/policy", pin=COMMIT)
    document = dataclasses.replace(training(dataset()), sources=(policy,), trainer_args=options)
    warnings = list(policy_repositories.list_warnings(LerobotJob(document, {policy: tmp_path})))
    job_documents.check_findings(warnings, is_warned, "--policy.vlm_model_name=OWNER/NAME")


@pytest.mark.parametrize(
    "text", ["lab/code", "lab/code@main", "lab/code@v1.0", f"code@{COMMIT}", f"lab/x@{COMMIT},", ""]
)
def test_trust_in_anything_but_a_commit_is_refused(text):
    with pytest.raises(ValueError, match=r"commit|repository"):
        remote_code.parse_trusted(text)


@pytest.mark.parametrize(
    "text",
    [
        "lab/code",
        "lab/code@main",
        f"lab/code@{COMMIT}0",
        f"lab/code@{COMMIT}, lab/other",
        f"https://huggingface.co/lab/code/tree/{COMMIT}",
        "true",
        ",",
    ],
)
def test_wrong_form_of_trust_is_refused(text):
    with pytest.raises(ValueError):
        remote_code.parse_trusted(text)


def test_trust_in_several_repositories():
    text = f"lab/code@{COMMIT}, lab/other@{OTHER_COMMIT}"
    assert remote_code.parse_trusted(text) == {"lab/code": COMMIT, "lab/other": OTHER_COMMIT}
    assert remote_code.parse_trusted(None) == {}


@pytest.mark.parametrize(
    ("trusted", "source", "is_wrong"),
    [
        ({}, None, True),
        ({}, hub_source(FAST, COMMIT), True),
        ({FAST: COMMIT}, None, False),
        ({FAST: COMMIT}, hub_source(FAST, COMMIT), False),
        ({FAST: COMMIT}, hub_source(FAST, OTHER_COMMIT), True),
        ({FAST: COMMIT, "lab/x": COMMIT}, hub_source(FAST, COMMIT), True),
    ],
)
def test_code_that_is_not_the_trusted_code(trusted, source, is_wrong):
    values = dataclasses.asdict(TrainParameters()) | {"policy_type": "pi0_fast"}
    needed = backbones.list_needed(values, (), None)
    sources = [source] if source else []
    findings = list(remote_code.find_trust_problems("pi0_fast", needed, trusted, sources, are_pinned=True))
    job_documents.check_findings(findings, is_wrong, FAST)


def test_trust_in_a_folder_waits_for_the_pin_that_says_what_to_trust():
    folder = JobSource(role="backbone", kind="local_path", uri=f"/data/{FAST}")
    values = dataclasses.asdict(TrainParameters()) | {"policy_type": "pi0_fast"}
    needed = backbones.list_needed(values, (), None)
    assert list(remote_code.find_trust_problems("pi0_fast", needed, {}, [folder], are_pinned=False)) == []
    pinned = dataclasses.replace(folder, pin="folder:a")
    (finding,) = remote_code.find_trust_problems("pi0_fast", needed, {}, [pinned], are_pinned=True)
    assert [way.text for way in finding.suggestions] == [
        f"--trust-remote-code {FAST}@{backbones.get_snapshot_name(pinned)}"
    ]
