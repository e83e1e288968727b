"""`robotrain from-script`: lines and variables of the reference scripts become robotrain's; a page shows the table."""

import re
import runpy
import shlex
from pathlib import Path
from typing import Any

import pytest
from robotrain.cli.commands import train_eval
from robotrain.config.sources import list_source_variables
from robotrain.plugins.manager import Plugins
from robotrain.redaction import holds_secret
from robotrain_runtime.contract.parameter import get_parameters
from robotrain_workloads.reference_scripts.from_script import ReferenceScript, load_scripts

ROOT = Path(__file__).parents[2]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
BLOB = "https://account1.blob.core.windows.net/train/set1"
SET2 = "https://account2.blob.core.windows.net/train/set2"
ACT = "--policy-type act --learning-rate 1e-5 --batch-size 8"
LINES = {
    "training/il/scripts/submit-osmo-lerobot-training.sh -d user/my-dataset --policy-repo-id user/pretrained-act "
    "--training-steps 50000 --batch-size 16": (
        "submit --platform osmo --dataset-repo-id user/my-dataset --policy-repo-id user/pretrained-act "
        "--training-steps 50000 --batch-size 16"
    ),
    f"submit-osmo-lerobot-training.sh --blob-url {BLOB} --blob-url {SET2} --no-val-split -r my_model -- --pool gp": (
        f"submit --platform osmo --blob-url {BLOB} --blob-url {SET2} --no-val-split --register-checkpoint my_model "
        "--pool gp"
    ),
    "POLICY_TYPE=diffusion SYSTEM_METRICS=false bash submit-osmo-lerobot-training.sh --steps 10 --blob-url " + BLOB: (
        f"submit --platform osmo --training-steps 10 --blob-url {BLOB} --policy-type diffusion --no-system-metrics"
    ),
    "submit-osmo-lerobot-training.sh -w workflows/osmo/lerobot-train-dataset.yaml --dataset-bucket sets "
    "--dataset-name n": "submit --platform osmo --dataset-bucket sets --dataset-name n",
    "submit-osmo-lerobot-training.sh --from-blob --storage-account account1 --blob-prefix sets/a -p act": (
        "submit --platform osmo --blob-url https://account1.blob.core.windows.net/datasets/sets/a --policy-type act"
    ),
    "submit-azureml-lerobot-training.sh -d user/my-dataset --init-from-policy-model azureml:my-act-policy:7": (
        "submit --platform azureml --dataset-repo-id user/my-dataset "
        f"--init-from-policy-model azureml:my-act-policy:7 {ACT}"
    ),
    f"submit-azureml-lerobot-training.sh --dataset-asset azureml:pusht-base:3 --blob-url {BLOB} -d sets/a -p diffusion "
    "-r combined-model --compute c1 --instance-type gpu --environment-version 7": (
        f"submit --platform azureml --dataset-asset azureml:pusht-base:3 --blob-url {BLOB} --dataset-id sets/a "
        "--policy-type diffusion --register-checkpoint combined-model --compute c1 --instance-type gpu "
        "--environment-version 7 --batch-size 8"
    ),
    "submit-osmo-training.sh --task Isaac-Velocity-Rough-Anymal-C-v0 --pool gp -b rsl-rl -M fresh --gpu 2": (
        "submit isaac-train --platform osmo --task Isaac-Velocity-Rough-Anymal-C-v0 --pool gp --backend rsl_rl --gpus 2"
    ),
    "submit-osmo-dataset-training.sh --dataset-bucket custom --training-path FOLDER --cpu 8 --memory 64Gi": (
        "submit isaac-train --platform osmo --dataset-bucket custom --code FOLDER --delivery dataset --cpu 8 "
        "--memory 64Gi"
    ),
    "submit-osmo-dataset-training.sh --dataset-bucket custom --dataset-name my-training-v1 --training-path FOLDER": (
        "submit isaac-train --platform osmo --dataset-bucket custom --dataset-name my-training-v1 "
        "--code FOLDER --delivery dataset"
    ),
    "submit-azureml-training.sh -m 100 --gui --job-name anymal --experiment-name e --stream": (
        "submit isaac-train --platform azureml --max-iterations 100 --no-headless --name anymal --experiment-name e "
        "--stream"
    ),
    "submit-azureml-validation.sh --model-name anymal --task auto --success-threshold 0.8 --num-envs 8": (
        "submit isaac-validate --platform azureml --checkpoint-uri models:/anymal/latest --success-threshold 0.8 "
        "--num-envs 8"
    ),
    "submit-osmo-inference.sh --checkpoint-uri models:/my-model/1 --task Isaac-Ant-v0 --format onnx --num-envs 8 "
    "--max-steps 1000 --video-length 300 --azure-resource-group rg-robotics": (
        "submit isaac-export --platform osmo --checkpoint-uri models:/my-model/1 --task Isaac-Ant-v0 --format onnx "
        "--num-envs 8 --max-steps 1000 --video-length 300 --resource-group rg-robotics"
    ),
    f"submit-osmo-lerobot-eval.sh --policy-repo-id user/p --policy-revision {COMMIT} -d u/d --dataset-revision v2 "
    "--eval-episodes 50 --eval-batch-size 5": (
        f"submit lerobot-eval --platform osmo --policy-repo-id user/p@{COMMIT} --dataset-repo-id u/d@v2 "
        "--eval-episodes 50 --eval-batch-size 5"
    ),
    "BLOB_STORAGE_ACCOUNT=account1 submit-osmo-lerobot-eval.sh --from-aml-model --model-name m --model-version 3 "
    "--from-blob-dataset --blob-prefix a/b -d sets/a": (
        "submit lerobot-eval --platform osmo --policy-model azureml:m:3 "
        "--blob-url https://account1.blob.core.windows.net/datasets/a/b --dataset-id sets/a"
    ),
    "submit-azureml-lerobot-eval.sh --policy-repo-id m:3 -d u/d --mlflow-http-timeout 9 -r evaluated": (
        "submit lerobot-eval --platform azureml --policy-model azureml:m:3 --dataset-repo-id u/d "
        "--mlflow-http-timeout 9 --register-model evaluated --mlflow-token-retries 5"
    ),
    "run-lerobot-pipeline.sh -d lerobot/aloha_sim_insertion_human --policy-repo-id user/my-policy -r my-model "
    "--timeout 90 --poll-interval 60": (
        "pipeline train-eval --platform osmo --dataset-repo-id lerobot/aloha_sim_insertion_human "
        "--register-model my-model --timeout 90 --poll-interval 60"
    ),
    "submit-azureml-lerobot-pipeline.sh -d sets/a --dataset-asset azureml:a:3 --with-register --register-model-name m "
    "--compute c1 --compute-train c2": (
        "pipeline train-eval --skip-wait --platform azureml --dataset-id sets/a --dataset-asset azureml:a:3 "
        f"--with-register --register-model m --compute c1 --compute-train c2 {ACT}"
    ),
    "submit-azureml-lerobot-pipeline.sh -d sets/a --dataset-asset azureml:a:3 --compute c1 -p pi0": (
        "pipeline train-eval --skip-wait --platform azureml --dataset-id sets/a --dataset-asset azureml:a:3 "
        "--compute c1 --policy-type pi0 --batch-size 8"
    ),
}


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_a_script_becomes_a_robotrain_line_that_renders(translate: Any, tmp_path: Path, line: str) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/train.sh").write_text("true\n")
    words = [word.replace("FOLDER", str(tmp_path)) for word in shlex.split(line)]
    expected = [word.replace("FOLDER", str(tmp_path)) for word in shlex.split(LINES[line])]
    answer = translate("from-script", *words)
    assert answer.json["command"] == ["robotrain", *expected], answer.stderr


