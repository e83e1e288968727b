"""The names of the values of a job: in its file, with `--set`, as options, and in a call."""

from collections.abc import Iterator, Mapping

from robotrain_runtime.contract.parameter import Parameter, get_parameters

from robotrain.model.job import TRAINER_ARGS
from robotrain.model.platform import Platform
from robotrain.model.source import SourceKind
from robotrain.model.workload import Workload


class Names:
    """What a job of a workload on a platform can have, by its names in a job file."""

    def __init__(
        self, workload: Workload | None, platform: Platform | None, kinds: Mapping[str, SourceKind] | None = None
    ) -> None:
        self.tables = {"parameters": workload.parameters} if workload else {}
        self.tables |= {f"platforms.{platform.name}": platform.settings} if platform else {}
        self.parameters: dict[str, Parameter] = {
            f"{table}.{parameter.name}": parameter
            for table, declared_type in self.tables.items()
            for parameter in get_parameters(declared_type)
        }
        roles = workload.roles if workload else ()
        self.sources = [
            f"sources.{role}.{kind.name}" for role in roles for kind in (kinds or {}).values() if role in kind.roles
        ]

    def find(self, key: str) -> list[str]:
        """Return the full names that a key stands for: both, if it is of a parameter and of a setting."""
        return [full_name for full_name, parameter in self.parameters.items() if key in (parameter.name, full_name)]

    def find_pair(self, key: str) -> tuple[str, str] | None:
        """Return the full name of the parameter with pairs of which a key names one, and that one."""
        for full_name, parameter in self.parameters.items():
            for start in (f"{parameter.name}.", f"{full_name}.") if parameter.param.form == "pairs" else ():
                if key.startswith(start) and key != start:
                    return full_name, key.removeprefix(start)
        return None

    def find_short(self, spelling: str, table: str = "") -> str:
        """Return the name alone of what an option sets: `training_steps` for `steps`, `--steps` or `training-steps`;
        empty for nothing.

        :param table: where it stands in a job file; empty for anywhere.
        """
        name = spelling.lstrip("-").replace("-", "_")
        for full_name, parameter in self.parameters.items():
            spellings = (parameter.name, *(flag.lstrip("-").replace("-", "_") for flag in parameter.flags))
            if full_name.startswith(table) and name in spellings:
                return parameter.name
        return ""

    def list_keys(self) -> Iterator[str]:
        """Yield the keys of `--set`: short names, then sources, then full names."""
        short_names = [parameter.name for parameter in self.parameters.values()]
        yield from (name for name in short_names if short_names.count(name) == 1)
        yield from (*self.sources, TRAINER_ARGS, *self.parameters)

    def list_choices(self, key: str) -> tuple[str, ...]:
        """Return the choices of a key's values; empty if it has none."""
        for full_name in self.find(key):
            return ("true", "false") if self.parameters[full_name].is_switch else self.parameters[full_name].choices
        return ()
