"""Adapters of LeRobot's policies (PEFT): their files, and the policy that one was trained on, which is its base.

LeRobot names the base by the folder that it read it from. An adapter that robotrain seals names a repository of the
Hub at a commit, or else a digest; `BASE_FILE` beside it says where the base came from. Standard library only.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from robotrain_runtime.contract.checkpoint import hash_file
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.problem import Problem, make_data_problem

from robotrain_workloads.lerobot import file_formats
from robotrain_workloads.lerobot.backbones import (
    BACKBONE_FLAG,
    COMMIT,
    HUB_KIND,
    REPOSITORY,
    get_repository_name,
    get_revision,
    list_backbones,
)

CONFIG_FILE, WEIGHTS_FILE, BASE_FILE = "adapter_config.json", "adapter_model.safetensors", "adapter_base.json"
BASE_WEIGHTS_FILE, MODEL_CARD_FILE = "model.safetensors", "README.md"
SHORT_DIGEST = 16
BLOB_KIND = "blob_url"
PATH_FLAG, URL_FLAG = "--backbone-path", "--backbone-url"
KEYS = {
    "r": "r",
    "method_type": "peft_type",
    "lora_alpha": "lora_alpha",
    "target_modules": "target_modules",
    "full_training_modules": "modules_to_save",
}
"""Options of LeRobot after `--peft.`, and what an adapter's configuration calls them."""


class Base(NamedTuple):
    """The policy that an adapter belongs to, by reference; a field is empty if it is unknown."""

    kind: str = ""
    """The source kind that it came from."""
    uri: str = ""
    """Where it was: OWNER/NAME, or an address; of a folder nothing is kept, except in LeRobot's own files."""
    pin: str = ""
    """The commit, or the digest of its listing."""
    run: str = ""
    """The run that trained the adapter, and started from the base."""
    sha256: str = ""
    """The digest of its weights."""
    size: int = 0
    """The bytes of its weights."""

    @property
    def name(self) -> str:
        """What the adapter's own configuration calls it."""
        return self.uri if self.kind == HUB_KIND else f"base-sha256-{self.sha256[:SHORT_DIGEST]}"

    @property
    def revision(self) -> str:
        """The revision at the Hub."""
        return self.pin if self.kind == HUB_KIND else ""

    def __str__(self) -> str:
        """What people and tags call it."""
        revision_suffix = f"@{self.revision}" if self.revision else ""
        digest = f"sha256:{self.sha256}" if self.sha256 else ""
        return f"hf://{self.uri}{revision_suffix}" if self.kind == HUB_KIND else self.uri or digest


class Adapter(NamedTuple):
    """An adapter, as its files describe it."""

    method: str
    """`LORA`, or another method of PEFT."""
    rank: int | None
    """None of a method without one."""
    settings: Mapping[str, Any]
    """Its adapter_config.json."""
    base: Base


def is_adapter(settings: Mapping[str, Any]) -> bool:
    """Return whether a policy's configuration is that of an adapter."""
    return settings.get("use_peft") is True


def load_adapter(folder: Path) -> Adapter:
    """Return the adapter of a model's folder. Raise OSError or ValueError with a sentence."""
    settings = file_formats.read_json_object(folder / CONFIG_FILE)
    rank = settings.get("r")
    method = settings.get("peft_type")
    if not isinstance(method, str):
        raise ValueError(f"{folder / CONFIG_FILE}: peft_type must be the name of a method")
    return Adapter(method, rank if isinstance(rank, int) else None, settings, _load_base(folder, settings))


def _load_base(folder: Path, settings: Mapping[str, Any]) -> Base:
    if (folder / BASE_FILE).is_file():
        saved_base = file_formats.read_json_object(folder / BASE_FILE)
        return Base(**{name: value for name, value in saved_base.items() if name in Base._fields})
    name = str(settings.get("base_model_name_or_path") or "")
    revision = settings.get("revision")
    if REPOSITORY.fullmatch(name):
        return Base(HUB_KIND, name, str(revision or ""))
    return Base("local_path", name) if Path(name).is_absolute() else Base()


def name_base(folder: Path, base: Base) -> None:
    """Let the files of a saved adapter name its base by reference. Raise OSError or ValueError.

    PEFT itself would look for a base of that name at the Hub, each time that it saves one. Its empty model card, which
    names the folder of the base, is removed.
    """
    named_settings = {
        **file_formats.read_json_object(folder / CONFIG_FILE),
        "base_model_name_or_path": base.name,
        "revision": base.revision or None,
    }
    (folder / CONFIG_FILE).write_text(json.dumps(named_settings, indent=2, sort_keys=True), encoding="utf-8")
    (folder / MODEL_CARD_FILE).unlink(missing_ok=True)
    save_base(folder, base)


