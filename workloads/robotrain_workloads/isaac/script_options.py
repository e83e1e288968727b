"""Options of Isaac Lab's scripts after `--`, by version, and Hydra's overrides.

The scripts check both only after the simulator has started, and some mistakes not at all. Standard library only: the
submit side and the container check with it.
"""

import difflib
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from robotrain_workloads.option_kinds import OptionProblem, describe_kinds, find_near_option, is_of_kind

VERSIONS = ("2.3", "3.0")
SWITCH = ""
"""An option without a value; others have the kind of their value, or its choices separated by `|`."""
LAUNCHER_OPTIONS = {
    "--livestream": "0|1|2",
    "--enable_cameras": SWITCH,
    "--xr": SWITCH,
    "--device": "text",
    "--verbose": SWITCH,
    "--info": SWITCH,
    "--experience": "text",
    "--rendering_mode": "performance|balanced|quality",
    "--kit_args": "text",
    "--anim_recording_enabled": SWITCH,
    "--anim_recording_start_time": "number",
    "--anim_recording_stop_time": "number",
}
COMMON_OPTIONS = {"--video": SWITCH, "--video_length": "int", "--agent": "text", **LAUNCHER_OPTIONS}
TRAIN_OPTIONS = {
    **COMMON_OPTIONS,
    "--video_interval": "int",
    "--export_io_descriptors": SWITCH,
    "--ray-proc-id": "int",
    "-rid": "int",
}
PLAY_OPTIONS = {**COMMON_OPTIONS, "--disable_fabric": SWITCH, "--real-time": SWITCH}
BACKEND_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "rsl_rl": {
        "--experiment_name": "text",
        "--run_name": "text",
        "--logger": "wandb|tensorboard|neptune",
        "--log_project_name": "text",
    },
    "skrl": {"--ml_framework": "torch", "--algorithm": "AMP|PPO|IPPO|MAPPO"},
}
NEW_OPTIONS = {
    "--deterministic": SWITCH,
    "--visualizer": "text",
    "--viz": "text",
    "--max_visible_envs": "int",
    "--frontend": "torch|warp",
}
"""Those that only 3.0 has."""
NEW_TRAIN_OPTIONS = {
    **NEW_OPTIONS,
    "--capture_env_sensors": "int",
    "--capture_env_sensors_length": "int",
    "--capture_env_sensors_interval": "int",
    "--capture_env_sensors_format": "tensorboard|file",
}
NEW_PLAY_OPTIONS = {**NEW_OPTIONS, "--video_interval": "int", "--train_env_cfg": SWITCH}
NEW_BACKEND_OPTIONS: Mapping[str, Mapping[str, str]] = {"rsl_rl": {"--external_callback": "text"}, "skrl": {}}
NEEDED_SWITCHES = {
    **dict.fromkeys(("--video_length", "--video_interval"), "--video"),
    **dict.fromkeys(("--anim_recording_start_time", "--anim_recording_stop_time"), "--anim_recording_enabled"),
    **{name: "--capture_env_sensors" for name in NEW_TRAIN_OPTIONS if name.startswith("--capture_env_sensors_")},
}
"""Options with the one without which the scripts ignore them."""
SWITCHES = frozenset(
    name
    for options in (TRAIN_OPTIONS, PLAY_OPTIONS, *BACKEND_OPTIONS.values(), NEW_TRAIN_OPTIONS, NEW_PLAY_OPTIONS)
    for name, kind in options.items()
    if kind == SWITCH
)
ROOTS = ("env", "agent")
NEW_ROOTS = ("physics", "renderer", "presets")
"""Of the presets of a task, which only 3.0 has."""
PASS_UNKNOWN = "--pass-unknown"
"""robotrain's option to hand on what is not known here."""
PASSED_ON = "If the script does not have it, it fails once the simulator has started."
AGENT_FIELDS: Mapping[str, tuple[str, ...]] = {
    "rsl_rl": (
        *("seed", "device", "num_steps_per_env", "max_iterations", "clip_actions", "save_interval", "experiment_name"),
        *("run_name", "logger", "obs_groups", "class_name", "algorithm", "policy", "actor", "critic", "load_run"),
        *("load_checkpoint", "resume", "num_learning_epochs", "num_mini_batches", "learning_rate", "schedule"),
        *("gamma", "lam", "entropy_coef", "desired_kl", "max_grad_norm", "value_loss_coef", "use_clipped_value_loss"),
        *("clip_param", "normalize_advantage_per_mini_batch", "rnd_cfg", "symmetry_cfg", "init_noise_std"),
        *("noise_std_type", "actor_obs_normalization", "critic_obs_normalization", "actor_hidden_dims"),
        *("critic_hidden_dims", "activation", "rnn_type", "rnn_hidden_dim", "rnn_num_layers", "hidden_dims"),
        *("obs_normalization", "distribution_cfg", "init_std", "std_type", "empirical_normalization"),
    ),
    "skrl": (
        *("seed", "models", "memory", "agent", "trainer", "separate", "policy", "value", "class", "memory_size"),
        *("rollouts", "learning_epochs", "mini_batches", "discount_factor", "lambda", "gae_lambda", "learning_rate"),
        *("learning_rate_scheduler", "learning_rate_scheduler_kwargs", "kl_threshold", "state_preprocessor"),
        *("state_preprocessor_kwargs", "observation_preprocessor", "observation_preprocessor_kwargs"),
        *("value_preprocessor", "value_preprocessor_kwargs", "random_timesteps", "learning_starts"),
        *("grad_norm_clip", "ratio_clip", "value_clip", "clip_predicted_values", "entropy_loss_scale"),
        *("value_loss_scale", "rewards_shaper_scale", "time_limit_bootstrap", "experiment", "directory"),
        *("experiment_name", "write_interval", "checkpoint_interval", "timesteps", "environment_info", "network"),
        *("clip_actions", "clip_log_std", "min_log_std", "max_log_std", "initial_log_std", "layers", "activations"),
    ),
}
FIELD_TYPES = {
    **dict.fromkeys(("num_steps_per_env", "save_interval", "num_learning_epochs", "num_mini_batches"), "int"),
    **dict.fromkeys(("gamma", "lam", "entropy_coef", "max_grad_norm", "value_loss_coef", "clip_param"), "number"),
    **dict.fromkeys(("learning_rate", "init_noise_std"), "number"),
}
"""Fields of every agent of rsl_rl with the type that Isaac Lab requires; those of skrl take any value."""
ENVIRONMENT_TYPES = {"decimation": "int", "episode_length_s": "number", "sim.dt": "number"}
"""The same of every environment."""
UNTYPED = re.compile(r"null|true|false|[+-]?(?:inf|nan)|\$\{.*", re.DOTALL | re.IGNORECASE)
"""Values that pass for a number, or that only Hydra can read."""
OVERRIDE = re.compile(
    r"(?P<mark>\+\+|\+|~)?(?P<root>[A-Za-z_]\w*)(?P<path>(?:\.[A-Za-z0-9_$-]+|\[\d+\])*)(?P<value>=.*)?", re.DOTALL
)
PAIRS = {")": "(", "]": "[", "}": "{"}


