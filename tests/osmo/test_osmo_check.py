"""The problems of a job on OSMO: found together, before anything is sent."""

import json

import pytest
from osmo_plans import ONE, PINNED, blobs, evaluation, find_codes, find_problems, job, source
from robotrain.errors import Problem, Stage, format_problem
from robotrain.model.job import Job

WORKSPACE = {"tracking_uri": None, "subscription_id": "S", "resource_group": "rg", "workspace_name": "ws-1"}
TOKEN = "hf_abcdefghijklmnopqrstuvwxyz0123"
KEYS = (
    "a123456789abcdef0123456789abcdef01234567",
    "abcdef0123456789ABCDEF0123456789",
    "wandb_v1_abcdefghij_KLMNOPQRST",
)
DATASET, VERSIONED = job(source("osmo_dataset", "pusht")), job(source("osmo_dataset", "pusht:3"))
FOLDER = job(source("local_path", "/data", pin=PINNED))
HUB = job(source("huggingface", "lerobot/pusht@main"))
CODE = job(source("osmo_dataset", "mine", "code"), workload="isaac-train")
RESUMED = job(*blobs(), source("osmo_storage", "s3://robots/runs", "resume"))
REGISTERED = job(register_checkpoint="m")

ACCEPTED: list[tuple[Job, dict[str, object]]] = [
    (job(), WORKSPACE),
    *(
        (job(), {"image": image})
        for image in (
            "pytorch/pytorch:2.11.0-cuda12.8-cudnn9-runtime",
            f"nvcr.io/nvidia/isaac-lab:2.3.2@sha256:{'0' * 64}",
            f"registry.example:5000/team/x@sha256:{'a' * 64}",
            "ubuntu:24.04",
            "localhost/x:1",
            "docker:5000/x:1",
        )
    ),
    *((job(), {"memory": size, "storage": size}) for size in ("48Gi", "1.5Ti", "512Mi", "48G", "48GiB")),
    *((job(), {"exec_timeout": time, "queue_timeout": time}) for time in ("12h", "60d", "90m", "3600s")),
    *((job(device=device), {"gpus": gpus}) for device, gpus in (("cpu", 0), ("auto", 4), ("cuda", None))),
    (job(), {"labels": "team=arms,example.com/stage=dev-1"}),
    *(
        (job(), {"hf_credential": name})
        for name in ("hf_token", "wandb_v2", "our-team-hugging-face-token-for-training-1")
    ),
    (job(), {"wandb_credential": "a b"}),  # not used
    (job(source("osmo_dataset", "mine/pusht:3")), {"server": "6.3"}),
    (DATASET, {"storage_account": "acc"}),
    (DATASET, {"buckets": "lerobot-datasets=gs://robots/data", "storage_account": None}),
    (job(source("local_path", "/data")), {"storage_account": "acc"}),
    (job(*blobs(), source("osmo_storage", "s3://robots/runs/000400", "resume")), {}),
    (job(publish_url=ONE, keep=3), {}),
    (job(output_dir="/a{{b}}"), {}),
    (REGISTERED, {"tracking_uri": "https://mlflow.example"}),
    (REGISTERED, WORKSPACE | {"tracking_uri": "azureml-workspace://S/rg/ws-1"}),
]

