"""Nothing secret that a person types is shown again."""

import re
import string
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from robotrain import redaction
from robotrain.redaction import HIDDEN, redact
from robotrain_runtime.contract import redaction as rules
from robotrain_runtime.contract import secret_rules

SAFE = (
    "lerobot/aloha_sim_insertion_human",
    "nvidia/GR00T-N1.5-3B",
    "user/ds@feature/x",
    "user/ds@v1.0",
    "https://acc.blob.core.windows.net/box/p/q r",
    "https://acc.blob.core.windows.net/box/@p",
    "https://acc.blob.core.windows.net/$root/é",
    "https://acc.blob.core.windows.net/box/p&q=1",
    "azureml:pusht-episodes:3",
    "azureml:api-key:3",
    "azureml:a@latest",
    "azureml://subscriptions/s/resourcegroups/r/workspaces/w/data/n/versions/3",
    "azureml://datastores/x/paths/y",
    "hf://datasets/u/d@main",
    "s3://bucket/prefix",
    "/data/pusht episodes/day-1",
    "./outputs/year=2024/a@c",
    "~/datasets/x",
    "C:\\data\\x",
    "diffusion",
    "0.0001",
    "0123456789abcdef0123456789abcdef01234567",
    "sha256:" + "0a" * 32,
    "wandb_api_key",
    "",
)

