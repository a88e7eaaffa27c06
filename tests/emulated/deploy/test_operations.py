"""One contract for all that runs operations on stacks: the real engine, and what unit tests run in its place."""

import signal

import pytest

from tests.deployments import Project
from tests.unit.infra.deploy.in_process import InProcess
from trihull_infra.cloud import Cloud
from trihull_infra.deploy import stacks
from trihull_infra.deploy.operations import Operations
from trihull_infra.deploy.stacks import Action, Result
from trihull_infra.deploy.stopping import Stop

CLOUDS = (Cloud.AWS, Cloud.GCP)
BROKEN = "raise ValueError('no quota left')"
REFUSED = "import trihull_infra.errors as e; raise e.SpecError('no such machine class')"


@pytest.fixture(params=["engine", "in_process"])
def contract(request: pytest.FixtureRequest, project: Project) -> Operations:
    return project.operations if request.param == "engine" else InProcess()


def test_operations_on_stacks_keep_to_the_contract(contract: Operations, project: Project) -> None:
    context, stop = project.context(), Stop()

    def run(action: Action, remove: bool = False, show_secrets: bool = False) -> list[Result]:
        tasks = [
            context.task(stacks.Project.SITE, cloud, action, remove=remove, show_secrets=show_secrets)
            for cloud in CLOUDS
        ]
        before = len(project.display.lines)
        results = contract(tasks, project.display, stop)
        assert [result.title for result in results] == ["aws site", "gcp site"]
        shown = project.display.lines[before:]
        assert {"aws site started", "gcp site started"} <= set(shown)
        assert [project.display.results[result.title] for result in results] == results
        return results

    # Stacks that are not there.
    for action in (Action.OUTPUTS, Action.REFRESH, Action.DESTROY):
        for result in run(action):
            assert (result.ok, result.outputs, result.changes) == (True, None, {})
    # A preview makes the stack and nothing in it.
    for result in run(Action.PREVIEW):
        assert (result.ok, result.outputs, result.changes) == (True, {}, {"create": 2})
    for result in run(Action.OUTPUTS):
        assert (result.ok, result.outputs, result.changes) == (True, {}, {})
    # A program that fails stops no other, and what failed is said without a traceback when trihull refused it.
    project.switch("site", "aws", BROKEN)
    project.switch("site", "gcp", REFUSED)
    broken, refused = run(Action.UP)
    assert (broken.outputs, refused.outputs) == (None, None)
    assert "no quota left" in broken.problem
    assert refused.problem.endswith("no such machine class")
    assert "Traceback" not in refused.problem
    assert (broken.stopped, refused.stopped) == (False, False)
    project.switch("site", "aws", None)
    up, refused = run(Action.UP)
    assert not refused.ok
    assert up.ok
    assert up.changed > 0
    assert up.outputs is not None
    assert (up.outputs["cloud"], up.outputs["version"], up.outputs["kubeconfig"]) == ("aws", 1, "[secret]")
    # Once more nothing changes, and outputs are what they were.
    project.switch("site", "gcp", None)
    assert all(result.ok for result in run(Action.UP))
    for result in (*run(Action.UP), *run(Action.PREVIEW)):
        assert (result.ok, result.changed, result.changes) == (True, 0, {"same": 2})
    known, refreshed = run(Action.OUTPUTS), run(Action.REFRESH)
    assert known[0].outputs == up.outputs
    clear = run(Action.OUTPUTS, show_secrets=True)[0].outputs
    assert clear == {**up.outputs, "kubeconfig": "{}", "router_key": "key", "serving_key": "key"}
    assert [result.outputs for result in refreshed] == [result.outputs for result in known]
    assert all(result.ok and result.changed == 0 for result in refreshed)
    # A stack that was destroyed stays until it is removed.
    for result in run(Action.DESTROY):
        assert (result.ok, result.outputs, result.changes) == (True, {}, {"delete": 2})
    for result in run(Action.OUTPUTS):
        assert (result.ok, result.outputs) == (True, {})
    for result in run(Action.DESTROY, remove=True):
        assert (result.ok, result.outputs, result.changed) == (True, None, 0)
    for result in run(Action.OUTPUTS):
        assert (result.ok, result.outputs) == (True, None)


def test_nothing_begins_after_a_stop(contract: Operations, project: Project) -> None:
    stop = Stop()
    stop.signal = signal.SIGTERM
    tasks = [project.context().task(stacks.Project.SITE, cloud, Action.UP) for cloud in CLOUDS]
    results = contract(tasks, project.display, stop)
    assert [(result.title, result.ok, result.stopped) for result in results] == [
        ("aws site", False, True),
        ("gcp site", False, True),
    ]
    assert project.display.lines == []
