"""Preflight reports everything that would stop a submit at once, with the existing names."""

import dataclasses

import osmo_plans
import pytest
from osmo_small_plans import SUBMISSION_SPEC, make_plan
from osmo_stand_in import platform, pool
from robotrain.errors import format_problem, select_errors
from robotrain_azure import preflight_checks
from robotrain_osmo.client import service as client_service
from robotrain_osmo.client.service import Pool
from robotrain_osmo.platform import OSMO
from robotrain_osmo.preflight import run_preflight
from robotrain_osmo.spec.submission_spec import OsmoCredential, OsmoInput, OsmoUpload
from robotrain_runtime.contract.document import JobSource, Placement

HF = OsmoCredential(name="hf_token", key="hf_token", flag="--hf-credential", what="your Hugging Face token")


def source(role, kind, uri, pin) -> JobSource:
    return JobSource(role=role, kind=kind, uri=uri, pin=pin)


def find_problems(wanted):
    return list(OSMO.engine.preflight(wanted))


def list_codes(problems):
    return [(problem.code, problem.severity) for problem in problems]


def in_pool(*, order=None, **said):
    """The problems of a pool."""
    there = Pool(**{"name": "default", "status": "ONLINE", "platforms": ("gpu_platform",), **said})
    return list(run_preflight.find_pool_problems(dataclasses.replace(SUBMISSION_SPEC, **(order or {})), [there]))


