"""Entry points read from metadata: what importlib.metadata would find, without what its import costs."""

import importlib.metadata
import sys
import zipfile

import pytest
from robotrain.plugins import discovery


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Put a distribution on the path: `installed("acme", "[robotrain]\\nx = y")`."""

    def put(name: str, points: str, place: str = "site", version: str = "1.0") -> None:
        folder = tmp_path / place / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: no\n")
        (folder / "entry_points.txt").write_text(points)
        if str(tmp_path / place) not in sys.path:
            monkeypatch.syspath_prepend(tmp_path / place)

    return put


@pytest.mark.parametrize("group", ["robotrain", "console_scripts", "pytest11", "nobody"])
def test_the_same_is_found_as_by_the_standard_library(group):
    found = {(claim.dotted, claim.value, claim.package) for claim in discovery.read_claims(group)}
    assert found == {(one.name, one.value, one.dist.name) for one in importlib.metadata.entry_points(group=group)}


def test_names_values_comments_and_other_groups(installed):
    installed(
        "acme", "[other]\nplatform.no = no\n\n[robotrain]\n# said\n platform.a = acme.a \nx=acme.b:app.run [extra]\n"
    )
    found = [claim for claim in reversed(discovery.read_claims()) if claim.package == "acme"]
    assert [(claim.dotted, claim.value, claim.version) for claim in found] == [
        ("platform.a", "acme.a", "1.0"),
        ("x", "acme.b:app.run [extra]", "1.0"),
    ]


def test_the_first_of_two_of_a_name_counts(installed):
    installed("acme_one", "[robotrain]\nplatform.a = old", "late")
    installed("acme_one", "[robotrain]\nplatform.a = new", "early", "2.0")
    assert [claim.value for claim in discovery.read_claims() if claim.dotted == "platform.a"] == ["new"]


def test_one_without_the_group_hides_an_older_one_with_it(installed):
    installed("acme", "[robotrain]\nplatform.a = old", "late")
    installed("acme", "[other]\nx = y", "early", "2.0")
    assert not [claim for claim in discovery.read_claims() if claim.dotted == "platform.a"]


def test_distributions_in_a_zip_file_are_found_too(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "acme.zip", "w") as archive:
        archive.writestr("acme-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
        archive.writestr("acme-1.0.dist-info/entry_points.txt", "[robotrain]\nplatform.zip = acme\n")
    monkeypatch.syspath_prepend(tmp_path / "acme.zip")
    assert "platform.zip" in [claim.dotted for claim in discovery.read_claims()]


def test_it_loads_what_it_names():
    assert discovery.make_claim("x", "os.path:join [more]", "acme").load() is __import__("os").path.join
    with pytest.raises(AttributeError):
        discovery.make_claim("x", "os:nothing", "acme").load()