# the job, its settings, the code and the option of its only error
REFUSED: list[tuple[Job, dict[str, object], str, str]] = [
    (job(*blobs(*(f"{ONE}/{'é' * 900}{n}" for n in range(40)))), {}, "variable-too-long", "--blob-url"),
    (job(), {"pool": None}, "value-missing", "--pool"),
    *(
        (job(), {"image": image}, "value-invalid", "--image")
        for image in (
            *("ubuntu", "Ubuntu:1", "a b:1", "x:1\n", "x:{{tag}}", "x:$(TAG)", "https://x/y:1", "x@sha256:12", "x:é"),
        )
    ),
    (job(num_gpus=1), {"gpus": 0}, "gpus-too-few", "--gpus"),
    (job(num_gpus=2), {"gpus": 1}, "gpus-too-few", "--gpus"),
    (job(num_gpus=2, device="cuda"), {"gpus": 1}, "gpus-too-few", "--gpus"),
    *((job(workload=name), {}, "workload-name-refused", "") for name in ("a.b", "1st", "a_", "x" * 60, "osmo-ctrl")),
    *(
        (job(), {"labels": labels}, "value-invalid", "--labels")
        for labels in ("a=", "a=b c", "a/b/c=d", "-a=b", "a={{b}}", f"a={'x' * 64}", "ä=b")
    ),
    *(
        (job(), {"hf_credential": name}, "value-invalid", "--hf-credential")
        for name in ("a b", "1a", "a.b", "{{a}}", "a:", "a:b c", "-a", "a:{{b}}")
    ),
    (HUB, {"hf_credential": "mine", "blob_credential": "mine:key"}, "osmo-credential-twice", "--hf-credential"),
    *(
        (job(), {"buckets": buckets}, "value-invalid", "--buckets")
        for buckets in ("a=https://x", "a=s3://b/{{c}}", "a b=s3://bucket", "a=s3://b?sig=x")
    ),
    (CODE, {}, "resource-unknown", "--training-dataset"),
    (FOLDER, {}, "value-missing", "--dataset-path"),
    (job(publish_url="s3://robots/runs", output_dir="/a{{b}}"), {}, "value-invalid", "--output-dir"),
    (REGISTERED, {"tracking_uri": None}, "value-missing", "--register-checkpoint"),
    (evaluation(register_model="arm"), {"tracking_uri": None}, "value-missing", "--register-model"),
    (REGISTERED, {"tracking_uri": "none"}, "value-missing", "--register-checkpoint"),
    (REGISTERED, {"tracking_uri": "none", "resource_group": "rg"}, "value-missing", "--register-checkpoint"),
    *(
        (job(), {"tracking_uri": uri}, "value-invalid", "--tracking-uri")
        for uri in (
            *("sqlite:///x.db", "/mlruns", "file:///x", "databricks", "https://", "http://[::1"),
            *(f"azureml-workspace://S/rg/{name}" for name in ("a{{b}}", "a b", "a$(b)")),
        )
    ),
]

# the job, its settings, the code of a problem, and its suggestions
SUGGESTIONS: list[tuple[Job, dict[str, object], str, list[str]]] = [
    (job(), {"pool": None}, "value-missing", ["--pool NAME", "OSMO_POOL=NAME"]),
    (job(), {"image": "ubuntu"}, "value-invalid", ["--image ubuntu:TAG", "--image ubuntu@sha256:DIGEST"]),
    *((job(), {"storage": size}, "value-invalid", ["--storage 48Gi"]) for size in ("48GB", "48 gb", "48", "0Gi")),
    *((job(), {"storage": size}, "value-invalid", []) for size in ("-1Gi", "big")),
    (job(), {"exec_timeout": "61d"}, "value-invalid", ["--exec-timeout 60d"]),
    *(
        (job(), {"exec_timeout": time}, "value-invalid", [])
        for time in ("0h", "20us", "9" * 5000 + "h", "12", "1.5h", "PT1H", "1h30m")
    ),
    (job(), {"gpus": 0}, "gpus-too-few", ["--gpus 1", "--device cpu"]),
    (job(num_gpus=2), {"gpus": 1}, "gpus-too-few", ["--gpus 2", "--num-gpus 1"]),
    (
        DATASET,
        {},
        "resource-unknown",
        ["--buckets lerobot-datasets=azure://ACCOUNT/CONTAINER", "--storage-account NAME", "--server 6.3"],
    ),
    (
        CODE,
        {},
        "resource-unknown",
        ["--buckets training=azure://ACCOUNT/CONTAINER", "--storage-account NAME", "--server 6.3"],
    ),
    (
        job(source("osmo_dataset", "My_Bucket/pusht")),
        {"storage_account": "acc"},
        "resource-unknown",
        ["--buckets My_Bucket=azure://ACCOUNT/CONTAINER"],
    ),
    (VERSIONED, {"storage_account": "acc"}, "feature-not-there", ["--dataset-name pusht", "--server 6.3"]),
    (
        FOLDER,
        {},
        "value-missing",
        ["--storage-account NAME", "--blob-url https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX"],
    ),
    (
        RESUMED,
        {},
        "value-invalid",
        ["--resume-from s3://robots/runs/STEP", "osmo data list s3://robots/runs --no-pager"],
    ),
    (
        REGISTERED,
        WORKSPACE | {"tracking_uri": "none"},
        "value-missing",
        ["--tracking-uri azureml-workspace://S/rg/ws-1", "--tracking-uri https://HOST"],
    ),
]

# the job, its settings, the code of a problem that stops nobody, and its severity; None: there is no such problem
NOTICES: list[tuple[Job, dict[str, object], str, str | None]] = [
    # without a number the container chooses
    *((job(num_workers=n), {}, "osmo-no-shared-memory", "warning") for n in (4, None, "auto")),
    *((job(num_workers=n), {"shared_memory": "none"}, "osmo-no-shared-memory", "warning") for n in (4, None)),
    *((job(num_workers=n), {"shared_memory": "mount"}, "osmo-no-shared-memory", None) for n in (4, None)),
    (job(num_workers=0), {}, "osmo-no-shared-memory", None),
    (job(), {}, "nothing-kept", "warning"),
    (REGISTERED, WORKSPACE, "nothing-kept", "note"),
    (job(publish_url=ONE), {}, "nothing-kept", None),
    (job(device="cpu"), {"gpus": 2}, "gpus-unused", "warning"),
    (job(device="cpu"), {"gpus": 0}, "gpus-unused", None),
    (job(), {"tracking_uri": None, "subscription_id": "S"}, "osmo-untracked", "warning"),
    (job(), {"tracking_uri": "none"}, "osmo-untracked", None),
]