VLA = "submit-osmo-lerobot-vla-fine-tuning.sh"
SHA = "2fc962b973bccdd5d8ce4f67cc63b264d6886495"
VLA_LINES = {
    f"{VLA} --base-model nvidia/GR00T-N1.5-3B --data-config arm --blob-url {BLOB} --azure-upload --max-steps 2000 "
    "-i r.azurecr.io/gr00t:n1.5 -j mine --platform gpu_a -w vla/groot-train.yaml": (
        f"submit gr00t-n1.5/job.yaml --platform osmo --param data_config=arm --blob-url {BLOB} "
        "--register-checkpoint gr00t-n1.5-3b --param max_steps=2000 --image r.azurecr.io/gr00t:n1.5 --name mine "
        "--gpu-platform gpu_a"
    ),
    f"VLA_VERSION=1.7 {VLA} --data-config arm --blob-url {BLOB} --azure-upload --azureml-model-name arm-policy "
    f"--batch-size 8 --save-steps 50 --dataloader-workers 2 --embodiment-tag x --base-model-revision {SHA}": (
        f"submit gr00t-n1.7/job.yaml --platform osmo --blob-url {BLOB} --register-checkpoint arm-policy "
        "--param batch_size=8 --param save_steps=50 --param dataloader_workers=2 --param embodiment_tag=x "
        f"--policy-repo-id nvidia/GR00T-N1.7-3B@{SHA}"
    ),
    f"{VLA} --config-preview --vla-version 1.7 --blob-url {BLOB} --base-model me/gr00t --base-model-revision {SHA}": (
        f"explain gr00t-n1.7/job.yaml --platform osmo --blob-url {BLOB} --policy-repo-id me/gr00t@{SHA}"
    ),
}