class Script(NamedTuple):
    """A script of Isaac Lab."""

    options: Mapping[str, str]
    """Those of every backend, each with the kind of its value."""
    owned: Mapping[str, str]
    """Those that robotrain sets itself, each with robotrain's own."""
    backend: str = ""
    """The library whose script it is; empty for any."""
    new_options: Mapping[str, str] = NEW_PLAY_OPTIONS
    """Further ones of 3.0."""
    pass_unknown: bool = False
    """Whether options and presets that are not known here are handed on."""

    def list_options(self, version: str) -> Mapping[str, str]:
        """Return its options, each with the kind of its value; robotrain's own are left out."""
        tables = [self.options, *map(BACKEND_OPTIONS.__getitem__, self.list_backends())]
        if version == "3.0":
            tables += [self.new_options, *map(NEW_BACKEND_OPTIONS.__getitem__, self.list_backends())]
        return {name: kind for table in tables for name, kind in table.items() if name not in self.owned}

    def list_backends(self) -> list[str]:
        """Return the library whose script it is, or all."""
        return [name for name in BACKEND_OPTIONS if self.backend in ("", name)]

    def list_agent_fields(self) -> set[str]:
        """Return the usual fields of an agent."""
        return {name for one, fields in AGENT_FIELDS.items() if self.backend in ("", one) for name in fields}


