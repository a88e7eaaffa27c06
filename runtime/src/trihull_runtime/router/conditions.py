"""From what happened to how a site is: recovery in steps, flap damping, pauses. No clock and no socket in it.

Flap damping is that of BGP (RFC 2439, 4): every outage adds a penalty that halves with time; a site whose penalty rose
above one threshold is asked after all others until it fell below another.
"""

import enum
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from trihull_runtime.router.health import SiteHealth
from trihull_runtime.router.timings import Timings

RAMP_PERCENT = (5, 25, 50)  # the steps of a site that comes back, then everything
SUPPRESS, REUSE, MOST = 3.0, 1.0, 6.0  # penalties; an outage adds 1
FAILED_IN_A_ROW = 3  # questions without an answer, after which a site counts as down
RIGHT_IN_A_ROW = 3  # answers after which a liar is believed again
CUT_SHORT, CUT_SHORT_WITHIN_S = 3, 10.0  # truncated answers after which a site gets a pause
WHOLE_SITE = ""  # in place of a model


class Verdict(enum.StrEnum):
    """What became of a question with a known answer."""

    RIGHT = "right"
    WRONG = "wrong"
    STALE = "stale"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """What one question to one site came to; `latency_s` is None when no right answer came."""

    site: str
    model: str
    verdict: Verdict
    reason: str = ""
    latency_s: float | None = None


@dataclass
class _Track:
    """One site, or one model on it."""

    down: dict[str, tuple[str, float]] = field(default_factory=dict)  # source -> reason, and until when it is believed
    back_at: float | None = None
    penalty: float = 0.0
    penalty_at: float = 0.0
    suppressed: bool = False


@dataclass
class _Answers:
    """What one site answers for one model."""

    verdict: Verdict = Verdict.RIGHT
    reason: str = ""
    right: int = 0
    failed: int = 0


