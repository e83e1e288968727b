"""The options of a program, read from the text of its `argparse` calls. Nothing of it is run.

A claim is made only where the text leaves no doubt: one parser, each of whose arguments is written out, and which
reads the command line as it is. Otherwise nothing is known.
"""

import argparse
import ast
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, NoReturn

from robotrain_workloads.command.program_files import ProgramFile

OTHER_READERS = frozenset(
    {"absl", "click", "configargparse", "draccus", "fire", "hydra", "jsonargparse", "simple_parsing", "tap", "typer"}
    | {"lightning", "pytorch_lightning", "tyro"}
)
"""Modules that read a command line themselves, or add options to a parser."""
UNCLEAR_CALLS = frozenset(
    {"add_subparsers", "parse_known_args", "parse_known_intermixed_args", "parse_intermixed_args", "add_argparse_args"}
)
UNCLEAR_KEYWORDS = frozenset({"parents", "fromfile_prefix_chars", "prefix_chars", "conflict_handler"})
TYPES: dict[str, Any] = {"int": int, "float": float, "str": str, "Path": str}
"""What converts a value without any doubt; anything else is a program's own."""
ACTIONS = frozenset(
    {"store", "store_const", "store_true", "store_false", "append", "append_const", "extend", "count", "help"}
    | {"version"}
)
NARGS = {"REMAINDER": argparse.REMAINDER, "OPTIONAL": "?", "ZERO_OR_MORE": "*", "ONE_OR_MORE": "+"}
VALUE_KEYWORDS = ("action", "choices", "dest", "nargs", "required", "type")


class UnclearError(ValueError):
    """The text does not say for certain which options the program has."""


class Mistake(NamedTuple):
    """What a program's parser refuses in a command."""

    kind: str
    """`unknown`, `invalid` or `missing`."""
    option: str
    """The option; of a missing positional argument its name, of one too many empty."""
    text: str = ""
    """The value; of an unknown option the whole word."""
    reason: str = ""
    """Why the parser does not take the value, in its words."""


