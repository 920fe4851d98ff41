import pytest

from mailer.reports.figures import about, grouped, share, span


@pytest.mark.parametrize(("number", "written"), [(0, "0"), (999, "999"), (1000, "1 000"), (1_234_567, "1 234 567")])
def test_digits_come_in_groups_of_three(number: int, written: str) -> None:
    assert grouped(number) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (-1, "0.0 s"),
        (2.112, "2.1 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (725, "12 min 5 s"),
        (3600, "1 h"),
        (11_520, "3 h 12 min"),
        (3601, "1 h"),
        (183_600, "2 d 3 h"),
    ],
)
def test_a_length_of_time_is_told_in_its_two_largest_units(seconds: float, written: str) -> None:
    assert span(seconds) == written


@pytest.mark.parametrize(
    ("seconds", "written"), [(-3, "0 s"), (40.2, "40 s"), (287, "5 min"), (14_400, "4 h"), (172_800, "2 d")]
)
def test_a_wait_is_told_in_one_unit(seconds: float, written: str) -> None:
    assert about(seconds) == written


@pytest.mark.parametrize(
    ("part", "whole", "written"),
    [
        (0, 0, ""),
        (0, 10, "0.0 %"),
        (1, 1_000_000, "< 0.1 %"),
        (999_999, 1_000_000, "> 99.9 %"),
        (10, 10, "100.0 %"),
        (983, 996, "98.7 %"),
    ],
)
def test_a_share_is_never_rounded_to_all_or_to_nothing(part: int, whole: int, written: str) -> None:
    assert share(part, whole) == written
