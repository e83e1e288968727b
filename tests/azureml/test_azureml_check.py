"""What is wrong with a job for Azure ML is told before anything is sent, all of it at once."""

import subprocess
from typing import Any

import azureml_plans
import pytest
from azure_stand_in.ml.contents import Ml
from azure_stand_in.ml.job_rules import RULES, Sent
from azureml_plans import ONE, blobs, find_codes, find_problems, job, model, read_spec, settings, source
from robotrain.errors import Problem, Stage, format_problem
from robotrain.model.job import Job
from robotrain_azureml.spec import job_settings, render

HUB = source("huggingface", "lerobot/pusht@main")


def one(code: str, of: Job, **given: object) -> Problem:
    (found,) = [problem for problem in find_problems(of, **given) if problem.code == code]
    return found


def ways(problem: Problem) -> list[str]:
    return [way.text for way in problem.suggestions]


def unfit(**given: object) -> Problem:
    """What is said of one value of a setting that is none."""
    found = one("azureml-value-invalid", job(), **given)
    assert (found.stage, found.severity) == (Stage.PARSE, "error")
    return found


def test_an_ordinary_job_is_well() -> None:
    assert find_codes(job()) == set()


def test_everything_is_told_at_once() -> None:
    wrong = {
        "resource_group": None,
        "aks_cluster": None,
        "image": "a b",
        "environment_name": "a b",
        "shm_size": "8Gi",
        "exec_timeout": "1h30m",
        "display_name": "${{a}}",
        "labels": "mlflow.user=b",
        "datastore": "a b",
        "hf_credential": "a b",
        "instance_type": "gpu4",
    }
    found = [problem for problem in find_problems(job(experiment_name="a/b"), **wrong) if problem.severity == "error"]
    assert {problem.where for problem in found} == {
        *("--resource-group", "--compute", "--image", "--environment-name", "--shm-size", "--exec-timeout"),
        *("--display-name", "--labels", "--datastore", "--hf-credential", "--instance-type", "--experiment-name"),
    }


class TestTheWorkspace:
    """All three of its names."""

    def test_one_that_is_missing_is_asked_for(self) -> None:
        found = one("azureml-workspace-incomplete", job(), resource_group=None)
        assert found.title == "the workspace is incomplete: --resource-group is missing"
        assert (found.stage, ways(found)[0]) == (Stage.RESOLVE, "--resource-group …")

    def test_who_is_signed_in_nowhere_is_told_to(self) -> None:
        assert "az login" in ways(one("azureml-workspace-incomplete", job(), subscription_id=None))
        assert "az login" not in ways(one("azureml-workspace-incomplete", job(), workspace_name=None))

    def test_a_subscription_alone_names_no_part_of_one(self) -> None:
        found = one("azureml-workspace-incomplete", job(), resource_group=None, workspace_name=None)
        assert found.title.startswith("no workspace is set: --resource-group, --workspace-name are")

    @pytest.mark.parametrize("field", ["resource_group", "workload_identity"])
    def test_a_name_that_azure_could_not_have_is_refused(self, field: str) -> None:
        assert find_codes(job(), **{field: "a/b"}) == {"azureml-value-invalid"}
        assert "expression" in unfit(**{field: "${{inputs.a}}"}).why

    def test_an_identity_is_named_by_its_client_id(self) -> None:
        found = unfit(workload_identity="not-a-guid")
        assert (found.where, found.severity) == ("--workload-identity", "error")
        assert find_codes(job(), workload_identity="11111111-2222-3333-4444-555555555555") == set()


