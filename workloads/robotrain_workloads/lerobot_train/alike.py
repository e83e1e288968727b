"""What keeps LeRobot from merging datasets, from their descriptions alone. Standard library only."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from robotrain_workloads.lerobot_train import made

PATHS = {
    "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
    "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
}
"""Where LeRobot looks for what it merges, whatever a dataset of v3 says."""


def differences(sets: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[str]:
    """One sentence for each, the way out on a second line where there is one. sets: the name and the description of
    each, none of which is wrong by itself.
    """
    if len(sets) < 2:
        return
    (first, base), *others = sets
    for name, found in others:
        unlike = [key for key in ("fps", "robot_type") if base.get(key) != found.get(key)]
        yield from (_said(key, first, base.get(key), name, found.get(key)) for key in unlike)
        yield from _features(first, made.features(base), name, made.features(found), worth_mending=not unlike)
    for name, found in sets:
        yield from _elsewhere(name, found)


def _said(what: str, first: str, one: Any, name: str, other: Any, way: str = "") -> str:
    told = f"{what}: {_text(one)} in {first}, and {_text(other)} in {name}; LeRobot merges only what agrees"
    return f"{told}\n{way}" if way else told


def _features(
    first: str, base: made.Features, name: str, found: made.Features, *, worth_mending: bool
) -> Iterator[str]:
    for feature in sorted(base.keys() ^ found.keys()):
        has, lacks = (first, name) if feature in base else (name, first)
        told = f"{feature} is recorded in {has}, and not in {lacks}; LeRobot merges only what agrees"
        way = f"{_edit(has)} --operation.type remove_feature --operation.feature_names \"['{feature}']\""
        yield f"{told}\n{way}" if worth_mending else told
    for feature in base:
        if feature in found:
            yield from _feature(feature, first, base[feature], name, found[feature])


def _feature(feature: str, first: str, base: Mapping[str, Any], name: str, found: Mapping[str, Any]) -> Iterator[str]:
    if base.get("dtype") != found.get("dtype"):
        stills = {"image": first, "video": name}.get(str(base.get("dtype")), "")
        both = {base.get("dtype"), found.get("dtype")} == {"image", "video"}
        way = f"{_edit(stills)} --operation.type convert_image_to_video" if both else ""
        yield _said(f"the type of {feature}", first, base.get("dtype"), name, found.get("dtype"), way)
    for key in sorted((base.keys() | found.keys()) - {"dtype", "info"}):
        if base.get(key) != found.get(key):
            yield _said(f"{key} of {feature}", first, base.get(key), name, found.get(key))
    one, other = base.get("info") or {}, found.get("info") or {}
    for key in sorted((one.keys() & other.keys()) - made.ENCODER):
        if one[key] != other[key]:
            way = f"{_edit(name)} --operation.type reencode_videos" if key in ("video.codec", "video.pix_fmt") else ""
            yield _said(f"{key} of {feature}", first, one[key], name, other[key], way)


def _elsewhere(name: str, found: Mapping[str, Any]) -> Iterator[str]:
    for key, usual in PATHS.items():
        said = found.get(key)
        if str(found.get("codebase_version")).removeprefix("v").startswith("3") and said not in (None, usual):
            yield f"{key} of {name} is {said}: LeRobot merges only datasets that keep their files at {usual}"


def _edit(name: str) -> str:
    """The beginning of the command that makes another dataset of one."""
    root = shlex.quote(name) if name.startswith("/") else "FOLDER"
    return f"lerobot-edit-dataset --root {root} --repo_id NAME --new_root NEW_FOLDER --new_repo_id NEW_NAME"


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
