"""The plugins of a site, told of runs that were seen to end."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robotrain.cli.watching.followed import Followed
    from robotrain.plugins import Plugins
    from robotrain.problem import Problem


class Notice:
    """Tells them, each run once. just_sent: whoever follows it saw it go on. problems: of those that could not be told,
    to be reported when nothing is drawn any more.
    """

    def __init__(self, plugins: Plugins | None, just_sent: bool = False) -> None:
        self.problems: list[Problem] = []
        self._plugins, self._just_sent = plugins, just_sent

    def __call__(self, one: Followed) -> None:
        """A run that is over."""
        if self._plugins is None or one.failure or not (one.went_on or self._just_sent):
            return
        from robotrain import site_plugins

        self.problems += site_plugins.ended(self._plugins, one.record, one.status)
