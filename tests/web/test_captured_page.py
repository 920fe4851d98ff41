"""The page of captured mail: what it shows, to whom, and how soon."""

import asyncio
import re
import socket
import time

import pytest

from mailer.capture.mailbox import Mailbox
from mailer.vocabulary.errors import UsageError
from mailer.web.captured import captured_mail
from mailer.web.pulse import Pulse
from mailer.web.website import Website, _listen
from tests.thorough import first
from tests.web.asking import ask, letter, staged

HOSTILE = "<script>alert(1)</script>\u202e"


async def test_the_list_shows_the_newest_first_and_leads_to_each_message() -> None:
    async with staged() as stage:
        empty = await ask(stage.site.url)
        assert (empty.status, "No mail yet" in empty.text) == (200, True)
        first = stage.take(letter("First"))
        second = stage.take(letter("Second"), "bob@example.com", "dora@example.com", answered=False)
        listed = (await ask(stage.site.url)).text
        assert listed.index("Second") < listed.index("First")
        assert re.findall(r'href="/messages/(\w+)"', listed) == [second.id, first.id]
        assert "connection cut before the reply" in listed
        assert (await ask(f"{stage.site.url}/messages/{first.id}")).status == 200


async def test_a_long_list_has_pages() -> None:
    async with staged(Mailbox(keep=150)) as stage:
        for number in range(160):
            stage.take(letter(f"Number {number};"))
        newest = (await ask(stage.site.url)).text
        assert newest.count("/messages/") == 100
        older = re.search(r'rel="next" href="([^"]+)"', newest)
        assert older is not None
        rest = (await ask(stage.site.url + older[1])).text
        assert (rest.count('href="/messages/'), "Number 10;" in rest, 'rel="next"' in rest) == (50, True, False)


@pytest.mark.parametrize(
    ("view", "holds"),
    first(
        2,
        [
            ("desktop", '<iframe sandbox title="The message as HTML" src="/messages/ID/html?look=desktop">'),
            ("mobile", 'class="stage mobile"'),
            ("dark", "html?look=dark"),
            ("text", "this is our letter."),
            ("source", "Content-Type: multipart/"),
            ("headers", "Ann &lt;ann@example.com&gt;"),
            ("parts", 'src="data:image/png;base64,'),
            ("nonsense", "<iframe sandbox"),
        ],
    ),
)
async def test_every_view_can_be_read_without_a_script(view: str, holds: str) -> None:
    async with staged() as stage:
        message = stage.take(letter(html="<p>Hello</p>"))
        answer = await ask(f"{stage.site.url}/messages/{message.id}?view={view}")
        assert answer.status == 200
        assert holds.replace("ID", message.id) in answer.text


async def test_a_message_without_html_is_shown_as_text() -> None:
    async with staged() as stage:
        message = stage.take(letter())
        page = f"{stage.site.url}/messages/{message.id}"
        assert "this is our letter." in (await ask(page)).text
        assert "no HTML part" in (await ask(f"{page}?view=html")).text
        assert (await ask(f"{page}/html")).status == 404


async def test_nothing_of_a_mail_becomes_part_of_the_page() -> None:
    async with staged() as stage:
        message = stage.take(letter(HOSTILE, html=HOSTILE, attachment=("<b>.html", b"x")))
        page = f"{stage.site.url}/messages/{message.id}"
        for view in ("desktop", "text", "source", "headers", "parts"):
            text = (await ask(f"{page}?view={view}")).text
            assert "<script>alert" not in text
            assert "\u202e" not in text


async def test_the_mail_itself_comes_under_a_policy_that_lets_nothing_run() -> None:
    async with staged() as stage:
        message = stage.take(letter(html="<script>alert(1)</script>"))
        answer = await ask(f"{stage.site.url}/messages/{message.id}/html")
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'")
        assert "allow-" not in policy
        assert answer.headers["x-dns-prefetch-control"] == "off"


async def test_the_page_runs_its_own_script_and_loads_nothing() -> None:
    async with staged() as stage:
        answer = await ask(stage.site.url)
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert not re.search(r"""(src|href)=["']?(https?:)?//""", answer.text)


