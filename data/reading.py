"""Files in, canonical text out. Each conversion runs in a child process with limits; plain text is decoded right here.

A file that hangs, crashes, is hostile, encrypted or too large costs itself alone: it is refused with a reason.
"""

import hashlib
import mimetypes
import os
import queue
import signal
import stat
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict, Field

from data.canonical import canonical, decode, shown, title_of
from data.errors import RefusedDocument
from data.folder import FoundFile
from data.records import Scalar
from data.wire import receive, send

ROOT = Path(__file__).resolve().parent.parent
SOON_S = 0.02
"""Between two looks at whether conversions that were stopped have ended."""
TEXT_SUFFIXES = {".md", ".markdown", ".txt", ".text", ".rst", ".adoc", ".asciidoc", ".log", ".vtt", ".srt"}


class ReadingConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    timeout_s: float = Field(60, gt=0)
    """Wall-clock limit of one conversion, in seconds."""
    memory_mb: int = Field(2048, ge=256)
    """Address space of one converting process, in MiB."""
    max_file_mb: int = Field(100, ge=1)
    """Largest file that is read, in MiB."""
    max_characters: int = Field(20_000_000, ge=1)
    """Longest canonical text of one document."""
    max_unpacked_mb: int = Field(500, ge=1)
    """Most that the parts of a zipped format may unpack to, in MiB."""
    max_ratio: int = Field(200, ge=2)
    """Most that they may grow in unpacking."""
    workers: int = Field(2, ge=1)
    """Processes that convert at once."""
    recycle_after: int = Field(200, ge=1)
    """Conversions after which a process is replaced by a fresh one."""


@dataclass(frozen=True)
class ReadDocument:
    title: str
    text: str
    file_sha256: str
    size_bytes: int
    media_type: str
    metadata: dict[str, Scalar] = field(default_factory=dict)


class Reader:
    """Cheap to construct: processes start at the first conversion. `command` is what runs in them."""

    def __init__(
        self, config: ReadingConfig | None = None, command: tuple[str, ...] = ("-m", "data.conversion")
    ) -> None:
        self.config = config or ReadingConfig()
        self._command = command
        self._idle: queue.SimpleQueue[_Child] = queue.SimpleQueue()
        self._children: set[_Child] = set()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, name: str, content: bytes | Path) -> ReadDocument:
        """Read one file, given as bytes or as a path. Raises: RefusedDocument, OSError for a path that cannot be opened."""
        name = shown(name)
        data = content if isinstance(content, bytes) else _contents(content, name, self.max_bytes)
        if len(data) > self.max_bytes:
            raise RefusedDocument(
                f"{name} has over {self.config.max_file_mb} MiB; more is not read.",
                reason="too_large",
                next_step="Split it, or raise ASSAY_READING__MAX_FILE_MB.",
            )
        if not data:
            raise RefusedDocument(
                f"{name} is empty.", reason="empty", next_step="Nothing to do, unless it should not be."
            )
        if Path(name).suffix.lower() in TEXT_SUFFIXES:
            found = {"text": decode(data, name), "title": "", "metadata": {}}
        else:
            found = self._convert(name, data)
        text = canonical(found["text"])
        if not text:
            raise RefusedDocument(
                f"{name} holds no text (a scan, or pictures only).",
                reason="no_text",
                next_step="Run it through OCR, then ingest the result.",
            )
        if len(text) > self.config.max_characters:
            raise RefusedDocument(
                f"{name} has {len(text)} characters; at most {self.config.max_characters} are read.",
                reason="too_large",
                next_step="Split it, or raise ASSAY_READING__MAX_CHARACTERS.",
            )
        return ReadDocument(
            title=title_of(found["title"], text, name),
            text=text,
            file_sha256=hashlib.sha256(data).hexdigest(),
            size_bytes=len(data),
            media_type=mimetypes.guess_type(name)[0] or "application/octet-stream",
            metadata={key: canonical(v) if isinstance(v, str) else v for key, v in found["metadata"].items()},
        )

    def read_many(self, files: Iterable[FoundFile]) -> Iterator[tuple[FoundFile, ReadDocument | RefusedDocument]]:
        """Read `files` with all workers, yielding in order; looks a few files ahead, never at all of them.

        Left early (an interrupt, say), it stops the conversions under way and waits for none.
        """
        ahead: deque[tuple[FoundFile, Future]] = deque()
        pool = ThreadPoolExecutor(self.config.workers)
        try:
            for file in files:
                ahead.append((file, pool.submit(self._outcome, file)))
                if len(ahead) > 4 * self.config.workers:
                    yield _next(ahead)
            while ahead:
                yield _next(ahead)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            left = [future for _, future in ahead if not future.cancelled()]
            while left and wait(left, SOON_S).not_done:  # again, for a thread may have been about to start a process
                self.close()
            pool.shutdown()

    def close(self) -> None:
        """End the processes; a later conversion starts new ones."""
        while self._children:
            with suppress(KeyError):  # its own thread was faster
                self._children.pop().kill()

    @property
    def max_bytes(self) -> int:
        return self.config.max_file_mb << 20

    def _outcome(self, file: FoundFile) -> ReadDocument | RefusedDocument:
        try:
            return self.read(file.path.name, file.path)
        except RefusedDocument as error:
            return error
        except OSError as error:
            return unreadable(file.path.name, error)

    def _convert(self, name: str, data: bytes) -> dict:
        child = self._borrow()
        try:
            reply = child.convert({"name": name} | self.config.model_dump(), data, self.config.timeout_s)
        finally:
            if child.is_usable and child.n_done < self.config.recycle_after:
                self._idle.put(child)
            else:
                child.kill()
                self._children.discard(child)
        if reply is None:
            raise _died(name, child, self.config)
        if "reason" in reply:
            raise RefusedDocument(reply["message"], reason=reply["reason"], next_step=reply["next_step"])
        return reply

    def _borrow(self) -> "_Child":
        try:
            child = self._idle.get_nowait()
            if child.is_usable:
                return child
        except queue.Empty:
            pass
        child = _Child(self._command, self.config.memory_mb)
        self._children.add(child)
        return child


