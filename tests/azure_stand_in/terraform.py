"""A project's Terraform, as far as what it prints: `from azure_stand_in.terraform import outputs` in a conftest."""

import json
from pathlib import Path

import pytest


@pytest.fixture
def outputs(nobody, tmp_path, monkeypatch):
    """State here, and a `terraform` that prints outputs of these values; how often it was run."""
    folder = tmp_path / "bin"
    folder.mkdir()
    Path("infrastructure/terraform").mkdir(parents=True)
    Path("infrastructure/terraform/terraform.tfstate").write_text("{}")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(tmp_path))

    def print_(**values: object) -> None:
        body = {name: {"sensitive": False, "value": value} for name, value in values.items()}
        (folder / "printed").write_text(json.dumps(body))
        (folder / "terraform").write_text(f"#!/bin/sh\necho run >> '{folder}/runs'\ncat '{folder}/printed'\n")
        (folder / "terraform").chmod(0o755)

    print_.runs = lambda: len((folder / "runs").read_text().split()) if (folder / "runs").exists() else 0
    return print_
