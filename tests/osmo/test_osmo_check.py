"""All problems of a job are reported at once, before anything is sent."""

import osmo_plans
import pytest
from osmo_plans import ONE, PINNED, blobs, find_codes, find_problems, job, source
from robotrain.errors import Problem, Stage, format_problem
from robotrain.model.job import Job

TRACKED = {"tracking_uri": None, "subscription_id": "S", "resource_group": "rg", "workspace_name": "ws"}


def one(code: str, of: Job, **given: object) -> Problem:
    (found,) = [problem for problem in find_problems(of, **given) if problem.code == code]
    return found


def ways(problem: Problem) -> list[str]:
    return [way.text for way in problem.suggestions]


def test_an_ordinary_job_is_well() -> None:
    assert find_codes(job(), **TRACKED) == set()


def test_everything_is_told_at_once() -> None:
    wrong = {"pool": None, "image": "a b", "memory": "48GB", "exec_timeout": "1h30m", "gpus": 0, "labels": "a=b c"}
    found = [problem for problem in find_problems(job(), **wrong) if problem.severity == "error"]
    assert {problem.where for problem in found} == {
        *("--pool", "--image", "--memory", "--exec-timeout", "--gpus", "--labels")
    }


def test_addresses_with_which_no_process_of_the_container_starts_are_refused() -> None:
    found = one("osmo-variable-too-long", job(*blobs(*(f"{ONE}/{'é' * 900}{number}" for number in range(40)))))
    assert (found.where, found.stage) == ("--blob-url", Stage.CHECK)
    assert all("--blob-url" in way for way in ways(found))


def test_a_missing_pool_is_asked_for() -> None:
    found = one("osmo-pool-missing", job(), pool=None)
    assert found.stage is Stage.RESOLVE
    assert ways(found) == ["--pool NAME", "OSMO_POOL=NAME"]


@pytest.mark.parametrize("pool", ["-p", "a b", "a;b", "{{x}}", ""])
def test_a_pools_name_is_never_an_option_or_a_template(pool: str) -> None:
    assert "osmo-value-invalid" in find_codes(job(), pool=pool)


class TestImages:
    """A reference with a tag or a digest."""

    @pytest.mark.parametrize(
        "image",
        [
            "pytorch/pytorch:2.11.0-cuda12.8-cudnn9-runtime",
            f"nvcr.io/nvidia/isaac-lab:2.3.2@sha256:{'0' * 64}",
            f"registry.example:5000/team/x@sha256:{'a' * 64}",
            "ubuntu:24.04",
            "localhost/x:1",
            "docker:5000/x:1",
        ],
    )
    def test_what_docker_takes_is_taken(self, image: str) -> None:
        assert find_codes(job(), image=image) == set()

    @pytest.mark.parametrize(
        "image",
        ["ubuntu", "Ubuntu:1", "a b:1", "x:1\n", "x:{{tag}}", "x:$(TAG)", "https://x/y:1", "x@sha256:12", "x:é"],
    )
    def test_what_is_none_or_moves_is_refused(self, image: str) -> None:
        assert find_codes(job(), image=image) == {"osmo-value-invalid"}

    def test_one_without_a_tag_is_told_to_have_one(self) -> None:
        assert ways(one("osmo-value-invalid", job(), image="ubuntu"))[0] == "--image ubuntu:TAG"

    def test_a_template_is_called_one(self) -> None:
        assert "`{{`" in one("osmo-value-invalid", job(), image="x:{{tag}}").why


