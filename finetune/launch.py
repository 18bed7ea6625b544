"""Where the run runs: processes asked for and got, the environment as logged. The one file of `finetune` that reads it.

`accelerate launch --cpu --num_processes 2` starts one process and says nothing: it sets MASTER_PORT but no WORLD_SIZE.
"""

import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from data.errors import UsageError

LOGGED = (
    "torch",
    "transformers",
    "peft",
    "trl",
    "accelerate",
    "bitsandbytes",
    "datasets",
    "sentence-transformers",
    "mlflow",
)
DEFAULT_TRACKING = "sqlite:///var/mlflow.db"
_ASKED = re.compile(r"--num[_-]processes(?:[= ](\d+))")


@dataclass(frozen=True)
class Place:
    """This process among those that train together. `asked` is None where the launcher named no number."""

    rank: int = 0
    local_rank: int = 0
    world_size: int = 1
    asked: int | None = None
    launcher: str = ""

    @property
    def is_main(self) -> bool:
        return self.rank == 0


class WrongWorldSize(UsageError):
    """Other processes than asked for would train."""

    code = "wrong_world_size"


def find_place(environment: Mapping[str, str] | None = None, parent_command: Sequence[str] | None = None) -> Place:
    """Read what torchrun or accelerate told this process."""
    env = os.environ if environment is None else environment
    parent = _parent_command() if parent_command is None else parent_command
    named = _ASKED.search(" ".join(parent))
    asked = int(env.get("ACCELERATE_NUM_PROCESSES") or (named[1] if named else 0)) or None
    if asked is None and "MASTER_PORT" in env and "WORLD_SIZE" not in env:
        asked = 2  # accelerate sets MASTER_PORT only where more than one was asked for
    return Place(
        rank=int(env.get("RANK", 0)),
        local_rank=int(env.get("LOCAL_RANK", 0)),
        world_size=int(env.get("WORLD_SIZE", 1)),
        asked=asked,
        launcher=" ".join(parent),
    )


def check_world_size(place: Place, wanted: int | None, arguments: Sequence[str]) -> None:
    """Compare processes asked for with those got. Raises: WrongWorldSize, ending with the command that works."""
    asked = wanted or place.asked
    if asked is None or asked == place.world_size:
        return
    by = "train.world_size" if wanted else "the launcher"
    command = f"python -m torch.distributed.run --nproc_per_node {asked} -m finetune.train {' '.join(arguments)}"
    if asked == 1:
        command = f"accelerate launch --num_processes 1 -m finetune.train {' '.join(arguments)}"
    raise WrongWorldSize(
        f"{by} asks for {asked} processes and there {'is' if place.world_size == 1 else 'are'} {place.world_size}.",
        next_step=f"Run: {command}",
    )


def silence_telemetry() -> None:
    """Nothing that is trained here is reported to anybody. To be called before the libraries are imported."""
    for name in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK", "HF_HUB_DISABLE_TELEMETRY"):
        os.environ.setdefault(name, "true")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def tracking_uri(given: str | None) -> str:
    """The recipe's MLflow address, else the environment's, else the local default."""
    return given or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_TRACKING


def child_environment(**more: str) -> dict[str, str]:
    """The environment of a process that a run starts."""
    return dict(os.environ) | more


def server_key() -> str:
    """The key of the model server that parity asks, under vLLM's own name for it."""
    return os.environ.get("VLLM_API_KEY", "")


def described_environment() -> dict[str, str]:
    """Versions, git revision and hardware in words; no machine name, no user, no path."""
    memory_gib = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    facts = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "hardware": f"{os.cpu_count()} cores, {memory_gib} GiB{_devices()}",
        "git": _git_revision(),
    }
    for package in LOGGED:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            continue
    return facts


def _devices() -> str:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return ", no GPU"
    return "".join(f", {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count()))


def _git_revision() -> str:
    root = Path(__file__).parent.parent
    try:
        run = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return run.stdout.strip() or "unknown"


def _parent_command() -> list[str]:
    """The command line of the launcher, where the system tells it."""
    told = Path(f"/proc/{os.getppid()}/cmdline")
    try:
        if told.exists():
            return told.read_text("utf-8", "replace").strip("\0").split("\0")
        shown = subprocess.run(
            ["ps", "-o", "args=", "-p", str(os.getppid())], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return shown.stdout.split()
