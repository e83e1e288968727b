"""Preflight reports everything that would stop a submit at once, with the existing names."""

import dataclasses

import osmo_plans
import pytest
from osmo_small_plans import SUBMISSION_SPEC, make_plan
from osmo_stand_in import platform, pool
from osmo_stand_in.datasets import Datasets
from robotrain.errors import format_problem, select_errors
from robotrain_azure import preflight_checks
from robotrain_osmo.client import service as client_service
from robotrain_osmo.client.service import Pool, PoolPlatform
from robotrain_osmo.platform import OsmoPlatform
from robotrain_osmo.preflight import run_preflight, service
from robotrain_osmo.preflight.service import OsmoVersions
from robotrain_osmo.spec.submission_spec import OsmoCredential, OsmoInput, OsmoUpload
from robotrain_runtime.contract import document
from robotrain_runtime.contract.document import JobSource, Placement

HF = OsmoCredential(name="hf_token", key="hf_token", flag="--hf-credential", what="your Hugging Face token")
SHM = ("/dev/shm",)


def source(role, kind, uri, pin) -> JobSource:
    return JobSource(role=role, kind=kind, uri=uri, pin=pin)


def find_problems(wanted):
    return list(OsmoPlatform().preflight(wanted))


def list_codes(problems):
    return [(problem.code, problem.severity) for problem in problems]


def in_pool(*, order=None, **said):
    """The problems of a pool."""
    there = Pool(**{"name": "default", "status": "ONLINE", "platforms": {"gpu_platform": PoolPlatform()}, **said})
    return list(service.find_pool_problems(dataclasses.replace(SUBMISSION_SPEC, **(order or {})), [there]))


def test_a_plan_that_osmo_takes_is_let_pass_and_nothing_is_changed(osmo):
    osmo.credentials["hf_token"] = {"hf_token": "x"}
    assert find_problems(make_plan(credentials=(HF,))) == []
    assert {tuple(call[:2]) for call in osmo.calls} == {
        ("version", "-t"),
        ("pool", "list"),
        ("credential", "--format-type"),
        ("config", "show"),
    }


def test_a_platform_without_the_gpus_is_told_with_those_that_have_them(osmo):
    node = {"cpu": 8, "memory": "64Gi", "storage": "99Gi"}
    kinds = {"gpu_platform": platform(node=node), "h100": platform(node={**node, "gpu": 8}), "empty": platform()}
    osmo.pools["default"] = pool(kinds)
    assert list_codes(find_problems(make_plan(gpus=0))) == []
    (problem,) = find_problems(make_plan(gpus=8))
    assert (problem.code, problem.severity, problem.where) == ("osmo-gpus-missing", "warning", "--gpu-platform")
    assert [fix.text for fix in problem.suggestions] == ["--gpu-platform h100"]
    assert list_codes(find_problems(make_plan(gpus=8, gpu_platform="h100"))) == []
    (problem,) = find_problems(make_plan(gpus=16, gpu_platform="h100"))
    assert [fix.text for fix in problem.suggestions] == ["--gpus 8"]
    assert list_codes(find_problems(make_plan(gpus=8, gpu_platform="empty"))) == []
    osmo.pools["default"] = pool(kinds, guarantee=4)
    problems = find_problems(make_plan(gpus=9, gpu_platform="h100"))
    assert list_codes(problems) == [("osmo-quota", "error"), ("osmo-gpus-missing", "warning")]


def test_all_problems_are_found_at_once(osmo, tmp_path):
    osmo.versions(client="6.2.10")
    osmo.pools["default"] = pool(platforms={"a100": platform()})
    (tmp_path / "empty").mkdir()
    problems = find_problems(
        make_plan(
            server="6.2",
            credentials=(HF,),
            inputs=(
                OsmoInput(url="azure://acc/data/typo", flag="--resume-from"),
                OsmoInput(url="azure://acc/data/old", flag="--dataset-name"),  # of the other version alone
            ),
            uploads=(OsmoUpload(path=str(tmp_path / "empty"), url="azure://acc/osmo/x", flag="--dataset-path"),),
        )
    )
    assert list_codes(problems) == [
        ("osmo-server-other", "error"),
        ("osmo-client-other", "warning"),
        ("osmo-platform-unknown", "error"),
        ("osmo-credential-missing", "error"),
        ("osmo-input-empty", "error"),
        ("upload-empty", "error"),
    ]
    assert [problem.where for problem in problems if problem.code == "osmo-input-empty"] == ["--resume-from"]


