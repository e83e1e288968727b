"""The repositories of the Hub that a job's policy reads beside its own files: backbones and tokenizers.

LeRobot names them in options, in the files of a policy and in its code; `index.json` of its version tells which. What
they are to the job: sources of the role `backbone`. Standard library only.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from robotrain_runtime.contract.document import JobSource

from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot.trained_model import choose_model
from robotrain_workloads.lerobot.versions import NamedRepository

BACKBONE_ROLE = "backbone"
BACKBONE_FLAG = "--backbone-repo-id"
HUB_KIND, FOLDER_KIND = "huggingface", "local_path"
TORCHVISION_KIND = "torchvision"
WEIGHTS_SUFFIXES = (".pth", ".pt", ".safetensors")
"""Of a file with weights of the cameras' network, which stands for no repository."""
COMMIT = re.compile(r"[0-9a-f]{40}")
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
HUB_CACHE_FOLDER = re.compile(r".*/models--([\w.-]+?)--([\w.-]+)/snapshots/([0-9a-f]{40})/?")
"""A commit of a repository in a cache of the Hub."""


class NeededRepository(NamedTuple):
    """A repository that a policy reads."""

    name: str
    """OWNER/NAME."""
    revision: str = ""
    """The revision that an option names; empty for the default branch."""
    runs_code: bool = False
    """Whether Python code of it may run."""
    reason: str = ""
    """What of its own files runs the code, if its type does not."""


class PolicyFiles(NamedTuple):
    """What the files of a policy tell about other repositories."""

    settings: Mapping[str, Any]
    """Its config.json."""
    processor_names: tuple[tuple[str, str], ...] = ()
    """Keys and values of its processors' steps that may name a repository."""


def list_needed(
    parameters: Mapping[str, Any], options: Sequence[str], start: PolicyFiles | None
) -> list[NeededRepository]:
    """Return the repositories that a job's policy reads, each once.

    :param options: those after `--`.
    :param start: the policy to start from; None for a new one.
    """
    model = choose_model(parameters, start.settings if start else {})
    repositories = model.facts.repositories
    option_values = {**(start.settings if start else {}), **model.read_options(options, as_json=start is not None)}
    unread_options: set[str] = set()
    needed_repositories: list[NeededRepository] = []
    for default, repository in repositories.items():
        if not _is_read(repository, option_values, is_new=start is None):
            unread_options.update(repository.options)
            continue
        revision = str(option_values.get(repository.revision_option) or "") if repository.revision_option else ""
        for name in _list_names(default, repository, option_values, is_new=start is None):
            needed_repositories.append(_make_needed(name, repositories, repository.code, revision))
    if start and model.section == versions.POLICIES:  # of a reward model, LeRobot always makes new processors
        most_code = next(
            (known_repository.code for known_repository in repositories.values() if known_repository.code), ""
        )
        for key, name in start.processor_names:
            if key not in unread_options:
                needed_repositories.append(_make_needed(name, repositories, most_code))
    return list(_merge(needed_repositories))


def list_uses(parameters: Mapping[str, Any], options: Sequence[str], name: str, *, is_new: bool) -> Iterator[bool]:
    """Yield, for each use of a repository that the index and the options tell, whether it may read its weights.

    :param is_new: whether the policy is new; of another one, the type and the settings are not known here.
    """
    model = choose_model(parameters, {})
    types = (model.lerobot.policies, model.lerobot.reward_models)
    option_values = model.read_options(options, as_json=not is_new)
    for facts in [model.facts] if is_new else [facts for section in types for facts in section.values()]:
        for default, repository in facts.repositories.items():
            if name in _list_names(default, repository, option_values, is_new=is_new):
                yield _may_read_weights(repository, option_values, is_new=is_new)


def _may_read_weights(repository: NamedRepository, option_values: Mapping[str, Any], *, is_new: bool) -> bool:
    if repository.weights != "always":
        return repository.weights == "new" and is_new
    if not is_new:  # its settings decide, unless an option does
        option_values = {**repository.weights_if, **option_values}
    return all(_compare(option_values, repository.weights_if))


def _is_read(repository: NamedRepository, option_values: Mapping[str, Any], *, is_new: bool) -> bool:
    if repository.new_only and not is_new:
        return False
    return all(_compare(option_values, repository.only_if)) and not any(_compare(option_values, repository.unless))


