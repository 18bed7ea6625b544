"""Conversations as LangGraph keeps them, in the product's SQLite file: of each its newest state alone.

A state holds all the turns that a conversation remembers; nobody goes back to an older one.
"""

import sqlite3
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite import SqliteSaver

SUPERSEDED = "delete from {table} where thread_id = ? and checkpoint_ns = ? and checkpoint_id < ?"


class NewestCheckpoints(SqliteSaver):
    """Drops what a new checkpoint supersedes."""

    def put(self, config: RunnableConfig, *saved: Any) -> RunnableConfig:
        newest = super().put(config, *saved)
        where = newest["configurable"]
        place = (str(where["thread_id"]), where["checkpoint_ns"], where["checkpoint_id"])
        with self.cursor() as cursor:
            for table in ("checkpoints", "writes"):
                cursor.execute(SUPERSEDED.format(table=table), place)
        return newest


def open_conversations(path: str) -> NewestCheckpoints:
    """`path` is the database file. Dropped text leaves its pages too."""
    connection = sqlite3.connect(path, check_same_thread=False, timeout=30)
    connection.execute("pragma secure_delete = on")
    connection.execute("pragma synchronous = normal")  # as receipts: a killed process loses nothing, a power cut may
    saver = NewestCheckpoints(connection)
    saver.setup()
    return saver
