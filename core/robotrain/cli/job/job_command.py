"""Commands that take a job: their options, and the way from what was typed to a prepared job."""

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from robotrain.cli.app import plugins_of
from robotrain.cli.job.choice import Choice, choose, is_job_file, loaded, names
from robotrain.cli.job.compose import AFTER_DASHES, ORDER, ComposedCommand, text_option, words_argument
from robotrain.cli.job.options import (
    PARAMETER,
    SET,
    SETTING,
    Options,
    add_parameters,
    add_set,
    add_settings,
    add_sources,
    filled,
)
from robotrain.cli.output import say
from robotrain.provenance import DEFAULT

if TYPE_CHECKING:
    from robotrain.problem import Problem


class JobCommand(ComposedCommand):
    """A command over a job; subclasses add their own options and act on the prepared job."""

    composed: Options
    chosen: Choice

    def own_options(self, options: Options) -> None:
        """Options of the command itself."""

    def perform(self, ctx: typer.Context, prepared: Any, given: dict[str, Any]) -> None:
        """Act on a job its platform can run."""
        raise NotImplementedError

    def choose(self, values: dict[str, Any], words: list[str], parent: Any) -> Choice:
        """What the arguments choose."""
        return choose(values, words, parent)

    def filled(self, args: list[str], parent: Any) -> list[str]:
        """Options that stand alone have the value that it stands for; a workload or a job file after one is none."""
        known = plugins_of(parent)
        return filled(args, self.composed, lambda word: is_job_file(word) or word in known.names("workload"))

    def compose(self, chosen: Any, parent: Any) -> list[inspect.Parameter]:
        """The options of the chosen workload and platform. A plugin that fails leaves its options out."""
        plugins = plugins_of(parent)
        self.composed = options = Options()
        options.add(words_argument("[WORKLOAD | JOB.yaml]", lambda: plugins.names("workload")), ())
        installed = tuple(plugins.names("platform"))
        help = f"where it runs: {', '.join(installed)}  [env: ROBOTRAIN_PLATFORM]"
        options.add(text_option("platform", ("--platform",), help, "Options", "NAME", installed), ("--platform",))
        profiles = chosen.project.profiles if chosen.project else ()
        help = "the profile of robotrain.toml to use  [env: ROBOTRAIN_PROFILE]"
        options.add(text_option("profile", ("--profile",), help, "Options", "NAME", profiles), ("--profile",))
        self.own_options(options)
        help = "write the job to a new job file, for next time"
        options.add(text_option("save_as", ("--save-as",), help, "Options", "FILE.yaml"), ("--save-as",))
        workload, platform = loaded(plugins.workload, chosen.workload), loaded(plugins.platform, chosen.platform)
        add_set(options, lambda incomplete: _keys(incomplete, workload, platform, plugins))
        if workload:
            add_sources(options, workload, plugins.source_kinds())
            add_parameters(options, workload)
        if platform:
            add_settings(options, platform)
        return options.signature

    def act(self, ctx: typer.Context, chosen: Any, given: dict[str, Any]) -> None:
        """From what was typed to a prepared job; everything that is wrong is reported at once."""
        from robotrain.api import prepare
        from robotrain.cli.job import usage
        from robotrain.request import Request
        from robotrain.terraform import Terraform

        plugins, order = plugins_of(ctx), ctx.meta.get(ORDER, [])
        found = [
            *usage.clashes(self.composed, plugins),
            *usage.swallowed(given, self.composed),
            *usage.repeated(order, self.composed),
            *usage.strange_tables(chosen, plugins),
            *usage.unsuitable(given.get("save_as")),
        ]
        workload, platform = self._chosen(chosen, plugins, found, given)
        request = Request(
            parameters=usage.values(given, self.composed, PARAMETER),
            settings=usage.values(given, self.composed, SETTING),
            sources=tuple(usage.sources(given, order, self.composed)),
            trainer_args=tuple(tail) if (tail := ctx.meta.get(AFTER_DASHES)) is not None else None,
            file=chosen.file,
            names=names(ctx),
            project=chosen.project,
            terraform=Terraform(names(ctx), chosen.project, Path.cwd()),
            flags=frozenset(self.composed.flags),
            unread=usage.unread(found, self.composed),
        )
        if sets := [text for text in given.get(SET) or () if not usage.is_flag(text, self.composed)]:
            from robotrain import overrides

            request, wrong = overrides.apply(request, sets, workload, platform, plugins.source_kinds())
            found += wrong
        prepared = prepare(request, workload, platform, plugins, tuple(found), ahead=bool(given.get("assets_only")))
        if given.get("save_as"):
            from robotrain import job_text

            job_text.save(prepared.resolution, platform.name, given["save_as"])
            say(f"wrote the job to {given['save_as']}")
            if getattr(platform, "sent", None) and given.get("save_spec", "") is None:
                say(f"  it is a job file of robotrain; --save-spec FILE writes the job as {platform.name} has it")
        self.chosen = chosen
        self.perform(ctx, prepared, given)

    def _chosen(self, chosen: Choice, plugins: Any, found: "list[Problem]", given: dict[str, Any]) -> tuple[Any, Any]:
        """The workload and the platform. Raises Rejected when one is missing, with all that was found."""
        from robotrain.cli.job import astray, usage
        from robotrain.plugins import PluginError
        from robotrain.problem import Rejected

        parts: dict[str, Any] = {}
        named = (("workload", chosen.workload), ("platform", chosen.platform))
        for (family, name), origin in zip(named, chosen.origins, strict=True):
            try:
                parts[family] = getattr(plugins, family)(name) if name else None
            except PluginError as error:
                unknown = family == "platform" and name not in plugins.names(family)
                meant = usage.elsewhere("--platform", name, plugins) if unknown else ()
                found.append(usage.not_loaded(family, name, error, plugins, origin, meant))
        if not chosen.workload:
            from robotrain.loading.switched_off import no_workload

            found += no_workload(plugins.names("workload")).problems
        elif chosen.origins[0] == DEFAULT:
            found += plugins.default_problems()
        files = [*(chosen.file.problems if chosen.file else ()), *(chosen.project.problems if chosen.project else ())]
        if not chosen.platform and not files:
            found.append(usage.no_platform(plugins))
        if parts.get("workload"):  # without one every option of a workload would seem unknown
            words = [] if any(problem.code == "flag-without-value" for problem in found) else given.get("words") or []
            found += usage.strange_words(words, chosen, self.composed, plugins)
        if astray.misled(found, chosen) or not all(parts.get(family) for family in ("workload", "platform")):
            raise Rejected([*found, *files])
        return parts["workload"], parts["platform"]


def _keys(incomplete: str, workload: Any, platform: Any, plugins: Any) -> list[str]:
    """What `--set` may go on to: keys, and the values of one that has a choice of them."""
    from robotrain import overrides

    key, equals, value = incomplete.partition("=")
    if equals:
        return [f"{key}={one}" for one in overrides.choices(key, workload, platform) if one.startswith(value)]
    known = overrides.keys(workload, platform, plugins.source_kinds())
    return [f"{one}=" for one in known if one.startswith(incomplete)]
