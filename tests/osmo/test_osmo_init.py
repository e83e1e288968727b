"""What `robotrain init` finds of OSMO: the pool of whoever is signed in."""

from pathlib import Path

import pytest
import tomllib


@pytest.fixture
def settings(robotrain, monkeypatch, tmp_path):
    """What `init` writes for the platform."""
    for name in ("HF_LEROBOT_HOME", "AZURE_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))

    def write() -> dict[str, str]:
        assert robotrain("init", "--force").exit_code == 0
        return tomllib.loads(Path("robotrain.toml").read_text()).get("platforms", {}).get("osmo", {})

    return write


def test_the_default_pool_of_the_profile_or_the_only_one(osmo, settings):
    osmo.profile("default")
    assert settings()["pool"] == "default"
    osmo.profile(None)
    assert settings()["pool"] == "default"
    osmo.logout()
    osmo.forget()
    assert settings() == {}
    assert osmo.calls == []
