"""Run LeRobot's trainer in this process: `python -m robotrain_workloads.lerobot_train.launcher REQUEST -- OPTIONS`."""

import functools
import importlib
import multiprocessing
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.event import Track, emit_event
from robotrain_runtime.process.stop import end_with_parent

from robotrain_workloads.exit_status import WorkFailed, end_as_preflight
from robotrain_workloads.lerobot import (
    data_errors,
    device,
    episode_numbers,
    ffmpeg_libraries,
    policy,
    policy_packages,
    run_setup,
    warm_up,
)
from robotrain_workloads.lerobot.options import (
    ConfigurationRefused,
    explain_parser_errors,
    get_option_value,
)
from robotrain_workloads.lerobot.warm_up import quick_imports
from robotrain_workloads.lerobot_train.completed_options import (
    complete_options,
    find_problems,
    get_dataset_folder,
    remove_empty_output,
)
from robotrain_workloads.lerobot_train.episode_options import parse_episodes
from robotrain_workloads.lerobot_train.frames import frame_cache
from robotrain_workloads.lerobot_train.request import TrainingRequest, parse_request
from robotrain_workloads.lerobot_train.trainer_installation import install_changes, install_monitor
from robotrain_workloads.lerobot_train.trainer_monitor import TrainingEnded
from robotrain_workloads.lerobot_training import process_group
from robotrain_workloads.lerobot_training.process_group import (
    GroupStop,
    NodesStop,
    ProcessAgreement,
    RankStore,
    SingleProcessStop,
    StopHandler,
)
from robotrain_workloads.nodes.node_group import read_group

TRAINER = "lerobot.scripts.lerobot_train"
SUBJECT = "the training's configuration"
ORIGINAL = "robotrain_original"
"""The attribute of a wrapper that holds LeRobot's own function."""


def explain_refusals(options: Sequence[str]) -> None:
    """Let LeRobot's parser and its own checks end with a sentence, until the configuration is complete.

    What the training raises later is an error of its own. `options` are those on LeRobot's command line.
    """
    with suppress(ImportError):  # another LeRobot reports errors by itself
        import draccus
        from lerobot.configs.train import TrainPipelineConfig

        def restore() -> None:
            draccus.parse, TrainPipelineConfig.validate = parse, validate

        parse = _wrap(draccus, "parse", options)
        validate = _wrap(TrainPipelineConfig, "validate", options, on_success=restore)


def check_training_configuration(options: Sequence[str]) -> Any:
    """Build the configuration from the command line, and return it. Raise SystemExit if LeRobot refuses it.

    Types of options are checked before submission; rules between several options are LeRobot's own.
    """
    explain_refusals(options)
    ffmpeg_libraries.load_ffmpeg()  # LeRobot asks whether torchcodec loads
    from lerobot.configs import parser
    from lerobot.configs.train import TrainPipelineConfig
    from lerobot.utils.import_utils import register_third_party_plugins

    register_third_party_plugins()

    def validate(config: TrainPipelineConfig) -> Any:
        config.validate()
        return config

    return parser.wrap()(validate)()


def _wrap(
    owner: Any, name: str, options: Sequence[str], on_success: Callable[[], None] = lambda: None
) -> Callable[..., Any]:
    """Let a function of LeRobot end with a sentence where it refuses something; return the function itself."""
    original: Callable[..., Any] = getattr(owner, name)
    original = vars(original).get(ORIGINAL, original)

    @functools.wraps(original)
    def replacement(*args: Any, **kwargs: Any) -> Any:
        try:
            with explain_parser_errors(options, SUBJECT):
                return_value = original(*args, **kwargs)
        except ConfigurationRefused as refused:
            end_as_preflight(refused)
        except (ValueError, TypeError, NotImplementedError) as error:
            end_as_preflight(
                ConfigurationRefused(options, SUBJECT, " ".join(str(error).split()) or type(error).__name__)
            )

        on_success()
        return return_value

    vars(replacement)[ORIGINAL] = original
    setattr(owner, name, replacement)
    return original


def main(arguments: Sequence[str]) -> None:
    """Train, alone or as one of several processes. Raise SystemExit."""
    arguments = warm_up.wait_for_arguments(arguments, _prepare_training)
    agreement = process_group.get_process_agreement()
    if agreement is None:
        _run_trainer(arguments, SingleProcessStop())
        return
    with process_group.report_failures(agreement):
        process_group.attach_to_launcher()
        agreement.enter_rank()
        _run_trainer(arguments, _make_group_stop(agreement))
        agreement.leave_rank()


