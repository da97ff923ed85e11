"""What `schedplan run` does: search, confirm, draw, and say what a person would want to know."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from schedplan.cli.progress import Display, log, log_to_file
from schedplan.cli.status import ended_trainings, finished, spent, status_facts
from schedplan.config import Setup
from schedplan.errors import SchedplanError
from schedplan.journal import RunFolder
from schedplan.plan import Plan, confirm
from schedplan.report import trace, write_graph
from schedplan.solver import Event, solve


def find_plan(setup: Setup, folder: RunFolder, retry_failed: bool) -> Plan:
    """Return the plan of a run, which is searched for unless it is finished."""
    if finished(folder) and not retry_failed:
        log.info("the run is finished; to search anew, name another folder with --out")
        return Plan.load(folder.plan_file)
    setup.make_trainer()
    if retry_failed:  # an interrupted retry must not look like a finished run
        folder.plan_file.unlink(missing_ok=True)
    total = setup.graph.transitions
    ended = len(ended_trainings(folder, setup.graph))
    if ended:
        log.info("resuming: %d of %d transitions have ended", ended, total)
    with log_to_file(folder.path / "log.txt"), Display(setup.config.metric, total) as display:

        def on_event(event: Event) -> None:
            display(event)
            setup.plugins.emit(event)

        try:
            return solve(
                setup.problem,
                folder.path,
                options=setup.options,
                on_event=on_event,
                keep_snapshots=setup.config.search.keep_snapshots,
                retry_failed=retry_failed,
                config=setup.facts(),
                provenance={
                    "config": setup.facts(),
                    "source": str(Path(setup.document.file).resolve()),
                },
            )
        except SchedplanError as error:
            log.debug("ended by an error", exc_info=True)
            raise setup.locate(error) from None


def confirm_plan(setup: Setup, folder: RunFolder, plan: Plan) -> Plan:
    """Return the plan of a run with the score that training along it once more has reached."""
    if plan.confirmed is not None:
        log.info("the plan is confirmed already")
        return plan
    place = RunFolder(folder.confirmation)
    # Where the plan comes from does not matter to training along it.
    bare = replace(plan, provenance={}).as_dict()
    if place.config_file.exists() and place.config().get("replay") != bare:
        log.info("the plan has changed since it was last confirmed")
        shutil.rmtree(place.path)
    log.info("confirming the plan: training along it once more, from scratch")
    with (
        log_to_file(folder.path / "log.txt"),
        Display(plan.metric, len(plan.path)) as display,
    ):
        confirmed = confirm(
            plan,
            setup.trainer,
            place.path,
            on_event=display,
            config={"replay": bare, "trainer": setup.facts()["trainer"]},
        )
    confirmed.save(folder.plan_file)
    return confirmed


def load_front(folder: RunFolder) -> list[Plan]:
    """Return the plans that trade score for cost, the cheapest first; none if not asked for."""
    return [Plan.load(file) for file in sorted(folder.front.glob("plan-*.yaml"))]


def draw(folder: RunFolder, setup: Setup, output: Path) -> None:
    """Draw the graph of a run with what is known about it."""
    config = setup.config
    plan = Plan.load(folder.plan_file) if folder.plan_file.exists() else None
    found = trace(setup.graph, ended_trainings(folder, setup.graph), config.mode, plan)
    write_graph(
        output, setup.graph, found.outcomes, found.path, config.name, config.metric, config.mode
    )


def draw_what_is_missing(setup: Setup, folder: RunFolder) -> None:
    """Draw the pictures of a run that are not there, or older than its plan."""
    for suffix in (".svg", ".png"):
        picture = folder.path / f"graph{suffix}"
        if not picture.exists() or picture.stat().st_mtime < folder.plan_file.stat().st_mtime:
            draw(folder, setup, picture)


def warn_of_what_is_missing(setup: Setup, folder: RunFolder, plan: Plan) -> None:
    """Say what a person would want to know before trusting the plan."""
    facts = status_facts(folder, setup)
    if facts["failed"]:
        unable = f" and {facts['waiting']} could not start" if plan.complete else ""
        log.warning(
            "%d transitions failed%s; see `schedplan status %s`. Once the cause is mended: "
            "--retry-failed",
            facts["failed"],
            unable,
            folder.path,
        )
    if not plan.complete:
        log.warning(
            "the budget has ended after %s, and this is the best plan so far; to go on, raise "
            "search.budget and run again",
            spent(facts),
        )
    if not plan.stages:
        log.warning("no training improved on the untrained model: does the trainer learn?")
    warn_of_unreached(setup)


def warn_of_unreached(setup: Setup) -> None:
    """Say which final states no start leads to."""
    if setup.graph.unreached:
        names = ", ".join(state.label for state in setup.graph.unreached)
        log.warning("no start leads to the final states %s", names)