class TestTheCompute:
    """Named, or known by the cluster that it was made of."""

    @pytest.mark.parametrize(
        ("cluster", "compute"),
        [
            ("aks-robot-dev-001", "k8s-robot-dev-00"),
            ("aks-a", "k8s-a"),
            ("mycluster", "k8s-mycluster"),
            ("aks-robot-dev-a-b", "k8s-robot-dev-a"),
        ],
    )
    def test_it_is_that_of_the_cluster(self, cluster: str, compute: str) -> None:
        made = read_spec(azureml_plans.render_plan(job(), aks_cluster=cluster))
        assert (find_codes(job(), aks_cluster=cluster), made["compute"]) == (set(), f"azureml:{compute}")

    def test_one_that_is_said_counts_more(self) -> None:
        assert read_spec(azureml_plans.render_plan(job(), compute="mine"))["compute"] == "azureml:mine"

    def test_one_that_nobody_names_is_asked_for(self) -> None:
        found = one("azureml-compute-missing", job(), aks_cluster=None)
        assert (found.stage, ways(found)) == (Stage.RESOLVE, ["--compute NAME", "AZUREML_COMPUTE=NAME"])

    @pytest.mark.parametrize("name", ["a_b", "1a", "a", "a-", "azureml:a:1", "x" * 33, "${{x}}"])
    def test_what_is_no_name_of_one_is_refused(self, name: str) -> None:
        assert unfit(compute=name).where == "--compute"

    def test_a_name_as_jobs_have_it_is_told_without_its_scheme(self) -> None:
        assert ways(unfit(compute="azureml:k8s-a")) == ["--compute k8s-a"]
        assert ways(unfit(compute="azureml:a_b")) == ways(unfit(compute="x" * 33)) == []

    def test_how_long_a_name_may_be_depends_on_its_kind(self) -> None:
        assert (
            find_codes(job(), compute="x" * 32) == find_codes(job(), compute="x" * 32, compute_kind="managed") == set()
        )
        assert (
            find_codes(job(), compute="x" * 16, compute_kind="kubernetes") == find_codes(job(), compute="xx") == set()
        )
        assert unfit(compute="x" * 17, compute_kind="kubernetes").why.startswith("It has 2 to 16 ")


class TestMachines:
    """One of a Kubernetes compute's kinds, with as many GPUs as the job trains on."""

    @pytest.mark.parametrize(("gpus", "kind"), [(1, "gpuspot"), (4, "gpuspot4")])
    def test_the_kind_follows_the_gpus(self, gpus: int, kind: str) -> None:
        assert read_spec(azureml_plans.render_plan(job(num_gpus=gpus)))["resources"]["instance_type"] == kind

    @pytest.mark.parametrize(("gpus", "offered"), [(3, ["--num-gpus 2", "--num-gpus 4"]), (8, ["--num-gpus 4"])])
    def test_where_none_has_so_many_somebody_has_to_say(self, gpus: int, offered: list[str]) -> None:
        found = one("azureml-instance-type-missing", job(num_gpus=gpus))
        assert (found.stage, ways(found)[0]) == (Stage.RESOLVE, "--instance-type NAME")
        assert ways(found)[1:] == ["--compute-kind managed", *offered]
        assert ways(one("azureml-instance-type-missing", job(num_gpus=gpus), compute_kind="kubernetes"))[1:] == offered
        assert find_codes(job(num_gpus=gpus), instance_type="our-8x") == set()
        assert find_codes(job(num_gpus=gpus), compute_kind="managed") == set()

    @pytest.mark.parametrize(
        ("gpus", "named", "offered"),
        [
            (2, "gpuspot", ["--instance-type gpuspot2", "--num-gpus 1"]),
            (1, "gpu4", ["--instance-type gpu", "--num-gpus 4"]),
            (3, "gpu4", ["--num-gpus 4"]),
        ],
    )
    def test_one_of_another_size_is_refused(self, gpus: int, named: str, offered: list[str]) -> None:
        found = one("azureml-gpus-differ", job(num_gpus=gpus), instance_type=named)
        assert (found.stage, ways(found)) == (Stage.CHECK, offered)
        assert ("would not start" in found.why) == (job_settings.INSTANCE_TYPE_GPUS[named] < gpus)
        assert found.title.startswith(f"the job trains on {gpus} GPU{'s' if gpus > 1 else ''}, but ")

    @pytest.mark.parametrize(("gpus", "named"), [(2, "gpu2"), (4, "defaultinstancetype")])
    def test_one_that_fits_or_that_nobody_knows_is_taken(self, gpus: int, named: str) -> None:
        assert find_codes(job(num_gpus=gpus), instance_type=named) == set()

    def test_a_workload_that_says_nothing_of_gpus_gets_one(self) -> None:
        of = Job(workload="somebodys-own", parameters=(), sources=tuple(blobs()))
        assert find_problems(of) == find_problems(of, instance_type="gpu4") == []
        assert read_spec(azureml_plans.render_plan(of))["resources"]["instance_type"] == "gpuspot"

    def test_a_managed_compute_has_but_one_kind(self) -> None:
        found = one("azureml-instance-type-managed", job(), instance_type="gpu", compute_kind="managed")
        assert (found.stage, found.given) == (Stage.CHECK, "gpu")
        assert "instance_type" not in read_spec(azureml_plans.render_plan(job(), compute_kind="managed"))["resources"]

    @pytest.mark.parametrize("name", ["-a", "a/b", "x" * 64, "${{x}}"])
    def test_what_is_no_name_of_a_kind_is_refused(self, name: str) -> None:
        assert unfit(instance_type=name).where == "--instance-type"