class TestSizesAndTimes:
    """Units as OSMO accepts them."""

    @pytest.mark.parametrize("size", ["48Gi", "1.5Ti", "512Mi", "48G", "48GiB"])
    def test_sizes(self, size: str) -> None:
        assert find_codes(job(), memory=size, storage=size) == set()

    @pytest.mark.parametrize(
        ("size", "way"),
        [("48GB", "48Gi"), ("48 gb", "48Gi"), ("48", "48Gi"), ("0Gi", "48Gi"), ("-1Gi", ""), ("big", "")],
    )
    def test_what_is_no_size(self, size: str, way: str) -> None:
        found = one("osmo-value-invalid", job(), storage=size)
        assert ways(found) == ([f"--storage {way}"] if way else [])

    @pytest.mark.parametrize("time", ["12h", "60d", "90m", "3600s"])
    def test_times(self, time: str) -> None:
        assert find_codes(job(), exec_timeout=time, queue_timeout=time) == set()

    @pytest.mark.parametrize(
        ("time", "way"),
        [
            ("1h30m", "90m"),
            ("12 hours", "12h"),
            ("61d", "60d"),
            ("0h", ""),
            ("20us", ""),
            ("9" * 5000 + "h", ""),
            ("12", ""),
            ("1.5h", ""),
            ("PT1H", ""),
        ],
    )
    def test_what_is_no_time_or_would_be_cut(self, time: str, way: str) -> None:
        found = one("osmo-value-invalid", job(), exec_timeout=time)
        assert ways(found) == ([f"--exec-timeout {way}"] if way else [])


class TestGpus:
    """The default is the number that the job trains on."""

    @pytest.mark.parametrize(("have", "wanted", "device"), [(0, 1, "auto"), (1, 2, "auto"), (1, 2, "cuda")])
    def test_too_few_are_refused(self, have: int, wanted: int, device: str) -> None:
        found = one("osmo-gpus-too-few", job(num_gpus=wanted, device=device), gpus=have)
        assert f"--gpus {wanted}" in ways(found)
        assert ("--device cpu" in ways(found)) == (have == 0)

    def test_a_workload_without_a_device_has_no_way_out_on_a_processor(self, robotrain) -> None:
        answer = robotrain("render", "isaac-train", "--platform", "osmo", "--pool", "p", "--gpus", "0", "--json")
        (found,) = (one for one in answer.json["problems"] if one["code"] == "osmo-gpus-too-few")
        assert [one["text"] for one in found["instead"]] == ["--gpus 1"]

    @pytest.mark.parametrize(("have", "device"), [(0, "cpu"), (4, "auto"), (None, "cuda")])
    def test_enough_are_enough(self, have: int | None, device: str) -> None:
        assert find_codes(job(device=device), gpus=have) == set()

    @pytest.mark.parametrize("workers", [4, None])
    def test_processes_without_shared_memory_are_warned_about(self, workers: int | None) -> None:
        """None: the container chooses, and may choose several."""
        assert one("osmo-no-shared-memory", job(num_workers=workers)).severity == "warning"
        assert one("osmo-no-shared-memory", job(num_workers=workers), shared_memory="none").severity == "warning"
        assert "osmo-no-shared-memory" not in find_codes(job(num_workers=workers), shared_memory="mount")
        assert "osmo-no-shared-memory" not in find_codes(job(num_workers=0))


class TestNames:
    """Names of tasks and labels."""

    @pytest.mark.parametrize("name", ["a.b", "1st", "a_", "x" * 60, "osmo-ctrl"])
    def test_a_workload_that_osmo_cannot_name_a_task_for_is_refused(self, name: str) -> None:
        assert find_codes(job(workload=name)) == {"osmo-workload-name"}

    def test_labels_as_kubernetes_has_them(self) -> None:
        assert find_codes(job(), labels="team=arms,example.com/stage=dev-1") == set()

    @pytest.mark.parametrize("labels", ["a=", "a=b c", "a/b/c=d", "-a=b", "a={{b}}", f"a={'x' * 64}", "ä=b"])
    def test_others_are_refused(self, labels: str) -> None:
        assert "osmo-value-invalid" in find_codes(job(), labels=labels)

    def test_there_are_sixteen_at_most(self) -> None:
        labels = ",".join(f"a{number}=b" for number in range(17))
        assert find_codes(job(), labels=labels) == {"osmo-value-invalid"}

    def test_versions_before_6_4_have_none(self) -> None:
        assert find_codes(job(), labels="a=b", server="6.3") == {"osmo-server-without"}


