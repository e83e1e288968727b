"""Rules of Slurm on a job. Pure, except that the prologue is read."""

import os
import re
from collections.abc import Iterable, Iterator

from robotrain.cluster import checks
from robotrain.cluster.checks import QuantityError
from robotrain.errors import Problem, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.job import NODES_FLAG, Job
from robotrain.model.pipeline import PipelineStep
from robotrain.model.source import REMOTE_KIND
from robotrain.run_folder.scheduler_settings import fill_settings
from robotrain_runtime.contract.parameter import load_pairs
from robotrain_runtime.contract.secret_rules import file_holds_secret
from robotrain_sources.local_path.remote_folder import is_same_host, parse_remote_folder
from robotrain_sources.local_path.remote_kind import KIND as REMOTE_FOLDERS

from robotrain_slurm.login.address import check_login
from robotrain_slurm.settings import SlurmSettings, keep_home
from robotrain_slurm.spec import options, script, variables
from robotrain_slurm.spec.container import check_mounts
from robotrain_slurm.spec.uploads import is_uploaded

make_problem = Messages(__file__)

SBATCH_FLAG = "--sbatch"
_CONTROL = r"[\x00-\x1f\x7f]"


def check_job(job: Job, settings: SlurmSettings) -> Iterator[Problem]:
    """Check everything that Slurm would refuse or misread, and settings that have no effect."""
    yield from check_login(settings.login)
    yield from check_other_options(settings)
    yield from check_quantities(job, settings)
    yield from check_texts(settings)
    yield from check_container(job, settings)
    yield from check_mounts(job, settings)
    yield from check_prologue(settings)
    if settings.stage and settings.torch_backend == "auto":
        yield make_problem("slurm-stage-backend", given="auto")
    yield from check_nodes(job, settings)
    yield from check_remote_folders(job, settings)
    yield from checks.check_unused_gpus(job, settings.gpus, "Slurm")
    if settings.gpu_type and not fill_settings(job, settings).gpus:
        yield make_problem("option-without-effect.gpu-type", given=settings.gpu_type)


def check_continuation(steps: Iterable[PipelineStep]) -> Iterator[Problem]:
    """Check how the steps of a pipeline go on whose time is up: others wait for their first jobs."""
    if any(step.settings.continuation == "node" for step in steps):
        yield make_problem("slurm-step-continued", given="node")


def _make_invalid_value_problem(flag: str, flag_value: str, expected_form: str, reason: str, *fixes: str) -> Problem:
    return make_problem("value-invalid.value", *fixes, where=flag, given=flag_value, expected=expected_form, why=reason)


def check_other_options(settings: SlurmSettings) -> Iterator[Problem]:
    """Check the options of --sbatch, and name the variables that have no effect."""
    for name, value in load_pairs(settings.sbatch).items():
        yield from _check_variable(name, value) if variables.is_variable(name) else _check_option(name, value)
        is_memory = name in options.MEMORY_OPTIONS
        replaced = settings.memory if is_memory else settings.cpus if name == options.CORES_OPTION else None
        if replaced not in (None, options.NO_MEMORY):
            flag = "--memory" if is_memory else "--cpus"
            yield make_problem("options-conflict.sbatch", where=flag, given=str(replaced), name=name)


def _check_option(name: str, value: str) -> Iterator[Problem]:
    option_text = f"{name}={value}" if value else name
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
        yield make_problem("value-invalid.sbatch-name", f"{SBATCH_FLAG} NAME=VALUE", given=option_text)
    elif option := options.find_managed(name):
        yield make_problem("option-owned", suggest_leaving_out(SBATCH_FLAG), given=option_text, option=option)
    elif name == "gres" and re.search(r"(?:^|[,/:])gpu(?:$|[,:=])", value):
        yield make_problem("option-owned", "--gpus N", given=option_text, option="gres=gpu")
    elif re.search(_CONTROL, value):
        yield make_problem("value-invalid.control-character", where=SBATCH_FLAG, given=option_text, what=name)


def _check_variable(name: str, value: str) -> Iterator[Problem]:
    option = variables.get_option_name(name)
    if not option or option in options.MANAGED:
        yield make_problem("variable-unused", where=name, name=name)
    elif re.search(_CONTROL, value):
        yield make_problem("value-invalid.control-character", where=name, given=value, what=name)


