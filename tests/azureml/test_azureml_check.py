"""The problems of a job on Azure ML: found together, before anything is sent."""

import subprocess
from typing import Any

import pytest
from azure_stand_in.ml.job_rules import find_wrong_texts
from azureml_plans import ONE, blobs, find_codes, find_problems, job, model, read_spec, render_plan, settings, source
from robotrain.errors import Problem, Stage, format_problem
from robotrain.model.job import Job
from robotrain_azureml.spec import command_job, job_settings

HUB = source("huggingface", "lerobot/pusht@main")
DIGEST = f"@sha256:{'a' * 64}"
IN_VAULT = {"hf_credential": "hf-token", "key_vault": "kv-robots"}
UNDECLARED = Job(workload="somebodys-own", parameters=(), sources=tuple(blobs()))

ACCEPTED: list[tuple[Job, dict[str, object]]] = [
    (job(), {}),
    (job(), {"workload_identity": "11111111-2222-3333-4444-555555555555"}),
    (job(), {"compute": "x" * 32}),
    (job(), {"compute": "x" * 32, "compute_kind": "managed"}),
    (job(), {"compute": "x" * 16, "compute_kind": "kubernetes"}),
    (job(), {"compute": "xx"}),
    *((job(num_gpus=gpus), {"instance_type": "our-8x"}) for gpus in (3, 8)),
    *((job(num_gpus=gpus), {"compute_kind": "managed"}) for gpus in (3, 8)),
    (job(num_gpus=2), {"instance_type": "gpu2"}),
    (job(num_gpus=4), {"instance_type": "defaultinstancetype"}),
    (UNDECLARED, {}),
    (UNDECLARED, {"instance_type": "gpu4"}),
    (job(), {"image": f"x/y{DIGEST}", "environment_version": "7"}),
    *((job(), {"shm_size": size}) for size in ("8g", "8589934592b")),
    (job(workload="x" * 235), {}),
    (job(experiment_name="lerobot-act-v2_1"), {}),
    (job(), {"labels": ",".join(f"a{number}=b" for number in range(24))}),
    (job(), {"hf_credential": "hf-token"}),  # the job reads nothing of the Hub
    (job(*blobs(*(f"{ONE}/{'e' * 900}{number}" for number in range(40)))), {}),
]

# what is set, as a job or a setting, and the part of the job's specification that it becomes
RENDERED: list[tuple[Job, dict[str, object], str, object]] = [
    *(
        (job(), {"aks_cluster": cluster}, "compute", f"azureml:{compute}")
        for cluster, compute in (
            ("aks-robot-dev-001", "k8s-robot-dev-00"),
            ("aks-a", "k8s-a"),
            ("mycluster", "k8s-mycluster"),
            ("aks-robot-dev-a-b", "k8s-robot-dev-a"),
        )
    ),
    (job(), {"compute": "mine"}, "compute", "azureml:mine"),
    *(
        (job(), {"image": image}, "environment", f"azureml:lerobot-training-env:{version}")
        for image, version in (
            ("pytorch/pytorch:2.11.0-cuda12.8-cudnn9-runtime", "2.11.0-cuda12.8-cudnn9-runtime"),
            (f"nvcr.io/nvidia/x:2.3.2@sha256:{'0a' * 32}", f"2.3.2-sha256-{'0a' * 32}"),
            ("registry.example:5000/team/x:1_a", "1_a"),
        )
    ),
    (job(), {"image": f"x/y{DIGEST}", "environment_version": "7"}, "environment", "azureml:lerobot-training-env:7"),
    (job(), {"exec_timeout": "12h"}, "limits", {"timeout": 43200}),
    (job(), {"exec_timeout": "2d"}, "limits", {"timeout": 172800}),
    (job(), {}, "limits", None),
    (job(), {}, "experiment_name", "lerobot-training"),
    (job(experiment_name="mine"), {}, "experiment_name", "mine"),
    (job(workload="rosbag-act-train"), {}, "experiment_name", "rosbag-act-train"),
    *(
        (job(), {"display_name": name}, "display_name", name)
        for name in ("LeRobot: Training (ACT) – Müller", "true", "$HOME {x}", "x" * 256)
    ),
]