@pytest.mark.slow
def test_signed_out_user_is_reported_once(osmo):
    osmo.logout()
    problems = find_problems(make_plan(credentials=(HF,)))
    assert list_codes(problems) == [("osmo-signed-out", "error")]
    assert "osmo login URL" in format_problem(problems[0])


@pytest.mark.slow
def test_missing_command_is_reported_once(osmo, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x").write_text("x")
    upload = OsmoUpload(path=str(tmp_path / "data"), url="azure://acc/osmo/x", flag="--dataset-path")
    problems = find_problems(make_plan(cli="/nowhere/osmo", credentials=(HF,), uploads=(upload,)))
    assert list_codes(problems) == [("osmo-command-missing", "error")]


@pytest.mark.slow
def test_storage_that_this_machine_may_not_read_is_no_reason_to_stop(osmo):
    osmo.data_access(False)
    [problem] = find_problems(make_plan(inputs=(OsmoInput(url="azure://acc/data/x", flag="--dataset-name"),)))
    assert (problem.code, problem.severity) == ("osmo-input-unchecked", "warning")
    assert "az login" in format_problem(problem)


@pytest.mark.slow
def test_upload_is_announced(osmo, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").write_bytes(b"x" * 2000)
    [problem] = find_problems(
        make_plan(uploads=(OsmoUpload(path=str(tmp_path / "data"), url="azure://acc/osmo/x", flag="-d"),))
    )
    assert (problem.title, problem.severity) == ("1 file, 2.0 kB, will be uploaded", "note")
    assert osmo.objects("azure://acc/osmo/x") == {}


@pytest.mark.slow
def test_too_large_workflow_is_reported(osmo):
    large = make_plan()
    files = {**large.files, large.spec: large.files[large.spec] + b"#" * (2 << 20)}
    assert ("osmo-workflow-too-large", "error") in list_codes(find_problems(dataclasses.replace(large, files=files)))


@pytest.mark.slow
def test_a_list_that_takes_its_time_does_not_stop_a_submit(osmo, tmp_path, monkeypatch):
    monkeypatch.setattr(run_preflight, "QUERY_SECONDS", 2.0)
    osmo.fail("data list", "hang", seconds=30.0)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").write_bytes(b"x")
    upload = OsmoUpload(path=str(tmp_path / "data"), url="azure://acc/osmo/x", flag="--dataset-path")
    [problem] = find_problems(make_plan(uploads=(upload,)))
    assert (problem.code, problem.severity, problem.where) == ("osmo-upload-unchecked", "warning", "--dataset-path")


@pytest.mark.slow
def test_storage_that_this_machine_may_not_write_stops_a_submit(osmo, tmp_path):
    osmo.data_access(False)
    (tmp_path / "a").write_bytes(b"x")
    upload = OsmoUpload(path=str(tmp_path), url="azure://acc/osmo/x", flag="--dataset-path")
    [problem] = find_problems(make_plan(uploads=(upload,)))
    assert (problem.code, problem.severity) == ("osmo-storage-signed-out", "error")


def test_an_osmo_dataset_that_was_kept_by_hash_is_told_how_to_bring(osmo):
    [problem] = find_problems(make_plan(inputs=(OsmoInput(url="azure://acc/data/typo", flag="--dataset-name"),)))
    assert "by their hashes" in problem.why
    assert "osmo dataset download NAME FOLDER" in [way.text for way in problem.suggestions]


def test_a_dataset_of_an_older_osmo_is_asked_for(osmo, tmp_path):
    osmo.versions(client="6.3.1", service="6.3.1")
    wanted = osmo_plans.render_plan(
        osmo_plans.job(source("dataset", "osmo_dataset", "mine/pusht:1", "")), server="6.3", pool="default"
    )
    [problem] = [one for one in find_problems(wanted) if one.code == "osmo-dataset-unknown"]
    assert (problem.code, problem.where, problem.given) == ("osmo-dataset-unknown", "--dataset-name", "mine/pusht:1")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").write_bytes(b"x")
    Datasets(osmo.store).upload("mine/pusht", str(tmp_path / "data"))
    assert "osmo-dataset-unknown" not in dict(list_codes(find_problems(wanted)))


def test_that_no_task_is_started_again_is_told_to_who_may_know_it(osmo):
    assert find_problems(make_plan()) == []
    osmo.administrator()
    [problem] = find_problems(make_plan())
    assert (problem.code, problem.severity) == ("osmo-no-retries", "warning")
    assert "max_retry_per_task of at least 1" in format_problem(problem)
    osmo.limits(max_retry_per_task=1)
    assert find_problems(make_plan()) == []


BLOB = "https://one.blob.core.windows.net/c/p"
MINE = Placement(work="/w", cache="/c", credentials={"blob_url": "/opt/key"})


@pytest.mark.parametrize(
    ("sources", "seen"),
    [
        ([("dataset", "blob_url", BLOB, "")], [BLOB]),
        ([("dataset", "blob_url", BLOB, "digest")], []),  # seen when it was pinned
        ([("dataset", "huggingface", "a/b", ""), ("policy", "blob_url", BLOB, "")], [BLOB]),
        ([("dataset", "huggingface", "a/b", "")], []),
        ([("dataset", "huggingface", "a/b", "1"), ("dataset", "blob_url", BLOB, "digest")], ["a/b", BLOB]),
    ],
)
def test_what_was_not_seen_yet_is_looked_at_from_here(sources, seen):
    told = document.parse_document(make_plan(sources=[source(*one) for one in sources]).files["job.json"].decode())
    assert [one.uri for one in preflight_checks.select_checkable_sources(told)] == seen


def test_what_the_job_has_a_secret_for_is_not_looked_at_from_here():
    told = document.parse_document(
        make_plan(sources=[source("dataset", "blob_url", BLOB, "")], placement=MINE).files["job.json"]
    )
    told = dataclasses.replace(told, parameters={"publish_url": BLOB})
    assert (preflight_checks.select_checkable_sources(told), preflight_checks.is_published_to_blobs(told)) == (
        (),
        False,
    )
    own = dataclasses.replace(told, placement=dataclasses.replace(MINE, credentials={}))
    assert (preflight_checks.select_checkable_sources(own), preflight_checks.is_published_to_blobs(own)) == (
        told.sources,
        True,
    )


def test_damaged_plan_is_reported(osmo):
    whole = make_plan()
    assert list_codes(find_problems(dataclasses.replace(whole, files={whole.spec: b""}))) == [("plan-damaged", "error")]


def test_misspelt_pool_suggests_the_nearest():
    [problem] = service.find_pool_problems(
        dataclasses.replace(SUBMISSION_SPEC, pool="trainin"), [Pool(name="a"), Pool(name="training")]
    )
    assert problem.suggestions[0].text == "--pool training"
    assert problem.suggestions[0].remark == "existing: training, a"


def test_a_platform_that_the_pool_lacks_is_told_with_those_it_has():
    [problem] = in_pool(platforms={"a100": PoolPlatform(), "h100": PoolPlatform()})
    assert problem.code == "osmo-platform-unknown"
    assert [fix.remark for fix in problem.suggestions] == ["existing: a100, h100"]


@pytest.mark.parametrize(
    ("status", "severity"), [("ONLINE", None), ("", None), ("OFFLINE", "warning"), ("MAINTENANCE", "error")]
)
def test_closed_pool_is_reported(status, severity):
    assert [problem.severity for problem in in_pool(status=status)] == ([severity] if severity else [])


@pytest.mark.parametrize(
    ("said", "machines", "told"),
    [
        ("mount", PoolPlatform(allowed_mounts=SHM), []),
        ("mount", PoolPlatform(), [("osmo-mount-refused", "error")]),
        ("mount", PoolPlatform(default_mounts=SHM), [("osmo-mount-there", "error")]),
        ("mount", PoolPlatform(allowed_mounts=SHM, default_mounts=SHM), []),
        ("", PoolPlatform(), []),
        ("", PoolPlatform(allowed_mounts=SHM), [("osmo-mount-possible", "note")]),
        ("", PoolPlatform(default_mounts=SHM), [("osmo-mount-there", "note")]),
        ("none", PoolPlatform(default_mounts=SHM), []),
        ("none", PoolPlatform(allowed_mounts=SHM), []),  # said on purpose
    ],
)
def test_shared_memory_is_compared_with_what_the_platform_allows(said, machines, told):
    assert list_codes(in_pool(platforms={"gpu_platform": machines}, order={"shared_memory": said})) == told


@pytest.mark.parametrize(
    ("wanted", "longest", "told"),
    [("12h", "", False), ("12h", "12h", False), ("12h", "1d", False), ("2d", "1d", True), ("12h", "PT1H", False)],
)
def test_a_time_that_the_pool_cuts_down_is_told(wanted, longest, told):
    assert bool(in_pool(max_exec_timeout=longest, order={"exec_timeout": wanted})) is told


@pytest.mark.parametrize(
    ("priority", "usage", "told"),
    [
        ("", {"total_gpus": 8, "free_gpus": 0, "quota_gpus": 2}, True),
        ("", {"total_gpus": 8, "free_gpus": 2, "quota_gpus": 0}, True),
        ("LOW", {"total_gpus": 8, "free_gpus": 2, "quota_gpus": 0}, False),
        ("", {"total_gpus": 8, "free_gpus": 1, "quota_gpus": 1}, False),
        (
            "",
            {"total_gpus": 0, "free_gpus": 0, "quota_gpus": 0},
            False,
        ),  # machines that are started when they are needed
        ("", {}, False),
    ],
)
def test_a_pool_without_a_free_gpu_is_told_as_a_note(priority, usage, told):
    problems = in_pool(order={"priority": priority}, **usage)
    assert list_codes(problems) == ([("osmo-pool-full", "note")] if told else [])


@pytest.mark.parametrize(
    ("order", "guarantee", "fixes"),
    [
        ({"gpus": 9}, 4, ["--priority LOW", "--gpus 4"]),
        ({"gpus": 1}, 0, ["--priority LOW"]),
        ({"gpus": 9, "priority": "LOW"}, 4, []),
        ({"gpus": 4, "priority": "HIGH"}, 4, []),
        ({"gpus": 9}, None, []),
    ],
)
def test_more_gpus_than_the_pool_guarantees_are_refused_as_osmo_would(order, guarantee, fixes):
    problems = in_pool(order=order, guaranteed_gpus=guarantee)
    assert list_codes(problems) == ([("osmo-quota", "error")] if fixes else [])
    assert [fix.text for problem in problems for fix in problem.suggestions] == fixes


@pytest.mark.slow
def test_pools_are_read_from_what_a_service_answers(osmo):
    osmo.pools["p"] = pool(platforms={"a": platform(allowed_mounts=SHM)}, max_exec_timeout="7d")
    default, other = sorted(client_service.list_pools("osmo", 10), key=lambda one: one.name)
    assert default.name == "default"
    assert (other.status, other.max_exec_timeout, other.free_gpus) == ("ONLINE", "7d", 0)
    assert other.platforms == {"a": PoolPlatform(allowed_mounts=SHM)}


ODD_POOLS = [
    '"x": null',
    '"x": {"platforms": {"p": null}}',
    '"x": {"platforms": {"p": {"allowed_mounts": 3, "default_mounts": [null]}}}',
    '"x": {"platforms": [], "resource_usage": "none", "status": 3}',
]


@pytest.mark.parametrize("odd", ODD_POOLS)
def test_a_pool_in_another_form_does_not_hide_the_others(tmp_path, odd):
    command = tmp_path / "osmo"
    command.write_text(f"""#!/bin/sh\necho '{{"pools": {{{odd}, "default": {{"status": "ONLINE"}}}}}}'\n""")
    command.chmod(0o755)
    pools = client_service.list_pools(str(command), 10)
    assert [(one.name, one.status) for one in pools] == [("x", ""), ("default", "ONLINE")]


@pytest.mark.parametrize(
    ("server", "there", "told"),
    [
        ("6.4", OsmoVersions("6.4.0", "6.4.0"), []),
        ("6.4", OsmoVersions("6.4.0", ""), []),
        ("6.4", OsmoVersions("6.3.1", "6.3.0"), [("osmo-server-other", "error")]),
        ("6.3", OsmoVersions("6.4.0", "6.4.0"), [("osmo-server-other", "error")]),
        ("6.2", OsmoVersions("6.3.1", "6.3.1"), [("osmo-server-other", "warning")]),
        ("6.4", OsmoVersions("6.5.0", "6.5.0"), [("osmo-server-other", "warning")]),
        ("6.4", OsmoVersions("6.2.10", "6.4.0"), [("osmo-client-other", "warning")]),
        ("6.4", OsmoVersions("", "6.4.0"), []),
    ],
)
def test_versions_that_differ_are_told_by_what_comes_of_it(server, there, told):
    problems = list(service.compare_versions(server, there))
    assert list_codes(problems) == told
    for problem in select_errors(problems):
        assert [way.text for way in problem.suggestions] == [f"--server {there.service[:3]}"]


def test_credential_of_another_type_does_not_count(monkeypatch):
    order = dataclasses.replace(SUBMISSION_SPEC, credentials=(HF,))
    monkeypatch.setattr(service, "list_credentials", lambda cli, seconds: {"hf_token": "DATA", "other": "GENERIC"})
    [problem] = service.check_credentials([order], 1.0)
    assert (problem.code, problem.where) == ("osmo-credential-type", "--hf-credential")
    monkeypatch.setattr(service, "list_credentials", lambda cli, seconds: {"huggingface": "GENERIC"})
    [missing] = service.check_credentials([order], 1.0)
    assert "huggingface" in missing.why


def test_the_identity_is_asked_about_every_account_that_the_job_reaches():
    sources = [
        JobSource(role="dataset", kind="blob_url", uri="https://one.blob.core.windows.net/c/p"),
        JobSource(role="dataset", kind="huggingface", uri="a/b"),
    ]
    wanted = make_plan(
        sources=sources,
        inputs=(OsmoInput(url="azure://two/c/x"),),
        publishes="https://three.blob.core.windows.net/c/out",
    )
    order = dataclasses.replace(
        SUBMISSION_SPEC,
        inputs=(OsmoInput(url="azure://two/c/x"),),
        publishes="https://three.blob.core.windows.net/c/out",
    )
    told = document.parse_document(wanted.files["job.json"].decode())
    assert run_preflight.find_storage_accounts(told, order) == {"one": False, "two": False, "three": True}
    placement = Placement(work="/w", cache="/c", credentials={"blob_url": "/opt/key"})
    told = dataclasses.replace(told, placement=placement)
    assert run_preflight.find_storage_accounts(told, order) == {"two": False}


def test_an_identity_is_not_looked_up_in_silence_where_no_subscription_is_known():
    order = dataclasses.replace(SUBMISSION_SPEC, publishes="azure://acc/c/out", identity="1111")
    job_document = osmo_plans.read_document(make_plan())
    [problem] = run_preflight.check_identity_roles([job_document], [order])
    assert (problem.code, problem.severity, problem.where) == ("azure-unchecked", "warning", "--workload-identity")
    assert [way.text for way in problem.suggestions] == ["--subscription-id ID"]
    assert not list(
        run_preflight.check_identity_roles([job_document], [dataclasses.replace(SUBMISSION_SPEC, identity="1111")])
    )
