"""The preview follows the files of a campaign, and shows what is wrong with them where they stand."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mailer.flow.preview import InvalidRowError, Previewed
from mailer.vocabulary.errors import SourceError, TemplateError
from mailer.web.preview import serving
from mailer.web.proof import Messages, Proof
from mailer.web.watching import stamps, watch
from mailer.web.website import Website
from tests.web.asking import ask, letter

BAD_HTML = '<p>x<img src="http://x.example/a.png">'


class Three:
    """A campaign of three rows: a good one, an invalid one, and one that cannot be built."""

    content = letter("Hello Ann", html=BAD_HTML)

    def __init__(self, greeting: str = "Hello") -> None:
        self.greeting = greeting
        self.made = 0

    def count(self) -> int:
        return 3

    def message(self, row: int) -> Previewed:
        self.made += 1
        if row == 1:
            content = self.content.replace(b"Hello", self.greeting.encode())
            return Previewed(row=1, recipients=("ann@example.com", "copy@example.com"), content=content)
        if row == 2:
            raise InvalidRowError("bob@@example.com", "two @ signs")
        if row == 3:
            raise TemplateError("E301", "the template needs <b>", where="body.html.j2:12", hint="add it")
        raise SourceError("E214", f"there is no row {row}")


@asynccontextmanager
async def previewed(
    prepare: Callable[[], Messages] = Three, paths: Callable[[], list[Path]] = list
) -> AsyncIterator[Website]:
    async with serving(Proof(prepare), paths, name="hello", row=1) as site:
        yield site


async def test_a_row_is_shown_with_its_size_and_what_lint_says() -> None:
    async with previewed() as site:
        page = await ask(f"{site.url}/rows/1")
        assert page.status == 200
        for words in ("Hello Ann", "of 3", "ann@example.com, copy@example.com", "kB</b>", "an image has no alt text"):
            assert words in page.text
        assert (await ask(f"{site.url}/rows/1/html?look=dark")).headers["content-security-policy"].startswith("sandbox")
        assert (await ask(f"{site.url}/rows/1/source")).body == Three.content


async def test_the_picker_leads_to_the_rows_beside_and_to_any_other_and_keeps_the_view() -> None:
    async with previewed() as site:
        second = (await ask(f"{site.url}/rows/2?view=mobile")).text
        assert 'rel="prev" href="/rows/1?view=mobile"' in second
        assert 'rel="next" href="/rows/3?view=mobile"' in second
        assert 'rel="next"' not in (await ask(f"{site.url}/rows/3")).text
        picked = await ask(f"{site.url}/?row=3&view=text")
        assert (picked.status, picked.headers["location"]) == (303, "/rows/3?view=text")
        for row in ("0", "-1", "x", "9" * 5000, "%C2%B2"):
            assert (await ask(f"{site.url}/?row={row}&view=evil")).headers["location"] == "/rows/1"


async def test_trouble_with_a_row_is_shown_with_place_and_fix() -> None:
    async with previewed() as site:
        invalid = (await ask(f"{site.url}/rows/2")).text
        assert "row 2 (bob@@example.com) is left out as invalid: two @ signs" in invalid
        broken = (await ask(f"{site.url}/rows/3")).text
        for words in ("error[E301]", "the template needs &lt;b&gt;", "body.html.j2:12", "add it", "of 3"):
            assert words in broken
        assert "there is no row 9" in (await ask(f"{site.url}/rows/9")).text
        assert (await ask(f"{site.url}/rows/3/html")).status == 404


@pytest.mark.thorough
async def test_a_campaign_that_cannot_be_loaded_comes_back_when_it_is_mended(tmp_path: Path) -> None:
    template = tmp_path / "body.txt.j2"
    template.write_text("broken")

    def prepare() -> Messages:
        if (text := template.read_text()) == "broken":
            raise TemplateError("E302", "the template is broken", where=f"{template}:1")
        return Three(text)

    async with previewed(prepare, lambda: [tmp_path]) as site:
        assert "the template is broken" in (await ask(f"{site.url}/rows/1")).text
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asyncio.wait_for(reader.readuntil(b"data: 0"), 5)
        template.write_text("Mended")
        await asyncio.wait_for(reader.readuntil(b"data: 1"), 5)
        assert "Mended Ann" in (await ask(f"{site.url}/rows/1")).text
        writer.close()
        await writer.wait_closed()


async def test_page_and_mail_are_made_from_one_message() -> None:
    three = Three()
    async with previewed(lambda: three) as site:
        for path in ("/rows/1", "/rows/1/html", "/rows/1/source", "/rows/1?view=text"):
            assert (await ask(site.url + path)).status == 200
        assert three.made == 1


async def test_another_host_name_gets_no_preview() -> None:
    async with previewed() as site:
        assert (await ask(f"{site.url}/rows/1", host="evil.example")).status == 400


async def test_a_file_that_changes_appears_or_goes_is_noticed(tmp_path: Path) -> None:
    file, told = tmp_path / "folder" / "body.txt.j2", asyncio.Event()

    async def changed(error: Exception | None) -> None:
        assert error is None
        told.set()

    watching = asyncio.create_task(watch(lambda: [tmp_path, tmp_path / "missing"], changed, every=0.01))

    async def notice() -> None:
        await asyncio.wait_for(told.wait(), 5)
        told.clear()

    before = stamps([tmp_path])
    await asyncio.sleep(0.1)
    file.parent.mkdir()
    file.write_text("one")
    await notice()
    file.write_text("other")
    await notice()
    file.unlink()
    await notice()
    assert stamps([tmp_path]) == before
    watching.cancel()
    await asyncio.wait({watching})


@pytest.mark.thorough
async def test_whatever_goes_wrong_is_shown_and_the_page_comes_back(tmp_path: Path) -> None:
    """An error that is none of ours ends neither the page nor the watching of its files."""
    file, can_look = tmp_path / "body.txt.j2", True
    file.write_text("Hello")

    def prepare() -> Messages:
        if (text := file.read_text()) == "broken":
            raise ZeroDivisionError("by <nought>")
        return Three(text)

    def paths() -> list[Path]:
        if not can_look:
            raise PermissionError("locked up")
        return [file]

    async def shown(site: Website, words: str) -> None:
        async with asyncio.timeout(10):
            while words not in (await ask(f"{site.url}/rows/1")).text:  # noqa: ASYNC110 (another program's page tells nobody)
                await asyncio.sleep(0.05)

    async with previewed(prepare, paths) as site:
        await shown(site, "Hello Ann")
        file.write_text("broken")
        await shown(site, "the campaign cannot be shown: ZeroDivisionError: by &lt;nought&gt;")
        file.write_text("Mended")
        await shown(site, "Mended Ann")
        can_look = False
        await shown(site, "the campaign cannot be shown: PermissionError: locked up")
        can_look = True
        await shown(site, "Mended Ann")


async def test_a_row_that_fails_in_a_way_of_its_own_is_shown() -> None:
    class Failing(Three):
        def message(self, row: int) -> Previewed:
            raise OSError("the disk is gone")

    async with previewed(Failing) as site:
        page = await ask(f"{site.url}/rows/2")
        assert (page.status, "row 2 cannot be shown: OSError: the disk is gone" in page.text) == (200, True)


async def test_a_folder_that_may_not_be_looked_into_is_as_good_as_gone(tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir()
    (tmp_path / "shut").chmod(0)
    try:
        assert stamps([tmp_path / "shut" / "inner"]) == frozenset()
    finally:
        (tmp_path / "shut").chmod(0o700)