def _make_group_stop(agreement: ProcessAgreement) -> GroupStop:
    is_first = device.is_first_rank()
    if not read_group():
        return GroupStop(agreement, first=is_first)
    process_group.outlive_platform_signals(agreement)
    return NodesStop(agreement, RankStore(), first=is_first)


def find_policy_type(options: Sequence[str]) -> str:
    """Return the type of policy that options name, perhaps by the folder of one; empty if they do not."""
    if kind := get_option_value(options, "--policy.type"):
        return kind
    config = get_option_value(options, "--config_path")
    folder = Path(config).parent if config else Path(get_option_value(options, "--policy.path") or "")
    with suppress(OSError, ValueError):
        return str(policy.load_policy_settings(folder).get("type") or "")
    return ""


def _import_trainer() -> Any:
    ffmpeg_libraries.load_ffmpeg()  # LeRobot asks whether torchcodec loads
    return importlib.import_module(TRAINER)


def _prepare_training(options: Sequence[str]) -> None:
    """Import the trainer, and check its options if they are known already."""
    sys.argv = ["lerobot-train", *options]
    with quick_imports():
        _import_trainer()
        policy_packages.register_policies(find_policy_type(options))
    if options:
        check_training_configuration(options)


def _run_trainer(arguments: Sequence[str], stop_handler: StopHandler) -> None:
    """Run the trainer. Raise SystemExit with a sentence, or with the exit code of a trainer that was stopped."""
    request, options = parse_request(arguments[0]), arguments[2:]
    if device.is_first_rank() and request.tags:
        emit_event(Track(tags=request.tags))
    if isinstance(stop_handler, NodesStop):
        stop_handler.require_same_start(request.first)
    if request.first >= int(get_option_value(options, "--steps") or 1):  # an earlier attempt finished
        return
    if device.is_first_rank() and TRAINER not in sys.modules:
        print(warm_up.LOADING, flush=True)
    with quick_imports():
        options = complete_options(options, request, stop_handler)
        if not request.first:
            remove_empty_output(options)
        sys.argv = ["lerobot-train", *options]  # LeRobot reads it several times
        module = _import_trainer()
        policy_packages.register_policies(find_policy_type(options))
    install_changes(module, options, request)
    explain_refusals(options)
    monitor = install_monitor(module, options, request, stop_handler)
    data_errors.guard_frames()
    root = get_dataset_folder(options)
    try:
        with frame_cache.start(root, options, request.frame_cache):
            module.main()
    except TrainingEnded:
        pass
    except Exception as error:
        if sentence := _explain_trainer_error(error, request, options, root):
            raise WorkFailed(f"{episode_numbers.keep_excluded(sentence, request.exclude_episodes)}") from error
        raise
    finally:
        _kill_workers()
    monitor.require_finite_loss()


def _explain_trainer_error(error: Exception, request: TrainingRequest, options: Sequence[str], root: Path) -> str:
    """Return a sentence for known errors of LeRobot; else empty."""

    def find_unreadable_episodes() -> data_errors.UnreadableEpisodes:
        from robotrain_workloads.dataset_check import videos  # numpy starts threads

        return videos.find_unreadable(root, parse_episodes(options))

    if mismatch := next((line.strip() for line in str(error).splitlines() if "size mismatch for" in line), ""):
        return f"the policy's weights do not match the network that its configuration describes: {mismatch}"
    return run_setup.explain_missing_repository(error) or data_errors.explain_reading_error(
        error,
        root,
        lambda: find_problems(request, options, root),
        find_unreadable_episodes,
    )


def _kill_workers() -> None:
    """Kill data-loading processes, which something may still hold.

    After a failure Python would wait for them forever; and PyTorch waits 5 s for each at exit where batches are pinned,
    as for a GPU, which the process holds meanwhile.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # PyTorch's handler would hide the real error
    for process in multiprocessing.active_children():
        process.kill()


if __name__ == "__main__":
    main(sys.argv[1:])
elif __name__ == "__mp_main__":  # a data-loading process: only the trainer handles a stop of the process group
    if process_group.get_process_agreement() is None:  # several trainers have process groups of their own
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ffmpeg_libraries.load_ffmpeg()
    data_errors.guard_frames()
    frame_cache.join()
    end_with_parent()  # PyTorch's own watch does not see the trainer's end while a batch waits to be taken
