"""What `schedplan run` does: search, draw, and say what a person would want to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from schedplan.cli.observers import ALWAYS, Trackers, observed, write_trackers
from schedplan.cli.progress import Display, judge_of, log, session
from schedplan.cli.report import search_content
from schedplan.cli.status import (
    best_so_far,
    budget_ended,
    progress_in_words,
    status_facts,
)
from schedplan.config import Setup
from schedplan.errors import PlanError
from schedplan.executors import SerialExecutor
from schedplan.frontier import Pareto
from schedplan.journal import RunFolder
from schedplan.plan import Plan
from schedplan.report import begun_trainings, ended_trainings, trace, write_graph, write_report
from schedplan.report.text import counted, listed
from schedplan.solver import solve


def run_facts(setup: Setup) -> dict[str, Any]:
    """Return what determines the result of a search."""
    return {**setup.facts(), "data": setup.data}


def trained_with(setup: Setup) -> dict[str, Any]:
    """Return what determines the result of training, besides what is trained along."""
    return {"trainer": setup.facts()["trainer"], "data": setup.data}


def bind(folder: RunFolder, config: Mapping[str, Any], setup: Setup) -> None:
    """Bind a run folder to a configuration, unless somebody is working in it."""
    # What is no run folder yet is not marked as held: it may be somebody else's.
    with folder.hold() if folder.config_file.exists() else nullcontext():
        folder.configure(config, setup.incidental)


def find_plan(
    setup: Setup,
    folder: RunFolder,
    make_executor: Callable[[], Executor],
    retry_failed: bool,
    trackers: Trackers = ALWAYS,
) -> Plan:
    """Return the plan of a run, which is searched for unless it is finished.

    The trackers have every epoch of it then, those of earlier sessions included. The folder becomes
    that of the run, unless it is another's, or there is nothing that trains.
    """
    is_new, earlier = not folder.config_file.exists(), None
    if not is_new:
        bind(folder, run_facts(setup), setup)
        earlier = _plan_so_far(folder)
    if earlier and earlier.complete and folder.model.is_dir() and not retry_failed:
        log.info("the run is finished; to search anew, name another folder with --out")
        write_trackers(setup, folder, trackers)
        return earlier
    with make_executor() as executor:
        if is_new:
            bind(folder, run_facts(setup), setup)
        return _find(setup, folder, executor, retry_failed, trackers, earlier)


def _find(
    setup: Setup,
    folder: RunFolder,
    executor: Executor,
    retry_failed: bool,
    trackers: Trackers,
    earlier: Plan | None,
) -> Plan:
    """Search, or go on with it; `earlier` is the plan that is there so far."""
    with session(setup, folder):
        if setup.options.speculate and isinstance(executor, SerialExecutor):
            log.warning("search.speculate does nothing without --workers or --devices")
        if earlier and retry_failed:  # an interrupted retry must not look like a finished run
            with folder.hold():
                replace(earlier, complete=False).save(folder.plan_file)
        if any(folder.trainings()):
            log.info("resuming: %s", progress_in_words(status_facts(folder, setup)))
        return _search(setup, folder, executor, retry_failed, trackers)


def _plan_so_far(folder: RunFolder) -> Plan | None:
    try:
        return best_so_far(folder)
    except PlanError as error:
        damaged = folder.plan_file.with_name("plan.damaged.yaml")
        with folder.hold():
            folder.plan_file.replace(damaged)
        log.warning("%s; it is kept as %s, and found anew", error, damaged.name)
        return None


def _search(
    setup: Setup,
    folder: RunFolder,
    executor: Executor,
    retry_failed: bool,
    trackers: Trackers,
) -> Plan:
    judge = judge_of(folder, setup.estimator, setup.config.mode)
    display = Display(setup.config.metric, setup.graph.transitions, judge)
    with observed(setup, folder, display, trackers) as on_event:
        return solve(
            setup.problem,
            folder.path,
            options=setup.options,
            executor=executor,
            on_event=on_event,
            keep_snapshots=setup.config.search.keep_snapshots,
            retry_failed=retry_failed,
            config=run_facts(setup),
            provenance={"config": setup.facts(), "source": setup.source},
        )


def load_front(setup: Setup, folder: RunFolder) -> dict[Path, Plan]:
    """Return the plans that trade score for cost, the cheapest first; none if not asked for."""
    if not isinstance(setup.options.frontier, Pareto):
        return {}
    return {file: Plan.load(file) for file in folder.front_plans()}


def draw(folder: RunFolder, setup: Setup, output: Path) -> None:
    """Draw the graph of a run with what is known about it."""
    config = setup.config
    trainings = ended_trainings(folder, setup.graph)
    found = trace(setup.graph, trainings, config.mode, best_so_far(folder))
    write_graph(
        output,
        setup.graph,
        found.outcomes,
        found.path,
        title=config.name,
        metric=config.metric,
        mode=config.mode,
        begun=begun_trainings(folder),
    )


def show_what_is_missing(setup: Setup, folder: RunFolder) -> None:
    """Write the pictures and the report of a run that are not there, or are out of date."""
    news = [file for file in (folder.plan_file, folder.path / "log.txt") if file.exists()]
    latest = max(file.stat().st_mtime for file in news)

    def is_missing(file: Path) -> bool:
        return not file.exists() or file.stat().st_mtime < latest

    for picture in filter(is_missing, (folder.path / "graph.svg", folder.path / "graph.png")):
        draw(folder, setup, picture)
    if is_missing(folder.report):
        write_report(folder.report, search_content(folder, setup))


def warn_of_what_is_missing(setup: Setup, folder: RunFolder, plan: Plan) -> None:
    """Say what a person would want to know before trusting the plan."""
    facts = status_facts(folder, setup)
    if facts["failed"]:
        unable = f" and {facts['waiting']} could not start" if plan.complete else ""
        log.warning(
            "%s failed%s; see `schedplan status %s`. Once the cause is mended: --retry-failed",
            counted(facts["failed"], "transition"),
            unable,
            folder.path,
        )
    if not plan.complete:
        log.warning(
            "%s; this is the best plan so far, and to go on, raise the budget and run again",
            budget_ended(setup.options.budget, facts),
        )
    if not plan.stages:
        log.warning("no training improved on the untrained model: does the trainer learn?")
    warn_of_unreached(setup)


def warn_of_unreached(setup: Setup) -> None:
    """Say which final states no start leads to."""
    if names := [state.label for state in setup.graph.unreached]:
        log.warning("no start leads to %s: %s", counted(len(names), "final state"), listed(names))
