import pytest

from mailer.backends.smtp.capabilities import Capabilities


@pytest.mark.parametrize(
    ("parameters", "limit"),
    [
        ("10240000", 10_240_000),
        (" 5 ", 5),
        ("0", None),
        ("", None),
        ("-1", None),
        ("lots", None),
        ("\u0663", None),
        ("9" * 20, int("9" * 20)),
        ("9" * 5_000, None),
    ],
)
def test_a_size_is_a_limit_only_where_it_is_a_number(parameters: str, limit: int | None) -> None:
    capabilities = Capabilities.read({"size": parameters})
    assert capabilities.size
    assert capabilities.size_limit == limit


def test_what_is_not_offered_is_not_used() -> None:
    assert Capabilities.read({}) == Capabilities()