class TestImages:
    """A reference, with the tag that the environment's version is made of."""

    @pytest.mark.parametrize(
        ("image", "version"),
        [
            ("pytorch/pytorch:2.11.0-cuda12.8-cudnn9-runtime", "2.11.0-cuda12.8-cudnn9-runtime"),
            (f"nvcr.io/nvidia/x:2.3.2@sha256:{'0a' * 32}", f"2.3.2-sha256-{'0a' * 32}"),
            ("registry.example:5000/team/x:1_a", "1_a"),
        ],
    )
    def test_the_version_is_that_of_the_image(self, image: str, version: str) -> None:
        assert find_codes(job(), image=image) == set()
        made = read_spec(azureml_plans.render_plan(job(), image=image))
        assert made["environment"] == f"azureml:lerobot-training-env:{version}"

    def test_one_whose_tag_may_move_is_told(self) -> None:
        found = one("azureml-image-moves", job(), image="foo:latest")
        assert found.severity == "warning"
        assert "foo:latest" in found.title
        for said in ({}, {"image": f"foo:latest@sha256:{'a' * 64}"}, {"image": "foo:1", "environment_version": "7"}):
            assert "azureml-image-moves" not in {problem.code for problem in find_problems(job(), **said)}

    def test_one_without_a_tag_needs_a_version(self) -> None:
        digest = f"@sha256:{'a' * 64}"
        assert ways(unfit(image=f"x/y{digest}"))[0] == f"--image x/y:TAG{digest}"
        assert ways(unfit(image="ubuntu")) == ["--image ubuntu:TAG", "--environment-version VERSION"]
        assert find_codes(job(), image=f"x/y{digest}", environment_version="7") == set()
        made = read_spec(azureml_plans.render_plan(job(), image=f"x/y{digest}", environment_version="7"))
        assert made["environment"] == "azureml:lerobot-training-env:7"

    @pytest.mark.parametrize("image", ["A:1", "x:1\n", "https://x/y:1", "x:${{y}}", ""])
    def test_what_is_none_is_refused(self, image: str) -> None:
        found = unfit(image=image)
        assert found.where == "--image"
        assert "[HOST[:PORT]/]NAME:TAG" in found.why or "${{" in image

    @pytest.mark.parametrize("digest", ["A" * 64, "a" * 63])
    def test_a_digest_has_64_digits(self, digest: str) -> None:
        assert "64 hex digits" in unfit(image=f"x:1@sha256:{digest}").why

    @pytest.mark.parametrize("name", ["-a", "x" * 256, "", "azureml:a", "${{x}}"])
    def test_an_environment_has_a_name(self, name: str) -> None:
        assert unfit(environment_name=name).where == "--environment-name"

    def test_one_that_is_named_with_its_version_is_told_its_name(self) -> None:
        assert ways(unfit(environment_name="azureml:mine:3")) == ["--environment-name mine"]
        assert ways(unfit(environment_name="azureml:-:3")) == ways(unfit(environment_name="x" * 256)) == []

    @pytest.mark.parametrize("version", ["a/b", "x" * 256, "${{x}}"])
    def test_a_version_is_one_word(self, version: str) -> None:
        assert unfit(environment_version=version).where == "--environment-version"


class TestSizesAndTimes:
    """As docker and the service read them."""

    @pytest.mark.parametrize("size", ["8g", "8589934592b"])
    def test_sizes(self, size: str) -> None:
        assert find_codes(job(), shm_size=size) == set()

    @pytest.mark.parametrize(
        ("size", "way"),
        [("8 GB", "8g"), ("8", "8g"), ("08g", "8g"), ("512MiB", "512m"), ("0g", "8g"), ("1.5g", "8g"), ("８g", "8g")],
    )
    def test_what_is_no_size(self, size: str, way: str) -> None:
        assert ways(unfit(shm_size=size)) == [f"--shm-size {way}"]

    @pytest.mark.parametrize(("time", "seconds"), [("12h", 43200), ("2d", 172800)])
    def test_times(self, time: str, seconds: int) -> None:
        assert find_codes(job(), exec_timeout=time) == set()
        assert read_spec(azureml_plans.render_plan(job(), exec_timeout=time))["limits"] == {"timeout": seconds}

    @pytest.mark.parametrize(
        ("time", "way"),
        [("1h30m", "90m"), ("366d", "365d"), ("1500ms", "1s"), ("0h", ""), ("12", ""), ("9" * 5000 + "h", "")],
    )
    def test_what_is_no_time(self, time: str, way: str) -> None:
        assert ways(unfit(exec_timeout=time)) == ([f"--exec-timeout {way}"] if way else [])

    def test_nothing_said_is_no_limit(self) -> None:
        assert "limits" not in read_spec(azureml_plans.render_plan(job()))