def _next(ahead: deque[tuple[FoundFile, Future]]) -> tuple[FoundFile, ReadDocument | RefusedDocument]:
    """The first outcome, when it is there; until then its file stays in the row."""
    file, future = ahead[0]
    outcome = future.result()
    ahead.popleft()
    return file, outcome


def unreadable(name: str, error: OSError) -> RefusedDocument:
    return RefusedDocument(
        f"{shown(name)} cannot be opened: {error.strerror}.",
        reason="unreadable",
        next_step="Check that it is still there, and its permissions.",
    )


def file_sha256(path: Path) -> str:
    """What `ReadDocument.file_sha256` will be. Raises: RefusedDocument, OSError."""
    with _opened(path, shown(path.name)) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Child:
    """One converting process, spoken to over pipes in length-prefixed JSON and bytes: nothing that could be executed."""

    def __init__(self, command: tuple[str, ...], memory_mb: int) -> None:
        environment = {
            "PATH": os.defpath,
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "MALLOC_ARENA_MAX": "1",  # at the memory limit glibc would try a new arena for each object, for minutes
            "ORT_DISABLE_TELEMETRY": "1",  # markitdown loads onnxruntime to tell formats apart
        }
        self._process = subprocess.Popen(
            [sys.executable, *command, str(memory_mb)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd=ROOT,
            start_new_session=True,
        )
        self.n_done = 0
        self.timed_out = False

    @property
    def is_usable(self) -> bool:
        return self._process.poll() is None and not self.timed_out

    def convert(self, request: dict, data: bytes, timeout_s: float) -> dict | None:
        """The child's reply, or None when it died or was killed at the time limit."""
        timer = threading.Timer(timeout_s, self._expire)
        timer.start()
        try:
            send(self._process.stdin, request, data)
            reply, _ = receive(self._process.stdout)
            self.n_done += 1
            return reply
        except (OSError, EOFError, ValueError):
            self.kill()
            return None
        finally:
            timer.cancel()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                pipe.close()

    def _expire(self) -> None:
        self.timed_out = True
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


def _contents(path: Path, name: str, max_bytes: int) -> bytes:
    """The file's bytes, at most `max_bytes` + 1 of them; a pipe or device that took its place is not waited for."""
    with _opened(path, name) as file:
        return file.read(max_bytes + 1)


def _opened(path: Path, name: str) -> BinaryIO:
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return open(handle, "rb")
    os.close(handle)
    raise RefusedDocument(f"{name} is no plain file.", reason="not_a_file", next_step="Ingest files and folders only.")


def _died(name: str, child: _Child, config: ReadingConfig) -> RefusedDocument:
    if child.timed_out:
        return RefusedDocument(
            f"{name} took longer than {config.timeout_s:g} s to convert and was stopped.",
            reason="timeout",
            next_step="Split it, or raise ASSAY_READING__TIMEOUT_S.",
        )
    return RefusedDocument(
        f"{name} made its converter crash or run out of memory ({config.memory_mb} MiB).",
        reason="crashed",
        next_step="Check the file, or raise ASSAY_READING__MEMORY_MB.",
    )