def _compare(option_values: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[bool]:
    """Yield of each option whether it has the wanted value."""
    return (name in option_values and option_values[name] == value for name, value in wanted.items())


def _list_names(default: str, repository: NamedRepository, values: Mapping[str, Any], *, is_new: bool) -> Iterator[str]:
    """Yield the names under which a repository is read; a folder of the machine is none."""
    if repository.fixed == "always" or (repository.fixed == "start" and not is_new):
        yield default
    for option in repository.options:
        option_value = values.get(option)
        name = default if option_value is None else str(option_value)
        if REPOSITORY.fullmatch(name):
            yield name


def _make_needed(
    name: str, repositories: Mapping[str, NamedRepository], code: str, revision: str = ""
) -> NeededRepository:
    """Return a repository. `code`: that of the default one in its place, if the name is not known to the type."""
    repository = repositories.get(name)
    return NeededRepository(
        name=name, revision=revision, runs_code=repository.code == "runs" if repository else bool(code)
    )


def _merge(repositories: Iterable[NeededRepository]) -> Iterable[NeededRepository]:
    merged_repositories: dict[str, NeededRepository] = {}
    for repository in repositories:
        first_repository = merged_repositories.setdefault(repository.name, repository)
        merged_repositories[repository.name] = first_repository._replace(
            revision=first_repository.revision or repository.revision,
            runs_code=first_repository.runs_code or repository.runs_code,
        )
    return merged_repositories.values()


def list_naming_options(parameters: Mapping[str, Any], options: Sequence[str]) -> dict[str, Any]:
    """Return the given options that decide which repositories a new policy reads, as its config.json will have them."""
    model = choose_model(parameters, {})
    deciding_options: set[str] = set()
    for repository in model.facts.repositories.values():
        deciding_options.update(
            repository.options,
            repository.only_if,
            repository.unless,
            repository.weights_if,
            [repository.revision_option],
        )
    return {
        name: value for name, value in model.read_options(options, as_json=False).items() if name in deciding_options
    }


def list_unread_weights(parameters: Mapping[str, Any], options: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the repositories whose weights a new policy could read and does not, each with the options for that."""
    model = choose_model(parameters, {})
    option_values = model.read_options(options, as_json=False)
    unread_weights: dict[str, dict[str, Any]] = {}
    for default, repository in model.facts.repositories.items():
        if repository.weights_if and not _may_read_weights(repository, option_values, is_new=True):
            unread_weights |= {
                name: dict(repository.weights_if)
                for name in _list_names(default, repository, option_values, is_new=True)
            }
    return unread_weights


def is_read_at_parsing(parameters: Mapping[str, Any]) -> bool:
    """Return whether LeRobot reads a repository as soon as it reads the options of a new policy."""
    return any(repository.at_parsing for repository in choose_model(parameters, {}).facts.repositories.values())


def get_repository_name(source: JobSource) -> str:
    """Return the repository that a backbone stands for: of a folder, the last two parts of its path.

    A folder in a cache of the Hub says it in another way.
    """
    if source.kind == HUB_KIND:
        return source.uri.partition("@")[0]
    if cache_match := HUB_CACHE_FOLDER.fullmatch(source.uri):
        return f"{cache_match[1]}/{cache_match[2]}"
    return "/".join(source.uri.partition("?")[0].rstrip("/").split("/")[-2:])


def get_revision(source: JobSource) -> str:
    """Return the revision that a repository of the Hub is given at; empty for none."""
    return source.uri.partition("@")[2] if source.kind == HUB_KIND else ""


def get_snapshot_name(source: JobSource) -> str:
    """Return the commit of a backbone, or what stands for it: 40 hexadecimal digits of its address and its pin."""
    for name in (source.pin, get_revision(source)):
        if COMMIT.fullmatch(name):
            return name
    return hashlib.sha256(f"{source.uri}\n{source.pin}".encode()).hexdigest()[:40]


def list_backbones(sources: Iterable[JobSource]) -> list[JobSource]:
    """Return the sources of backbones that are repositories, or stand for one."""
    return [source for source in sources if source.role == BACKBONE_ROLE and not is_weights(source)]


def is_weights(source: JobSource) -> bool:
    """Return whether a source is a file with weights of the cameras' network."""
    is_file = source.kind == FOLDER_KIND and source.uri.endswith(WEIGHTS_SUFFIXES)
    return source.role == BACKBONE_ROLE and (is_file or source.kind == TORCHVISION_KIND)


def list_missing(
    needed_repositories: Iterable[NeededRepository], sources: Iterable[JobSource]
) -> list[NeededRepository]:
    """Return the repositories that no source brings."""
    brought_names = {get_repository_name(source) for source in list_backbones(sources)}
    return [repository for repository in needed_repositories if repository.name not in brought_names]
