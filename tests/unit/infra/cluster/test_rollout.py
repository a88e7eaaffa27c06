from hypothesis import given
from hypothesis import strategies as st

from trihull_infra.emulators.cluster.rollout import Member, Step, plan


def test_nothing_to_do_is_no_step() -> None:
    assert plan(1, "new", [Member("a", "new", True, False)]) == Step(0, ())


def test_an_update_starts_one_pod_more_before_an_old_one_stops() -> None:
    old = [Member("a", "old", True, False), Member("b", "old", True, False)]
    assert plan(2, "new", old) == Step(1, ())
    waiting = [*old, Member("c", "new", False, False)]
    assert plan(2, "new", waiting) == Step(0, ())
    assert plan(2, "new", [*old, Member("c", "new", True, False)]) == Step(0, ("a",))


def test_recreate_waits_until_all_old_pods_are_gone() -> None:
    assert plan(1, "new", [Member("a", "old", True, False)], recreate=True) == Step(0, ("a",))
    assert plan(1, "new", [Member("a", "old", False, True)], recreate=True) == Step(0, ())
    assert plan(1, "new", [], recreate=True) == Step(1, ())


@st.composite
def _members(draw: st.DrawFn) -> list[Member]:
    count = draw(st.integers(0, 8))
    result = []
    for index in range(count):
        ending = draw(st.booleans())
        available = not ending and draw(st.booleans())
        result.append(Member(f"p{index}", draw(st.sampled_from(["old", "new"])), available, ending))
    return result


@given(replicas=st.integers(0, 5), members=_members())
def test_a_rolling_step_never_goes_below_what_is_wanted_nor_more_than_one_above(
    replicas: int, members: list[Member]
) -> None:
    step = plan(replicas, "new", members)
    live = [member for member in members if not member.ending]
    available = sum(member.available for member in live)
    stopped = [member for member in live if member.name in step.stop]
    assert len(stopped) == len(step.stop)
    assert available - sum(member.available for member in stopped) >= min(available, replicas)
    if step.start:
        assert len(live) + step.start <= replicas + 1


@given(replicas=st.integers(0, 5), members=_members())
def test_steps_lead_to_the_wanted_pods_when_new_pods_become_available(replicas: int, members: list[Member]) -> None:
    number = 0
    for _ in range(60):
        step = plan(replicas, "new", members)
        members = [member for member in members if member.name not in step.stop and not member.ending]
        members = [Member(m.name, m.template_hash, True, False) for m in members]
        for _ in range(step.start):
            number += 1
            members.append(Member(f"n{number}", "new", False, False))
    assert [(m.template_hash, m.available) for m in members] == [("new", True)] * replicas
