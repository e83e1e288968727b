"""`robotrain bags`: look at ROS 2 bags, and convert them to a LeRobot dataset."""

from __future__ import annotations

import importlib.util
import shlex
from collections.abc import Sequence
from inspect import getdoc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from robotrain.cli.arguments import JsonOption, check_place, option
from robotrain.cli.command_factory import OwnCommand, make_plain_app
from robotrain.cli.help_page import format_help
from robotrain.cli.options import Option
from robotrain.cli.output import format_table, print_json, print_message, print_result
from robotrain.config.values import Origin, Value
from robotrain.errors import Problem, Rejected, Stage, Suggestion, raise_if_any
from robotrain.installation import suggest_install
from robotrain.messages import Messages
from robotrain.store import files
from robotrain_runtime.contract.parameter import get_parameters

from robotrain_workloads import bag_parameters
from robotrain_workloads.bag_parameters import DEFAULT_TASK
from robotrain_workloads.lerobot_train.parameters import OF_BAGS
from robotrain_workloads.rosbag.bag_files import BagError, UnknownBag
from robotrain_workloads.rosbag.settings import SHORTEST_EPISODE
from robotrain_workloads.rosbag_act_train import config_file
from robotrain_workloads.rosbag_act_train.config_file import BagConfig, write_config
from robotrain_workloads.rosbag_act_train.parameters import RosbagActParameters

if TYPE_CHECKING:
    from robotrain_workloads.rosbag.survey import BagFacts, BagSurvey, TopicFacts

make_problem = Messages(__file__)

PACKAGES = ("simplejpeg", "PIL")
"""What the extra `rosbag` brings."""
NEXT_STATE_WAY = Suggestion("--action-topic none", bag_parameters.NEXT_STATE)

FolderArgument = Annotated[
    Path | None, typer.Argument(metavar="[DIR]", help="The folder of bags (default: that of --config).")
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="A config.yaml; options win.", exists=True)
]
BAG_OPTIONS = {one.name: one for one in get_parameters(RosbagActParameters) if one.name in bag_parameters.NAMES}
"""The options of a job that say how bags are read."""
TYPED_KEY = "robotrain.bag-options"


class BagCommand(OwnCommand):
    """A command with the options of a job that reads bags, which it finds under TYPED_KEY."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.params += [
            Option(
                *(one.name, one.flags, one.param.help.removeprefix(OF_BAGS), one.metavar, "Bags"), choices=one.choices
            ).make_parameter()
            for one in BAG_OPTIONS.values()
        ]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments."""
        remaining_args = super().parse_args(ctx, args)
        typed_texts = {name: ctx.params.pop(name) for name in BAG_OPTIONS}
        ctx.meta[TYPED_KEY] = {
            name: Value(text, Origin("flag", BAG_OPTIONS[name].flag)) for name, text in typed_texts.items() if text
        }
        return remaining_args


