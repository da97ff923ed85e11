"""The commands."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group

from schedplan.cli import views
from schedplan.cli.arguments import (
    ConfigPath,
    Devices,
    Engine,
    Form,
    Out,
    Overrides,
    PlanPath,
    PluginNames,
    Preset,
    ReplayOut,
    Scheduler,
    Trackers,
    Workers,
)
from schedplan.cli.compare import (
    Epochs,
    Members,
    Metric,
    Picture,
    Searches,
    Seeds,
    WithVariants,
    check_grid,
    check_metric,
    check_population,
    compare_all,
    evolve_all,
    read_lengths,
    search_all,
    strategies_of,
)
from schedplan.cli.comparison import compare_facts
from schedplan.cli.comparison_table import compare_table
from schedplan.cli.curves import curves
from schedplan.cli.export import export
from schedplan.cli.observers import load_trackers
from schedplan.cli.outputs import check_output
from schedplan.cli.plans import either, read_plan, replay_beside, replayed_plan
from schedplan.cli.plugins import plugins
from schedplan.cli.presets import presets
from schedplan.cli.progress import log, log_to_stderr
from schedplan.cli.replay import confirm_plan, replay_plan
from schedplan.cli.replay_status import replay_status_facts, replay_status_table
from schedplan.cli.report import report
from schedplan.cli.scatter import PICTURES, draw_comparison
from schedplan.cli.search import (
    draw,
    find_plan,
    load_front,
    show_what_is_missing,
    warn_of_unreached,
    warn_of_what_is_missing,
)
from schedplan.cli.status import status_facts, status_table
from schedplan.cli.tables import Format, only_data_on_stdout, print_data
from schedplan.config import Setup, load_config, load_plan, load_preset, load_run
from schedplan.errors import BudgetError, MissingKeyError, UsageError
from schedplan.journal import RunFolder
from schedplan.report import of_replay, write_graph, write_report
from schedplan.report.write import FORMATS

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Plan hyperparameter schedules: the best path through a graph of training states.",
    epilog="Plug-ins add commands of their own name, such as `schedplan video`; "
    "`schedplan plugins` shows which are installed.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"schedplan {version('schedplan')}")
        raise typer.Exit


@app.callback()
def options(
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Show every epoch.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Show warnings only.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", is_eager=True, callback=_show_version
        ),
    ] = False,
) -> None:
    """Options of all commands."""
    log_to_stderr(-1 if quiet else int(verbose or debug))


@app.command()
def check(
    config: ConfigPath = None,
    preset: Preset = None,
    plugin: PluginNames = None,
    set_: Overrides = None,
    form: Form = Format.TABLE,
) -> None:
    """Check a configuration; count states and transitions, bound the cost."""
    setup = _load_config(config, preset, plugin, set_)
    _ = setup.graph, setup.estimator, setup.options
    try:
        with only_data_on_stdout():
            trainer = setup.make_trainer()
        if getattr(trainer, "metrics", None) is None:
            metric = setup.config.metric
            log.info("the metric %r is not checked: the trainer does not state its metrics", metric)
    except MissingKeyError as error:
        if preset is None:
            raise
        log.warning("the trainer is not checked yet: %s", error)
    warn_of_unreached(setup)
    facts = views.check_facts(setup)
    print_data(facts, views.check_table(facts), form)


@app.command()
def run(
    config: ConfigPath = None,
    preset: Preset = None,
    plugin: PluginNames = None,
    out: Out = None,
    set_: Overrides = None,
    workers: Workers = None,
    devices: Devices = None,
    engine: Engine = "local",
    scheduler: Scheduler = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Go on with what failed in an earlier run.")
    ] = False,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Train along the plan once more, from scratch.")
    ] = False,
    track: Trackers = None,
    form: Form = Format.TABLE,
) -> None:
    """Search for the best schedule; resume where an earlier run of the same folder ended."""
    setup = _load_config(config, preset, plugin, set_)
    _ = setup.problem, setup.options  # which checks them, before a folder is made
    engines = setup.plugins.get("executors", engine).load()
    make_executor = partial(engines, workers, devices, scheduler)
    trackers = load_trackers(setup, track)
    folder = RunFolder(out or Path("runs") / setup.config.name)
    with only_data_on_stdout():
        plan = find_plan(setup, folder, make_executor, retry_failed, trackers)
        if confirm:
            plan = confirm_plan(setup, folder, plan, make_executor, trackers)
    front = views.front_tables(load_front(setup, folder), setup.options.cost)
    print_data(plan.as_dict(), Group(views.plan_table(plan), *front), form)
    show_what_is_missing(setup, folder)
    warn_of_what_is_missing(setup, folder, plan)
    scores = views.plan_scores(plan)
    log.info("%s; the plan, the model and the report are in %s", scores, folder.path)
    if not plan.complete:
        raise typer.Exit(BudgetError.exit_code)


@app.command()
def status(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    form: Form = Format.TABLE,
) -> None:
    """Show what is done, begun, pruned and failed in a run, the best so far, and the time left.

    A transition KEY that was trained from several models of its source has further rows KEY@2,
    KEY@3, ...; it counts once. Of a replay, the stages are shown.
    """
    folder = RunFolder(run)
    if plan := replayed_plan(folder):
        facts = replay_status_facts(folder, plan)
        print_data(facts, replay_status_table(facts), form)
    else:
        facts = status_facts(folder, load_run(folder))
        print_data(facts, status_table(facts), form)


@app.command()
def show(
    plan: PlanPath = None,
    preset: Preset = None,
    form: Form = Format.TABLE,
) -> None:
    """Show the stages of a plan."""
    found, _ = read_plan(plan, preset)
    print_data(found.as_dict(), views.plan_table(found), form)


@app.command()
def graph(
    source: Annotated[
        Path, typer.Argument(metavar="CONFIG|RUN", help="A YAML configuration or a run folder.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help=".svg, .png, .dot or .graphml")],
    plugin: PluginNames = None,
    set_: Overrides = None,
) -> None:
    """Draw the graph of states; of a run, with its scores and the path chosen."""
    check_output(output, FORMATS, source=source)
    if source.is_dir():
        folder = RunFolder(source)
        draw(folder, load_run(folder), output)
    else:
        setup = load_config(source, plugin or (), set_ or ())
        write_graph(output, setup.graph, title=setup.config.name)
    log.info("%s", output)


@app.command("replay")
def replay_(
    plan: PlanPath = None,
    preset: Preset = None,
    plugin: PluginNames = None,
    out: ReplayOut = None,
    seed: Annotated[
        int | None, typer.Option(min=0, show_default="the plan's", help="Another seed.")
    ] = None,
    set_: Overrides = None,
    devices: Devices = None,
    engine: Engine = "local",
    scheduler: Scheduler = None,
    track: Trackers = None,
    form: Form = Format.TABLE,
) -> None:
    """Train along a plan, without a search.

    What stands under trainer.replay takes the place of the search's options, such as more data.
    """
    found, where = read_plan(plan, preset)
    setup = load_plan(found, where, plugin or (), set_ or ())
    trackers = load_trackers(setup, track)
    if not found.stages:
        raise UsageError("the plan has no stages to train", where=where)
    beside = replay_beside(plan) if plan and plan.is_dir() else None
    folder = RunFolder(out or beside or Path("runs") / f"{found.name}-replay")
    engines = setup.plugins.get("executors", engine).load()
    make_executor = partial(engines, None, devices, scheduler)
    with only_data_on_stdout():
        outcomes = replay_plan(setup, folder, found, make_executor, trackers, seed)
    facts = views.replay_facts(found, outcomes)
    print_data(facts, views.replay_table(facts), form)
    write_report(folder.report, of_replay(folder, found))
    log.info("the model and the report are in %s", folder.path)


@app.command()
def compare(
    config: ConfigPath = None,
    preset: Preset = None,
    plugin: PluginNames = None,
    out: Out = None,
    set_: Overrides = None,
    workers: Workers = None,
    devices: Devices = None,
    engine: Engine = "local",
    scheduler: Scheduler = None,
    seeds: Seeds = 3,
    searches: Searches = 1,
    epochs: Epochs = None,
    metric: Metric = None,
    with_variants: WithVariants = False,
    pbt: Members = None,
    output: Picture = None,
    form: Form = Format.TABLE,
) -> None:
    """Compare the plan with strategies tuned by hand: score, epochs, time and cost.

    The plan is searched for first, unless RUN has it; --searches looks for further ones. Then each
    plan and strategy is trained from scratch with the same new seeds, and scored by the model of
    its last epoch. Interrupted, the same command goes on; more searches, seeds or epochs train only
    what is new.

    By hand: every axis goes its own way side by side (in steps of equally many epochs, or along a
    cosine, in at most 20 stairs, if it is a falling number such as a learning rate), as in the
    paper's Table 3; one axis after the other; and constant settings. Every stage and stair has a
    fresh optimiser. A kind's best is the luckiest of many. What stands under "held out" is not:
    each seed scores what the other seeds have chosen.
    """
    setup = _load_config(config, preset, plugin, set_)
    _ = setup.problem, setup.options
    lengths, reported = read_lengths(epochs), metric or setup.config.metric
    check_output(output, PICTURES)
    check_population(pbt, engine, scheduler, devices)
    check_grid(setup, lengths)
    engines = setup.plugins.get("executors", engine).load()
    make_executor = partial(engines, workers, devices, scheduler)
    folder = RunFolder(out or Path("runs") / setup.config.name)
    with only_data_on_stdout():
        check_metric(setup, reported)
        searched = search_all(setup, folder, searches, make_executor)
        strategies = strategies_of(searched, lengths, with_variants)
        compared = compare_all(setup, folder, strategies, seeds, make_executor, reported)
        evolved = evolve_all(setup, folder, strategies, seeds, pbt, workers or 1)
    for each in searched:
        warn_of_what_is_missing(each.setup, each.folder, each.plan)
    facts = compare_facts(searched, compared, evolved, reported)
    print_data(facts, compare_table(facts), form)
    if output is not None:
        draw_comparison(output, facts)
        log.info("%s", output)
    if not all(each.plan.complete for each in searched):
        raise typer.Exit(BudgetError.exit_code)


app.command()(report)
app.command()(curves)
app.command()(export)
app.command()(presets)
app.command()(plugins)


def _load_config(
    path: Path | None, preset: str | None, plugins: list[str] | None, overrides: list[str] | None
) -> Setup:
    if path is not None and preset is None:
        return load_config(path, plugins or (), overrides or ())
    if preset is not None and path is None:
        return load_preset(preset, plugins or (), overrides or ())
    raise either("CONFIG")
