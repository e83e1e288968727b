"""Values that a shell, a template, YAML or a placeholder would read as something else than text."""

import random

SHELL = (
    r"""a Z 0 - -- = , ; : # / \ \n ~ ' " ` $ ${HOME} $(id) $((1)) `id` ! !! & && | || < > * ? [ ] ( ) ^ @ + a=b EOF"""
)
TEMPLATES = (
    r"""% %s %(a)s { } {} {{ }} {{x}} {%if} {#x#} {outputs} {{outputs}} {dataset} ${outputs} ${{inputs.a}} {0} {a-b}"""
)
YAML = r"""null yes no True 1e-4 0x10 1_000 .inf 2026-11-23 ? &a *a !!str |- {'a':1} {"a":"b"} [1,2]
<a> </script> 'a' "b" """
OTHERS = (
    *(" ", "  ", "\t", "\n", "\r\n", ": ", " #", "- a", "\nEOF\n", "{{ x }}", "{% raw %}", "${{parent.outputs.a}}"),
    *("é", "日本", "🤖", "\u202e", "\u200b", "\u00a0", "\ufeff", "\u2028", "\x01", "\x1b[31m", "\x7f"),
    *("::robotrain:: {}", "x" * 3000),
)
PARTS = (*SHELL.split(), *TEMPLATES.split(), *YAML.split(), *OTHERS)


def make_values(count: int, seed: int = 7) -> list[str]:
    """Return texts: each part alone, then random joins of them."""
    made, order = list(dict.fromkeys(("", *PARTS))), random.Random(seed)
    while len(made) < count:
        made.append("".join(order.choices(PARTS, k=order.randint(2, 6))))
    return made[:count]