GUID = "11111111-2222-3333-4444-555555555555"
PLACE = {
    **{"--subscription-id": GUID, "--resource-group": "rg", "--workspace-name": "ws-1", "--compute": "k8s-a"},
    "--dataset-repo-id": "lerobot/pusht",
}
WRONG_FORMS = [
    *(("--resource-group", name) for name in ("${{inputs.a}}", "a/b", "robots.")),
    *(("--workload-identity", name) for name in ("${{inputs.a}}", "a/b", "not-a-guid")),
    *(("--compute", name) for name in ("a_b", "1a", "a", "a-", "azureml:a_b", "x" * 33, "${{x}}", "azureml:k8s-a")),
    ("--subscription-id", f"/subscriptions/{GUID}"),
    ("--workspace-name", "a/b"),
    *(("--instance-type", name) for name in ("a-", "a/b", "x" * 64, "${{x}}")),
    *(("--environment-name", name) for name in ("a:b", "x" * 256, "azureml:a", "${{x}}")),
    *(("--environment-version", version) for version in ("a/b", "x" * 256, "${{x}}")),
    *(("--shm-size", size) for size in ("8 GB", "8", "08g", "512MiB", "0g", "1.5g", "８g")),
    *(("--datastore", name) for name in ("azureml://datastores/mine/paths/x", "a-b", "x" * 256)),
    *(("--key-vault", vault) for vault in ("kv", "1kv", "\u212av-robots", "k" * 25, "https://kv-a.vault.azure.net/")),
]

# a setting that is no value of its option, and what is suggested in its place
INVALID: list[tuple[str, str, list[str]]] = [
    ("image", "ubuntu", ["--environment-version VERSION"]),
    ("image", f"x/y{DIGEST}", ["--environment-version VERSION"]),
    *(("exec_timeout", time, [f"--exec-timeout {better}"]) for time, better in (("366d", "365d"), ("1500ms", "1s"))),
    *(("exec_timeout", time, []) for time in ("0h", "12", "9" * 5000 + "h", "1h30m")),
    *(("display_name", name, []) for name in (" ", "a\nb", "x" * 257, "the ${{ name }}", "a\u2028b", "a\udc80")),
    *(
        ("labels", labels, [])
        for labels in (
            *("a=${{b}}", f"{'x' * 101}=a", f"a={'x' * 1001}", "a=b\tc", "ä=b", "a=\udc80"),
            *("robotrain.run=mine", "MLflow.user=me"),
        )
    ),
]

