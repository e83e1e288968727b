"""What `robotrain doctor` and `robotrain init` find of OSMO: the command, the sign-in, the versions, the pool."""

from pathlib import Path

import pytest
import tomllib
from osmo_stand_in import platform, pool
from robotrain_osmo.preflight.run_preflight import check_command
from robotrain_osmo.settings import OsmoSettings


@pytest.fixture
def find_check_states(robotrain, monkeypatch):
    """`find_check_states("osmo pool")` → the findings of that check, with their states."""

    def look(name: str) -> list[tuple[str, str]]:
        online = ["--online"] * (name != "osmo command")
        answer = robotrain("doctor", "--platform", "osmo", *online, "--json")
        (check,) = [check for check in answer.json["checks"] if check["name"] == name]
        return [(finding["state"], finding["says"]) for finding in check["findings"]]

    monkeypatch.setenv("ROBOTRAIN_POOL", "default")
    return look


@pytest.mark.slow
def test_ready_machine_shows_version_and_pool(osmo, find_check_states):
    assert find_check_states("osmo command") == [("ok", str(osmo.command))]
    assert find_check_states("osmo service") == [("ok", "service 6.4.0")]
    assert find_check_states("osmo pool") == [("ok", "default, with gpu_platform")]


def test_missing_command_fails(find_check_states, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_OSMO_CLI", "/nowhere/osmo")
    ((state, says),) = find_check_states("osmo command")
    assert state == "fail"
    assert "/nowhere/osmo" in says


def test_missing_pool_or_command_is_a_warning_unless_osmo_is_named() -> None:
    for cli, text in (("/nowhere/osmo", "there is no"), ("/bin/sh", "no pool is set")):
        finding = [*check_command(OsmoSettings(osmo_cli=cli))][-1]
        assert (finding.state, finding.required, text in finding.text) == ("warn", True, True), cli


@pytest.mark.slow
def test_pool_is_checked_as_before_a_submit(osmo, find_check_states, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_POOL", "gpu-pool")
    assert find_check_states("osmo pool") == [("fail", "there is no pool gpu-pool (--pool gpu-pool)")]
    osmo.pools["gpu-pool"] = pool(status="OFFLINE")
    ((state, says),) = find_check_states("osmo pool")
    assert (state, "the pool gpu-pool is OFFLINE (--pool gpu-pool)" in says) == ("warn", True)
    osmo.pools["gpu-pool"] = pool(platforms={"a100": platform()})
    assert find_check_states("osmo pool") == [
        ("fail", "the pool gpu-pool has no platform gpu_platform (--gpu-platform gpu_platform)")
    ]


@pytest.mark.slow
def test_signed_out_user_is_reported(osmo, find_check_states):
    osmo.logout()
    ((state, says),) = find_check_states("osmo pool")
    assert state == "fail"
    assert "signed in" in says
    ((state, says),) = find_check_states("osmo service")
    assert state == "fail"
    assert "signed out" in says


@pytest.mark.slow
def test_versions_are_checked_as_before_a_submit(osmo, find_check_states):
    osmo.configure(service="6.3.1")
    ((state, says),) = find_check_states("osmo service")
    assert state == "fail"
    assert "version 6.3, but the workflow is for 6.4" in says


@pytest.mark.slow
def test_pools_in_another_form_are_understood(osmo, find_check_states):
    osmo.fail("pool list", "answer", stdout='{"pools": {"default": {"platforms": {"gpu_platform": {}}}}}')
    assert find_check_states("osmo pool") == [("ok", "default, with gpu_platform")]
    other = '{"pools": {"default": {"platforms": {"gpu_platform": {}}}, "a": null, "b": {"platforms": {"p": null}}}}'
    osmo.fail("pool list", "answer", stdout=other)
    assert find_check_states("osmo pool") == [("ok", "default, with gpu_platform")]
    osmo.fail("pool list", "answer", stdout="[]")
    assert find_check_states("osmo pool") == [("fail", "there is no pool default (--pool default)")]


@pytest.fixture
def write_settings(robotrain, monkeypatch, tmp_path):
    """What `init` writes for the platform."""
    for name in ("HF_LEROBOT_HOME", "AZURE_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))

    def write() -> dict[str, str]:
        assert robotrain("init", "--force").exit_code == 0
        return tomllib.loads(Path("robotrain.toml").read_text()).get("platforms", {}).get("osmo", {})

    return write


def test_init_writes_the_default_or_only_pool(osmo, write_settings):
    osmo.configure(profile_pool="default")
    assert write_settings()["pool"] == "default"
    osmo.configure(profile_pool=None)
    assert write_settings()["pool"] == "default"
    osmo.logout()
    osmo.forget()
    assert write_settings() == {}
    assert osmo.calls == []
