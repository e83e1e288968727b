"""Commands that take a job: their options, and the way from what was typed to a prepared job."""

import inspect
from typing import TYPE_CHECKING, Any

import typer

from robotrain.cli.app import plugins_of
from robotrain.cli.choice import Choice, choose, loaded, names
from robotrain.cli.compose import AFTER_DASHES, ORDER, ComposedCommand, text_option, words_argument
from robotrain.cli.options import PARAMETER, SETTING, Options, add_parameters, add_settings, add_sources

if TYPE_CHECKING:
    from robotrain.problem import Problem


class JobCommand(ComposedCommand):
    """A command over a job; subclasses add their own options and act on the prepared job."""

    composed: Options

    def own_options(self, options: Options) -> None:
        """Options of the command itself."""

    def perform(self, ctx: typer.Context, prepared: Any, given: dict[str, Any]) -> None:
        """Act on a job its platform can run."""
        raise NotImplementedError

    def choose(self, values: dict[str, Any], words: list[str], parent: Any) -> Choice:
        """What the arguments choose."""
        said = values.get("platform")
        return choose(said if isinstance(said, str) else None, words, parent)

    def compose(self, chosen: Any, parent: Any) -> list[inspect.Parameter]:
        """The options of the chosen workload and platform. A plugin that fails leaves its options out."""
        plugins = plugins_of(parent)
        self.composed = options = Options()
        options.add(words_argument("[WORKLOAD | JOB.yaml]"), ())
        installed = tuple(plugins.names("platform"))
        help = f"where it runs: {', '.join(installed)}  [env: ROBOTRAIN_PLATFORM]"
        options.add(text_option("platform", ("--platform",), help, "Options", "NAME", installed), ("--platform",))
        self.own_options(options)
        if workload := loaded(plugins.workload, chosen.workload):
            add_sources(options, workload, plugins.source_kinds())
            add_parameters(options, workload)
        if platform := loaded(plugins.platform, chosen.platform):
            add_settings(options, platform)
        return options.signature

    def act(self, ctx: typer.Context, chosen: Any, given: dict[str, Any]) -> None:
        """From what was typed to a prepared job; everything that is wrong is reported at once."""
        from robotrain.api import prepare
        from robotrain.cli import usage
        from robotrain.request import Request

        plugins, order = plugins_of(ctx), ctx.meta.get(ORDER, [])
        found = [
            *usage.swallowed(given, self.composed),
            *usage.repeated(order, self.composed),
            *usage.strange_platforms(chosen.file, plugins),
        ]
        workload, platform = self._chosen(chosen, plugins, found, given)
        request = Request(
            parameters=usage.values(given, self.composed, PARAMETER),
            settings=usage.values(given, self.composed, SETTING),
            sources=tuple(usage.sources(given, order, self.composed)),
            trainer_args=tuple(tail) if (tail := ctx.meta.get(AFTER_DASHES)) is not None else None,
            file=chosen.file,
            names=names(ctx),
            flags=frozenset(self.composed.flags),
        )
        self.perform(ctx, prepare(request, workload, platform, plugins, tuple(found)), given)

    def _chosen(self, chosen: Choice, plugins: Any, found: "list[Problem]", given: dict[str, Any]) -> tuple[Any, Any]:
        """The workload and the platform. Raises Rejected when one is missing, with all that was found."""
        from robotrain.cli import usage
        from robotrain.plugins import PluginError
        from robotrain.problem import Rejected

        parts: dict[str, Any] = {}
        for family, name in (("workload", chosen.workload), ("platform", chosen.platform)):
            try:
                parts[family] = getattr(plugins, family)(name) if name else None
            except PluginError as error:
                found.append(usage.not_loaded(family, name, str(error), plugins))
        if not chosen.platform:
            found.append(usage.no_platform(plugins))
        if "workload" in parts:  # without one every option of a workload would seem unknown
            words = [] if any(problem.code == "flag-without-value" for problem in found) else given.get("words") or []
            found += usage.strange_words(words, chosen, self.composed, plugins)
        if not all(parts.get(family) for family in ("workload", "platform")):
            raise Rejected([*found, *(chosen.file.problems if chosen.file else ())])
        return parts["workload"], parts["platform"]
