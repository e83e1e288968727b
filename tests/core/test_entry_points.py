"""Entry points read from metadata: what importlib.metadata would find, without what its import costs."""

import importlib.metadata
import sys
import zipfile

import pytest
from robotrain.plugins import discovery


@pytest.fixture
def add_distribution(tmp_path, monkeypatch):
    """Put a distribution on the path: `add_distribution("acme", "[robotrain]\\nx = y")`."""

    def add(name: str, points: str, place: str = "site", version: str = "1.0") -> None:
        folder = tmp_path / place / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: no\n")
        (folder / "entry_points.txt").write_text(points)
        if str(tmp_path / place) not in sys.path:
            monkeypatch.syspath_prepend(tmp_path / place)

    return add


@pytest.mark.parametrize("group", ["robotrain", "console_scripts", "pytest11", "nobody"])
def test_same_claims_as_importlib_metadata(group):
    found = {(claim.dotted, claim.value, claim.package) for claim in discovery.read_claims(group)}
    assert found == {(one.name, one.value, one.dist.name) for one in importlib.metadata.entry_points(group=group)}


def test_names_values_comments_and_other_groups(add_distribution):
    add_distribution(
        "acme", "[other]\nplatform.no = no\n\n[robotrain]\n# said\n platform.a = acme.a \nx=acme.b:app.run [extra]\n"
    )
    found = [claim for claim in reversed(discovery.read_claims()) if claim.package == "acme"]
    assert [(claim.dotted, claim.value, claim.version) for claim in found] == [
        ("platform.a", "acme.a", "1.0"),
        ("x", "acme.b:app.run [extra]", "1.0"),
    ]


def test_first_distribution_of_a_name_counts(add_distribution):
    add_distribution("acme_one", "[robotrain]\nplatform.a = old", "late")
    add_distribution("acme_one", "[robotrain]\nplatform.a = new", "early", "2.0")
    assert [claim.value for claim in discovery.read_claims() if claim.dotted == "platform.a"] == ["new"]


def test_distribution_without_the_group_hides_an_older_one_with_it(add_distribution):
    add_distribution("acme", "[robotrain]\nplatform.a = old", "late")
    add_distribution("acme", "[other]\nx = y", "early", "2.0")
    assert not [claim for claim in discovery.read_claims() if claim.dotted == "platform.a"]


def test_distribution_in_a_zip_file_is_found(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "acme.zip", "w") as archive:
        archive.writestr("acme-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
        archive.writestr("acme-1.0.dist-info/entry_points.txt", "[robotrain]\nplatform.zip = acme\n")
    monkeypatch.syspath_prepend(tmp_path / "acme.zip")
    assert "platform.zip" in [claim.dotted for claim in discovery.read_claims()]


def test_claim_loads_the_named_object():
    assert discovery.make_claim("x", "os.path:join [more]", "acme").load() is __import__("os").path.join
    with pytest.raises(AttributeError):
        discovery.make_claim("x", "os:nothing", "acme").load()
