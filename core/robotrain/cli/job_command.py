"""Commands that take a job: their options, and the way from what was typed to a prepared job."""

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from robotrain.cli.app import plugins_of
from robotrain.cli.compose import AFTER_DASHES, ORDER, ComposedCommand, text_option, words_argument
from robotrain.cli.options import PARAMETER, SETTING, Options, add_parameters, add_settings, add_sources

if TYPE_CHECKING:
    from robotrain.problem import Problem

DEFAULT_WORKLOAD = "lerobot-train"
"""What `robotrain submit -d …` means without a workload: the common case."""


@dataclass(frozen=True)
class Choice:
    """What the arguments choose. file: the job file named, if any."""

    workload: str = ""
    platform: str = ""
    file: str = ""


class JobCommand(ComposedCommand):
    """A command over a job; subclasses add their own options and act on the prepared job."""

    def own_options(self, options: Options) -> None:
        """Options of the command itself."""

    def perform(self, ctx: typer.Context, prepared: Any, given: dict[str, Any]) -> None:
        """Act on a job its platform can run."""
        raise NotImplementedError

    def choose(self, values: dict[str, Any], words: list[str], parent: Any) -> Choice:
        """The workload (named, or the job file's) and the platform (said, or the environment's)."""
        file = next((word for word in words if _is_job_file(word)), "")
        known = plugins_of(parent).names("workload")
        named = next((word for word in words if word in known), "")
        workload = named or (_workload_of(file) if file else "") or DEFAULT_WORKLOAD
        said = values.get("platform")
        return Choice(workload, said if isinstance(said, str) else _platform_of_environment(), file)

    def compose(self, chosen: Any, parent: Any) -> list[inspect.Parameter]:
        """The options of the chosen workload and platform."""
        return self.options(chosen, parent).signature

    def options(self, chosen: Choice, parent: Any) -> Options:
        """The same, with what each option stands for. A plugin that fails leaves its options out."""
        plugins = plugins_of(parent)
        workload, platform = _loaded(plugins.workload, chosen.workload), _loaded(plugins.platform, chosen.platform)
        options = Options()
        options.add(words_argument("[WORKLOAD | JOB.yaml]"), ())
        names = tuple(plugins.names("platform"))
        help = f"where it runs: {', '.join(names)}  [env: ROBOTRAIN_PLATFORM]"
        options.add(text_option("platform", ("--platform",), help, "Options", "NAME", names), ("--platform",))
        self.own_options(options)
        if workload:
            add_sources(options, workload, plugins.source_kinds())
            add_parameters(options, workload)
        if platform:
            add_settings(options, platform)
        return options

    def act(self, ctx: typer.Context, chosen: Any, given: dict[str, Any]) -> None:
        """From what was typed to a prepared job; everything that is wrong is reported at once."""
        from robotrain.api import prepare
        from robotrain.cli import usage
        from robotrain.layers import dotenv_layers, environment
        from robotrain.request import Request

        plugins = plugins_of(ctx)
        options = self.options(chosen, ctx.parent)
        order = ctx.meta.get(ORDER, [])
        file = _read(chosen.file)
        found = [
            *usage.swallowed(given, options),
            *usage.repeated(order, options),
            *usage.strange_words(given.get("words") or [], chosen, options, plugins),
        ]
        workload, platform = self._chosen(chosen, plugins, found, file)
        request = Request(
            parameters=usage.values(given, options, PARAMETER),
            settings=usage.values(given, options, SETTING),
            sources=tuple(usage.sources(given, order, options)),
            trainer_args=tuple(tail) if (tail := ctx.meta.get(AFTER_DASHES)) is not None else None,
            file=file,
            names=(environment(), *dotenv_layers(Path.cwd())),
        )
        self.perform(ctx, prepare(request, workload, platform, plugins, tuple(found)), given)

    def _chosen(self, chosen: Choice, plugins: Any, found: "list[Problem]", file: Any) -> tuple[Any, Any]:
        """The workload and the platform. Raises Rejected when one is missing, with all that was found."""
        from robotrain.cli import usage
        from robotrain.plugins import PluginError
        from robotrain.problem import Rejected

        loaded = []
        for family, name in (("workload", chosen.workload), ("platform", chosen.platform)):
            try:
                loaded.append(getattr(plugins, family)(name) if name else None)
            except PluginError as error:
                loaded.append(None)
                found.append(usage.not_loaded(family, name, str(error), plugins))
        if not chosen.platform:
            found.append(usage.no_platform(plugins))
        if None in loaded:
            raise Rejected([*found, *(file.problems if file else ())])
        return loaded[0], loaded[1]


def _is_job_file(word: str) -> bool:
    return word.endswith((".yaml", ".yml")) and not word.startswith("-")


def _loaded(load: Any, name: str) -> Any:
    from robotrain.plugins import PluginError

    try:
        return load(name) if name else None
    except PluginError:
        return None  # reported when the command acts


def _read(file: str) -> Any:
    from robotrain import job_file

    return job_file.read(Path(file)) if file else None


def _workload_of(file: str) -> str:
    return str(_read(file).workload)


def _platform_of_environment() -> str:
    from robotrain.layers import dotenv_layers, environment

    for layer in (environment(), *dotenv_layers(Path.cwd())):
        if value := layer.first(("ROBOTRAIN_PLATFORM",)):
            return str(value.value)
    return ""