SHOWN = (
    ("https://acc.blob.core.windows.net/box/p?sv=1&sig=x", "https://acc.blob.core.windows.net/box/p?<redacted>"),
    ("https://acc.blob.core.windows.net/box/p#f", "https://acc.blob.core.windows.net/box/p#<redacted>"),
    ("https://u:p@acc.blob.core.windows.net/box/p", "https://<redacted>@acc.blob.core.windows.net/box/p"),
    ("https://u:p/w@host.com/c", "https://<redacted>@host.com/c"),
    ("u:p@host.com/c", "<redacted>@host.com/c"),
    ("https://h.com?x=a@rest", "https://<redacted>@<redacted>"),
    ("AccountName=acc;AccountKey=abc==;Suffix=x", "AccountName=acc;AccountKey=<redacted>"),
    (
        "x (acme 1) failed: RuntimeError: https://u:p@host.com/c",
        "x (acme 1) failed: RuntimeError: https://<redacted>@host.com/c",
    ),
    ("x: y://u:p@h, and see ops@corp.example", "x: y://<redacted>@corp.example"),
    ("key AKIA0123456789ABCDEF wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "key <redacted> <redacted>"),
    (f"the key {'0123456789' * 4} is refused", "the key <redacted> is refused"),
    ("p&sig=abc", "p&sig=<redacted>"),
    ("p%26sig%3Dabc", "p%26sig%3D<redacted>"),
    ("Authorization: Bearer abc", "Authorization: <redacted>"),
    ('{"token": "abc"}', '{"token: <redacted>'),
    ("--token=abc", "--token=<redacted>"),
    ("see hf_abcdefghijklmnopqrst here", "see <redacted> here"),
    ("a\tb\x1b[31m\x7f", "a\\tb\\x1b[31m\\x7f"),
    ("a\u202eb\udcff", "a\\u202eb\\udcff"),
)

SECRET = st.text(string.ascii_letters + string.digits, min_size=12, max_size=40).map("S3CR".__add__)
PATH = st.text("ab/c.-_ é%2\\", max_size=12)
SCHEME = st.sampled_from(
    [
        "https://",
        "HTTPS://",
        "http://",
        "https:\\\\",
        "https:/",
        "//",
        "",
        "ftp://",
        "abfss://",
        "  https://",
        "'https://",
    ]
)
BEFORE = st.sampled_from(["", "see ", "--blob-url=", '"', "[", "\n", "é "])
HOST = st.sampled_from(["acc.blob.core.windows.net", "ACC.Blob.core.windows.net", "localhost", "h", "h x.com", "[::1]"])


def test_a_text_without_a_secret_is_unchanged():
    assert [redact(text, schemes=("azureml",)) for text in SAFE] == [*SAFE]


def test_a_hidden_secret_leaves_a_mark():
    assert [redact(text) for text, _ in SHOWN] == [shown for _, shown in SHOWN]


DIGEST = "@sha256:" + "0a" * 32
IMAGES = ("reg.azurecr.io/a/b:1", "pytorch/pytorch:2.11.0-cuda12.8", "localhost:5000/x:latest", "ubuntu:22.04", "a/b")


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_with_a_digest_is_shown(image):
    assert redact(image + DIGEST) == image + DIGEST
    assert redact(f"{image.partition(':')[0]}/{'x' * 300}:1{DIGEST}").endswith(f"…{DIGEST}")
    for text in (
        f'Failed to pull image "{image}{DIGEST}": not found',
        f"--image={image}{DIGEST}, or ({image}{DIGEST})",
    ):
        assert redact(text, max_length=500) == text
        assert redact(f"{text}, as user:S3CRET@host.com", max_length=500).endswith(f"{HIDDEN}@host.com")
        assert "S3CRET" not in redact(f"{text} password: S3CRET", max_length=500)


HARMLESS = (
    "azureml:pusht@latest",
    "models:/pick.v2@champion",
    "nginx:latest@sha256:" + "0a" * 32,
    "python:3-slim@sha256:" + "0a" * 32,
    "docker://reg.io/a/b:1@sha256:" + "0a" * 32,
    "abfss://data@acc.dfs.core.windows.net/day-1",
    "wasbs://data@acc.blob.core.windows.net",
    "git+ssh://git@github.com/a/b",
)


@pytest.mark.parametrize("harmless", HARMLESS)
def test_what_is_no_password_before_an_at_is_shown(harmless):
    for text in (harmless, f"--x {harmless}", f"--x={harmless}", f"no {harmless}, or '{harmless}' (3)"):
        assert redact(text, max_length=500) == text
        assert "S3CRET" not in redact(f"{text} user:S3CRET@host.com", max_length=500)
    before, _, after = harmless.partition("@")
    assert "S3CRET" not in redact(f"{before}:S3CRET@{after}", max_length=500)


@pytest.mark.parametrize("place", ["azureml:S3CRET@host.com", "azureml:S3CRET@h:80", "abfss://S3CRET@host.com/a"])
def test_what_only_begins_like_it_is_hidden(place):
    assert "S3CRET" not in redact(place)


def test_a_truncated_digest_is_shown():
    shown = redact(f"{'x' * 150} reg.azurecr.io/a/b:1{DIGEST}")
    assert "reg.azurecr.io/a/b:1@sha256:0a" in shown
    assert redact(shown) == shown


@given(
    BEFORE, SCHEME, HOST, PATH, st.sampled_from(["?", "#", "??", "/?", "%3F", "%253f", "？", "?a?", "@?", "#?"]), SECRET
)
def test_no_query_and_no_fragment_is_shown(before, scheme, host, path, mark, secret):
    for value in (secret, f"sv=1&x={secret}", f" {secret} y", f"x@{secret}", f"x/{secret}", f"x:{secret}@{secret}"):
        assert secret not in redact(f"{before}{scheme}{host}/{path}{mark}{value}")


@given(BEFORE, SCHEME, HOST, PATH, SECRET, st.sampled_from(["@", "%40", "＠", "@@", " @"]))
def test_no_password_is_shown(before, scheme, host, path, secret, at):
    for userinfo in (
        f"user:{secret}",
        f":{secret}",
        f"{secret}:x",
        f"user:a@{secret}",
        f"user:{secret}?x",
        f"us%3A{secret}",
    ):
        assert secret not in redact(f"{before}{scheme}{userinfo}{at}{host}/{path}")


@given(
    BEFORE,
    SCHEME,
    st.sampled_from(["", "/a/b:1", "h/a:1", "reg.azurecr.io/a", "@h.com/a:1", "@localhost:5000/a"]),
    SECRET,
)
def test_no_password_is_shown_before_the_digest_of_an_image(before, scheme, after, secret):
    for userinfo in (f"user:{secret}", f"user:{secret.lower()}", f"us.er:{secret}@x", f":{secret}"):
        shown = redact(f"{before}{scheme}{userinfo}{after}{DIGEST}")
        assert secret not in shown
        assert secret.lower() not in shown
    for odd in (f"reg.io/a/b:key={secret}", f"reg.io/a?{secret}:1", f"reg.io/hf_{secret}{secret}:1"):
        assert secret not in redact(odd + DIGEST)


@given(st.sampled_from(["https://", "HTTPS://", "https:\\\\"]), HOST, SECRET, st.sampled_from("/+ \\="))
def test_a_password_may_hold_what_a_url_cannot(scheme, host, secret, odd):
    assert secret not in redact(f"{scheme}user:{odd}{secret}{odd}x@{host}/c/p")
    assert secret not in redact(f"{scheme}{secret}{odd}x@{host}/c/p")


NAMES = st.one_of(
    st.sampled_from(
        ["sig", "SIG", "&sig", "%26sig", "x;se", "%2526se", "skoid", "SharedAccessSignature", "AccountKey"]
    ),
    st.sampled_from(["password", "token", "api-key", "key", "client_secret", "HF_TOKEN", "--hub.token", "x.passwd"]),
)


@given(PATH, NAMES, st.sampled_from(["=", " = ", "%3D", "%253d", "＝"]), SECRET)
def test_no_value_of_a_secret_name_is_shown(before, name, equals, secret):
    assert secret not in redact(f"{before}/{name}{equals}{secret}")
    assert secret not in redact(f"{name}{equals}a b&{secret}")


MIXED = "aB1_" * 30
TOKENS = {
    "hf_": "hf_" + "aB1c" * 8,
    "gh": "ghp_" + "aB1c" * 9,
    "github_pat_": f"github_pat_{MIXED[:82]}",
    "wandb_v": f"wandb_v1_{MIXED[:70]}",
    "sk-": f"sk-ant-api03-{MIXED[:32]}",
    "eyj": f"eyJ{MIXED[:20]}.eyJ{MIXED[:20]}.{MIXED[:20]}",
    "ia": "AKIA0123456789ABCDEF",
    "==": "a1B/" * 21 + "ab==",
    "xox": "xoxb-123456789012-aB1c",
    "xapp-": "xapp-1-A0123456789-aB1c",
    "gl": f"glpat-{MIXED[:20]}",
    "aiza": f"AIza{MIXED[:35]}",
    "ya29.": f"ya29.{MIXED[:30]}",
    "gocspx-": f"GOCSPX-{MIXED[:28]}",
    "nvapi-": f"nvapi-{MIXED[:60]}",
    "npm_": "npm_" + "aB1c" * 9,
    "pypi-": f"pypi-{MIXED[:60]}",
    "dapi": "dapi" + "0a1b" * 8,
    "dckr_": f"dckr_pat_{MIXED[:27]}",
    "k_": f"sk_live_{MIXED[:24]}",
    "q~": f"abc8Q~{MIXED[:34]}",
    "api_org_": "api_org_" + "aBcD" * 9,
    "gsk_": "gsk_" + "aB1c" * 13,
    "xai-": "xai-" + "aB1c" * 20,
    "hooks.slack.com/": f"https://hooks.slack.com/services/T0123ABCD/B0123ABCD/{'aB1c' * 6}",
    "/webhooks/": f"https://discord.com/api/webhooks/123456789012345678/{'aB1c' * 17}",
    ":aa": f"1234567890:AA{'aB1c' * 8}x",
    "glsa_": f"glsa_{'aB1c' * 8}_0a1b2c3d",
    "glc_": "glc_" + "aB1c" * 10,
    "dose": "dose" + "0a1b" * 8,
    "_v1_": "dop_v1_" + "0a1b" * 16,
    "dp.": "dp.pt." + "aB1c" * 10 + "aB1",
    "sg.": f"SG.{'aB1c' * 5}ab.{'aB1c' * 10}abc",
    "hv": "hvs.CAES" + "aB1c" * 22,
    "sig=": "sig=" + "aB1c" * 11 + "%3D",
    "-----begin": "-----BEGIN RSA PRIVATE KEY-----\naB1c",
}


def test_every_known_token_is_hidden_wherever_it_stands():
    assert TOKENS.keys() == secret_rules.TOKENS.keys()
    for token in TOKENS.values():
        assert redaction.holds_secret(f"see {token}")
        for text in (token, f"see {token}, which", f"https://acc.blob.core.windows.net/box/{token}/x"):
            assert token[-12:] not in redact(text, max_length=500)


PIECES = st.lists(
    st.one_of(
        st.text(max_size=8),
        st.sampled_from(
            ["https://", "u:p@", "?", "#", "sig=", "token: ", "key=", HIDDEN, "%40", "%3a", "hf_" + "a" * 20]
        ),
        st.sampled_from(["x" * 60, "/", "\\", "@", ":", " ", "…", "bearer ", "azureml:", "\n", "sk-" + "1" * 20]),
        st.sampled_from(["a/b:1" + DIGEST, " h:1/a" + DIGEST, "\ue000", "\ue001"]),
    ),
    max_size=14,
).map("".join)


@given(PIECES)
@example("y" * 185 + " token=abc")
@example("y" * 189 + "?abc")
@example("http://abc\x00d.e/x@y")
def test_redaction_is_idempotent(text):
    once = redact(text)
    assert redact(once) == once


@given(PIECES)
def test_a_redacted_text_is_one_short_printable_line(text):
    shown = redact(text)
    assert len(shown) <= rules.MAX_LENGTH
    shown.encode()
    assert not set(shown) & set(map(chr, [*range(32), 127, 0x2028, 0x202E]))


def test_letters_that_patterns_take_for_ascii_ones_are_folded_to_those():
    letters = re.findall("[a-z0-9]", "".join(map(chr, range(sys.maxunicode + 1))), re.IGNORECASE)
    assert {"\u017f", "\u212a", "\u0130", "\u0131"} < set(letters)
    assert all(re.fullmatch("[a-z0-9]", rules._fold_letters(letter)) for letter in letters)


def test_a_long_text_is_truncated():
    shown = redact("x" * 5000)
    assert shown.endswith("…")
    assert len(shown) <= rules.MAX_LENGTH


def test_a_huge_text_is_redacted_quickly():
    for piece in ("a:", "a://", "@", "%25", "sk-", "a", " ", "hf_a", "token ", "A/"):
        redact(piece * 5000)


def test_only_characters_that_are_escaped_are_not_printable():
    escaped = re.findall(rules._CONTROL, "".join(map(chr, range(sys.maxunicode + 1))))
    assert len(escaped) > 2048
    assert not any(character.isprintable() for character in escaped)
