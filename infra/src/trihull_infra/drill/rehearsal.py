"""One drill from beginning to end: check the way in, load, break, put back, wait for the last answer."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from trihull_infra.drill.callers import Callers, Entry
from trihull_infra.drill.faults import FaultKind, Faults, Outage, ending_on_sigterm
from trihull_infra.drill.load import SITE_HEADER, Load, Question, judge, questions
from trihull_infra.drill.plan import Plan
from trihull_infra.drill.samples import Move, OutageTimes, Outcome, Sample
from trihull_infra.drill.wire import Pool, WireError
from trihull_infra.errors import DrillError
from trihull_runtime.errors import UnavailableError
from trihull_runtime.predict.split import Split


@dataclass(frozen=True)
class Recording:
    """What was recorded: every sample, when the fault stood, how late the load itself ever was (seconds), and moves."""

    samples: tuple[Sample, ...]
    outage: OutageTimes
    late_s: float
    moves: tuple[Move, ...] = ()


HEALTH_PATH: Final = "/routerz"


def rehearse(
    plan: Plan,
    entries: Sequence[Entry],
    split: Split,
    faults: Faults,
    site: str,
    kind: FaultKind,
    progress: Callable[[float, str, Sample], None],
    health_path: str = HEALTH_PATH,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> Recording:
    """Run a drill. Call it in the main thread: Ctrl-C and SIGTERM end it, and the site is put back in any case.

    Args:
        plan: rates and durations.
        entries: the routers that callers know, in the order in which they use them. For the loss of a site: one
            outside it; for the loss of a router: that one first.
        split: rows with the bare model's answers.
        faults: what breaks and heals.
        site: the site to break.
        kind: how.
        progress: called with every sample: seconds since the start, the phase's name, the sample.
        health_path: what a router that was left is asked before callers come back to it.
        loop_factory: makes the event loop whose clock all times are read from; asyncio's own when None.

    Raises:
        UnavailableError, DrillError: an entry does not answer, or not as it should, or the site takes no traffic;
            nothing was broken.
        TrihullError: whatever `faults` raises.
    """
    asked = questions([entry.address for entry in entries], split)
    with ending_on_sigterm(), Outage(faults, site, kind) as outage, asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(_rehearse(plan, entries, asked, outage, progress, health_path))


async def _rehearse(
    plan: Plan,
    entries: Sequence[Entry],
    asked: list[Question],
    outage: Outage,
    progress: Callable[[float, str, Sample], None],
    health_path: str,
) -> Recording:
    callers = Callers(entries, plan.timeout_s, health_path, lambda: load.now_s())
    phase = "before"

    def on_sample(sample: Sample) -> None:
        progress(load.now_s(), phase, sample)

    load = Load(callers, asked, plan, on_sample)
    try:
        for _, pool in callers.pools():
            await check_entry(pool, asked[0], plan.timeout_s)
        if len(entries) > 1 and not await callers.first_is_well():
            url = entries[0].address.url
            raise DrillError(f"the entry {url} does not say that it is well at {health_path}: nobody would come back")
        load.begin()
        sending = asyncio.create_task(load.run())
        watching = asyncio.create_task(callers.come_back())
        try:
            await _until(load, plan.before_s)
            if len(entries) == 1:  # a site is lost, and not its router, through which everything goes
                refuse_standby(load.samples, outage.site)
            asked_s = load.now_s()
            phase = "outage"
            await _in_thread(outage.begin)
            broken_s = load.now_s()
            await _until(load, plan.before_s + plan.outage_s)
            healing_s = load.now_s()
            phase = "after"
            await _in_thread(outage.end)
            healed_s = load.now_s()
            await sending
        finally:
            sending.cancel()
            watching.cancel()
            await asyncio.wait([sending, watching])
    finally:
        callers.close()
    outage_times = OutageTimes(asked_s, broken_s, healing_s, healed_s)
    return Recording(tuple(load.samples), outage_times, load.late_s, tuple(callers.moves))


def refuse_standby(samples: Sequence[Sample], site: str) -> None:
    """Raise DrillError when other sites answered and `site` did not: nothing was broken yet, and nothing would show."""
    answered = sorted({sample.site for sample in samples if sample.site is not None})
    if answered and site not in answered:
        raise DrillError(
            f"{site} answered none of the {len(samples)} requests before the fault, {' and '.join(answered)} did: it "
            f"is a standby, so breaking it would show nothing, and nothing was broken; drill on --site {answered[0]}"
        )


async def _until(load: Load, when_s: float) -> None:
    await asyncio.sleep(max(0.0, when_s - load.now_s()))


async def _in_thread(call: Callable[[], None]) -> None:
    """Run a call that waits, so that the load goes on beside it; an interruption does not wait for it.

    The thread is ours and a daemon: asyncio's own would hold up Ctrl-C until the call returns.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def tell(error: BaseException | None) -> None:
        if not done.done():
            done.set_result(None) if error is None else done.set_exception(error)

    def work() -> None:
        problem: BaseException | None = None
        try:
            call()
        except Exception as error:  # noqa: BLE001  handed over to the waiting side, which raises it
            problem = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, problem)

    threading.Thread(target=work, name="fault", daemon=True).start()
    await done


async def check_entry(pool: Pool, question: Question, timeout_s: float) -> None:
    """Ask one question before anything is broken.

    Raises:
        UnavailableError: nothing answers at the entry.
        DrillError: it answers wrongly, or is no router of ours.
    """
    url = pool.address.url
    try:
        async with asyncio.timeout(timeout_s):
            response = await pool.request(question.data[pool.address])
    except TimeoutError as error:
        raise UnavailableError(f"the entry {url} does not answer within {timeout_s:g} s; is the router up?") from error
    except WireError as error:
        raise UnavailableError(f"the entry {url} does not answer: {error}; is the router up?") from error
    outcome, reason = judge(question, response)
    if outcome is not Outcome.RIGHT:
        raise DrillError(f"the entry {url} is not fit for a drill: its answer is {outcome.value}: {reason}")
    if SITE_HEADER not in response.headers:
        raise DrillError(f"the entry {url} does not say which site answered ({SITE_HEADER}): it is no trihull router")