class TestNames:
    """What the studio shows."""

    @pytest.mark.parametrize("name", ["a.b", "_a", "x" * 240])
    def test_a_workload_that_no_job_can_be_named_for_is_refused(self, name: str) -> None:
        assert "azureml-workload-name" in find_codes(job(workload=name))

    def test_one_that_just_fits_is_taken(self) -> None:
        assert find_codes(job(workload="x" * 235)) == set()
        assert find_codes(job(workload="x" * 236)) == {"azureml-workload-name"}
        assert len(job(workload="x" * 235).run_name(999) + "-a1b2c3") == 255

    @pytest.mark.parametrize(
        ("name", "ways_out"),
        [("my experiment", ["--experiment-name my-experiment"]), ("_a", ["--experiment-name a"]), ("ä", [])],
    )
    def test_an_experiment_has_a_plain_name(self, name: str, ways_out: list[str]) -> None:
        assert ways(one("azureml-value-invalid", job(experiment_name=name))) == ways_out

    def test_that_of_the_contract_is_taken(self) -> None:
        assert find_codes(job(experiment_name="lerobot-act-v2_1")) == set()
        assert read_spec(azureml_plans.render_plan(job()))["experiment_name"] == "lerobot-training"

    @pytest.mark.parametrize("name", [" ", "a\nb", "x" * 257, "the ${{ name }}", "a\u2028b", "a\udc80"])
    def test_a_display_name_is_one_line(self, name: str) -> None:
        assert unfit(display_name=name).where == "--display-name"

    @pytest.mark.parametrize("name", ["LeRobot: Training (ACT) – Müller", "true", "$HOME {x}", "x" * 256])
    def test_it_may_say_anything_else(self, name: str) -> None:
        assert find_codes(job(), display_name=name) == set()
        assert read_spec(azureml_plans.render_plan(job(), display_name=name))["display_name"] == name


class TestLabels:
    """Tags of the job."""

    def test_they_are_the_jobs_tags(self) -> None:
        labels = f"team=arms,cost centre=4711,stage=yes,{'a' * 100}={'b' * 1000}"
        assert find_codes(job(), labels=labels) == set()
        tags = read_spec(azureml_plans.render_plan(job(), labels=labels))["tags"]
        assert {"team": "arms", "cost centre": "4711", "stage": "yes"}.items() <= tags.items()

    @pytest.mark.parametrize(
        "labels",
        [
            *("a=${{b}}", f"{'x' * 101}=a", f"a={'x' * 1001}", "a=b\tc", "ä=b", "a=\udc80"),
            *("robotrain.run=mine", "MLflow.user=me"),
        ],
    )
    def test_what_is_none_or_somebody_elses_is_refused(self, labels: str) -> None:
        assert unfit(labels=labels).where == "--labels"

    def test_there_are_as_many_as_a_job_has_room_for(self) -> None:
        assert find_codes(job(), labels=",".join(f"a{number}=b" for number in range(24))) == set()
        assert "24" in unfit(labels=",".join(f"a{number}=b" for number in range(25))).why