class ProgramParser(argparse.ArgumentParser):
    """A parser with the options of a program."""

    def error(self, message: str) -> NoReturn:
        """Raise it: nothing is printed, and nothing ends."""
        raise argparse.ArgumentError(None, message)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Raise it, as of `--help`."""
        raise UnclearError

    def print_help(self, file: Any = None) -> None:
        """Print nothing."""

    def list_options(self) -> list[str]:
        """Return its options, as they are typed."""
        return [option for action in self._actions for option in action.option_strings]

    def find_action(self, option: str) -> argparse.Action | None:
        """Return the argument that an option sets."""
        return next((action for action in self._actions if option in action.option_strings), None)

    def find_mistakes(self, words: Sequence[str]) -> list[Mistake]:
        """Return what it refuses in the words of a command, all at once. Raise UnclearError for what only it knows."""
        mistakes = list[Mistake]()
        required_actions = [action for action in self._actions if action.required]
        remaining_words = [*words]
        try:
            for action in required_actions:  # else one that is missing hides what is unknown
                action.required = False
            unknown_words = self._take_out_wrong(remaining_words, mistakes)
        finally:
            for action in required_actions:
                action.required = True
        options = [word for word in unknown_words if word.startswith("-")]
        mistakes += [Mistake("unknown", word.partition("=")[0], word) for word in options]
        if unknown_words and not mistakes:
            mistakes.append(Mistake("unknown", "", unknown_words[0]))
        try:
            self.parse_known_args(remaining_words)
        except argparse.ArgumentError as error:
            _, start, missing_names = error.message.partition("arguments are required: ")
            mistaken_options = {mistake.option for mistake in mistakes}
            missing_names = missing_names if start else ""
            mistakes += [
                Mistake("missing", name)
                for name in filter(None, missing_names.split(", "))
                if name not in mistaken_options
            ]
        return mistakes

    def _take_out_wrong(self, words: list[str], mistakes: list[Mistake]) -> list[str]:
        """Take options with a wrong value out of the words, each as a mistake, and return the words that are unknown.

        Raise UnclearError.
        """
        while True:
            try:
                return self.parse_known_args(words)[1]
            except argparse.ArgumentError as error:
                mistakes.append(self._take_out(error, words))

    def _take_out(self, error: argparse.ArgumentError, words: list[str]) -> Mistake:
        """Take the option that an error is about out of the words, and return the mistake. Raise UnclearError."""
        options = (error.argument_name or "").split("/")
        for index, word in enumerate(words):
            flag, equals, joined_value = word.partition("=")
            if flag in options and self.find_action(flag):
                is_separate = not equals and bool(words[index + 1 : index + 2])
                option_value = words[index + 1] if is_separate else joined_value
                del words[index : index + (2 if is_separate else 1)]
                return Mistake("invalid", flag, option_value, error.message)
        raise UnclearError


def read_parser(files: Sequence[ProgramFile]) -> ProgramParser | None:
    """Return the parser of a program; None where its text leaves any doubt.

    :param files: the script first, then the modules of its folder that it imports.
    """
    try:
        return _ParserReader(files).read()
    except (UnclearError, ValueError, TypeError, argparse.ArgumentError):
        return None


class _Call(NamedTuple):
    """A call, with where it stands."""

    node: ast.Call
    scope: ast.AST
    """The function around it, or the module."""
    is_certain: bool
    """Whether it is made whenever its scope runs: in no condition, loop or `try`."""


class _ParserReader:
    """Reads the calls of `argparse` in a program's files."""

    def __init__(self, files: Sequence[ProgramFile]) -> None:
        self._calls = list[_Call]()
        self._functions = dict[str, ast.FunctionDef]()
        self._modules, self._classes = set[str](), set[str]()
        if not files or not all(file.nodes for file in files):
            raise UnclearError
        for index, file in enumerate(files):
            module = file.nodes[0]
            self._read_names(file.nodes)
            for node in ast.iter_child_nodes(module):
                if index and _is_main_block(node):
                    continue  # a module's own program
                self._collect(node, module, is_certain=True)

    def _read_names(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            if isinstance(node, ast.Import):
                modules = [alias.name.partition(".")[0] for alias in node.names]
                self._modules |= {alias.asname or alias.name for alias in node.names if alias.name == "argparse"}
            elif isinstance(node, ast.ImportFrom):
                modules = [(node.module or "").partition(".")[0]]
                if node.module == "sys" and any(alias.name == "argv" for alias in node.names):
                    raise UnclearError
                if node.module == "argparse":
                    class_names = {alias.asname or alias.name for alias in node.names if alias.name == "ArgumentParser"}
                    self._classes |= class_names
            elif isinstance(node, ast.ClassDef) and any("ArgumentParser" in ast.dump(base) for base in node.bases):
                raise UnclearError
            elif isinstance(node, ast.FunctionDef):
                self._functions[node.name] = node
                continue
            else:
                continue
            if OTHER_READERS & {*modules}:
                raise UnclearError

    def _collect(self, node: ast.AST, scope: ast.AST, *, is_certain: bool) -> None:
        """Collect the calls below a node; refuse a command line that the program changes itself."""
        if isinstance(node, ast.Call):
            self._calls.append(_Call(node, scope, is_certain))
        if isinstance(node, ast.Attribute) and node.attr == "argv":
            raise UnclearError  # `sys.argv[1:]` as an argument of a call is no attribute that gets here
        is_open = isinstance(node, ast.If | ast.For | ast.While | ast.Try | ast.IfExp | ast.BoolOp | ast.comprehension)
        if _is_main_block(node):
            is_open = False
        inner = node if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) else scope
        for child in ast.iter_child_nodes(node):
            if not (isinstance(node, ast.Call) and _is_whole_line(child)):
                self._collect(child, inner, is_certain=(is_certain or inner is not scope) and not is_open)

    def read(self) -> ProgramParser:
        """Return the parser. Raise UnclearError."""
        parser_calls = [call for call in self._calls if self._makes_parser(call.node)]
        parses = [call for call in self._calls if _get_method(call.node) == "parse_args"]
        if len(parser_calls) != 1 or not parser_calls[0].is_certain or not parses:
            raise UnclearError
        scope = parser_calls[0].scope
        if not isinstance(scope, ast.Module) and not self._is_called(scope):
            raise UnclearError  # of another program of the folder
        if any(_get_method(call.node) in UNCLEAR_CALLS for call in self._calls):
            raise UnclearError
        for call in parses:
            self._check_parse(call)
        self._check_passed()
        keywords = _read_keywords(parser_calls[0].node, UNCLEAR_KEYWORDS)
        parser = ProgramParser(
            prog="program",
            exit_on_error=False,
            add_help=bool(keywords.get("add_help", True)),
            allow_abbrev=bool(keywords.get("allow_abbrev", True)),
        )
        for call in self._calls:
            if _get_method(call.node) == "add_argument":
                _add_argument(parser, call, is_certain=call.is_certain and call.scope is parser_calls[0].scope)
        return parser

    def _makes_parser(self, node: ast.Call) -> bool:
        function = node.func
        if isinstance(function, ast.Name):
            is_own = function.id in self._classes
            name = function.id
        elif isinstance(function, ast.Attribute):
            is_own = isinstance(function.value, ast.Name) and function.value.id in self._modules
            name = function.attr
        else:
            return False
        if name.endswith("ArgumentParser") and not is_own:
            raise UnclearError
        return is_own and (name == "ArgumentParser" or name in self._classes)

    def _is_called(self, scope: ast.AST) -> bool:
        return any(_get_name(call.node) == getattr(scope, "name", "") for call in self._calls)

    def _check_parse(self, call: _Call) -> None:
        """Require that the words of the command are what is parsed."""
        for argument in (*call.node.args, *(keyword.value for keyword in call.node.keywords if keyword.arg == "args")):
            if _is_whole_line(argument) or (isinstance(argument, ast.Constant) and argument.value is None):
                continue
            if not isinstance(argument, ast.Name) or not isinstance(call.scope, ast.FunctionDef):
                raise UnclearError
            if not self._is_called_without_words(call.scope, argument.id):
                raise UnclearError

    def _is_called_without_words(self, function: ast.FunctionDef, name: str) -> bool:
        """Return whether a parameter of a function is never anything but the words of the command."""
        parameter_names = [argument.arg for argument in function.args.args]
        changes = [node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == name]
        if name not in parameter_names or any(isinstance(node.ctx, ast.Store) for node in changes):
            return False
        calls = [call.node for call in self._calls if _get_name(call.node) == function.name]
        passed_nodes = [
            value for node in calls for value in (*node.args, *(keyword.value for keyword in node.keywords))
        ]
        return bool(calls) and all(map(_is_whole_line, passed_nodes))

    def _check_passed(self) -> None:
        """Require that no function of another package gets the parser, or a group of it: it may add options."""
        holders = {"parser"}
        for call in self._calls:
            function = call.node.func
            if isinstance(function, ast.Attribute) and function.attr.startswith("add_"):
                holders.add(ast.unparse(function.value))
        for call in self._calls:
            passed_nodes = [*call.node.args, *(keyword.value for keyword in call.node.keywords)]
            passed_names = [ast.unparse(value) for value in passed_nodes if isinstance(value, ast.Name | ast.Attribute)]
            if not holders & {*passed_names} or _get_name(call.node) == "print":
                continue
            called_function = self._functions.get(_get_name(call.node))
            if called_function is None or not {argument.arg for argument in called_function.args.args} & holders:
                raise UnclearError


