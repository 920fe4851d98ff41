"""`mailer config show`: which secrets are set, and never what they are."""

import pytest

from tests.diagnosis.command_line import CommandLine


async def test_only_what_mailer_reads_is_told_to_be_set(mailer: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAILER_SMTP_PASSWORD", "MAILER_TOKEN_SECRET", "MAILER_DASHBOARD_TOKEN"):
        monkeypatch.setenv(name, "hunter2hunter2hunter2")
    done = await mailer("config", "show")
    assert [line for line in done.out.splitlines() if line.endswith("is set")] == [
        "MAILER_SMTP_PASSWORD is set",
        "MAILER_TOKEN_SECRET is set",
    ]
    assert "hunter2" not in done.out
