"""The subscription that nobody said: the default one of the Azure CLI, read without running it."""

import json

import pytest
from robotrain_azure.workspace import find_default_subscription


@pytest.fixture
def profile(tmp_path, monkeypatch):
    """Write the profile as `az` does, with a byte order mark."""
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(tmp_path / "azure"))
    (tmp_path / "azure").mkdir()

    def write(*subscriptions: object) -> None:
        text = json.dumps({"installationId": "x", "subscriptions": list(subscriptions)})
        (tmp_path / "azure/azureProfile.json").write_text(text, encoding="utf-8-sig")

    return write


def make_subscription(name: str, default: bool = False, state: str = "Enabled") -> dict[str, object]:
    return {"id": name, "name": f"the {name}", "state": state, "isDefault": default, "user": {"name": "me@x.y"}}


def test_default_subscription_is_found_with_its_place(profile, tmp_path):
    profile(make_subscription("first"), make_subscription("second", default=True))
    assert find_default_subscription() == ("second", f"az account ({tmp_path}/azure/azureProfile.json)")


def test_in_the_home_folder_it_is_shown_short(tmp_path, monkeypatch):
    monkeypatch.delenv("AZURE_CONFIG_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".azure").mkdir()
    (tmp_path / ".azure/azureProfile.json").write_text(
        json.dumps({"subscriptions": [make_subscription("mine", default=True)]})
    )
    assert find_default_subscription() == ("mine", "az account (~/.azure/azureProfile.json)")


def test_disabled_subscription_is_not_used(profile):
    profile(make_subscription("old", default=True, state="Disabled"), make_subscription("other"))
    assert find_default_subscription() is None


def test_missing_or_damaged_profile_names_no_subscription(profile, tmp_path):
    assert find_default_subscription() is None
    for text in ("", "{", "[]", '{"subscriptions": null}', '{"subscriptions": ["x", {"isDefault": true}]}', "\xff"):
        (tmp_path / "azure/azureProfile.json").write_text(text, encoding="latin-1")
        assert find_default_subscription() is None
