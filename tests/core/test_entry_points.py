"""Claims: what the entry points of installed distributions name."""

import pytest
from robotrain.plugins import discovery


def test_a_claim_names_its_distribution(tmp_path, monkeypatch):
    folder = tmp_path / "acme_plugin-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: Acme_Plugin\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[other]\nx = a\n[robotrain]\nplatform.a = a\nx = b:run\n")
    monkeypatch.syspath_prepend(tmp_path)
    claims = [claim for claim in discovery.read_claims() if claim.project == "acme-plugin"]
    assert [(claim.dotted, claim.value, claim.distribution) for claim in claims] == [
        ("x", "b:run", "Acme_Plugin 1.0"),
        ("platform.a", "a", "Acme_Plugin 1.0"),
    ]


def test_claim_loads_the_named_object():
    assert discovery.make_claim("x", "os.path:join [more]", "acme").load() is __import__("os").path.join
    with pytest.raises(AttributeError):
        discovery.make_claim("x", "os:nothing", "acme").load()