class TestCredentials:
    """A job contains names of credentials only."""

    TOKEN = "hf_abcdefghijklmnopqrstuvwxyz0123"

    def test_a_token_in_place_of_a_name_is_refused_without_being_repeated(self) -> None:
        for flag in ("hf_credential", "blob_credential"):
            found = one("osmo-credential-invalid", job(), **{flag: self.TOKEN})
            assert "secret" in found.why
            assert self.TOKEN not in format_problem(found)
        assert find_codes(job(wandb=True), wandb_credential=f"key:{self.TOKEN}") == {"osmo-credential-invalid"}

    @pytest.mark.parametrize(
        "secret",
        [
            "a123456789abcdef0123456789abcdef01234567",
            "abcdef0123456789ABCDEF0123456789",
            "wandb_v1_abcdefghij_KLMNOPQRST",
            "Zq8" * 14,
        ],
    )
    def test_a_key_that_is_a_name_by_its_letters_is_refused_without_being_repeated(self, secret: str) -> None:
        for text in (secret, f"wandb:{secret}"):
            found = one("osmo-credential-invalid", job(wandb=True), wandb_credential=text)
            assert secret not in format_problem(found)

    @pytest.mark.parametrize("name", ["hf_token", "wandb_v2", "our-team-robots-hugging-face-token-for-training-1"])
    def test_a_name_is_no_token_though_it_begins_like_one(self, name: str) -> None:
        assert find_codes(job(), hf_credential=name) == set()

    @pytest.mark.parametrize("name", ["a b", "1a", "a.b", "{{a}}", "a:", "a:b c", "-a", "a:{{b}}"])
    def test_what_osmo_takes_as_no_name_is_refused(self, name: str) -> None:
        assert find_codes(job(), hf_credential=name) == {"osmo-credential-invalid"}

    def test_one_cannot_be_names_and_files(self) -> None:
        of_hub = job(source("huggingface", "lerobot/pusht@main"))
        assert find_codes(of_hub, hf_credential="mine", blob_credential="mine:key") == {"osmo-credential-twice"}

    def test_that_of_wandb_does_not_count_unless_it_is_used(self) -> None:
        assert find_codes(job(), wandb_credential="a b") == set()


