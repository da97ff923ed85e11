"""What `schedplan replay` and `schedplan run --confirm` do: train along a plan."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from schedplan.cli.observers import ALWAYS, Trackers, observed, write_trackers
from schedplan.cli.progress import Display, log, session
from schedplan.cli.search import bind, trained_with
from schedplan.config import Setup
from schedplan.course import confirm, replay, stages_by_key
from schedplan.journal import Outcome, RunFolder, remove_folder
from schedplan.plan import Plan


def replay_facts(setup: Setup, plan: Plan, seed: int | None = None) -> dict[str, Any]:
    """Return what determines the result of training along a plan; a seed, if it has another one."""
    facts = {"replay": plan.as_dict(), **trained_with(setup)}
    return facts if seed is None else {**facts, "seed": seed}


def replay_plan(
    setup: Setup,
    folder: RunFolder,
    plan: Plan,
    make_executor: Callable[[], Executor],
    trackers: Trackers,
    seed: int | None,
) -> tuple[Outcome, ...]:
    """Return how the stages of a plan have ended, which are trained in the folder of a replay."""
    config = replay_facts(setup, plan, seed)
    with make_executor() as executor:
        bind(folder, config, setup)
        _say_other_options(plan, setup)
        display = _display(plan)
        with session(setup, folder), observed(setup, folder, display, trackers) as on_event:
            return replay(
                plan,
                setup.trainer,
                folder.path,
                seed=seed,
                executor=executor,
                on_event=on_event,
                config=config,
            )


def _display(plan: Plan) -> Display:
    lengths = {key: stage.epochs for key, stage in stages_by_key(plan).items()}
    return Display(plan.metric, len(lengths), lengths=lengths)


def _say_other_options(plan: Plan, setup: Setup) -> None:
    """Say which of the trainer's options are not those that the plan was found with."""
    found_with = plan.provenance["config"].get("trainer", {})
    for name, value in (setup.config.trainer.model_extra or {}).items():
        if found_with.get(name) != value:
            log.info("for the replay, trainer.%s is %s", name, value)


def confirm_plan(
    setup: Setup,
    folder: RunFolder,
    plan: Plan,
    make_executor: Callable[[], Executor],
    trackers: Trackers = ALWAYS,
) -> Plan:
    """Return the plan of a run with the score that training along it once more has reached.

    What cannot be confirmed is returned as it is, with a warning. The trackers write into the
    folder of the confirmation.
    """
    if not plan.complete:
        log.warning("--confirm does nothing: it waits for the end of the search")
        return plan
    if not plan.stages:
        log.warning("--confirm does nothing: the plan has no stages to train along")
        return plan
    place, bare = RunFolder(folder.confirmation), plan.bare.as_dict()
    if plan.confirmed is not None:
        log.info("the plan is confirmed already")
        if place.config_file.exists():
            write_trackers(setup, place, trackers)
        return plan
    with folder.hold(), session(setup, folder):
        if place.config_file.exists() and place.config().get("replay") != bare:
            log.info("the plan has changed since it was last confirmed")
            remove_folder(place.path)
        seed = plan.confirmation_seed
        log.info("confirming the plan: training along it once more, from scratch, by seed %d", seed)
        config = replay_facts(setup, plan.bare, seed)
        bind(place, config, setup)
        display = _display(plan)
        with (
            make_executor() as executor,
            observed(setup, place, display, trackers) as on_event,
        ):
            confirmed = confirm(
                plan,
                setup.trainer,
                place.path,
                executor=executor,
                on_event=on_event,
                config=config,
            )
        confirmed.save(folder.plan_file)
    return confirmed
