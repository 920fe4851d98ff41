import pytest

from .golden import FOLDER, documents, expected


@pytest.mark.parametrize("name", sorted(documents()))
def test_every_document_is_written_exactly_as_its_golden_file_says(name: str) -> None:
    assert documents()[name] == expected(name)


def test_there_is_no_golden_file_that_nothing_is_compared_with() -> None:
    assert {path.name for path in FOLDER.iterdir()} == documents().keys()
