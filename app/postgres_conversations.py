"""Conversations as LangGraph keeps them, in the product's Postgres database: of each its newest state alone."""

from typing import Any

import structlog
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.postgres import PostgresSaver
from psycopg.errors import DeadlockDetected, SerializationFailure
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

log = structlog.get_logger()


class NewestCheckpoints(PostgresSaver):
    """Drops what a new checkpoint supersedes."""

    def put(self, config: RunnableConfig, *saved: Any) -> RunnableConfig:
        newest = super().put(config, *saved)
        thread = str(newest["configurable"]["thread_id"])
        try:
            self.prune([thread])
        except (
            SerializationFailure,
            DeadlockDetected,
        ):  # two questions of one conversation at once: the next one prunes
            log.info("conversation.prune_postponed")
        return newest


def open_conversations(url: str) -> NewestCheckpoints:
    """`url` is SQLAlchemy's."""
    plain = url.replace("postgresql+psycopg://", "postgresql://")
    pool = ConnectionPool(plain, kwargs={"autocommit": True, "row_factory": dict_row}, open=True)
    saver = NewestCheckpoints(pool)
    saver.setup()
    return saver