# the job, its settings, the code, the option and the stage of its only error, and what is suggested first
REFUSED: list[tuple[Job, dict[str, object], str, str, Stage, list[str]]] = [
    (
        job(),
        {"aks_cluster": None},
        "value-missing",
        "--compute",
        Stage.RESOLVE,
        ["--compute NAME", "AZUREML_COMPUTE=NAME"],
    ),
    *(
        (
            job(num_gpus=gpus),
            overrides,
            "value-missing",
            "--num-gpus",
            Stage.RESOLVE,
            ["--instance-type NAME", *managed],
        )
        for gpus in (3, 8)
        for overrides, managed in (({}, ["--compute-kind managed"]), ({"compute_kind": "kubernetes"}, []))
    ),
    *(
        (job(num_gpus=gpus), {"instance_type": named}, "options-conflict", "--instance-type", Stage.CHECK, offered)
        for gpus, named, offered in (
            (2, "gpuspot", ["--num-gpus 1"]),
            (1, "gpu4", ["--num-gpus 4"]),
            (3, "gpu4", ["--num-gpus 4"]),
        )
    ),
    (
        job(),
        {"instance_type": "gpu", "compute_kind": "managed"},
        "option-without-effect",
        "--instance-type",
        Stage.CHECK,
        [],
    ),
    *(
        (job(workload=name, experiment_name="a"), {}, "workload-name-refused", "", Stage.CHECK, [])
        for name in ("x" * 236, "a.b", "_a")
    ),
    *(
        (job(experiment_name=name), {}, "value-invalid", "--experiment-name", Stage.PARSE, [])
        for name in ("my experiment", "_a", "übung")
    ),
    *(
        (job(HUB), IN_VAULT | {"hf_credential": text}, "value-invalid", "--hf-credential", Stage.PARSE, [])
        for text in (
            *("a_b", "${{a}}", "x" * 128, "http://kva.vault.azure.net/secrets/a"),
            *("https://kva.vault.azure.net/secrets/a?x=1", "https://kva.vault.azure.net.evil.example/secrets/a"),
            *("https://a@kva.vault.azure.net/secrets/a", "https://a.kva.vault.azure.net/secrets/a"),
            "https://\u212av-robots.vault.azure.net/secrets/a",
            "https://kv.vault.azure.net/secrets/a",  # a vault's name has 3 characters
        )
    ),
    (
        job(HUB),
        {"hf_credential": "hf-token"},
        "value-missing",
        "--key-vault",
        Stage.RESOLVE,
        ["--key-vault NAME"],
    ),
    (
        job(*blobs(*(f"{ONE}/{'é' * 900}{number}" for number in range(40)))),
        {},
        "variable-too-long",
        "--blob-url",
        Stage.CHECK,
        ["use fewer or shorter --blob-url values", "--dataset-asset azureml:NAME:VERSION"],
    ),
]


def find_problem(code: str, of: Job, **overrides: object) -> Problem:
    (problem,) = [problem for problem in find_problems(of, **overrides) if problem.code == code]
    return problem


def list_suggestions(problem: Problem) -> list[str]:
    return [suggestion.text for suggestion in problem.suggestions]


@pytest.mark.parametrize(("of", "overrides"), ACCEPTED)
def test_job_is_accepted(of: Job, overrides: dict) -> None:
    assert find_codes(of, **overrides) == set()


@pytest.mark.parametrize(("of", "overrides", "key", "value"), RENDERED)
def test_value_is_accepted_and_rendered(of: Job, overrides: dict, key: str, value: object) -> None:
    assert find_codes(of, **overrides) == set()
    assert read_spec(render_plan(of, **overrides)).get(key) == value


@pytest.mark.parametrize(("flag", "text"), WRONG_FORMS)
def test_value_of_another_form_is_refused(robotrain, nobody, flag: str, text: str) -> None:
    options = [word for pair in {**PLACE, flag: text}.items() for word in pair]
    robotrain("render", "--platform", "azureml", *options, "--json").check_problems(2, f"value-invalid {flag}")


@pytest.mark.parametrize(("field", "text", "suggestions"), INVALID)
def test_invalid_setting_is_refused(field: str, text: str, suggestions: list[str]) -> None:
    problem = find_problem("value-invalid", job(), **{field: text})
    assert (problem.stage, problem.severity, problem.where) == (Stage.PARSE, "error", f"--{field.replace('_', '-')}")
    assert list_suggestions(problem) == suggestions


@pytest.mark.parametrize(("of", "overrides", "code", "where", "stage", "suggestions"), REFUSED)
def test_job_is_refused_for_one_option(of: Job, overrides: dict, code, where, stage, suggestions) -> None:
    assert find_codes(of, **overrides) == {code}
    problem = find_problem(code, of, **overrides)
    assert (problem.where, problem.stage) == (where, stage)
    assert list_suggestions(problem)[: len(suggestions)] == suggestions


def test_all_problems_are_found_at_once() -> None:
    wrong = {
        **{"resource_group": None, "aks_cluster": None, "image": "a b", "exec_timeout": "1h30m"},
        **{"display_name": "${{a}}", "labels": "mlflow.user=b", "hf_credential": "a b", "instance_type": "gpu4"},
    }
    problems = [
        problem for problem in find_problems(job(experiment_name="a/b"), **wrong) if problem.severity == "error"
    ]
    assert {problem.where for problem in problems} == {
        *("--resource-group", "--compute", "--image", "--exec-timeout", "--display-name", "--labels"),
        *("--hf-credential", "--instance-type", "--experiment-name"),
    }


