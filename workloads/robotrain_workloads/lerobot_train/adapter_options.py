"""Adapters in a training: LeRobot's options for them, what contradicts them, and the policy that they belong to.

Standard library only.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.contract.document import JobDocument, JobSource, Scalar

from robotrain_workloads.lerobot import adapter, policy, policy_repositories, start, versions
from robotrain_workloads.lerobot.adapter import Base
from robotrain_workloads.lerobot.lineage import find_start_source
from robotrain_workloads.lerobot.options import split_options
from robotrain_workloads.lerobot.start import Start
from robotrain_workloads.lerobot.trained_model import TrainedModel, choose_model

GROUP, PREFIX = "peft.", "--peft."
METHOD, RANK, ALPHA, MODULES = "method_type", "r", "lora_alpha", "target_modules"
LORA = "LORA"
RANK_FLAG = "--lora-rank"


def read_given(options: Sequence[str]) -> dict[str, str]:
    """Return the values of the options `--peft.NAME=VALUE`, by NAME."""
    given = ((name, value) for name, value in split_options(options) if name.startswith(GROUP))
    return {name.removeprefix(GROUP): value or "" for name, value in given}


def get_rank(parameters: Mapping[str, Scalar]) -> int | None:
    """Return the rank that the job gives."""
    rank = parameters["lora_rank"]
    return rank if isinstance(rank, int) else None


def trains_adapter(parameters: Mapping[str, Scalar], options: Sequence[str], begin: Start) -> bool:
    """Return whether an adapter is trained instead of all weights."""
    is_asked = get_rank(parameters) is not None or bool(read_given(options))
    return adapter.is_adapter(begin.settings) or (is_asked and begin.mode in ("policy", "weights"))


def make_options(parameters: Mapping[str, Scalar], options: Sequence[str], begin: Start) -> Iterator[str]:
    """Yield what LeRobot needs to train an adapter, as far as the user does not say it; a checkpoint says it itself."""
    wanted: dict[str, object] = {}
    if begin.mode in ("policy", "weights") and adapter.is_adapter(begin.settings):
        with suppress(OSError, ValueError):  # reported with the other problems of its files
            known = adapter.load_adapter(begin.model_folder)
            wanted = {METHOD: known.method, RANK: known.rank}
    elif begin.mode in ("policy", "weights") and (rank := get_rank(parameters)) is not None:
        wanted = {METHOD: LORA, RANK: rank, ALPHA: rank}
    given = read_given(options)
    yield from (f"{PREFIX}{name}={value}" for name, value in wanted.items() if value is not None and name not in given)


def explain_unknown_modules(model: TrainedModel) -> tuple[str, str]:
    """Return that LeRobot does not know what an adapter of a type changes, and what to type."""
    having = [kind for kind, one in model.lerobot.policies.items() if one.adapter_modules]
    title = f"LeRobot {model.lerobot.name} does not know which modules of {model.kind} an adapter changes"
    return f"{title}: it knows those of {', '.join(having)}", f"{PREFIX}{MODULES}=MODULES"


def find_problems(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterator[str]:
    """Yield why LeRobot cannot train the adapter that the job asks for, if what it starts from can be read."""
    rank, given = get_rank(document.parameters), read_given(document.trainer_args)
    begin, source = Start(), find_start_source(data)
    with suppress(OSError, ValueError):
        begin = start.load_start(data)
    if source is None or begin.mode == "scratch":
        return
    model = choose_model(document.parameters, begin.settings)
    if adapter.is_adapter(begin.settings):
        try:
            known = adapter.load_adapter(begin.model_folder)
        except (OSError, ValueError) as error:
            yield str(error)
            return
        if rank is not None and (known.method.upper() != LORA or rank != known.rank):
            what = (
                f"{source.uri} is an adapter, {known.method} of rank {known.rank}, and LeRobot goes on with it as it is"
            )
            way = f"{RANK_FLAG} {known.rank}" if known.method.upper() == LORA else f"leave out {RANK_FLAG}"
            yield f"{what}: {RANK_FLAG} {rank} has no effect\n{way}"
        yield from adapter.find_option_conflicts(known, given, source.uri)
    elif rank is None and not given:
        return
    elif begin.mode == "checkpoint":
        what = f"the checkpoint {source.uri} trains all weights of its policy, and goes on with them"
        yield f"{what}: to train an adapter on it, start a new training\n--policy-path CHECKPOINT {RANK_FLAG} RANK"
    elif model.section == versions.REWARD_MODELS:
        yield f"LeRobot {model.lerobot.name} trains adapters of policies only, and {source.uri} is a reward model"
    elif not model.facts.adapter_modules and MODULES not in given:
        yield "\n-- ".join(explain_unknown_modules(model))


def find_base(document: JobDocument, data: Mapping[JobSource, Path], begin: Start) -> tuple[Base, Path] | None:
    """Return the policy that the adapter belongs to, and its folder; None if no adapter is trained."""
    source = find_start_source(data)
    if source is None or not trains_adapter(document.parameters, document.trainer_args, begin):
        return None
    if not adapter.is_adapter(begin.settings):
        return adapter.describe_base(source, document.run), begin.model_folder
    if found := policy_repositories.find_base(document, data, source):
        base, brought, folder = found
        return base if base.sha256 else adapter.describe_base(brought, document.run), folder
    return adapter.load_adapter(begin.model_folder).base, policy.find_model_folder(data[source])  # an earlier attempt


def describe_adapter(document: JobDocument, described: Mapping[JobSource, Path], folder: Path) -> bool:
    """Write what the files of the adapter that the job trains will say of it and its base; return whether they will.

    Raise OSError or ValueError.
    """
    begin, source = start.load_start(described), find_start_source(described)
    if source is None or not trains_adapter(document.parameters, document.trainer_args, begin):
        return False
    if adapter.is_adapter(begin.settings):
        for name in (adapter.CONFIG_FILE, adapter.BASE_FILE):
            with suppress(FileNotFoundError):
                shutil.copyfile(begin.model_folder / name, folder / name)
        return True
    base = adapter.describe_base(source, "")  # the run has no record yet that leads to its base
    if Path(source.uri).is_absolute():
        base = base._replace(uri=source.uri)
    if not adapter.format_source(base):
        return False
    (folder / adapter.CONFIG_FILE).write_text(json.dumps({"peft_type": LORA}), encoding="utf-8")
    adapter.save_base(folder, base)
    return True


def find_base_reference(document: JobDocument, data: Mapping[JobSource, Path]) -> Base:
    """Return the policy that the adapter belongs to; an empty reference if it is unknown, or no adapter is trained."""
    with suppress(OSError, ValueError):
        if found := find_base(document, data, start.load_start(data)):
            return found[0]
    return Base()


def make_launcher_arguments(document: JobDocument, data: Mapping[JobSource, Path], begin: Start) -> Iterator[str]:
    """Yield what tells the launcher the base of the adapter that is trained."""
    if found := find_base(document, data, begin):
        base, folder = found
        yield f"--base={folder}"
        yield f"--base-reference={json.dumps(base._asdict())}"


def make_tags(document: JobDocument, data: Mapping[JobSource, Path]) -> dict[str, str]:
    """Return the tags of a registered adapter: its method, its rank and its base; none of a whole policy."""
    begin = Start()
    with suppress(OSError, ValueError):
        begin = start.load_start(data)
    if not trains_adapter(document.parameters, document.trainer_args, begin):
        return {}
    given = read_given(document.trainer_args)
    tags = {
        "adapter": given.get(METHOD, LORA),
        "adapter_rank": str(get_rank(document.parameters) or given.get(RANK, "")),
    }
    with suppress(OSError, ValueError):
        if adapter.is_adapter(begin.settings):
            known = adapter.load_adapter(begin.model_folder)
            tags = {"adapter": known.method, "adapter_rank": str(known.rank or "")}
        if found := find_base(document, data, begin):
            tags["adapter_base"] = str(found[0])
    return tags