def inspect(
    ctx: typer.Context,
    folder: FolderArgument = None,
    config: ConfigOption = None,
    save_config: Annotated[
        Path | None, option("--write-config", "FILE", "Write the settings as a config.yaml.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show the topics of ROS 2 bags, the episodes to train on, and why a bag cannot be used.

    Topics are guessed from names and types where no option names them. The exit code is 4 if
    a bag would be refused, or if nothing would train.

    robotrain bags inspect recordings --write-config config.yaml
    """
    _check_packages()
    bag_config = _read_given(ctx, config, folder)
    survey = _survey(bag_config)
    rows = _make_rows(survey)
    if save_config:
        write_config(save_config, survey.folder, survey.settings)
    if json:
        from robotrain_workloads.rosbag.survey import dump_survey

        print_json(dump_survey(survey))
    else:
        print_result(format_table(rows))
        _print_summary(survey, save_config)
    is_refused = survey.refused or survey.action_candidates
    if is_refused or not any(reading.episodes for reading in survey.usable):
        raise typer.Exit(Stage.PREFLIGHT.exit_code)


def convert(
    ctx: typer.Context,
    folder: FolderArgument = None,
    to: Annotated[Path | None, option("--to", "DATASET", "The folder of the dataset; it must not exist.")] = None,
    config: ConfigOption = None,
    task: Annotated[str, typer.Option(metavar="TEXT", help="The task that every episode shows.")] = DEFAULT_TASK,
    robot: Annotated[str, option("--robot", "NAME", "The kind of robot.")] = "",
    images: Annotated[bool, typer.Option("--images", help="Store pictures as images, not as video.")] = False,
    json: JsonOption = False,
) -> None:
    """Convert ROS 2 bags to a dataset that LeRobot can train on.

    LeRobot writes it, in its locked environment, which is built on first use. A bag that cannot be used stops the
    conversion before anything is written.

    robotrain bags convert recordings --to pick-v3 --task "pick up the cube"
    """
    _check_packages()
    if to is None:
        raise Rejected([make_problem("usage.to-missing")])
    if to.exists():
        raise Rejected([make_problem("usage.exists", to=to)])
    check_place(to, "--to", is_folder=True)
    bag_config = _read_given(ctx, config, folder)
    survey = _survey(bag_config)
    excluded_names = survey.settings.exclude_bags
    raise_if_any(_find_open_action(survey))
    raise_if_any(_make_bag_problem(facts.problem, (*excluded_names, facts.bag.name)) for facts in survey.refused)
    if not any(reading.episodes for reading in survey.usable):
        raise Rejected([_make_bag_problem(f"{survey.folder}: no bag makes an episode")])
    from robotrain_workloads.rosbag.convert_to_lerobot import ConversionFailed, convert_bags

    try:
        written_dataset = convert_bags(
            survey,
            to,
            task=task,
            robot=robot,
            video=not images,
            find_python=_find_lerobot_python,
            say=print_message,
        )
    except ConversionFailed as error:
        problem = make_problem("rosbag-conversion-failed", title=str(error))
        raise Rejected([problem]) from None
    if json:
        print_json(written_dataset)
        return
    print_message(
        f"{written_dataset['episodes']} episodes, {written_dataset['frames']} frames at {written_dataset['fps']:g} "
        "per second"
    )
    print_message(f"train on it: robotrain submit lerobot-train --dataset-path {to} --platform local")
    print_result(str(to))


def _find_lerobot_python() -> Path:
    """Return the interpreter of LeRobot's environment; build it on first use."""
    from robotrain_runtime.environments import environment
    from robotrain_runtime.process.stop import StopSignal

    from robotrain_workloads.lerobot_train.container import ENVIRONMENT

    cache = files.get_cache_folder()
    if environment.find_environment(ENVIRONMENT.lock, ENVIRONMENT.python, cache) is None:
        print_message(f"building the environment of LeRobot ({ENVIRONMENT.gib:g} GiB), once")
    return environment.build_python(ENVIRONMENT, cache, print_message, StopSignal())


def _read_given(ctx: typer.Context, config: Path | None, folder: Path | None) -> BagConfig:
    """Return the settings of bags from a config file and from options, which win: a folder at least."""
    given = config_file.read_bag_settings(config, ctx.meta[TYPED_KEY])
    bag_folder = folder or given.folder
    if bag_folder is None:
        raise Rejected([make_problem("usage.bags-missing")])
    if not bag_folder.is_dir():
        raise Rejected([make_problem("usage.folder", found=bag_folder)])
    return given._replace(folder=bag_folder)


def _survey(bag_config: BagConfig) -> BagSurvey:
    from robotrain_workloads.rosbag.survey import survey_bags

    assert bag_config.folder is not None

    try:
        return survey_bags([bag_config.folder], bag_config.settings, print_message)
    except UnknownBag as error:
        nearest_ways = tuple(Suggestion(f"--exclude-bags {name}") for name in error.near)
        raise Rejected([make_problem("usage.bags", *nearest_ways, title=str(error))]) from None
    except BagError as error:
        raise Rejected([_make_bag_problem(str(error))]) from None


def _make_bag_problem(problem_text: str, excluded_names: Sequence[str] = ()) -> Problem:
    ways = (Suggestion(_format_exclusion(excluded_names), "leaves the bag out"),) if excluded_names else ()
    return make_problem("rosbag-unusable", *ways, title=problem_text)


def _find_open_action(survey: BagSurvey) -> list[Problem]:
    """Return the question which topic is the action, if it has to be answered."""
    candidates = survey.action_candidates
    if not candidates:
        return []
    from robotrain_workloads.rosbag.number_types import describe_topics

    ways = (*(Suggestion(f"--action-topic {topic}") for topic in candidates), NEXT_STATE_WAY)
    return [make_problem("rosbag-action-open", *ways, topics=describe_topics(candidates))]


def _check_packages() -> None:
    missing_packages = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing_packages:
        way = (suggest_install("robotrain[rosbag]"),)
        raise Rejected([make_problem("rosbag-packages-missing", *way, missing=", ".join(missing_packages))])


def _make_rows(survey: BagSurvey) -> list[list[str]]:
    """Return the table of topics: a row for each topic of bags that have the same topics."""
    rows = [["bag", "topic", "type", "messages", "per second", "longest gap", "used as"]]
    use_by_topic = {topic: use for use, topics in survey.settings.uses.items() for topic in topics}
    bags_by_topics: dict[tuple[tuple[str, str], ...], list[BagFacts]] = {}
    for bag_facts in survey.bags:
        topics = tuple((topic, facts.type) for topic, facts in bag_facts.topics.items())
        bags_by_topics.setdefault(topics, []).append(bag_facts)
    for topics, bags in bags_by_topics.items():
        name = bags[0].bag.name + (f" and {len(bags) - 1} more" if len(bags) > 1 else "")
        for topic, message_type in topics:
            facts = [bag_facts.topics[topic] for bag_facts in bags]
            kind = message_type.rpartition("/")[2]
            rows.append([name, topic, kind, *_summarize_topic(facts), use_by_topic.get(topic, "")])
            name = ""
        if not topics:
            rows.append([name, "", "", "", "", "", ""])
    return rows


def _summarize_topic(facts: Sequence[TopicFacts]) -> list[str]:
    """Return messages and rate of a topic in some bags, each as a range, and its longest gap in one of them."""
    counts = [topic_facts.messages for topic_facts in facts]
    times = [topic_facts.times for topic_facts in facts if topic_facts.times is not None and len(topic_facts.times.log)]
    rates = [topic_times.rate for topic_times in times]
    gap = max((topic_times.longest_gap[0] for topic_times in times), default=0.0)
    return [_format_range(counts, "d"), _format_range(rates, ".1f"), f"{gap:.2f} s" if gap else ""]


def _format_range(numbers: Sequence[float], form: str) -> str:
    """Return `40`, or `38-40`; empty for no number."""
    ends = dict.fromkeys(format(end, form) for end in (min(numbers), max(numbers))) if numbers else ()
    return "-".join(ends)


def _print_summary(survey: BagSurvey, config: Path | None) -> None:
    episodes = [episode for reading in survey.usable for episode in reading.episodes]
    steps = sum(episode.steps for episode in episodes)
    summary_lines = [
        f"would train: {len(episodes)} episodes of {len(survey.usable)} bags, {steps} steps at"
        f" {survey.settings.fps:g} per second ({steps / survey.settings.fps:.0f} s)"
    ]
    dropped_pieces = sum(len(reading.dropped) for reading in survey.usable)
    filled_steps = sum(episode.filled for episode in episodes)
    if dropped_pieces:
        summary_lines.append(f"dropped: {dropped_pieces} pieces shorter than {SHORTEST_EPISODE} steps")
    if filled_steps:
        summary_lines.append(
            f"{filled_steps} steps take a message that is farther away than {survey.settings.tolerance:.3f} s"
        )
    if survey.action_candidates:
        from robotrain_workloads.rosbag.settings import explain_open_action

        summary_lines.append(f"would be refused: {explain_open_action(survey.action_candidates)}")
    elif survey.settings.action_topic is None:
        summary_lines.append(f"no topic of actions: {bag_parameters.NEXT_STATE}")
    summary_lines += [
        f"no episode has, of {reading.bag.name}, {reading.unused}" for reading in survey.usable if reading.unused
    ]
    use_by_topic = {topics[0]: use for use, topics in survey.settings.uses.items()}
    summary_lines += [
        f"not in every bag: {topic} ({use_by_topic.get(topic, 'not used')}), in {bag_count} of {total_bags}"
        for topic, (bag_count, total_bags) in survey.partial_topics.items()
    ]
    summary_lines += [f"left out: {name}" for name in survey.settings.exclude_bags]
    summary_lines += _list_refusals(survey.refused)
    if survey.refused and survey.usable:
        excluded_names = (*survey.settings.exclude_bags, *(bag_facts.bag.name for bag_facts in survey.refused))
        summary_lines.append(f"leave them out with {_format_exclusion(excluded_names)}")
    if config:
        summary_lines.append(f"settings written: {config}")
    print_message("\n".join(summary_lines))


def _list_refusals(refused_bags: Sequence[BagFacts]) -> list[str]:
    """Return why bags would be refused: a line for those with the same reason."""
    problems_by_reason: dict[str, list[str]] = {}
    for bag_facts in refused_bags:
        problem = str(bag_facts.problem)
        problems_by_reason.setdefault(problem.partition(": ")[2], []).append(problem)
    return [
        f"would be refused: {problems[0]}" + (f" ({len(problems) - 1} more bags likewise)" if len(problems) > 1 else "")
        for problems in problems_by_reason.values()
    ]


def _format_exclusion(bag_names: Sequence[str]) -> str:
    return f"--exclude-bags {shlex.quote(','.join(bag_names))}"


HELP = """Look at ROS 2 bags, and convert them to a LeRobot dataset.

  robotrain bags inspect recordings

  robotrain bags convert recordings --to pick-v3 --task "pick up the cube"
"""
app = make_plain_app()
app.info.help = format_help(HELP)
for _command in (inspect, convert):
    app.command(cls=BagCommand, help=format_help(getdoc(_command) or ""))(_command)