def find_problem(code: str, of: Job, **overrides: object) -> Problem:
    (problem,) = [problem for problem in find_problems(of, **overrides) if problem.code == code]
    return problem


@pytest.mark.parametrize(("overrides", "has_registry"), [({}, False), (WORKSPACE, True)])
def test_a_model_is_offered_to_keep_a_checkpoint_where_there_is_a_registry(overrides: dict, has_registry: bool) -> None:
    ways = [way.text for way in find_problem("nothing-kept", job(), **overrides).suggestions]
    assert ("--register-checkpoint NAME" in ways) is has_registry
    assert "--publish-url hf://OWNER/NAME --hf-credential NAME" in ways


@pytest.mark.parametrize(("of", "overrides"), ACCEPTED)
def test_job_is_accepted(of: Job, overrides: dict) -> None:
    assert find_codes(of, **overrides) == set()


@pytest.mark.parametrize(("of", "overrides", "code", "where"), REFUSED)
def test_job_is_refused_for_one_option(of: Job, overrides: dict, code: str, where: str) -> None:
    errors = {
        (problem.code, problem.where) for problem in find_problems(of, **overrides) if problem.severity == "error"
    }
    assert errors == {(code, where)}


@pytest.mark.parametrize(("of", "overrides", "code", "suggestions"), SUGGESTIONS)
def test_problem_suggests_what_to_type(of: Job, overrides: dict, code: str, suggestions: list[str]) -> None:
    assert [suggestion.text for suggestion in find_problem(code, of, **overrides).suggestions] == suggestions


@pytest.mark.parametrize(("of", "overrides", "code", "severity"), NOTICES)
def test_notice_has_its_severity(of: Job, overrides: dict, code: str, severity: str | None) -> None:
    severities = [problem.severity for problem in find_problems(of, **overrides) if problem.code == code]
    assert severities == ([severity] if severity else [])


def test_all_problems_are_found_at_once() -> None:
    wrong = {"pool": None, "image": "a b", "memory": "48GB", "exec_timeout": "1h30m", "gpus": 0, "labels": "a=b c"}
    problems = [problem for problem in find_problems(job(), **wrong) if problem.severity == "error"]
    options = {"--pool", "--image", "--memory", "--exec-timeout", "--gpus", "--labels"}
    assert {problem.where for problem in problems} == options


def test_stage_of_a_problem_gives_the_exit_code() -> None:
    assert find_problem("value-missing", job(), pool=None).stage is Stage.RESOLVE


def test_reason_names_what_is_wrong() -> None:
    assert "`{{`" in find_problem("value-invalid", job(), image="x:{{tag}}").why
    partial = find_problem("value-missing", job(), tracking_uri=None, resource_group="rg")
    assert "--subscription-id, --workspace-name" in partial.title
    assert (
        "tracking_uri is `none`"
        in find_problem("value-missing", REGISTERED, **WORKSPACE | {"tracking_uri": "none"}).why
    )


@pytest.mark.parametrize(
    ("overrides", "option"),
    [
        ({"hf_credential": TOKEN}, "--hf-credential"),
        ({"blob_credential": TOKEN}, "--blob-credential"),
        ({"wandb_credential": f"key:{TOKEN}"}, "--wandb-credential"),
        *(({"wandb_credential": key}, "--wandb-credential") for key in (*KEYS, "Zq8" * 14)),
        *(({"wandb_credential": f"wandb:{key}"}, "--wandb-credential") for key in (*KEYS, "Zq8" * 14)),
    ],
)
def test_secret_in_place_of_a_credential_is_not_repeated(overrides: dict, option: str) -> None:
    problem = find_problem("value-invalid", job(wandb=True), **overrides)
    assert problem.where == option
    (value,) = overrides.values()
    assert value.removeprefix("key:").removeprefix("wandb:") not in format_problem(problem)
    assert "secret" in problem.why


@pytest.mark.parametrize("reference", [TOKEN, f"team:{KEYS[0]}", "a b", "", "team:?"])
def test_what_names_no_credential_is_no_secret_of_a_program(reference: str) -> None:
    problem = find_problem("secret-reference-invalid", job(), secrets=json.dumps({"API_TOKEN": reference}))
    assert problem.where == "--secret API_TOKEN"
    assert [way.text for way in problem.suggestions] == ["--secret NAME=CREDENTIAL[:KEY]"]
    assert not reference or reference not in format_problem(problem).replace(problem.why, "")


