"""Addresses are shown without their secrets, whatever these are made of."""

from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from robotrain_runtime.contract.address import HIDDEN, make_page_address, redact_address

WORDS = st.sampled_from(("Xq1", "Wv2z", "918273", "x.Yj4", "localhoSt5"))
MARKS = st.sampled_from((*"/@:?#%\\=& \n[]", "//", "@@", "%40", "?x=", "℀"))
PASSWORDS = st.lists(st.tuples(WORDS, MARKS), min_size=1, max_size=4).flatmap(
    lambda pairs: WORDS.map(lambda last: [*pairs, (last, "")])
)
SCHEMES = st.sampled_from(("https://", "postgresql://", "mysql+pymysql://", "//"))
USERS = st.sampled_from(("", "me", "first.last", "me@corp.example", "me%40corp.example"))
HOSTS = st.sampled_from(("host", "host:5000", "tracking.corp.example:5000", "127.0.0.1:5000", "[::1]:5000"))
PLACES = st.sampled_from(("", "/", "/mlflow", "/team@lab", "/db?user=a@b", "#a@b", "?token=WORD@WORD"))


@given(SCHEMES, USERS, PASSWORDS, HOSTS, PLACES, st.booleans())
@example("https://", "me", [("918273", "/"), ("Xq1", "")], "host:5000", "/db?user=a@b", False)
def test_no_word_of_a_password_or_a_query_is_shown(scheme, user, password, host, place, encoded):
    text = "".join(word + mark for word, mark in password)
    address = f"{scheme}{user}:{quote(text, safe='') if encoded else text}@{host}{place}"
    shown = redact_address(address)
    assert [word for word, _ in password if word in shown] == []
    assert "WORD" not in shown
    if encoded and "@" not in place and "@" not in user:
        assert shown == f"{scheme}{host}{place.partition('?')[0]}"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://me:s3c/ret@host/db", "postgresql://host/db"),
        ("mysql+pymysql://me:p?ss@host/db", "mysql+pymysql://host/db"),
        ("https://me:a#b@c@host:5000/mlflow?token=t#f", "https://host:5000/mlflow"),
        ("me:tok@host:5000", "host:5000"),
        ("sqlite:////home/me@lab/mlflow.db?token=t", "sqlite:////home/me@lab/mlflow.db"),
        ("/home/me@lab/mlruns", "/home/me@lab/mlruns"),
        ("./me@lab/mlruns", "./me@lab/mlruns"),
        ("https://tracking.corp.example/mlflow?user=me@corp.example", "https://tracking.corp.example/mlflow"),
        ("http://127.0.0.1:5000/?user=me@corp.example", "http://127.0.0.1:5000/"),
        ("https://tracking.corp.example/team@lab", "https://tracking.corp.example/team@lab"),
        ("https://host:12/34@other", f"https://{HIDDEN}"),
        ("https://me:password@host/?user=a@b", f"https://{HIDDEN}"),
    ],
)
def test_an_address_is_shown_without_user_password_and_query(uri, shown):
    assert redact_address(uri) == shown


def test_a_page_is_asked_for_without_user_and_password():
    page = make_page_address("https://me%40corp.example:p%2Fw@host:5000/base/?token=t", "/health")
    assert page == "https://host:5000/base/health"
    assert make_page_address("https://me:p@host/?user=a@b", "/health") == "https://host/health"


@pytest.mark.parametrize(
    "address",
    [
        "http://h:80oo",
        "http://h:70000",
        "http://[::1",
        "host:5000",
        "tracking.example",
        "ftp://h",
        "http://",
        "http://a b",
    ],
)
def test_an_address_without_a_user_is_refused_for_its_scheme_host_or_port(address):
    with pytest.raises(ValueError, match="begins with http:// or https://"):
        make_page_address(address, "/health")


@pytest.mark.parametrize(
    "address", ["http://me:s3c/ret@h", "http://me:12/s3c ret@h", "http://me:12/s3cret@h", "http://me:s3c@h:port/"]
)
def test_no_part_of_a_password_is_sent_to_another_host(address):
    with pytest.raises(ValueError, match="percent-encoded") as refused:
        make_page_address(address, "/health")
    assert "s3c" not in str(refused.value)