@pytest.mark.parametrize("image", ["A:1", "x:1\n", "https://x/y:1", "x:${{y}}", ""])
def test_invalid_image_is_refused_with_the_form_of_one(image: str) -> None:
    problem = find_problem("value-invalid", job(), image=image)
    assert problem.where == "--image"
    assert "[HOST[:PORT]/]NAME:TAG" in problem.why or "${{" in image


def test_reason_names_the_rule() -> None:
    def explain(**overrides: object) -> str:
        return find_problem("value-invalid", job(), **overrides).why

    assert "expression" in explain(display_name="${{inputs.a}}")
    assert "24" in explain(labels=",".join(f"a{number}=b" for number in range(25)))
    for gpus, reason in ((1, "You would pay for idle GPUs."), (3, "The training would not start.")):
        assert find_problem("options-conflict", job(num_gpus=gpus), instance_type="gpu2").why == reason


def test_incomplete_workspace_names_what_is_missing() -> None:
    missing = find_problem("value-missing", job(), resource_group=None)
    assert missing.title == "the workspace is incomplete: --resource-group missing"
    assert (missing.stage, list_suggestions(missing)) == (Stage.RESOLVE, ["--resource-group GROUP"])
    signed_out = find_problem("value-missing", job(), subscription_id=None)
    assert list_suggestions(signed_out) == ["--subscription-id ID", "az login"]
    subscription_only = {"resource_group": None, "workspace_name": None}
    unset = find_problem("value-missing", job(), **subscription_only)
    assert unset.title.endswith(": --resource-group, --workspace-name missing")


def test_image_with_a_tag_that_may_move_is_a_warning() -> None:
    problem = find_problem("azureml-image-moves", job(), image="foo:latest")
    assert problem.severity == "warning"
    assert "foo:latest" in problem.title
    for overrides in ({}, {"image": f"foo:latest{DIGEST}"}, {"image": "foo:1", "environment_version": "7"}):
        assert "azureml-image-moves" not in {problem.code for problem in find_problems(job(), **overrides)}


def test_undeclared_workload_gets_one_gpu() -> None:
    assert read_spec(render_plan(UNDECLARED))["resources"]["instance_type"] == "gpuspot"
    assert find_problems(UNDECLARED) == find_problems(UNDECLARED, instance_type="gpu4") == []


def is_accepted_by_workspace(**properties: Any) -> bool:
    """Whether the stand-in of the workspace takes a job with these properties."""
    return not list(find_wrong_texts("a-job", properties))


@pytest.mark.parametrize("name", ["a_b-c", "a.b", "x" * 256, "x" * 257, "_a", "a b", "a\n"])
def test_experiment_name_is_valid_where_the_workspace_takes_it(name: str) -> None:
    problems = find_problems(job(experiment_name=name))
    assert (not problems) == is_accepted_by_workspace(experimentName=name)


def test_labels_become_tags_which_the_workspace_takes_at_their_longest() -> None:
    labels = f"team=arms,cost centre=4711,{'a' * 100}={'b' * 1000}"
    labels = ",".join([labels, *(f"{'x' * 98}{number}={'v' * 1000}" for number in range(10, 31))])
    assert find_codes(job(), labels=labels, display_name="x" * 256) == set()
    made = read_spec(render_plan(job(), labels=labels, display_name="x" * 256))
    assert {"team": "arms", "cost centre": "4711"}.items() <= made["tags"].items()
    assert is_accepted_by_workspace(tags=made["tags"], displayName=made["display_name"])