@pytest.fixture
def folder_upload(tmp_path) -> OsmoUpload:
    """The upload of a folder with one file."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").write_bytes(b"x" * 2000)
    return OsmoUpload(path=str(tmp_path / "data"), url="azure://acc/osmo/x", flag="--dataset-path")


def test_valid_plan_passes_and_changes_nothing(osmo):
    osmo.credentials["hf_token"] = {"hf_token": "x"}
    assert find_problems(make_plan(credentials=(HF,))) == []
    assert {tuple(call[:2]) for call in osmo.calls} == {
        ("version", "-t"),
        ("pool", "list"),
        ("credential", "--format-type"),
    }


def test_machines_with_too_few_gpus_are_reported(osmo):
    node = {"cpu": 8, "memory": "64Gi", "storage": "99Gi"}
    kinds = {"gpu_platform": platform(node=node), "h100": platform(node={**node, "gpu": 8}), "empty": platform()}
    osmo.pools["default"] = pool(kinds)
    assert list_codes(find_problems(make_plan(gpus=0))) == []
    (problem,) = find_problems(make_plan(gpus=8))
    assert (problem.code, problem.severity, problem.where) == ("machines-too-small", "warning", "--gpu-platform")
    assert problem.title == "the task needs more GPUs (8) than a machine of the platform gpu_platform has (0)"
    assert list_codes(find_problems(make_plan(gpus=8, gpu_platform="h100"))) == []
    assert list_codes(find_problems(make_plan(gpus=8, gpu_platform="empty"))) == []


def test_all_problems_are_found_at_once(osmo, tmp_path):
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
        ("resource-unknown", "error"),
        ("osmo-credential-missing", "error"),
        ("source-missing", "error"),
        ("source-missing", "error"),
        ("upload-empty", "error"),
    ]


@pytest.mark.slow
def test_signed_out_user_is_reported_once(osmo):
    osmo.logout()
    problems = find_problems(make_plan(credentials=(HF,)))
    assert list_codes(problems) == [("platform-signed-out", "error")]
    assert "osmo login URL" in format_problem(problems[0])


@pytest.mark.slow
def test_missing_command_is_reported_once(osmo, folder_upload):
    problems = find_problems(make_plan(cli="/nowhere/osmo", credentials=(HF,), uploads=(folder_upload,)))
    assert list_codes(problems) == [("submit-command-missing", "error")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "code", "severity", "fact"),
    [
        (lambda osmo: None, "upload-needed", "note", "uploaded to the storage for this run: 1 file, 2.0 kB"),
        (lambda osmo: osmo.fail("data list", "hang", seconds=30.0), "not-checked-here", "warning", "in time"),
        (lambda osmo: osmo.configure(data_access=False), "osmo-storage-signed-out", "error", "az login"),
    ],
    ids=["announced", "slow list", "no access"],
)
def test_upload_is_checked_before_the_submit(osmo, folder_upload, monkeypatch, spoil, code, severity, fact):
    monkeypatch.setattr(client_service, "REQUEST_SECONDS", 2.0)
    spoil(osmo)
    [problem] = find_problems(make_plan(uploads=(folder_upload,)))
    assert (problem.code, problem.severity) == (code, severity)
    assert fact in format_problem(problem)
    assert ".." not in problem.why
    assert problem.where == "--dataset-path"
    osmo.configure(data_access=True)
    assert osmo.objects("azure://acc/osmo/x") == {}


@pytest.mark.slow
def test_large_upload_is_asked_about(osmo, folder_upload, monkeypatch):
    monkeypatch.setattr("robotrain_sources.local_path.upload.ASKED_BYTES", 10)
    [problem] = find_problems(make_plan(uploads=(folder_upload,)))
    assert (problem.code, problem.question) == ("upload-large", "upload it?")


@pytest.mark.parametrize(
    ("has_access", "code", "severity", "fact"),
    [
        (False, "source-unreachable", "warning", "az login"),  # the workflow may be able to read it
        (True, "source-missing", "error", "empty folder"),
    ],
)
def test_missing_input_is_an_error_unless_it_cannot_be_listed(osmo, has_access, code, severity, fact):
    osmo.configure(data_access=has_access)
    [problem] = find_problems(make_plan(inputs=(OsmoInput(url="azure://acc/data/typo", flag="--dataset-name"),)))
    assert (problem.code, problem.severity) == (code, severity)
    assert fact in format_problem(problem)


@pytest.mark.slow
def test_too_large_workflow_is_reported(osmo):
    large = make_plan()
    files = {**large.files, large.spec: large.files[large.spec] + b"#" * (2 << 20)}
    assert ("spec-over-limit", "error") in list_codes(find_problems(dataclasses.replace(large, files=files)))


def test_dataset_of_an_older_osmo_is_looked_up(osmo, tmp_path):
    osmo.configure(client="6.3.1", service="6.3.1")
    wanted = osmo_plans.render_plan(
        osmo_plans.job(source("dataset", "osmo_dataset", "mine/pusht:1", "")), server="6.3", pool="default"
    )
    [problem] = [problem for problem in find_problems(wanted) if problem.code == "resource-unknown"]
    assert (problem.where, problem.given) == ("--dataset-name", "mine/pusht:1")
    osmo.put(osmo.store.dataset("mine/pusht"), {"a": b"x"})
    assert "resource-unknown" not in dict(list_codes(find_problems(wanted)))


BLOB = "https://one.blob.core.windows.net/box/p"


PLACEMENT = Placement(work="/w", cache="/c", credentials={"blob_url": "/opt/key"})


@pytest.mark.parametrize(
    ("sources", "placement", "checked"),
    [
        ([("dataset", "blob_url", BLOB, "")], None, [BLOB]),
        ([("dataset", "blob_url", BLOB, "digest")], None, []),  # checked when it was pinned
        ([("dataset", "blob_url", BLOB, "")], PLACEMENT, []),  # only the job has the secret
        ([("dataset", "huggingface", "a/b", ""), ("policy", "blob_url", BLOB, "")], None, [BLOB]),
        ([("dataset", "huggingface", "a/b", "")], None, []),
        ([("dataset", "huggingface", "a/b", "1"), ("dataset", "blob_url", BLOB, "digest")], None, ["a/b", BLOB]),
    ],
)
def test_sources_that_nobody_has_checked_are_checked_from_here(sources, placement, checked):
    plan = make_plan(sources=[source(*fields) for fields in sources], placement=placement)
    job = dataclasses.replace(osmo_plans.read_document(plan), parameters={"publish_url": BLOB})
    assert [source.uri for source in preflight_checks.select_checkable_sources(job)] == checked
    assert preflight_checks.is_published_to_blobs(job) is (placement is None)


def test_damaged_plan_is_reported(osmo):
    whole = make_plan()
    damaged = dataclasses.replace(whole, files={whole.spec: b""})
    assert list_codes(find_problems(damaged)) == [("plan-unreadable", "error")]


@pytest.mark.parametrize(
    ("there", "order", "code"),
    [
        ({"status": "ONLINE"}, {}, None),
        ({"status": ""}, {}, None),
        ({"status": "OFFLINE"}, {}, ("pool-closed", "warning")),
        ({"status": "MAINTENANCE"}, {}, ("pool-closed", "warning")),
        *(
            ({"max_exec_timeout": longest}, {"exec_timeout": wanted}, code)
            for wanted, longest, code in (
                ("12h", "", None),
                ("12h", "12h", None),
                ("12h", "1d", None),
                ("2d", "1d", ("time-over-limit", "warning")),
                ("12h", "PT1H", None),
            )
        ),
    ],
)
def test_pool_is_compared_with_what_the_task_needs(there, order, code):
    assert list_codes(in_pool(order=order, **there)) == ([code] if code else [])


def test_pools_are_read_from_the_answer_of_the_service(osmo):
    osmo.pools["p"] = pool(platforms={"a": platform()}, max_exec_timeout="7d")
    parsed_pool = {pool.name: pool for pool in client_service.list_pools("osmo", 10)}["p"]
    assert parsed_pool == Pool(name="p", status="ONLINE", max_exec_timeout="7d", platforms=("a",))


ODD_POOLS = [
    '"x": null',
    '"x": {"platforms": {"p": null}}',
    '"x": {"platforms": {"p": {"allowed_mounts": 3, "default_mounts": [null]}}}',
    '"x": {"platforms": [], "resource_usage": "none", "status": 3}',
]


@pytest.mark.parametrize("odd", ODD_POOLS)
def test_pool_in_another_form_does_not_hide_the_others(tmp_path, odd):
    command = tmp_path / "osmo"
    command.write_text(f"""#!/bin/sh\necho '{{"pools": {{{odd}, "default": {{"status": "ONLINE"}}}}}}'\n""")
    command.chmod(0o755)
    pools = client_service.list_pools(str(command), 10)
    assert [(pool.name, pool.status) for pool in pools] == [("x", ""), ("default", "ONLINE")]


@pytest.mark.parametrize(
    ("server", "there", "told"),
    [
        ("6.4", "6.4.0", []),
        ("6.4", "6.3.0", [("osmo-server-other", "error")]),
        ("6.3", "6.4.0", [("osmo-server-other", "error")]),
        ("6.2", "6.3.1", [("osmo-server-other", "warning")]),
        ("6.4", "6.5.0", []),
    ],
)
def test_different_versions_are_reported_by_their_effect(server, there, told):
    problems = list(run_preflight.compare_versions(server, there))
    assert list_codes(problems) == told
    for problem in select_errors(problems):
        assert [way.text for way in problem.suggestions] == [f"--server {there[:3]}"]
