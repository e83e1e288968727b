"""Claims of installed distributions."""

import sys

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


def test_first_distribution_of_a_name_counts(add_distribution):
    add_distribution("acme_one", "[robotrain]\nplatform.a = old", "late")
    add_distribution("acme_one", "[robotrain]\nplatform.a = new", "early", "2.0")
    assert [claim.value for claim in discovery.read_claims() if claim.dotted == "platform.a"] == ["new"]


def test_distribution_without_the_group_hides_an_older_one_with_it(add_distribution):
    add_distribution("acme", "[robotrain]\nplatform.a = old", "late")
    add_distribution("acme", "[other]\nx = y", "early", "2.0")
    assert not [claim for claim in discovery.read_claims() if claim.dotted == "platform.a"]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("entry_points.txt", b"[robotrain]\nno value\n"),
        ("entry_points.txt", b"[robotrain]\nx = \xff\n"),
        ("METADATA", b""),
    ],
    ids=["a line without =", "not UTF-8", "no name"],
)
def test_damaged_files_of_another_package_hide_no_claims(add_distribution, tmp_path, file, content):
    add_distribution("acme", "[robotrain]\nplatform.a = acme")
    add_distribution("torn", "[robotrain]\nplatform.b = torn")
    (tmp_path / "site/torn-1.0.dist-info" / file).write_bytes(content)
    dotted = [claim.dotted for claim in discovery.read_claims()]
    assert ("platform.a" in dotted, "platform.b" in dotted, "platform.local" in dotted) == (True, False, True)


def test_claim_loads_the_named_object():
    assert discovery.make_claim("x", "os.path:join [more]", "acme").load() is __import__("os").path.join
    with pytest.raises(AttributeError):
        discovery.make_claim("x", "os:nothing", "acme").load()