class TestPlaces:
    """Locations of data and checkpoints."""

    def test_a_bucket_that_nobody_placed_names_the_settings_that_would(self) -> None:
        found = one("osmo-bucket-unknown", job(source("osmo_dataset", "pusht")))
        assert ways(found) == [
            "--buckets lerobot-datasets=azure://ACCOUNT/CONTAINER",
            "--storage-account NAME",
            "--server 6.3",
        ]

    def test_code_has_a_bucket_of_its_own(self) -> None:
        of = job(source("osmo_dataset", "mine", "code"), workload="isaac-train")
        found = one("osmo-bucket-unknown", of)
        assert found.where == "--training-dataset"
        assert ways(found)[0] == "--buckets training=azure://ACCOUNT/CONTAINER"

    def test_where_osmo_has_datasets_nothing_has_to_be_placed(self) -> None:
        assert find_codes(job(source("osmo_dataset", "mine/pusht:3")), server="6.3") == set()

    @pytest.mark.parametrize(
        "given", [{"storage_account": "acc"}, {"buckets": "lerobot-datasets=gs://robots/data", "storage_account": None}]
    )
    def test_a_bucket_with_a_place_is_well(self, given: dict) -> None:
        assert find_codes(job(source("osmo_dataset", "pusht")), **given) == set()

    def test_a_bucket_whose_name_is_no_containers_has_to_be_placed(self) -> None:
        found = one("osmo-bucket-unknown", job(source("osmo_dataset", "My_Bucket/pusht")), storage_account="acc")
        assert ways(found) == ["--buckets My_Bucket=azure://ACCOUNT/CONTAINER"]

    def test_versions_of_datasets_are_gone_in_6_4(self) -> None:
        found = one("osmo-server-without", job(source("osmo_dataset", "pusht:3")), storage_account="acc")
        assert ways(found) == ["--dataset-name pusht", "--server 6.3"]

    @pytest.mark.parametrize("buckets", ["a=https://x", "a=s3://b/{{c}}", "a b=s3://bucket", "a=s3://b?sig=x"])
    def test_an_address_that_is_none_is_refused(self, buckets: str) -> None:
        assert find_codes(job(), buckets=buckets) == {"osmo-value-invalid"}

    def test_a_folder_needs_a_place_to_be_uploaded_to(self) -> None:
        found = one("osmo-no-storage", job(source("local_path", "/data", pin=PINNED)))
        assert (found.where, ways(found)[0]) == ("--dataset-path", "--storage-account NAME")
        assert find_codes(job(source("local_path", "/data")), storage_account="acc") == set()

    @pytest.mark.parametrize("container", ["A", "ab", "a--b", "{{x}}", "a/b"])
    def test_a_container_is_one(self, container: str) -> None:
        assert find_codes(job(), storage_container=container) == {"osmo-value-invalid"}

    def test_a_checkpoint_to_go_on_from_is_named_by_its_step(self) -> None:
        found = one("osmo-checkpoint-unnamed", job(*blobs(), source("osmo_storage", "s3://robots/runs", "resume")))
        assert ways(found)[0] == "--resume-from s3://robots/runs/STEP"
        assert find_codes(job(*blobs(), source("osmo_storage", "s3://robots/runs/000400", "resume"))) == set()

    def test_osmo_removes_no_copies(self) -> None:
        assert find_codes(job(publish_url="s3://robots/runs", keep=3)) == {"osmo-keeps-all"}
        assert find_codes(job(publish_url=ONE, keep=3)) == set()

    def test_the_folder_that_osmo_copies_is_no_template(self) -> None:
        assert find_codes(job(publish_url="s3://robots/runs", output_dir="/a{{b}}")) == {"osmo-value-invalid"}
        assert find_codes(job(output_dir="/a{{b}}")) == set()

    def test_a_training_that_leaves_nothing_is_warned_about(self) -> None:
        assert one("osmo-nothing-kept", job()).severity == "warning"
        assert one("osmo-nothing-kept", job(register_checkpoint="m"), **TRACKED).severity == "note"
        assert "osmo-nothing-kept" not in {found.code for found in find_problems(job(publish_url=ONE))}