class TestAgainstTheJudge:
    """What passes here is taken by the workspace that stands in, and so is what is offered in place of the rest."""

    @staticmethod
    def taken(rule: str, **said: Any) -> bool:
        return not list(RULES[rule].finds(Sent("a-job", {"properties": said}, Ml("", ""))))

    @pytest.mark.parametrize("name", ["a_b-c", "a.b", "x" * 256, "x" * 257, "_a", "a b", "a\n"])
    def test_the_name_of_an_experiment(self, name: str) -> None:
        found = find_problems(job(experiment_name=name))
        assert (not found) == self.taken("experiment", experimentName=name)
        for way in (way for problem in found for way in ways(problem)):
            assert self.taken("experiment", experimentName=way.removeprefix("--experiment-name "))

    @pytest.mark.parametrize("size", ["1b", "08g", "0g", "8Gi", "８g", "512 MiB"])
    def test_a_size_of_shared_memory(self, size: str) -> None:
        found = find_problems(job(), shm_size=size)
        assert found or self.taken("shared", resources={"shmSize": size})
        for way in (way for problem in found for way in ways(problem)):
            assert self.taken("shared", resources={"shmSize": way.removeprefix("--shm-size ")})

    def test_labels_and_names_that_just_fit(self) -> None:
        labels = ",".join(f"{'x' * 98}{number}={'v' * 1000}" for number in range(10, 34))
        made = read_spec(azureml_plans.render_plan(job(), labels=labels, display_name="x" * 256))
        assert find_codes(job(), labels=labels, display_name="x" * 256) == set()
        assert self.taken("limits", tags=made["tags"], displayName=made["display_name"])


class TestSecrets:
    """They are named, never given."""

    TOKENS = (
        "hf_abcdefghijklmnopqrstuvwxyz0123",
        "HF_Short",
        "a123456789abcdef0123456789abcdef01234567",
        "abcdef0123456789ABCDEF0123456789",
        "Zq8" * 14,
    )

    @pytest.mark.parametrize("token", TOKENS)
    def test_a_token_in_its_place_is_refused_without_being_repeated(self, token: str) -> None:
        for text in (token, f"https://kv-robots.vault.azure.net/secrets/{token}"):
            for of in (job(), job(HUB)):
                found = one("azureml-secret-invalid", of, hf_credential=text, key_vault="kv-robots")
                assert (found.stage, found.given) == (Stage.PARSE, "")
                assert token not in format_problem(found)
                assert text not in format_problem(found)
        assert "looks like a token" in one("azureml-secret-invalid", job(), hf_credential=token).why

    @pytest.mark.parametrize(
        ("text", "vault", "address"),
        [
            ("hf-token", "KV-Robots", "https://kv-robots.vault.azure.net/secrets/hf-token"),
            ("https://KV-a.Vault.Azure.net/secrets/Mine/", None, "https://kv-a.vault.azure.net/secrets/Mine"),
            (f"https://kva.vault.azure.net/secrets/a/{'0a' * 16}", None, None),
            ("https://kva.vault.usgovcloudapi.net/secrets/a", "other", None),
        ],
    )
    def test_a_name_in_a_vault_or_a_whole_address_is_where_it_lies(self, text: str, vault, address) -> None:
        assert find_codes(job(HUB), hf_credential=text, key_vault=vault) == set()
        found = job_settings.find_hub_token_address(job(HUB), settings(hf_credential=text, key_vault=vault))
        assert found == (address or text)

    def test_a_job_that_reads_nothing_of_the_hub_is_given_none(self) -> None:
        given = {"hf_credential": "hf-token", "key_vault": "kv-robots"}
        assert (
            job_settings.find_hub_token_address(job(), settings(**given))
            == job_settings.find_hub_token_address(job(HUB), settings())
            == ""
        )

    def test_in_another_cloud_the_vaults_are_others(self, monkeypatch) -> None:
        monkeypatch.setenv("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us/")
        found = job_settings.find_hub_token_address(job(HUB), settings(hf_credential="hf-token", key_vault="kv-robots"))
        assert found == "https://kv-robots.vault.usgovcloudapi.net/secrets/hf-token"

    @pytest.mark.parametrize(
        "text",
        [
            *("a_b", "${{a}}", "x" * 128, "http://kva.vault.azure.net/secrets/a"),
            *("https://kva.vault.azure.net/secrets/a?x=1", "https://kva.vault.azure.net.evil.example/secrets/a"),
            *("https://a@kva.vault.azure.net/secrets/a", "https://a.kva.vault.azure.net/secrets/a"),
            "https://\u212av-robots.vault.azure.net/secrets/a",
            "https://kv.vault.azure.net/secrets/a",  # a vault's name has 3 characters
        ],
    )
    def test_what_names_none_is_refused(self, text: str) -> None:
        assert find_codes(job(HUB), hf_credential=text, key_vault="kv-robots") == {"azureml-secret-invalid"}

    def test_a_name_alone_needs_its_vault_where_the_job_reads_the_hub(self) -> None:
        found = one("azureml-vault-missing", job(HUB), hf_credential="hf-token")
        assert (found.stage, ways(found)[0]) == (Stage.RESOLVE, "--key-vault NAME")
        assert find_codes(job(), hf_credential="hf-token") == set()

    @pytest.mark.parametrize("vault", ["kv", "1kv", "\u212av-robots", "k--v", "k" * 25])
    def test_a_vault_has_a_name(self, vault: str) -> None:
        found = one("azureml-value-invalid", job(HUB), hf_credential="hf-token", key_vault=vault)
        assert found.where == "--key-vault"

    def test_a_vaults_address_is_told_as_its_name(self) -> None:
        given = {"hf_credential": "hf-token", "key_vault": "https://kv-robots.vault.azure.net/"}
        assert ways(one("azureml-value-invalid", job(HUB), **given)) == ["--key-vault kv-robots"]