def check_quantities(job: Job, settings: SlurmSettings) -> Iterator[Problem]:
    """Check the time limit, the memory and the time for the last checkpoint."""
    limit = None
    for flag, quantity in (("--time", settings.time), ("--memory", settings.memory)):
        try:
            if flag == "--time":
                limit = options.parse_time(fill_settings(job, settings).time or "")
            elif quantity not in (None, options.NO_MEMORY):
                options.parse_memory(quantity or "")
        except QuantityError as error:
            fix = error.suggestion and f"{flag} {error.suggestion}"
            yield _make_invalid_value_problem(flag, quantity or "", "one for Slurm", str(error), fix)
    if limit and settings.stop_seconds and settings.stop_seconds >= limit:
        yield make_problem("slurm-stop-too-early", given=str(settings.stop_seconds), limit=limit)


def check_texts(settings: SlurmSettings) -> Iterator[Problem]:
    """Check that names and folders are one line, and that Slurm takes the folders as they are."""
    for name in ("partition", "account", "qos", "constraint", "exclude"):
        if (setting_text := getattr(settings, name)) and re.search(_CONTROL, setting_text):
            yield _make_invalid_value_problem(
                f"--{name}", setting_text, "one line", "An option is one line of the script."
            )
    for flag, setting_text in (("--runs-dir", settings.runs_dir), ("--cache-dir", settings.cache_dir)):
        if re.search(rf"{_CONTROL}|\\", setting_text):
            reason = "Slurm reads a backslash in the name of a file as the end of what it replaces in it."
            yield _make_invalid_value_problem(flag, setting_text, "a folder for Slurm", reason)


IMAGE_FILE = r"(?:/|~/).+\.(?:sif|sqsh|sqfs|simg)"
"""An image that is a file on the shared disk."""


def check_container(job: Job, settings: SlurmSettings) -> Iterator[Problem]:
    """Check the container image, and that there is a container for it."""
    if settings.image and not settings.container:
        yield make_problem("option-without-effect.image", suggest_leaving_out("--image"), given=settings.image)
        return
    image = settings.image or job.profile.container.image
    if not settings.container or (re.fullmatch(IMAGE_FILE, image) and not re.search(_CONTROL, image)):
        return
    reference = checks.parse_image_reference(image)
    if not reference or not (reference.tag or reference.digest):
        reason = f"{checks.IMAGE_FORM} A file is /PATH.sif or /PATH.sqsh."
        yield _make_invalid_value_problem("--image", image, "an image with a tag or a digest, or a file of one", reason)


def check_prologue(settings: SlurmSettings) -> Iterator[Problem]:
    """Check the names of modules and the file of the prologue, which goes into the plan."""
    for name in script.list_modules(settings):
        if not re.fullmatch(script.MODULE_NAME, name, re.ASCII):
            reason = "It has letters, digits and `_.+/@=-`, and begins with a letter or a digit."
            yield _make_invalid_value_problem("--module", name, "the name of a module", reason, "--module cuda/12.4")
            return
    path = settings.prologue or ""
    try:
        script_lines = script.read_prologue(settings)
    except script.PrologueError as error:
        yield _make_invalid_value_problem("--prologue", path, "a file that a batch script begins with", str(error))
    except OSError as error:
        reason = f"{error.strerror or error}."
        yield _make_invalid_value_problem("--prologue", path, "a file that can be read", reason)
    else:
        if file_holds_secret("\n".join(script_lines), ".sh"):
            yield make_problem("secret-in-job", given=path)


def check_remote_folders(job: Job, settings: SlurmSettings) -> Iterator[Problem]:
    """Check that folders of the cluster are those of the login node, and that others are on this machine."""
    login = settings.login or ""
    for source in job.sources:
        if source.kind == REMOTE_KIND:
            folder = parse_remote_folder(source.uri)
            if not login or not is_same_host(folder.host, login):
                name = "slurm-other-host.differs" if login else "slurm-other-host.no-login"
                flag = REMOTE_FOLDERS.roles[source.role].flag
                yield make_problem(name, where=flag, given=source.uri, host=folder.host, login=login, path=folder.path)
        elif login and is_uploaded(source) and not source.pin and not os.path.exists(source.uri):
            flag, remote_address = REMOTE_FOLDERS.roles[source.role].flag, f"{login}:{keep_home(source.uri)}"
            yield make_problem("slurm-not-here", where=flag, given=source.uri, there=remote_address, login=login)


def check_nodes(job: Job, settings: SlurmSettings) -> Iterator[Problem]:
    """Check that each node can start the program: robotrain prepares a job once, for all of its nodes."""
    if (count := job.training_nodes) > 1 and settings.container:
        yield make_problem("options-conflict.nodes-container", where=NODES_FLAG, given=str(count), count=count)
