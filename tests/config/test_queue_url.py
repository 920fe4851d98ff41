"""Promises about the queue's URL and the folder of the embedded server."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.config.folders import data_dir
from mailer.config.redis_url import QueueUrl, check_queue_url, has_password, redact
from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.settings import QueueSettings

CANARY = "hunter2canary"


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://localhost:6390/1?db=2",
        "redis://127.0.0.2:6379/0",
        "redis://[::1]:6379",
        "unix:///run/redis.sock?db=1",
        "unix://:pass@/run/redis.sock",
        "rediss://:pass@redis.example:6380/0?ssl_ca_certs=/etc/ca.pem",
        "rediss://ann:pass@redis.example",
    ],
)
def test_a_local_or_a_protected_server_is_accepted(url: str) -> None:
    check_queue_url(url, allow_plain=False)


@pytest.mark.parametrize(
    ("url", "missing"),
    [
        ("redis://redis.example", "no TLS and no password"),
        ("redis://10.0.0.3:6379/0", "no TLS and no password"),
        ("redis://localhost.evil.example", "no TLS and no password"),
        (f"redis://:{CANARY}@redis.example", "no TLS"),
        ("rediss://redis.example", "no password"),
        ("rediss://ann@redis.example", "no password"),
        ("rediss://:@redis.example", "no password"),
        ("redis://0.0.0.0", "no TLS and no password"),
    ],
)
def test_a_remote_server_without_protection_is_refused_unless_allowed(url: str, missing: str) -> None:
    with pytest.raises(UsageError, match=missing) as caught:
        check_queue_url(url, allow_plain=False)

    assert caught.value.code == "E111"
    assert CANARY not in repr(vars(caught.value))
    check_queue_url(url, allow_plain=True)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:6379",
        f"http://:{CANARY}@host",
        f"REDISS://:{CANARY}@host",
        f"redis://:{CANARY}@",
        f"redis://:{CANARY}@[::1",
        f"redis://:{CANARY}@host:port",
        f"redis://:{CANARY}@host:6379/0\r\nFLUSHALL",
        f"redis://localhost?password={CANARY}",
        f"rediss://:{CANARY}@host?ssl_cert_reqs=none",
        f"rediss://:{CANARY}@host?ssl_check_hostname=",
        f"rediss://:{CANARY}@host#x",
        "redis://",
        "unix://",
    ],
)
@pytest.mark.parametrize("allow_plain", [True, False])
def test_what_is_no_queue_url_is_refused_and_never_repeated(url: str, allow_plain: bool) -> None:
    with pytest.raises(UsageError) as caught:
        check_queue_url(url, allow_plain=allow_plain)

    assert caught.value.code == "E117"
    assert CANARY not in repr(vars(caught.value))


@given(st.text(), st.booleans())
def test_any_text_is_accepted_or_refused_with_a_code(text: str, allow_plain: bool) -> None:
    try:
        check_queue_url(f"redis://{text}", allow_plain=allow_plain)
    except UsageError as error:
        assert error.code in {"E111", "E117"}  # noqa: PT017  # both ends are right


@pytest.mark.parametrize(
    ("url", "shown", "secret"),
    [
        (f"rediss://ann:{CANARY}@host:6380/0", "rediss://***@host:6380/0", True),
        (f"rediss://:a/b@{CANARY}?#@host", "rediss://***@host", True),
        (f"unix:///run/redis.sock?db=1&password={CANARY}", "unix:///run/redis.sock?db=1&password=***", True),
        (f"ann:{CANARY}@host", "***@host", True),
        ("redis://ann@host", "redis://***@host", False),
        ("redis://localhost:6379/0", "redis://localhost:6379/0", False),
    ],
)
def test_the_login_is_hidden_wherever_a_url_is_shown(url: str, shown: str, secret: bool) -> None:
    assert redact(url) == shown
    assert repr(QueueSettings(url=QueueUrl(url))).count(shown) == 1
    assert has_password(url) is secret


def test_the_embedded_servers_folder_is_the_one_named_or_xdgs() -> None:
    assert data_dir(QueueSettings(data_dir=Path("/a")), {}) == Path("/a")
    assert data_dir(QueueSettings(), {"XDG_STATE_HOME": "/state", "HOME": "/h"}) == Path("/state/mailer")
    assert data_dir(QueueSettings(), {"XDG_STATE_HOME": "state", "HOME": "/h"}) == Path("/h/.local/state/mailer")
    with pytest.raises(UsageError, match="no place for the embedded queue") as caught:
        data_dir(QueueSettings(), {})
    assert caught.value.code == "E116"