def save_base(folder: Path, base: Base) -> None:
    """Write what the base of the adapter in a folder is. Raise OSError."""
    base_json = json.dumps(base._asdict(), indent=2, sort_keys=True) + "\n"
    (folder / BASE_FILE).write_text(base_json, encoding="utf-8")


def describe_base(source: JobSource, run: str) -> Base:
    """Return the reference to a base without its digest. `run`: the run that trains the adapter."""
    if source.kind == HUB_KIND:
        return Base(HUB_KIND, get_repository_name(source), source.pin or get_revision(source), run)
    is_folder = Path(source.uri).is_absolute()
    return Base(source.kind, run=run) if is_folder else Base(source.kind, source.uri, source.pin, run)


def measure_base(base: Base, folder: Path) -> Base:
    """Return a reference with the digest and the size of the weights in a folder. Raise OSError."""
    weights = folder / BASE_WEIGHTS_FILE
    return base if base.sha256 else base._replace(sha256=hash_file(weights), size=weights.stat().st_size)


def format_source(base: Base) -> str:
    """Return the text of the source that brings the base; empty if nothing says where it is."""
    if base.kind == HUB_KIND:
        return f"{base.uri}@{base.pin}" if base.pin else base.uri
    if base.kind == BLOB_KIND and base.uri:
        return base.uri
    if base.run:
        return f"{base.run}:policy"
    return base.uri if Path(base.uri).is_absolute() and Path(base.uri).is_dir() else ""


def find_base_source(sources: Iterable[JobSource], base: Base, read_names: Collection[str]) -> JobSource | None:
    """Return the backbone that is the base: that of its name, else the first that the policy does not read.

    :param read_names: the names of the repositories that the policy reads beside its base.
    """
    unread_backbones = [source for source in list_backbones(sources) if get_repository_name(source) not in read_names]
    named_backbones = (
        source for source in unread_backbones if base.kind == HUB_KIND and get_repository_name(source) == base.uri
    )
    return next(named_backbones, next(iter(unread_backbones), None))


def explain_missing_base(name: object, base: Base) -> Problem:
    """Return that a job lacks the base of an adapter. `name`: what the user calls the adapter."""
    if base.kind == HUB_KIND:
        way = f"{BACKBONE_FLAG} {format_source(base)}"
    else:
        way = f"{PATH_FLAG} FOLDER, or {URL_FLAG} URL, or {BACKBONE_FLAG} OWNER/NAME"
    base_text = f", {base}" if str(base) else ""
    return make_data_problem(
        f"{name} is an adapter, and this job does not bring the policy that it was trained on{base_text}", way
    )


def find_base_problems(base: Base, source: JobSource, folder: Path, *, is_complete: bool) -> Iterator[str]:
    """Yield why a folder does not hold the base of an adapter.

    :param source: where it comes from.
    :param is_complete: whether all files are here, so that the weights can be compared.
    """
    weights = folder / BASE_WEIGHTS_FILE
    if (folder / CONFIG_FILE).is_file() and not weights.is_file():
        yield f"{source.uri} is an adapter itself, and the base of an adapter is a whole policy"
    elif not weights.is_file():
        if is_complete:
            yield f"{source.uri} holds no policy that an adapter belongs to: {BASE_WEIGHTS_FILE} is missing"
    elif base.sha256 and not _is_same_commit(base, source):
        size = weights.stat().st_size
        digest = hash_file(weights) if is_complete and size == base.size else ""
        if size != base.size or (digest and digest != base.sha256):
            actual = f"sha256:{digest}" if digest else f"{size:,} bytes"
            yield (
                f"{source.uri} is not the base of the adapter: its weights are {actual}, and the adapter was trained on"
                f" sha256:{base.sha256} ({base.size:,} bytes)"
            )


def _is_same_commit(base: Base, source: JobSource) -> bool:
    is_named = source.kind == base.kind == HUB_KIND and get_repository_name(source) == base.uri
    return is_named and source.pin == base.pin and COMMIT.fullmatch(base.pin) is not None


def find_option_conflicts(adapter: Adapter, options: Mapping[str, str], name: object) -> Iterator[str]:
    """Yield a sentence for each option of LeRobot that does not agree with the adapter to go on from.

    :param options: the values after `--peft.`, by name.
    :param name: what the user calls the adapter.
    """
    for option, value in options.items():
        saved_value = adapter.settings.get(KEYS[option]) if option in KEYS else None
        saved_spellings = {
            str(saved_value).lower(),
            json.dumps(saved_value).lower(),
            json.dumps(saved_value, separators=(",", ":")).lower(),
        }
        if option in KEYS and value.lower() not in saved_spellings:
            saved_text = saved_value if isinstance(saved_value, str) else json.dumps(saved_value)
            yield f"LeRobot goes on with the adapter {name} as it is: {KEYS[option]} is {saved_text}, not {value}"