class TestTracking:
    """A complete workspace, a URL, or no tracking."""

    def test_a_workspace_named_in_part_says_what_is_missing(self) -> None:
        found = one("osmo-workspace-incomplete", job(), tracking_uri=None, resource_group="rg")
        assert "--subscription-id, --workspace-name" in found.title

    def test_a_subscription_alone_is_nothing_said(self) -> None:
        assert one("osmo-untracked", job(), tracking_uri=None, subscription_id="S").severity == "warning"

    def test_without_tracking_there_is_nowhere_to_register(self) -> None:
        assert find_codes(job(register_checkpoint="m"), tracking_uri=None) == {"osmo-no-registry"}
        assert find_codes(job(register_checkpoint="m"), tracking_uri="none") == {"osmo-no-registry"}
        assert find_codes(job(register_checkpoint="m"), tracking_uri="https://mlflow.example") == set()

    def test_tracking_that_is_switched_off_is_not_mended_by_naming_the_workspace_again(self) -> None:
        found = one("osmo-no-registry", job(register_checkpoint="m"), **TRACKED | {"tracking_uri": "none"})
        assert "tracking_uri is `none`" in found.why
        (way, other) = ways(found)
        assert (way, other) == ("--tracking-uri azureml-workspace://S/rg/ws", "--tracking-uri https://HOST")
        uri = way.split()[1]
        assert find_codes(job(register_checkpoint="m"), **TRACKED | {"tracking_uri": uri}) == set()

    def test_half_a_workspace_is_no_registry_either_where_tracking_is_switched_off(self) -> None:
        given = {"tracking_uri": "none", "resource_group": "rg"}
        assert find_codes(job(register_checkpoint="m"), **given) == {"osmo-no-registry"}

    def test_a_workspace_that_is_named_and_not_used_is_told(self) -> None:
        found = one("osmo-workspace-unused", job(), **TRACKED | {"tracking_uri": "none"})
        assert found.severity == "warning"
        assert "tracking_uri is `none`" in found.why

    @pytest.mark.parametrize("name", ["a{{b}}", "a b", "a$(b)"])
    def test_the_address_of_a_workspace_holds_names_alone(self, name: str) -> None:
        assert find_codes(job(), tracking_uri=f"azureml-workspace://S/rg/{name}") == {"osmo-value-invalid"}

    def test_none_is_no_reason_to_warn(self) -> None:
        assert "osmo-untracked" not in {found.code for found in find_problems(job(), tracking_uri="none")}

    @pytest.mark.parametrize("uri", ["sqlite:///x.db", "/mlruns", "file:///x", "databricks", "https://", "http://[::1"])
    def test_what_a_pod_cannot_reach_or_keep_is_refused(self, uri: str) -> None:
        assert find_codes(job(), tracking_uri=uri) == {"osmo-value-invalid"}

    def test_a_password_is_refused_and_not_repeated(self) -> None:
        found = one("osmo-value-invalid", job(), tracking_uri="https://me:hunter2@mlflow.example/x?token=abcdef")
        assert ways(found) == ["--tracking-uri https://mlflow.example/x"]
        assert "hunter2" not in format_problem(found)
        assert "abcdef" not in format_problem(found)

    def test_the_address_of_a_workspace_is_told_as_its_names(self) -> None:
        uri = (
            "azureml://eastus.api.azureml.ms/mlflow/v1.0/subscriptions/S/resourceGroups/rg"
            "/providers/Microsoft.MachineLearningServices/workspaces/ws"
        )
        assert ways(one("osmo-value-invalid", job(), tracking_uri=uri)) == [
            "--subscription-id S --resource-group rg --workspace-name ws"
        ]

    @pytest.mark.parametrize("field", ["subscription_id", "resource_group", "workspace_name", "workload_identity"])
    def test_a_name_of_azure_is_no_template(self, field: str) -> None:
        assert "osmo-value-invalid" in find_codes(job(), **TRACKED | {field: "a{{b}}"})
        assert "osmo-value-invalid" in find_codes(job(), **TRACKED | {field: "a/b"})


def test_check_looks_at_nothing_but_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object, **named: object) -> None:
        raise AssertionError(given)

    for name in ("builtins.open", "socket.socket.connect", "subprocess.Popen.__init__"):
        monkeypatch.setattr(name, refuse)
    assert osmo_plans.find_codes(job(*blobs(), source("local_path", "/data", "policy")), storage_account="acc") == set()


@pytest.mark.parametrize("wrong", [("--gpus", "x"), ("--publish-url", "https://a.blob.core.windows.net/c/p?sig=abc")])
def test_beside_a_value_that_is_refused_nothing_is_warned_of_that_follows_from_it(wrong, robotrain):
    answer = robotrain("render", "--platform", "osmo", "--pool", "default", "-d", "lerobot/pusht", *wrong)
    assert answer.exit_code == 2
    assert "osmo-no-shared-memory" not in answer.stderr
    assert "osmo-nothing-kept" not in answer.stderr


def test_who_types_a_token_is_told_what_is_taken_in_its_place(robotrain):
    token = TestCredentials.TOKEN
    answer = robotrain("render", "--platform", "osmo", "--pool", "p", "-d", "lerobot/pusht", "--hf-credential", token)
    assert token not in answer.stderr
    assert "OSMO credential with your Hugging Face token" in answer.stderr
    assert "use   --hf-credential NAME[:KEY]" in answer.stderr