@pytest.mark.parametrize(
    "token",
    [
        "hf_abcdefghijklmnopqrstuvwxyz0123",
        "HF_Short",
        "a123456789abcdef0123456789abcdef01234567",
        "abcdef0123456789ABCDEF0123456789",
        "Zq8" * 14,
    ],
)
def test_token_in_place_of_a_name_is_not_repeated(token: str) -> None:
    for text in (token, f"https://kv-robots.vault.azure.net/secrets/{token}"):
        for each in (job(), job(HUB)):
            problem = find_problem("value-invalid", each, hf_credential=text, key_vault="kv-robots")
            assert (problem.stage, problem.given) == (Stage.PARSE, "")
            assert token not in format_problem(problem)
    assert "looks like a token" in find_problem("value-invalid", job(), hf_credential=token).why


@pytest.mark.parametrize(
    ("text", "vault", "address"),
    [
        ("hf-token", "KV-Robots", "https://kv-robots.vault.azure.net/secrets/hf-token"),
        ("https://KV-a.Vault.Azure.net/secrets/Mine/", None, "https://kv-a.vault.azure.net/secrets/Mine"),
        (f"https://kva.vault.azure.net/secrets/a/{'0a' * 16}", None, None),
        ("https://kva.vault.usgovcloudapi.net/secrets/a", "other", None),
    ],
)
def test_secret_is_a_name_in_a_vault_or_an_address(text: str, vault, address) -> None:
    overrides = {"hf_credential": text, "key_vault": vault}
    assert find_codes(job(HUB), **overrides) == set()
    assert job_settings.list_credential_addresses(job(HUB), settings(**overrides)) == {"huggingface": address or text}


def test_vault_of_another_cloud(monkeypatch) -> None:
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us/")
    address = job_settings.list_credential_addresses(job(HUB), settings(**IN_VAULT))["huggingface"]
    assert address == "https://kv-robots.vault.usgovcloudapi.net/secrets/hf-token"


def test_preempted_job_that_loses_its_checkpoints_is_noted() -> None:
    problem = find_problem("nothing-kept", job(), compute_kind="kubernetes", output_mode="upload")
    assert problem.severity == "note"
    assert "gpuspot" in problem.title
    assert "--output-mode rw_mount" in format_problem(problem)
    assert len(format_problem(problem).splitlines()) == 1
    assert "spot-a" in find_problem("nothing-kept", job(), instance_type="spot-a", output_mode="upload").title


@pytest.mark.parametrize(
    ("of", "overrides"),
    [
        (job(), {}),
        (job(publish_url=ONE), {"output_mode": "upload"}),
        (job(), {"instance_type": "gpu", "output_mode": "upload"}),
        (job(), {"compute_kind": "managed", "output_mode": "upload"}),
    ],
)
def test_nothing_is_noted_where_nothing_is_lost(of: Job, overrides: dict) -> None:
    assert find_problems(of, **overrides) == []
    assert "nothing-kept" not in {problem.code for problem in find_problems(job())}


def test_length_of_a_variable_is_limited_as_by_the_kernel() -> None:
    name = "INIT_FROM_POLICY_MODEL_SOURCE"
    limit = 131_072 - len(f"{name}=\0")
    for size, codes in ((limit, set()), (limit + 1, {"variable-too-long"})):
        given_job = job(*blobs(), source("blob_url", ONE + "x" * (size - len(ONE)), "init_policy"))
        variable = {name: command_job.make_compat_variables(given_job)[name]}
        assert len(variable[name]) == size
        assert find_codes(given_job) == codes
        if codes:
            with pytest.raises(OSError, match="too long"):
                subprocess.run(["/bin/true"], env=variable, check=True)
        else:
            subprocess.run(["/bin/true"], env=variable, check=True)


def test_check_reads_no_file_and_sends_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError(args)

    given_job = job(*blobs(), HUB, model("azureml:m:7"), source("local_path", "/data", "policy"))
    overrides = IN_VAULT | {"labels": "a=b"}
    assert find_codes(given_job, **overrides) == set()
    for name in ("builtins.open", "socket.socket.connect", "subprocess.Popen.__init__"):
        monkeypatch.setattr(name, refuse)
    assert find_codes(given_job, **overrides) == set()
