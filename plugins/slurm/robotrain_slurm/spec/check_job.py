"""Rules of Slurm on a job. Pure, except that the prologue is read."""

import os
import re
import shlex
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from robotrain.check.publish_targets import CHECKPOINT_PARAMETER, is_address
from robotrain.cluster import checks
from robotrain.cluster.checks import QuantityError
from robotrain.errors import Problem, Suggestion, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.job import NODES_FLAG, Job
from robotrain.model.pipeline import PipelineStep
from robotrain.model.source import LOCAL_KIND, REMOTE_KIND
from robotrain.redaction import redact
from robotrain.run_folder.scheduler_settings import fill_settings
from robotrain_runtime.contract.parameter import load_pairs
from robotrain_runtime.contract.secret_rules import file_holds_secret
from robotrain_sources.local_path.remote_folder import is_same_host, parse_remote_folder
from robotrain_sources.local_path.remote_kind import KIND as REMOTE_FOLDERS

from robotrain_slurm.login.address import check_login
from robotrain_slurm.settings import SlurmSettings
from robotrain_slurm.spec import managed_options, options, prologue, variables
from robotrain_slurm.spec.cluster_paths import keep_home
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
    yield from check_directives(job)
    yield from check_staging(job, settings)
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
    sbatch_options = load_pairs(settings.sbatch)
    option_names = [name for name in sbatch_options if not variables.is_variable(name)]
    for name in option_names:
        yield from _check_option(name, sbatch_options[name])
    for name in sbatch_options:
        if variables.is_variable(name):
            yield from _check_variable(name, sbatch_options[name])
    settings_by_option = {
        **dict.fromkeys(options.MEMORY_OPTIONS, ("--memory", settings.memory)),
        options.CORES_OPTION: ("--cpus", settings.cpus),
    }
    for name, (flag, setting_value) in settings_by_option.items():
        if name in option_names and setting_value not in (None, options.NO_MEMORY):
            yield make_problem(
                "options-conflict.sbatch",
                where=flag,
                given=str(setting_value),
                name=name,
                text=sbatch_options[name],
                value=setting_value,
            )


def _check_option(name: str, value: str) -> Iterator[Problem]:
    bare_name = name.lstrip("-")
    option_text = f"{name}={value}" if value else name
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
        fix = (
            f"{SBATCH_FLAG} {bare_name}" if re.fullmatch(r"[a-z][a-z0-9-]+", bare_name) else f"{SBATCH_FLAG} NAME=VALUE"
        )
        yield make_problem("value-invalid.sbatch-name", fix, given=option_text)
    elif managed_options.find_substitute(name):
        title = f"robotrain sets the option {name} of sbatch"
        yield _make_managed_option_problem(title, name, option_text, value)
    elif option := managed_options.find_abbreviated(name):
        title = f"sbatch reads {name} as {option}, which robotrain sets"
        yield _make_managed_option_problem(title, option, option_text, value)
    elif name == "gres" and re.search(r"(?:^|[,/:])gpu(?:$|[,:=])", value):
        yield _make_managed_option_problem("robotrain asks for the GPUs", "gpus", option_text, "")
    elif re.search(_CONTROL, value):
        yield _make_control_problem(f"{SBATCH_FLAG} {name}", SBATCH_FLAG, option_text)


def _make_control_problem(subject: str, flag: str, option_text: str) -> Problem:
    return make_problem("value-invalid.control-character", where=flag, given=option_text, what=subject)


def _make_managed_option_problem(title: str, option: str, option_text: str, option_value: str) -> Problem:
    substitute = managed_options.find_substitute(option)
    option_prefix = f"--{option} "
    repeated_option = (
        option_prefix + shlex.quote(option_value) if option_value and not re.search(_CONTROL, option_value) else ""
    )
    suggestion_texts = [
        repeated_option if repeated_option and suggestion_text.startswith(option_prefix) else suggestion_text
        for suggestion_text in _list_ways(substitute)
    ]
    ways = [*map(Suggestion, suggestion_texts)] or [suggest_leaving_out(SBATCH_FLAG)]
    return make_problem("option-owned", *ways, given=option_text, title=title, substitute=substitute)


