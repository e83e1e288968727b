"""What is missing comes with the command that installs it."""

from robotrain.plugins.failures import PluginNotInstalled


def test_a_platform_that_is_not_installed_comes_with_the_command_that_installs_one():
    (problem,) = PluginNotInstalled("platform", "cloud", ["local"], ()).problems
    assert "pip install PACKAGE" in [way.text for way in problem.suggestions]
