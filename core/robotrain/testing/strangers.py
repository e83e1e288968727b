"""Installing the kit's stranger for real: its modules, and the metadata that claims its names."""

import shutil
from pathlib import Path

PACKAGE = "robotrain_kit_stranger"
KIND = "kit_shelf"
WORKLOAD = "kit-train"
_POINTS = f"[robotrain]\nsource.{KIND} = {PACKAGE}.kind\nworkload.{WORKLOAD} = {PACKAGE}.workload\n"


def install(site: Path) -> None:
    """Make `site` a folder for the path, with the stranger in it."""
    shutil.copytree(Path(__file__).with_name("stranger"), site / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    info = site / f"{PACKAGE}-1.0.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: robotrain-kit-stranger\nVersion: 1.0\n")
    info.joinpath("entry_points.txt").write_text(_POINTS)