def _list_ways(substitute: str) -> tuple[str, ...]:
    """Return the options and commands that a sentence names."""
    return tuple(re.findall(r"(?<=`)[a-z][^`]+(?=`)|--[a-z-]+(?: [A-Z]+(?:=[A-Z]+)?)?(?![^`]*`)", substitute))


def _check_variable(name: str, value: str) -> Iterator[Problem]:
    option = variables.get_option_name(name)
    substitute = managed_options.find_substitute(option)
    if option and not substitute:
        if re.search(_CONTROL, value):
            yield _make_control_problem(name, name, value)
        return
    if option:
        title, reason = f"{name} has no effect", f"robotrain sets the option {option} of sbatch: {substitute}."
        ways = _list_ways(substitute)
    else:
        title, reason = f"{name} has no effect", "robotrain does not know which option of sbatch it stands for."
        ways = (f"{SBATCH_FLAG} NAME=VALUE",)
    yield make_problem("variable-unused", *ways, where=name, title=title, why=reason)


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
        flag = "--stop-seconds"
        yield make_problem(
            "slurm-stop-too-early",
            given=str(settings.stop_seconds),
            limit=limit,
            flag=flag,
            seconds=max(10, limit // 3),
        )


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


def check_container(job: Job, settings: SlurmSettings) -> Iterator[Problem]:
    """Check the container image, and that there is a container for it."""
    if settings.image and not settings.container:
        containers: tuple[str, ...] = ("--container pyxis", "--container apptainer")
        if completed_file := _complete_file(settings.image):
            containers = (
                f"--container {'apptainer' if completed_file.endswith('.sif') else 'pyxis'} --image {completed_file}",
            )
        fixes: tuple[Suggestion | str, ...] = (*containers, suggest_leaving_out("--image"))
        yield make_problem("option-without-effect.image", *fixes, given=settings.image)
    elif settings.container:
        yield from _check_image(job, settings)


IMAGE_FILE = r"(?:/|~/).+\.(?:sif|sqsh|sqfs|simg)"
"""An image that is a file on the shared disk."""


def _complete_file(image: str) -> str:
    """Return the form of an image file that lacks its folder; empty for any other image."""
    is_file = image.endswith((".sif", ".sqsh")) and not image.startswith("/")
    return f"/PATH/{PurePosixPath(image).name}" if is_file else ""


def _check_image(job: Job, settings: SlurmSettings) -> Iterator[Problem]:
    image = settings.image or job.profile.container.image
    if re.fullmatch(IMAGE_FILE, image) and not re.search(_CONTROL, image):
        return
    reference = checks.parse_image_reference(image)
    expected_form = "an image with a tag or a digest, or a file of one"
    if completed := _complete_file(image):
        reason = "A file is named with its folder on the cluster."
        yield _make_invalid_value_problem("--image", image, expected_form, reason, f"--image {completed}")
    elif not reference:
        fix = f"--image {job.profile.container.image}"
        reason = f"{checks.IMAGE_FORM} A file is /PATH.sif or /PATH.sqsh."
        yield _make_invalid_value_problem("--image", image, expected_form, reason, fix)
    elif not (reference.tag or reference.digest):
        reason = "Without a tag or a digest the image may change at any time."
        yield _make_invalid_value_problem("--image", image, expected_form, reason, f"--image {image}:TAG")


def check_prologue(settings: SlurmSettings) -> Iterator[Problem]:
    """Check the names of modules and the file of the prologue, which goes into the plan."""
    for name in prologue.list_modules(settings):
        if not re.fullmatch(prologue.MODULE_NAME, name, re.ASCII):
            reason = "It has letters, digits and `_.+/@=-`, and begins with a letter or a digit."
            yield _make_invalid_value_problem("--module", name, "the name of a module", reason, "--module cuda/12.4")
            return
    path = settings.prologue or ""
    try:
        script_lines = prologue.read_prologue(settings)
    except prologue.PrologueError as error:
        yield _make_invalid_value_problem("--prologue", path, "a file that a batch script begins with", str(error))
    except OSError as error:
        reason = f"{error.strerror or error}."
        yield _make_invalid_value_problem("--prologue", path, "a file that can be read", reason)
    else:
        if file_holds_secret("\n".join(script_lines), ".sh"):
            yield make_problem("secret-in-job", given=path)


MAX_SCRIPT_BYTES = 64 << 10
MAX_DIRECTIVES = 6


def check_directives(job: Job) -> Iterator[Problem]:
    """Warn about options of sbatch in a script that the job starts: its batch script has others."""
    code = next((source.uri for source in job.sources if source.role == "code" and source.kind == LOCAL_KIND), "")
    for word in " ".join(job.trainer_args).replace("'", "").split() if code else ():
        path, directives = Path(code, word), list[str]()
        with suppress(OSError, ValueError):
            if path.is_file():
                with path.open("rb") as file:
                    script_text = file.read(MAX_SCRIPT_BYTES).decode(errors="replace")
                directives = re.findall(r"^#SBATCH[ \t]+(\S[^\n]*)", script_text, re.MULTILINE)
        if directives:
            lines = ", ".join(map(redact, directives[:MAX_DIRECTIVES]))
            more = f" and {len(directives) - MAX_DIRECTIVES} more" if directives[MAX_DIRECTIVES:] else ""
            yield make_problem("sbatch-lines-unused", given=word, lines=f"{lines}{more}")


def check_staging(job: Job, settings: SlurmSettings) -> Iterator[Problem]:
    """Check what `--stage` cannot do: every source can be fetched before the job is sent; what it writes cannot."""
    if not settings.stage:
        return
    if settings.torch_backend == "auto":
        yield make_problem("slurm-stage-backend", given="auto")
    parameters = dict(job.parameters)
    services = {
        f"--{CHECKPOINT_PARAMETER.replace('_', '-')}": str(parameters.get(CHECKPOINT_PARAMETER) or ""),
        "--wandb": "https://api.wandb.ai" if job.logs_to_wandb else "",
        "--tracking-uri": settings.tracking_uri or "",
    }
    for flag, address in services.items():
        if is_address(address) and not address.startswith("sqlite:"):
            yield make_problem("slurm-stage-writes", suggest_leaving_out(flag), where=flag, given=address)


def check_remote_folders(job: Job, settings: SlurmSettings) -> Iterator[Problem]:
    """Check that folders of the cluster are those of the login node, and that others are on this machine."""
    for source in job.sources:
        if source.kind == REMOTE_KIND:
            folder = parse_remote_folder(source.uri)
            flag, path, host = REMOTE_FOLDERS.roles[source.role].flag, folder.path, folder.host
            if not settings.login:
                local_folder = path
                yield make_problem(
                    "slurm-other-host.no-login", where=flag, given=source.uri, host=host, path=local_folder
                )
            elif not is_same_host(host, settings.login):
                login, remote_address = settings.login, f"{settings.login}:{path}"
                yield make_problem(
                    "slurm-other-host.differs",
                    where=flag,
                    given=source.uri,
                    host=host,
                    login=login,
                    there=remote_address,
                )
        elif settings.login and is_uploaded(source) and not source.pin and not os.path.exists(source.uri):
            flag, remote_address = REMOTE_FOLDERS.roles[source.role].flag, f"{settings.login}:{keep_home(source.uri)}"
            yield make_problem(
                "slurm-not-here", where=flag, given=source.uri, there=remote_address, login=settings.login
            )


def check_nodes(job: Job, settings: SlurmSettings) -> Iterator[Problem]:
    """Check that each node can start the program: robotrain prepares a job once, for all of its nodes."""
    if (count := job.training_nodes) > 1 and settings.container:
        yield make_problem("options-conflict.nodes-container", where=NODES_FLAG, given=str(count), count=count)
