"""The state of one rollout and the moves between its states. Pure: no clock, no database.

none -> shadow -> canary -> champion          promote() moves one stage up
          \\________\\__________\\-> withdrawn    rollback() takes the newest step back
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from data.errors import InvalidInput, UsageError
from serving.rollout.policy import RolloutPolicy


class GateMissing(UsageError):
    """No passing verdict: exit 1 in commands, because the gate said no."""

    code = "gate_missing"


class Stage(StrEnum):
    """`shadow` answers in the background, `canary` answers a share of callers, `champion` answers the rest."""

    SHADOW = "shadow"
    CANARY = "canary"
    CHAMPION = "champion"


class Release(BaseModel):
    """A version that may answer: what it is, byte for byte, and the verdict that let it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str = Field(min_length=1, max_length=100)
    digest: str = ""
    verdict_id: str = ""


class Candidate(BaseModel):
    """A release on trial. `trial` is the revision at which its present stage began: evidence is counted per trial."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    release: Release
    stage: Stage
    share: float = Field(0.1, gt=0, lt=1)
    policy: RolloutPolicy = RolloutPolicy()
    trial: int = 0


class RolloutState(BaseModel):
    """Everything about one name. `before` holds earlier champions, the newest last; `None` is "no release at all"."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    revision: int = 0
    champion: Release | None = None
    candidate: Candidate | None = None
    before: tuple[Release | None, ...] = ()

    @property
    def live(self) -> tuple[Release, ...]:
        """Releases that must be ready to answer: champion, candidate, and what a rollback would bring back."""
        found = [self.champion, self.candidate.release if self.candidate else None, *self.before[-1:]]
        return tuple({r.version: r for r in found if r is not None}.values())


@dataclass(frozen=True)
class Route:
    """Where one request goes. `release` None: no version of this name answers yet, so its base does."""

    name: str
    release: Release | None
    stage: Stage | None
    revision: int
    trial: int = 0
    share: float = 0.0
    unit: str = ""
    """A digest of who or what was assigned: enough to count it once, no personal data. Empty outside a trial."""
    shadow: Release | None = None
    """A release that must be asked too, in the background, and never be shown."""

    @property
    def ref(self) -> str:
        """name@version, the name under which a server loads it; empty for the base."""
        return f"{self.name}@{self.release.version}" if self.release else ""


def started(state: RolloutState, release: Release, stage: Stage, share: float, policy: RolloutPolicy) -> RolloutState:
    """Raises: InvalidInput when another candidate is on trial, the version answers already, or it would skip the trial."""
    if state.candidate is not None:
        raise InvalidInput(
            f"{state.name}@{state.candidate.release.version} is on trial as {state.candidate.stage}.",
            field="version",
            next_step=f"Promote it, or take it back with: assay rollout rollback {state.name}",
        )
    if state.champion is not None and state.champion.version == release.version:
        raise InvalidInput(f"{state.name}@{release.version} is the champion already.", field="version")
    if stage is Stage.CHAMPION:
        raise InvalidInput(
            "A release starts as shadow or canary.", field="stage", next_step="Then: assay rollout promote NAME"
        )
    candidate = Candidate(release=release, stage=stage, share=share, policy=policy, trial=state.revision + 1)
    return state.model_copy(update={"revision": state.revision + 1, "candidate": candidate})


def promoted(state: RolloutState, verdict_id: str) -> RolloutState:
    """One stage up. Raises: InvalidInput without a candidate, GateMissing without a verdict."""
    if state.candidate is None:
        raise InvalidInput(
            f"{state.name} has no version on trial.",
            field="name",
            next_step=f"Start one with: assay rollout start {state.name}@VERSION",
        )
    release = state.candidate.release.model_copy(update={"verdict_id": verdict_id})
    if not verdict_id:
        raise gate_missing(state.name, release.version)
    revision = state.revision + 1
    if state.candidate.stage is Stage.SHADOW:
        on = state.candidate.model_copy(update={"release": release, "stage": Stage.CANARY, "trial": revision})
        return state.model_copy(update={"revision": revision, "candidate": on})
    before = (*state.before, state.champion)[-10:]
    return state.model_copy(update={"revision": revision, "champion": release, "candidate": None, "before": before})


def rolled_back(state: RolloutState) -> RolloutState:
    """Without the candidate; where there is none, with the champion before. Raises: InvalidInput when neither exists."""
    revision = state.revision + 1
    if state.candidate is not None:
        return state.model_copy(update={"revision": revision, "candidate": None})
    if not state.before:
        raise InvalidInput(
            f"{state.name} has no candidate and no earlier champion to go back to.",
            field="name",
            next_step="See what is live with: assay rollout status",
        )
    return state.model_copy(update={"revision": revision, "champion": state.before[-1], "before": state.before[:-1]})


def gate_missing(name: str, version: str) -> GateMissing:
    return GateMissing(
        f"{name}@{version} has no passing verdict of the gate for these very files.",
        next_step="Run the gate on it first; its newest verdict counts.",
    )


def routed(state: RolloutState, caller: str, request: str) -> Route:
    """Where a request of `caller` goes. The same caller goes the same way for as long as the share does not shrink."""
    candidate, plain = state.candidate, {"name": state.name, "revision": state.revision}
    stage = Stage.CHAMPION if state.champion else None
    if candidate is None:
        return Route(release=state.champion, stage=stage, **plain)
    unit = _digest(
        f"{state.name}@{candidate.release.version}\n{caller if candidate.policy.unit == 'caller' else request}"
    )
    trial = {"trial": candidate.trial, "unit": unit}
    if candidate.stage is Stage.SHADOW:
        return Route(release=state.champion, stage=stage, shadow=candidate.release, **trial, **plain)
    trial["share"] = candidate.share
    if int(unit, 16) / 16 ** len(unit) < candidate.share:
        return Route(release=candidate.release, stage=Stage.CANARY, **trial, **plain)
    return Route(release=state.champion, stage=stage, **trial, **plain)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