class Conditions:
    """Remembers what happened to each site; times are seconds of any clock that does not jump."""

    def __init__(self, timings: Timings) -> None:
        self._timings = timings
        self._tracks: dict[tuple[str, str], _Track] = {}
        self._answers: dict[tuple[str, str], _Answers] = {}
        self._busy: dict[str, tuple[float, str]] = {}
        self._cut: dict[str, list[float]] = {}

    def down(
        self, site: str, source: str, reason: str, now: float, model: str = WHOLE_SITE, until: float = math.inf
    ) -> None:
        """A site (or a model on it) is down, says a source; without another word it is believed `until` then."""
        track = self._track(site, model)
        if not track.down:
            track.penalty = min(MOST, self._decayed(track, now) + 1)
            track.penalty_at = now
            track.suppressed = track.suppressed or track.penalty > SUPPRESS
        track.down[source] = (reason, until)
        track.back_at = None

    def ejected(self, site: str, source: str, reason: str, now: float, model: str = WHOLE_SITE) -> None:
        """Envoy ejected a site: it is held back for a time that grows with every outage that is not forgotten yet.

        Envoy itself forgets an ejection when the site moves to another priority, which it does because of it.
        """
        self.down(site, source, reason, now, model)
        times = math.ceil(self._track(site, model).penalty)
        hold_s = min(self._timings.ejection_max_s, self._timings.ejection_base_s * times)
        self.down(site, source, reason, now, model, now + hold_s)

    def up(self, site: str, source: str, now: float, model: str = WHOLE_SITE) -> None:
        """That source no longer says so; when none does, the site comes back step by step."""
        track = self._track(site, model)
        if track.down.pop(source, None) is not None and not track.down:
            track.back_at = now

    def forget_envoy(self) -> None:
        """Another Envoy runs: what the old one had found out counts no more, the new one finds out anew."""
        for track in self._tracks.values():
            for source in [source for source in track.down if source != "probe"]:
                del track.down[source]

    def busy(self, site: str, seconds: float, reason: str, now: float) -> None:
        """A site asked for a pause; longer ones than the timings believe are cut."""
        until = now + min(max(0.0, seconds), self._timings.busy_max_s)
        if until > self._busy.get(site, (0.0, ""))[0]:
            self._busy[site] = (until, reason)

    def cut_short(self, site: str, now: float) -> bool:
        """An answer ended before its end; several get the site a pause. Returns whether this one did."""
        recent = [at for at in self._cut.get(site, []) if at > now - CUT_SHORT_WITHIN_S] + [now]
        self._cut[site] = recent
        if len(recent) < CUT_SHORT:
            return False
        self._cut[site] = []
        self.busy(site, self._timings.ejection_base_s, f"{len(recent)} answers were cut short", now)
        return True

    def answered(self, site: str, model: str, verdict: Verdict, reason: str, now: float) -> bool:
        """A question was answered; returns whether that changes what the site is worth for the model."""
        answers = self._answers.setdefault((site, model), _Answers())
        before = answers.verdict
        answers.right = answers.right + 1 if verdict is Verdict.RIGHT else 0
        answers.failed = answers.failed + 1 if verdict is Verdict.FAILED else 0
        match verdict:
            case Verdict.WRONG | Verdict.STALE:
                answers.verdict, answers.reason = verdict, reason
            case Verdict.RIGHT:
                self.up(site, "probe", now, model)
                if before is Verdict.STALE or answers.right >= RIGHT_IN_A_ROW:
                    answers.verdict, answers.reason = Verdict.RIGHT, ""
            case Verdict.FAILED if answers.failed >= FAILED_IN_A_ROW:
                self.down(site, "probe", f"{answers.failed} questions went unanswered: {reason}", now, model)
        return answers.verdict is not before

    def forget(self, sites: Iterable[str]) -> None:
        """Keep only these sites."""
        kept = set(sites)
        for table in (self._tracks, self._answers):
            for key in [key for key in table if key[0] not in kept]:
                del table[key]
        for other in (self._busy, self._cut):
            for site in [site for site in other if site not in kept]:
                del other[site]

    def health(self, now: float) -> Mapping[str, SiteHealth]:
        """Return what is known of each site that anything happened to; the same state and time give the same."""
        sites = {site for site, _ in (*self._tracks, *self._answers)} | set(self._busy)
        return {site: self._site(site, now) for site in sorted(sites)}

    def _site(self, site: str, now: float) -> SiteHealth:
        whole = self._condition(self._tracks.get((site, WHOLE_SITE)), now)
        models = {
            model: self._condition(track, now)
            for (name, model), track in sorted(self._tracks.items())
            if name == site and model != WHOLE_SITE
        }
        said = {model: each for (name, model), each in sorted(self._answers.items()) if name == site}
        until, pause = self._busy.get(site, (0.0, ""))
        busy = until > now
        return SiteHealth(
            up=whole.up and not busy,
            limit_percent=whole.limit_percent,
            suppressed=whole.suppressed,
            wrong={model: each.reason for model, each in said.items() if each.verdict is Verdict.WRONG},
            stale={model: each.reason for model, each in said.items() if each.verdict is Verdict.STALE},
            reason=whole.reason or (pause if busy else ""),
            models={model: each for model, each in models.items() if each != SiteHealth()},
        )

    def _condition(self, track: _Track | None, now: float) -> SiteHealth:
        if track is None:
            return SiteHealth()
        for source in [source for source, (_, until) in track.down.items() if until <= now]:
            del track.down[source]
            track.back_at = track.back_at if track.down else now
        if track.suppressed and not track.down and self._decayed(track, now) < REUSE:
            track.suppressed = False
        if track.down:
            return SiteHealth(
                up=False, suppressed=track.suppressed, reason="; ".join(reason for reason, _ in track.down.values())
            )
        limit = self._limit(track, now)
        reason = ""
        if track.suppressed:
            reason = "it was down so often that it is asked after all others for a while"
        elif limit < 100:
            reason = f"it comes back from an outage and gets at most {limit} % for now"
        return SiteHealth(limit_percent=limit, suppressed=track.suppressed, reason=reason)

    def _limit(self, track: _Track, now: float) -> int:
        if track.back_at is None:
            return 100
        step = int((now - track.back_at) / self._timings.ramp_step_s)
        if step >= len(RAMP_PERCENT):
            track.back_at = None
            return 100
        return RAMP_PERCENT[step]

    def _track(self, site: str, model: str) -> _Track:
        return self._tracks.setdefault((site, model), _Track())

    def _decayed(self, track: _Track, now: float) -> float:
        return float(track.penalty * 0.5 ** ((now - track.penalty_at) / self._timings.damping_half_life_s))
