"""From a problem to a plan."""

from __future__ import annotations

import math
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from schedplan.course import publish_model
from schedplan.errors import BudgetError, PlanError, RunFailedError
from schedplan.executors import DeviceExecutor, SerialExecutor
from schedplan.frontier import Label, Pareto
from schedplan.journal import KeepSnapshots, RunFolder, fingerprint, hash_folder, publish_folder
from schedplan.plan import Plan, Stage
from schedplan.solver.driver import Driver
from schedplan.solver.problem import Event, PlanEvent, Problem, SearchOptions
from schedplan.solver.restoration import Diverged


def solve(
    problem: Problem,
    folder: Path | None = None,
    *,
    options: SearchOptions | None = None,
    executor: Executor | None = None,
    workers: int | None = None,
    on_event: Callable[[Event], object] = lambda event: None,
    keep_snapshots: KeepSnapshots = "best",
    retry_failed: bool = False,
    config: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Plan:
    """Find the best path through the graph and return it as a plan.

    Args:
        problem: what to search.
        folder: the run folder. If it holds an earlier, interrupted search of the same problem,
            that is continued. None: a temporary folder, removed in the end with the model. With a
            Pareto frontier, the plans that trade score for cost are written to its `front/`.
        options: how to search; `SearchOptions()` by default.
        executor: where transitions run; in this process, one by one, by default. Those of
            `concurrent.futures` give transitions no devices; a process that is lost ends the run,
            which can be gone on with. A pool of threads needs a trainer without global random
            state, and an interrupt waits for the slices under way.
        workers: how many transitions the executor trains at a time; by default what a pool of ours
            or of `concurrent.futures` says of itself, and all that is ready of other executors.
        on_event: called with every event, in this thread.
        keep_snapshots: `best` removes a snapshot once no later transition can need it.
        retry_failed: go on with transitions that failed in an earlier run, and train again all
            that would now start from another model.
        config: plain data that determines the result, to bind `folder` to; by default derived
            from `problem`.
        provenance: further facts to put into the plan.

    Returns:
        The plan. Where the budget ended the search, it is the best so far, of earlier searches in
        `folder` too, and not `complete`.

    Raises:
        RunFailedError: if so many transitions have failed that no final state can be reached.
        BudgetError: if the budget ended before a final state was reached.
        RunFolderError: if `folder` belongs to another problem or is in use.
        BrokenPoolError: if an executor of `concurrent.futures` has lost a process.
        UsageError: what the user has to mend first, such as an unknown metric.

    Example:
        >>> from schedplan import SimulatedTrainer, Space, Axis, build_graph
        >>> from schedplan.graph import basic
        >>> space = Space((Axis("clip", (16, 32)), Axis("rate", (0.1, 0.01))))
        >>> graph = build_graph(
        ...     space, basic(), space.select({"rate": 0.1}), space.select({"rate": 0.01})
        ... )
        >>> plan = solve(Problem(graph, SimulatedTrainer, metric="quality"))
        >>> plan.stages[-1].params["rate"]
        0.01
    """
    config = config or problem.facts()
    options = options or SearchOptions()
    executor = executor or SerialExecutor()
    most = _workers(executor) if workers is None else workers
    with _run_folder(folder) as run:
        run.configure(config)
        while True:
            driver = Driver(
                problem, options, run, executor, most, on_event, keep_snapshots, retry_failed
            )
            with suppress(Diverged):
                driver.run()
                break
        run.check()
        plan = _conclude(driver, {**(provenance or {}), "fingerprint": fingerprint(config)})
    on_event(PlanEvent(plan))
    return plan


@contextmanager
def _run_folder(path: Path | None) -> Iterator[RunFolder]:
    """Hold the run folder at `path`, or a temporary one."""
    if path is not None:
        with RunFolder(path.absolute()).hold() as run:
            yield run
        return
    with tempfile.TemporaryDirectory(prefix="schedplan-", ignore_cleanup_errors=True) as temporary:
        yield RunFolder(Path(temporary))


def _workers(executor: Executor) -> float:
    if isinstance(executor, SerialExecutor):
        return 1
    if isinstance(executor, DeviceExecutor):
        return executor.workers
    return getattr(executor, "_max_workers", math.inf)  # of the pools of concurrent.futures


def _conclude(driver: Driver, provenance: Mapping[str, Any]) -> Plan:
    """Write down what was found: the front, the model and its plan, which is returned."""
    run, label = driver.folder, driver.answer
    if driver.budget_ended and (earlier := _earlier_plan(driver, label)):
        return earlier
    if label is None:
        raise _no_plan(driver)
    assert label.snapshot is not None
    versions = {name: version(name) for name in ("schedplan", "networkx", "numpy", "scipy")}
    provenance = {
        **provenance,
        "seed": driver.problem.seed,
        "versions": {"python": platform.python_version(), **versions},
    }
    _publish_front(driver, provenance)
    publish_model(run, label.snapshot)
    plan = _plan(driver, label, {**provenance, "model_sha256": hash_folder(run.model)})
    earlier = _written(run)
    if earlier and earlier.bare == plan.bare:
        plan = replace(plan, confirmed=earlier.confirmed)
    run.check()
    plan.save(run.plan_file)
    return plan


def _earlier_plan(driver: Driver, label: Label | None) -> Plan | None:
    """Return what an earlier search of this run found, unless `label` is better."""
    plan = _written(driver.folder)
    if plan is None:
        return None
    assert plan.score is not None  # a search knows it
    better = label and label.value > (plan.score if plan.mode == "max" else -plan.score)
    return None if better else replace(plan, complete=False)


def _written(run: RunFolder) -> Plan | None:
    """Return the plan that a run folder holds; None if there is none, or none that can be read."""
    try:
        return Plan.load(run.plan_file)
    except PlanError:
        return None


def _publish_front(driver: Driver, provenance: Mapping[str, Any]) -> None:
    """Write the plans that no other beats in both score and cost, if they were searched for."""
    folder = driver.folder.front
    if not isinstance(driver.options.frontier, Pareto):
        shutil.rmtree(folder, ignore_errors=True)
        return
    labels = driver.search.arrived()
    front = Pareto(len(labels)).keep(labels)[::-1]

    def fill(folder: Path) -> None:
        for number, label in enumerate(front, start=1):
            _plan(driver, label, provenance).save(folder / f"plan-{number:02d}.yaml")

    publish_folder(folder, fill)


def _plan(driver: Driver, label: Label, provenance: Mapping[str, Any]) -> Plan:
    """Return the plan that leads to `label`."""
    problem, stages = driver.problem, list(_stages(label))
    first, last = stages[0], stages[-1]
    return Plan(
        name=problem.name,
        metric=problem.metric,
        mode=problem.mode,
        score=last.score,
        initial=None if first.epochs else first,
        stages=tuple(stage for stage in stages if stage.epochs > 0),
        final=None if last.epochs or last is first else last,
        complete=driver.search.finished,
        provenance=dict(provenance),
    )


def _no_plan(driver: Driver) -> RunFailedError | BudgetError:
    if driver.budget_ended:
        return BudgetError(
            f"the budget ended before a final state was reached ({driver.ledger.used_up})",
            hint="raise search.budget and run again: it goes on where it stopped; with "
            "search.order: dive there is a plan early",
        )
    return RunFailedError(
        failure_in_words(driver.failures),
        hint=f"tracebacks are in {driver.folder.path / 'transitions'}/*/*/error.txt; once the "
        "cause is mended, run again with --retry-failed",
    )


def failure_in_words(failures: Sequence[str]) -> str:
    """Return why no final state was reached, given what has failed, each as `KEY: REASON`.

    Example:
        >>> failure_in_words(["S0__0.1: no memory"])
        'no final state can be reached without what has failed: S0__0.1: no memory'
    """
    shown = "; ".join(failures[:3]) + (f"; and {len(failures) - 3} more" * (len(failures) > 3))
    return f"no final state can be reached without what has failed: {shown}"


def _stages(label: Label) -> Iterator[Stage]:
    """Yield the path to `label`, states where nothing was trained included."""
    for step in label.path:
        outcome = step.outcome
        if outcome is not None and outcome.score is not None and outcome.observed is not None:
            yield Stage(
                state=step.state.label,
                params=step.state.space.params(step.state),
                epochs=outcome.epoch,
                score=outcome.score,
                observed=outcome.observed,
                seed=outcome.seed,
            )