@pytest.mark.parametrize("line", VLA_LINES)
def test_a_line_of_the_script_for_gr00t_becomes_one_of_the_recipe(translate: Any, monkeypatch: Any, line: str) -> None:
    monkeypatch.chdir(ROOT / "examples/recipes")
    answer = translate("from-script", *shlex.split(line))
    assert answer.json["command"] == ["robotrain", *shlex.split(VLA_LINES[line])], answer.stderr


def test_what_the_recipe_for_gr00t_does_not_do_is_answered_by_name(
    robotrain: Any, tmp_path: Any, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)  # without the recipe, whose job file is then that of the package
    monkeypatch.setenv("OSMO_POOL", "gp")
    line = f"HF_TOKEN=x {VLA} --data-config arm --blob-url {BLOB} --acr-registry acr --acr-model-repo models/x --resume"
    answer = robotrain("from-script", "--json", "--", *line.split(), "--groot-ref", SHA, "--data-config-file", "a.py")
    assert set(answer.json["left_out"]) == {
        "--acr-registry",
        "--resume",
        "--groot-ref",
        "--data-config-file",
        "HF_TOKEN",
    }
    assert "oras push" in answer.json["left_out"]["--acr-registry"]
    assert "--example gr00t-n1.5" in answer.json["notes"]["job.yaml"]
    assert "Isaac-GR00T" in answer.json["notes"]["--image"]
    refused = robotrain("from-script", "--json", "--", VLA, "--run-id-override", "x", "--base-model", "me/x")
    assert {one["where"] for one in refused.json["problems"]} == {"--run-id-override", "--base-model"}


def test_what_changes_nothing_is_left_out_and_named(translate: Any) -> None:
    line = "EDITOR=vi submit-osmo-lerobot-eval.sh -d u/d --policy-repo-id u/p --record-video --mlflow-enable"
    answer = translate("from-script", *line.split())
    assert answer.json["command"][1:5] == ["submit", "lerobot-eval", "--platform", "osmo"]
    assert set(answer.json["left_out"]) == {"--record-video", "--mlflow-enable", "EDITOR"}
    assert "OSMO_POOL" in answer.json["notes"]["--pool"]
    line = ("submit-osmo-lerobot-eval.sh", "-d", "u/d", "--builtin-policy", "--policy-revision", COMMIT)
    left_out = translate("from-script", *line).json["left_out"]
    assert "--policy-repo-id" in left_out["--policy-revision"]  # a part without its whole


def test_what_changes_the_job_is_refused_with_what_to_do_instead(robotrain: Any) -> None:
    line = (
        "SLEEP_AFTER_UNPACK=1h AZURE_AUTHORITY_HOST=https://login.example submit-osmo-training.sh -w my.yaml --bogus 1"
        " --use-local-osmo -- --set a=1 b=2"
    )
    named = ("--workflow", "--use-local-osmo", "--set", "--bogus", "--sleep-after-unpack", "AZURE_AUTHORITY_HOST")
    problems = [f"option-not-translated {one}" for one in named]
    robotrain("from-script", "--", *line.split()).check_problems(2, *problems)


def test_words_before_the_script_are_not_dropped_unread(translate: Any) -> None:
    line = "srun --nodes=4 frobnicate bash ./submit-osmo-lerobot-training.sh -d u/d"
    assert {one["where"] for one in translate("from-script", *line.split()).json["problems"]} == {
        "--nodes",
        "frobnicate",
    }


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("submit-azureml-lerobot-training.sh -d u/d -p pi0", "option-not-translated --policy-type"),
        ("submit-osmo-lerobot-training.sh -d u/d -p smolvla", "option-not-translated --policy-type"),
        ("submit-azureml-lerobot-pipeline.sh -d sets/a -p smolvla", "option-not-translated --policy-type"),
        (
            "submit-azureml-lerobot-pipeline.sh -d sets/a -p pi0 --mixed-precision bf16",
            "option-not-translated --mixed-precision",
        ),
        ("submit-osmo-lerobot-training.sh --steps 5", "source-missing"),
        ("submit-osmo-lerobot-training.sh -d u/d --steps many", "value-invalid --training-steps"),
        ("python train.py", "command-unknown"),
        ("submit-osmo-lerobot-trainin.sh -d u/d", "command-unknown"),
        ("submit-azureml-training.sh --tsk x", "option-unknown --tsk"),
        ("submit-azureml-training.sh --task", "flag-without-value --task"),
        ("submit-osmo-proxy-job.sh", "script-not-translated"),
    ],
)
def test_a_line_that_is_not_known_or_that_no_platform_accepts_is_refused(
    robotrain: Any, line: str, problem: str
) -> None:
    robotrain("from-script", "--", *line.split()).check_problems(2, problem)