@pytest.mark.parametrize("name", ["OSMO_TOKEN", "BLOB_URLS", "ROBOTRAIN_PLAN", "NVIDIA_DRIVER_CAPABILITIES"])
def test_variable_of_the_task_is_no_secret_of_a_program(name: str) -> None:
    assert find_problem("variable-invalid", job(), secrets=json.dumps({name: "team"}))


def test_credential_in_files_is_no_secret_of_a_program_too() -> None:
    problem = find_problem("osmo-credential-twice", job(), secrets='{"API_TOKEN": "store"}', blob_credential="store")
    assert problem.where == "--secret API_TOKEN"


@pytest.mark.parametrize("secret", [KEYS[0], f"API_KEY={KEYS[0]}", f"{KEYS[0]}=x"])
def test_secret_itself_on_the_command_line_is_not_repeated(robotrain, secret: str) -> None:
    answer = robotrain("render", "--platform", "osmo", "--pool", "p", "-d", "lerobot/pusht", "--secret", secret)
    assert answer.exit_code == 2
    assert KEYS[0] not in answer.stdout + answer.stderr


def test_password_in_an_address_is_not_repeated() -> None:
    uri = "https://me:hunter2@mlflow.example/x?token=abcdef"
    problem = find_problem("value-invalid", job(), tracking_uri=uri)
    assert [suggestion.text for suggestion in problem.suggestions] == ["--tracking-uri https://mlflow.example/x"]
    assert "hunter2" not in format_problem(problem)
    assert "abcdef" not in format_problem(problem)


def test_check_reads_no_file_and_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError(args)

    for name in ("builtins.open", "socket.socket.connect", "subprocess.Popen.__init__"):
        monkeypatch.setattr(name, refuse)
    assert find_codes(job(*blobs(), source("local_path", "/data", "policy")), storage_account="acc") == set()


def test_workload_without_a_device_is_offered_no_processor(robotrain) -> None:
    answer = robotrain("render", "isaac-train", "--platform", "osmo", "--pool", "p", "--gpus", "0", "--json")
    (problem,) = (problem for problem in answer.json["problems"] if problem["code"] == "gpus-too-few")
    assert [suggestion["text"] for suggestion in problem["instead"]] == ["--gpus 1"]


@pytest.mark.parametrize("wrong", [("--gpus", "x"), ("--publish-url", "https://a.blob.core.windows.net/box/p?sig=abc")])
def test_refused_value_causes_no_further_warning(wrong, robotrain):
    answer = robotrain("render", "--platform", "osmo", "--pool", "default", "-d", "lerobot/pusht", *wrong)
    assert answer.exit_code == 2
    assert "osmo-no-shared-memory" not in answer.stderr
    assert "nothing-kept" not in answer.stderr


def test_token_on_the_command_line_is_answered_with_the_credential(robotrain):
    answer = robotrain("render", "--platform", "osmo", "--pool", "p", "-d", "lerobot/pusht", "--hf-credential", TOKEN)
    assert TOKEN not in answer.stderr
    assert "OSMO credential with your Hugging Face token" in answer.stderr
    assert "use   --hf-credential NAME[:KEY]" in answer.stderr


WRONG_FORMS = [
    *(("--pool", pool) for pool in ("p-", "a b", "a;b", "{{x}}")),
    *(("--storage-container", name) for name in ("A", "ab", "{{x}}", "a/b")),
    *((f"--{name}", "a{{b}}") for name in ("subscription-id", "resource-group", "workspace-name", "workload-identity")),
    ("--resource-group", "robots."),
    ("--gpu-platform", "a{{b}}"),
    ("--dataset-bucket", "a{{b}}"),
]


@pytest.mark.parametrize(("flag", "text"), WRONG_FORMS)
def test_value_of_another_form_is_refused(robotrain, flag, text):
    options = {"--pool": "p", "--dataset-repo-id": "lerobot/pusht", flag: text}
    words = [word for pair in options.items() for word in pair]
    robotrain("render", "--platform", "osmo", *words, "--json").check_problems(2, f"value-invalid {flag}")


def test_a_setting_that_is_refused_is_not_called_missing_too(robotrain, pusht):
    line = ("render", "--platform", "osmo", "--pool", "p", "--gpu-platform", "g", "--dataset-path", str(pusht))
    robotrain(*line).check_problems(2, "value-missing --dataset-path")
    robotrain(*line, "--storage-account", "My_Account").check_problems(2, "value-invalid --storage-account")
