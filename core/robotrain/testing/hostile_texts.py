"""Texts that mean something to a shell, a template engine or a parser, and nothing to the person who typed them."""

from collections.abc import Mapping, Sequence

CORPUS: Mapping[str, Sequence[str]] = {
    "templates": (
        "{{ 7 * 7 }}",
        "{% for one in range(9) %}x{% endfor %}",
        "a{# gone #}b",
        "{{ '{{' }} {% raw %}{{ x }}{% endraw %}",
        "${{ inputs.data }} $[[ x ]] ${{parent.jobs}}",
        "%(name)s %s %d %%",
        "{0} {name!r} {}",
        "<% x %> <%= y %> #{z}",
    ),
    "shells": (
        "$(touch kit-was-here)",
        "`touch kit-was-here`",
        "$HOME ${HOME} $$ $? !!",
        "a; touch kit-was-here && b || c | d & e > f < g",
        "it's 'quoted' '",
        'say "hello" "',
        "a\\b\\n\\\\ \\x41 \\u0041 \\",
        "* ? [a-z] ~ ~root",
    ),
    "yaml": (
        "key: value # comment",
        "!!python/object/apply:os.system ['touch kit-was-here']",
        "&a b *a",
        "yes",
        "null",
        "0x10",
        "1e3",
        "2024-01-01",
        '{"run": "another", "$schema": null}',
    ),
    "lines": (
        "one\ntwo\n\nfour\n",
        "a\n---\n- &a b\n- *a\n...",
        "a\tb\t",
        "  before and after  ",
        "EOF\nEOF\n",
        "two\n  lines: {{ x }}\n",
    ),
    "dashes": ("--platform=elsewhere", "-x"),
    "letters": (
        "größe 機器人 🤖 e\u0301 \u00a0|\u2003|\ufeff",
        "a%20b%2Fc%00d",
        "../../etc/passwd",
        "<a href='x'>&amp;</a><!-- -->",
        "\u202eright to left\u202c \u200b",
        "long " * 2000,
    ),
}
"""By theme."""
SETTINGS: Mapping[str, str] = {"template": "{{ 7 * 7 }}", "shell": '$(id)`id`;"', "yaml": "!!python/none x: # y"}
"""Those that settings are tried with."""