def find_option_problems(arguments: Sequence[str], script: Script, version: str | None) -> Iterator[OptionProblem]:
    """Yield the problems of options that a script would reject. `version` is one of VERSIONS; None for any of them."""
    known = {one: script.list_options(one) for one in ([version] if version else VERSIONS)}
    lab = _format_versions(version)
    given = {argument.partition("=")[0] for argument in arguments}
    for name, needed in NEEDED_SWITCHES.items():
        if name in given and needed not in given and needed not in script.owned:
            way = _format_option(needed, "" if needed in SWITCHES else "N")
            yield OptionProblem(name, f"{name} has no effect without {needed}", "The script ignores it.", way)
    remaining = list(arguments)
    while remaining:
        argument = remaining.pop(0)
        if not argument.startswith("-"):
            yield from _check_override(argument, script, version)
            continue
        name, equals, value = argument.partition("=")
        if not (having := [one for one, options in known.items() if name in options]):
            if name not in script.owned:  # every workload's owned options are refused in one place
                follows = bool(remaining) and not remaining[0].startswith("-") and "=" not in remaining[0]
                yield _explain_unknown(name, script, known, value or (remaining[0] if follows and not equals else ""))
            if not equals and remaining and not remaining[0].startswith("-") and "=" not in remaining[0]:
                remaining.pop(0)  # most likely its value
            continue
        if len(having) < len(known):
            why = f"Only Isaac Lab {', '.join(having)} has it."
            yield OptionProblem(argument, f"not every Isaac Lab has {name}", why, "--isaac-version 3.0", "warning")
        kind = known[having[0]][name]
        if kind == SWITCH:
            if equals:
                yield OptionProblem(argument, f"{name} takes no value in {lab}", "It is a switch.", f"-- {name}")
        elif not equals and not remaining:
            yield OptionProblem(argument, f"{name} needs a value in {lab}", describe_kinds([kind]), f"-- {name} VALUE")
        else:
            value = value if equals else remaining.pop(0)
            if not is_of_kind(value, kind):
                title = f"{name} does not take {value!r} in {lab}"
                yield OptionProblem(f"{name} {value}", title, describe_kinds([kind]))


def _format_versions(version: str | None) -> str:
    return f"Isaac Lab {version or ' or '.join(VERSIONS)}"


def _explain_unknown(
    name: str, script: Script, known: Mapping[str, Mapping[str, str]], value: str = ""
) -> OptionProblem:
    options = {option for one in known.values() for option in one}
    versions = " or ".join(known)
    if longer := sorted(option for option in (*options, *script.owned) if name != "--" and option.startswith(name)):
        why = f"The script would silently take it for {longer[0]}: write options in full."
        suggestion = _fill_in(script.owned.get(longer[0], ""), value) or _format_option(longer[0], value)
        return OptionProblem(name, f"{name} is an abbreviation", why, suggestion, replaces=name)
    for other, theirs in BACKEND_OPTIONS.items():
        if script.backend not in ("", other) and name in theirs:
            title, why = f"{script.backend} has no option {name}", f"It belongs to --backend {other}."
            return OptionProblem(name, title, why, f"leave out {name}", replaces=name)
    if (key := name.lstrip("-")).partition(".")[0] in ROOTS and "." in key:
        way = _fill_in(script.owned[key], value) if key in script.owned else f"{key}={value or 'VALUE'}"
        why = f"Hydra's overrides have no dashes: {key}=VALUE."
        return OptionProblem(name, f"Isaac Lab {versions} has no option {name}", why, way, replaces=name)
    if "3.0" not in known and name in script.list_options("3.0"):
        return OptionProblem(name, f"Isaac Lab {versions} has no option {name}", "It is new in 3.0.")
    if script.pass_unknown:
        return OptionProblem(name, f"{name} is not known here and handed on", PASSED_ON, level="warning")
    why = f"The script would fail, but only once the simulator has started; {PASS_UNKNOWN} hands the option on."
    near = find_near_option(name, options)
    suggestion = _format_option(near, value) if near else ""
    return OptionProblem(name, f"Isaac Lab {versions} has no option {name}", why, suggestion, replaces=name)


def _fill_in(hint: str, value: str) -> str:
    """Return robotrain's own option with the value that the script's would have had."""
    return f"{hint} {shlex.quote(value)}" if value and re.fullmatch(r"--[a-z][a-z0-9-]*", hint) else hint


def _format_option(name: str, value: str) -> str:
    """Return an option of a script with its value as it stands after `--`."""
    return f"-- {name} {shlex.quote(value)}" if value else f"-- {name}"