def test_the_help_keeps_its_paragraphs(robotrain: Any) -> None:
    for command in ("from-script", "from-lerobot"):
        shown = robotrain(command, "--help").stdout
        (paragraph,) = [one for one in shown.split("\n\n") if "Nothing is" in one]
        assert not re.search(r"\S   ", paragraph)
        assert re.search(rf"\n\n  robotrain {command} (\\\n +)?-- ", shown)


def test_a_preview_is_an_explanation_and_a_help_is_a_help(translate: Any) -> None:
    for typed, expected in (("--config-preview", ["explain", "isaac-train"]), ("-h", ["submit", "isaac-train"])):
        words = translate("from-script", "submit-osmo-training.sh", typed).json["command"]
        assert words[1:3] == expected
        assert ("--help" in words) == (typed == "-h")


@pytest.mark.parametrize(("name", "notes"), [("my_model", ["--register-checkpoint"]), ("my-model", [])])
def test_a_difference_is_noted_where_there_is_one(translate: Any, name: str, notes: list[str]) -> None:
    line = ("submit-osmo-lerobot-training.sh", "-d", "u/d", "-r", name, "--", "--pool", "gp")
    assert list(translate("from-script", *line).json["notes"]) == notes


@pytest.mark.parametrize(
    "line",
    [
        "HF_TOKEN={} submit-osmo-lerobot-training.sh -d u/d",
        "submit-osmo-training.sh --set-env TOKEN={} -- --rsync {}",
        "submit-azureml-training.sh {}",
    ],
)
def test_a_secret_does_not_travel(robotrain: Any, line: str) -> None:
    secret = "hf_" + "a" * 34
    assert holds_secret(secret)
    answer = robotrain("from-script", "--json", "--", *line.format(secret, secret).split())
    assert secret not in answer.stdout + answer.stderr


SCRIPTS = [script for script in load_scripts().values() if script.command]


def get_workload(script: ReferenceScript) -> str:
    """The workload of a script's jobs; of a recipe, that of its job file."""
    if script.command[0] == "submit" and script.command[1:]:
        return "command" if script.command[1].endswith(".yaml") else script.command[1]
    return "lerobot-train"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_every_option_of_the_table_exists_and_those_of_the_script_are_answered(
    robotrain: Any, monkeypatch: Any, script: ReferenceScript
) -> None:
    monkeypatch.chdir(ROOT / "examples/recipes")
    command = [word for word in script.command if word != "--skip-wait"]
    shown = robotrain(*command, "--platform", script.platform, "--help-all").stdout
    shown += robotrain("submit", "isaac-smoke-test", "--platform", script.platform, "--help-all").stdout
    known = set(re.findall(r"(?<![\w-])--?[a-zA-Z][a-z0-9-]*", shown))
    workload = get_workload(script)
    plugins = Plugins("none")
    chosen = [plugins.platform(script.platform), plugins.workload(workload)]
    answered = {*train_eval.ANSWERS, *(flag for one in chosen for flag in one.option_hints)}
    assert {one for option in script.options for one in option.spellings} <= known | answered
    for option in (*script.options, *script.forwarded):
        entries = [option.entry] if isinstance(option.entry, str) else list(option.entry.values())
        words = [word for entry in entries if entry.startswith(("--", "$ ")) for word in entry.split()]
        assert {word for word in words if word.startswith("--")} <= known, option.name
        parts = [entry.removeprefix("part of ") for entry in entries if entry.startswith("part of ")]
        named = {*parts, *(name for word in words for name in re.findall(r"\{([^{}]+)\}", word))}
        assert named <= {one.name for one in script.options}, option.name


def test_the_page_is_generated_from_the_table() -> None:
    page = (ROOT / "docs/from-the-scripts.md").read_text()
    generated = runpy.run_path(str(ROOT / ".ci/script_page.py"))["format_page"]()
    assert page.endswith(f"\n\n{generated}"), "run .ci/pages"