def _add_argument(parser: ProgramParser, call: _Call, *, is_certain: bool) -> None:
    """Add an argument to a parser as its call says. Raise UnclearError, ValueError, TypeError."""
    option_names = [node.value if isinstance(node, ast.Constant) else None for node in call.node.args]
    if not option_names or not all(isinstance(name, str) for name in option_names):
        raise UnclearError
    is_positional = not str(option_names[0]).startswith("-")
    if is_positional and not is_certain:
        raise UnclearError
    options = _read_keywords(call.node)
    options = {name: value for name, value in options.items() if name in VALUE_KEYWORDS}
    if not is_certain:
        options.pop("required", None)
    if options.get("action") == "version":
        options["version"] = ""
    if str(options.get("action")).endswith("_const"):
        options["const"] = None
    parser.add_argument(*map(str, option_names), **options)


def _read_keywords(node: ast.Call, unclear: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return what the keywords of a call say, as far as it is a plain value. Raise UnclearError."""
    values_by_keyword = dict[str, Any]()
    for keyword in node.keywords:
        if keyword.arg is None or keyword.arg in unclear:
            raise UnclearError
        if keyword.arg == "type":
            values_by_keyword["type"] = _read_type(keyword.value)
        elif keyword.arg == "choices":
            values_by_keyword["choices"] = _read_literal(keyword.value)
        elif isinstance(keyword.value, ast.Constant):
            values_by_keyword[keyword.arg] = keyword.value.value
        elif keyword.arg == "nargs":
            values_by_keyword["nargs"] = NARGS.get(_get_attribute(keyword.value)) or _raise_unclear()
        elif keyword.arg == "action":
            is_switch = _get_attribute(keyword.value) == "BooleanOptionalAction"
            values_by_keyword["action"] = argparse.BooleanOptionalAction if is_switch else _raise_unclear()
        elif keyword.arg in ("dest", "add_help", "allow_abbrev"):
            raise UnclearError
    if isinstance(values_by_keyword.get("action"), str) and values_by_keyword["action"] not in ACTIONS:
        raise UnclearError
    has_own_type = values_by_keyword.get("type", str) is None
    if has_own_type or values_by_keyword.get("choices") is None:
        values_by_keyword.pop("choices", None)
    if values_by_keyword.get("type") is None:
        values_by_keyword.pop("type", None)
    return values_by_keyword


def _read_type(node: ast.expr) -> Any:
    """Return the function that converts a value; None for one of the program's own, which may take any text."""
    name = node.id if isinstance(node, ast.Name) else _get_attribute(node)
    return TYPES.get(name)


def _read_literal(node: ast.expr) -> list[Any] | None:
    """Return the members of a list that is written out; None for any other."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError):
        return None
    return list(value) if isinstance(value, list | tuple | set | dict) else None


def _raise_unclear() -> NoReturn:
    raise UnclearError


def _get_attribute(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _get_method(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else ""


def _get_name(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else _get_method(node)


def _is_main_block(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "'__name__'" in ast.dump(node.test)


def _is_whole_line(node: ast.AST) -> bool:
    """Return whether an expression is `sys.argv[1:]`."""
    return ast.unparse(node) in ("sys.argv[1:]", "argv[1:]") if isinstance(node, ast.Subscript) else False