def _check_override(text: str, script: Script, version: str | None) -> Iterator[OptionProblem]:
    """Check the grammar of an override and its root; warn of what is probably a misspelled field of the agent."""
    form = "An override is KEY=VALUE below env. or agent.; +KEY=VALUE adds a key, ~KEY removes one."
    match = OVERRIDE.fullmatch(text)
    if match is None or (match["value"] is None and match["mark"] != "~"):
        yield OptionProblem(
            text, f"{text!r} is neither an option nor an override", form, "agent.NAME=VALUE", replaces=text
        )
        return
    if match["root"] + match["path"] in script.owned:
        return  # every workload's owned options are refused in one place
    roots = ROOTS if version == "2.3" else (*ROOTS, *NEW_ROOTS)
    if match["root"] not in roots and script.pass_unknown:
        yield OptionProblem(text, f"{match['root']} is not known here and handed on", PASSED_ON, level="warning")
    elif match["root"] not in roots:
        near = difflib.get_close_matches(match["root"], roots, 1)
        suggestion = _correct_key(text, match["root"], near[0], script) if near else ""
        title = f"there is no {match['root']!r} to override in {_format_versions(version)}"
        why, replaced = f"{form} {PASS_UNKNOWN} hands on what is none of them.", text.partition("=")[0]
        yield OptionProblem(text, title, why, suggestion, replaces=replaced)
    elif fault := _find_value_fault((match["value"] or "=")[1:]):
        yield OptionProblem(text, f"the value of {match['root']}{match['path']} cannot be read", fault)
    elif match["mark"] is None and (wrong := _find_type_problem(text, match, script, version)):
        yield wrong
    elif match["root"] == "agent" and match["mark"] in (None, "~"):
        fields, backend = script.list_agent_fields(), script.backend or "Isaac Lab"
        for name in re.findall(r"[A-Za-z_]\w*", match["path"]):
            if name not in fields and (near := difflib.get_close_matches(name, sorted(fields), 1, 0.75)):
                suggestion = _correct_key(text, name, near[0], script)
                why = f"{backend} has {near[0]}; Hydra refuses keys that the task's agent does not have."
                title, replaced = f"agents of {backend} usually have no {name}", text.partition("=")[0]
                yield OptionProblem(text, title, why, suggestion, "warning", replaced)
                return


def _correct_key(text: str, part: str, correct: str, script: Script) -> str:
    """Return an override with a part of its key corrected; robotrain's own option, if that is what sets it."""
    corrected = text.replace(part, correct, 1)
    key, _, value = corrected.lstrip("+~").partition("=")
    return _fill_in(script.owned[key], value) if key in script.owned else corrected


def _find_type_problem(text: str, match: re.Match[str], script: Script, version: str | None) -> OptionProblem | None:
    """Return why Isaac Lab refuses the type of a value: that of the task's own one counts."""
    path, value = match["path"].lstrip("."), (match["value"] or "=")[1:].strip()
    if match["root"] == "env":
        kind = ENVIRONMENT_TYPES.get(path, "")
    else:
        kind = FIELD_TYPES.get(path.rpartition(".")[2], "") if script.backend == "rsl_rl" else ""
    if not kind or not value or UNTYPED.fullmatch(value):
        return None
    lab, name = _format_versions(version), f"{match['root']}.{path}"
    if not is_of_kind(value.replace("_", ""), kind):
        why = f"{describe_kinds([kind])} The simulator would have started before; {PASS_UNKNOWN} hands it on."
        level: Literal["error", "warning"] = "warning" if script.pass_unknown else "error"
        return OptionProblem(text, f"{name} does not take {value!r} in {lab}", why, level=level)
    if kind == "number" and is_of_kind(value, "int") and version != "3.0":
        why = "It refuses a whole number for a field whose value has decimals."
        return OptionProblem(text, f"Isaac Lab 2.3 may not take {name}={value}", why, f"{text}.0", "warning")
    return None


def _find_value_fault(value: str) -> str:
    """Return why Hydra cannot read a value, as far as brackets and quotes show; empty if they are complete."""
    opened: list[str] = []
    quote = ""
    skip = False
    for sign in value:
        if skip:
            skip = False
        elif sign == "\\":
            skip = True
        elif quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in PAIRS.values():
            opened.append(sign)
        elif sign in PAIRS and (not opened or opened.pop() != PAIRS[sign]):
            return f"{sign!r} closes nothing."
    if quote:
        return f"The quote {quote} is not closed."
    return f"{opened[-1]!r} is not closed." if opened else ""