def test_the_example_of_the_page_is_what_is_printed(robotrain: Any) -> None:
    page = (ROOT / "docs/from-the-scripts.md").read_text()
    typed, printed = re.findall(r"```(?:sh|text)\nrobotrain (.*)\n```", page)[:2]
    assert robotrain(*shlex.split(typed)).stdout == f"robotrain {printed}\n"


READ_ELSEWHERE = {
    "AZURE_AUTHORITY_HOST": "by Azure's SDK",
    "AZURE_CLIENT_ID": "by Azure's SDK; on Azure ML, the job's identity",
    "AZURE_STORAGE_ACCOUNT_NAME": "by OSMO; on Azure ML, folders go to a datastore",
    "HF_TOKEN": "by the Hub's client, where a job is submitted",
    "TIMEOUT_MINS": "by the pipeline",
    "POLL_INTERVAL": "by the pipeline",
}


@pytest.mark.parametrize(
    "script",
    [one for one in SCRIPTS if get_workload(one) != "command"],  # a recipe's own parameters are no variables
    ids=lambda script: script.name,
)
def test_every_variable_of_a_script_has_an_effect_or_a_hint(script: ReferenceScript) -> None:
    plugins = Plugins("none")
    platform = plugins.platform(script.platform)
    workloads = [plugins.workload(get_workload(script))]
    workloads += [plugins.workload("lerobot-eval")] if script.command[0] == "pipeline" else []
    declared = [platform.settings, *(one.parameters for one in workloads)]
    known = {name for one in declared for parameter in get_parameters(one) for name in parameter.env}
    for kind in plugins.source_kinds().values():
        for role, flag in kind.roles.items():
            if any(role in one.roles for one in workloads):
                known |= {*list_source_variables(flag), *flag.revision_env}
    known |= {*platform.option_hints, *(hint for one in workloads for hint in one.option_hints), *READ_ELSEWHERE}
    assert {name for option in script.options for name in option.variables} <= known


def test_a_revision_in_a_variable_is_that_of_the_id_beside_it(
    robotrain: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATASET_REPO_ID", "lerobot/pusht")
    monkeypatch.setenv("DATASET_REVISION", "v3.0")
    answer = robotrain("explain", "--platform", "local", "--json")
    (dataset,) = [value for value in answer.json["values"] if value["name"] == "dataset"]
    assert dataset["value"] == "huggingface lerobot/pusht@v3.0"
    assert dataset["origin"] == "environment DATASET_REPO_ID, DATASET_REVISION"
    assert "variable-unused" not in answer.stderr

    robotrain("explain", "--platform", "local", "-d", "lerobot/aloha").check_problems(0, "variable-unused")

    monkeypatch.delenv("DATASET_REPO_ID")
    monkeypatch.delenv("DATASET_REVISION")
    (tmp_path / ".env").write_text("POLICY_REPO_ID=me/act@main\nPOLICY_REVISION=v2\n")
    pinned = robotrain("explain", "lerobot-eval", "--platform", "local", "--env", "pusht", "--json")
    (policy,) = [value for value in pinned.json["values"] if value["name"] == "policy"]
    assert policy["value"] == "huggingface me/act@main"


@pytest.mark.parametrize(
    ("platform", "errors"),
    [
        ("local", []),
        ("osmo", ["value-missing", "value-missing"]),
        ("azureml", ["value-missing", "value-missing"]),
    ],
)
def test_variables_that_mean_nothing_are_named_with_what_to_use(
    robotrain: Any, monkeypatch: pytest.MonkeyPatch, platform: str, errors: list[str]
) -> None:
    variables = {"DATASET_ROOT": "/x", "MLFLOW_ENABLE": "false", "AML_MODEL_NAME": "m", "BLOB_PREFIX": ""}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    answer = robotrain("explain", "--platform", platform, "--dataset-path", "x")
    answer.check_problems(2 if errors else 0, "variable-unused", *errors)


def test_a_pipeline_stops_following_as_its_variables_say(robotrain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    line = ("pipeline", "train-eval", "--platform", "local", "--dataset-path", "x")
    for name, code, flag in (
        ("TIMEOUT_MINS", "value-invalid", "--timeout"),
        ("POLL_INTERVAL", "value-invalid", "--poll-interval"),
    ):
        with monkeypatch.context() as variables:
            variables.setenv(name, "soon")
            robotrain(*line).check_problems(2, f"{code} {flag}")
