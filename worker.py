"""The worker: `arq worker.WorkerSettings` and `python worker.py` run one; `mailer worker` is the same, supervised."""

from mailer.worker.arq_settings import WorkerSettings

__all__ = ["WorkerSettings"]

if __name__ == "__main__":
    from mailer.__main__ import main

    main(["worker"])