class TestPlaces:
    """Where checkpoints and folders go."""

    @pytest.mark.parametrize(
        ("name", "way"),
        [
            ("azureml://datastores/mine/paths/x", "mine"),
            ("a-b", "workspaceblobstore"),
            ("x" * 256, "workspaceblobstore"),
        ],
    )
    def test_a_datastore_has_a_name(self, name: str, way: str) -> None:
        assert ways(unfit(datastore=name)) == [f"--datastore {way}"]

    def test_what_a_preempted_job_loses_is_told_with_what_would_keep_it(self) -> None:
        found = one("azureml-nothing-survives", job(), compute_kind="kubernetes")
        assert found.severity == "note"
        assert "gpuspot" in found.title
        assert "--output-mode rw_mount" in format_problem(found)
        assert len(format_problem(found).splitlines()) == 1
        assert "spot-a" in one("azureml-nothing-survives", job(), instance_type="spot-a").title

    def test_a_compute_that_may_be_a_managed_one_is_told_nothing_of_machines_it_may_not_have(self) -> None:
        for kind in (None, "managed"):
            assert "azureml-nothing-survives" not in {found.code for found in find_problems(job(), compute_kind=kind)}

    @pytest.mark.parametrize(
        ("of", "given"),
        [
            (job(), {"output_mode": "rw_mount"}),
            (job(publish_url=ONE), {}),
            (job(), {"instance_type": "gpu"}),
            (job(), {"compute_kind": "managed"}),
        ],
    )
    def test_where_nothing_is_lost_nothing_is_said(self, of: Job, given: dict) -> None:
        assert find_problems(of, **given) == []


class TestVariables:
    """What the environment of the container says again."""

    @staticmethod
    def addresses(letter: str, count: int) -> Job:
        return job(*blobs(*(f"{ONE}/{letter * 900}{number}" for number in range(count))))

    def test_one_with_which_no_process_starts_is_refused(self) -> None:
        found = one("azureml-variable-too-long", self.addresses("é", 40))
        assert (found.where, found.stage) == ("--blob-url", Stage.CHECK)
        assert "131072" in found.title
        assert ways(found) == ["use fewer or shorter --blob-url values", "--dataset-asset azureml:NAME:VERSION"]
        assert find_codes(self.addresses("e", 40)) == set()

    def test_the_limit_is_that_of_the_kernel(self) -> None:
        name, room = "INIT_FROM_POLICY_MODEL_SOURCE", 131_072 - len("INIT_FROM_POLICY_MODEL_SOURCE=\0")
        for size in (room, room + 1):
            of = job(*blobs(), source("blob_url", ONE + "x" * (size - len(ONE)), "init_policy"))
            held = {name: render.make_compat_variables(of)[name]}
            assert len(held[name]) == size
            if size == room:
                assert find_codes(of) == set()
                subprocess.run(["/bin/true"], env=held, check=True)
            else:
                assert find_codes(of) == {"azureml-variable-too-long"}
                with pytest.raises(OSError, match="too long"):
                    subprocess.run(["/bin/true"], env=held, check=True)


def test_check_looks_at_nothing_but_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object, **named: object) -> None:
        raise AssertionError(given)

    of = job(*blobs(), HUB, model("azureml:m:7"), source("local_path", "/data", "policy"))
    given = {"hf_credential": "hf-token", "key_vault": "kv-robots", "labels": "a=b"}
    assert find_codes(of, **given) == set()
    for name in ("builtins.open", "socket.socket.connect", "subprocess.Popen.__init__"):
        monkeypatch.setattr(name, refuse)
    assert find_codes(of, **given) == set()