async def test_parts_are_downloads_that_no_browser_opens() -> None:
    async with staged() as stage:
        message = stage.take(letter(html="x", attachment=("../Liste für Ann.html", b"<script>")))
        answer = await ask(f"{stage.site.url}/messages/{message.id}/parts/4")
        assert (answer.status, answer.body) == (200, b"<script>")
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''Liste%20f%C3%BCr%20Ann.html"
        source = await ask(f"{stage.site.url}/messages/{message.id}/source")
        assert source.body == message.content
        for number in (0, 5):
            assert (await ask(f"{stage.site.url}/messages/{message.id}/parts/{number}")).status == 404


@pytest.mark.parametrize("host", first(2, ["evil.example", "127.0.0.1.evil.example", "", "evil.example:8025", "[::1]"]))
async def test_another_host_name_gets_nothing(host: str) -> None:
    async with staged() as stage:
        stage.take(letter("Secret"))
        for path in ("/", "/api/v1/messages"):
            answer = await ask(stage.site.url + path, host=host)
            assert (answer.status, b"Secret" in answer.body) == (400, False)
        assert (await ask(stage.site.url, host="localhost:9999")).status == 200


async def test_it_only_reads() -> None:
    async with staged() as stage:
        message = stage.take(letter())
        for path in ("/", f"/messages/{message.id}", "/api/v1/messages"):
            for method in ("POST", "PUT", "DELETE", "PATCH"):
                assert (await ask(stage.site.url + path, method=method)).status == 405
        assert len(stage.mailbox) == 1


async def test_it_listens_on_this_computer_alone_and_takes_the_next_port() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        pulse = Pulse()
        async with Website(captured_mail(Mailbox(), pulse), pulse, port=port) as site:
            assert site.port > port
            assert site.url == f"http://127.0.0.1:{site.port}"
    with _listen(0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_a_port_that_cannot_be_had_is_an_error_with_a_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(UsageError) as caught:
        _listen(80)
    assert (caught.value.code, caught.value.hint) == ("E121", "--web 0 takes a free port")


async def test_programs_list_and_read_the_messages() -> None:
    async with staged() as stage:
        messages = [stage.take(letter(f"Number {number}")) for number in range(5)]
        api = f"{stage.site.url}/api/v1/messages"
        document = (await ask(f"{api}?limit=2")).document
        assert list(document) == ["schema_version", "taken", "kept", "messages", "next"]
        assert [one["subject"] for one in document["messages"]] == ["Number 4", "Number 3"]
        assert list(document["messages"][0]) == [
            "id",
            "taken",
            "reverse_path",
            "recipients",
            "subject",
            "bytes",
            "answered",
        ]
        rest = (await ask(f"{api}?after={document['next']}")).document
        assert [one["id"] for one in rest["messages"]] == [messages[n].id for n in (2, 1, 0)]
        assert rest["next"] is None
        one = (await ask(f"{api}/{messages[0].id}")).document
        assert one["text"].startswith("Hello Ann,")
        assert ["Subject", "Number 0"] in one["headers"]
        assert one["parts"][0]["content_type"] == "text/plain"
        assert (await ask(f"{api}/{messages[0].id}/source")).body == messages[0].content


async def test_programs_get_errors_as_documents() -> None:
    async with staged() as stage:
        missing = await ask(f"{stage.site.url}/api/v1/messages/NOTHERE")
        assert (missing.status, missing.document["error"]["code"]) == (404, "E109")
        for limit in ("0", "-1", "x", "1001", "%C2%B2", "9" * 5000):
            answer = await ask(f"{stage.site.url}/api/v1/messages?limit={limit}")
            assert (answer.status, answer.document["error"]["code"]) == (400, "E101")
        assert (await ask(f"{stage.site.url}/messages/NOTHERE")).status == 404


async def test_a_burst_of_mail_is_told_at_once_and_then_in_one() -> None:
    async with staged() as stage:
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.site.port)
        writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")

        async def told() -> str:
            while True:
                line = (await asyncio.wait_for(reader.readline(), 5)).decode().strip()
                if line.startswith("data: "):
                    return line[6:]

        assert await told() == "0"
        begun = time.monotonic()
        for _ in range(100):
            stage.take(letter())
        assert await told() == "100"
        assert time.monotonic() - begun >= 0.15
        writer.close()
        await writer.wait_closed()


async def test_an_open_stream_does_not_hold_up_the_end() -> None:
    async with staged() as stage:
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.site.port)
        writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asyncio.wait_for(reader.readuntil(b"data: 0"), 5)
    await asyncio.wait_for(reader.read(), 5)
    writer.close()
