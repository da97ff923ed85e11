"""The commands."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from schedplan.cli import views
from schedplan.cli.progress import Display, log, log_to_file, log_to_stderr
from schedplan.cli.tables import Format, print_data
from schedplan.config import Setup, load_config, load_plan, load_run
from schedplan.errors import SchedplanError, UsageError
from schedplan.journal import RunFolder, transition_key
from schedplan.plan import Plan, replay
from schedplan.report import best_path, write_graph
from schedplan.solver import Event, solve

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Plan hyperparameter schedules: the best path through a graph of training states.",
    epilog="Plug-ins add commands of their own name, such as `schedplan video`; "
    "`schedplan plugins` shows which are installed.",
)

ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML configuration.")]
PluginNames = Annotated[
    list[str] | None,
    typer.Option("--plugin", metavar="NAME", help="Load a plug-in; may be repeated."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Replace a value: knee.delay=5."),
]
Form = Annotated[Format, typer.Option("-f", "--format", help="How to print data on stdout.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="The run folder.")]


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
    config: ConfigPath,
    plugin: PluginNames = None,
    set_: Overrides = None,
    form: Form = Format.TABLE,
) -> None:
    """Check a configuration; count states and transitions, bound the cost."""
    setup = load_config(config, plugin or (), set_ or ())
    setup.problem  # noqa: B018 - building it is the check
    with redirect_stdout(sys.stderr):
        setup.make_trainer()
    _warn_of_unreached(setup)
    facts = views.check_facts(setup)
    print_data(facts, views.check_table(facts), form)


@app.command()
def run(
    config: ConfigPath,
    plugin: PluginNames = None,
    out: Out = None,
    set_: Overrides = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Train again what failed in an earlier run.")
    ] = False,
    form: Form = Format.TABLE,
) -> None:
    """Search for the best schedule; resume where an earlier run of the same folder ended."""
    setup = load_config(config, plugin or (), set_ or ())
    setup.problem  # noqa: B018 - what is wrong with it is told before a folder is made
    folder = RunFolder(out or Path("runs") / setup.config.name)
    folder.configure(setup.facts())
    if folder.plan_file.exists() and not retry_failed:
        log.info("the run is finished; to search anew, name another folder with --out")
    else:
        with redirect_stdout(sys.stderr):  # what a trainer prints is no data of ours
            _search(setup, folder, retry_failed)
    plan = Plan.load(folder.plan_file)
    print_data(plan.as_dict(), views.plan_table(plan), form)
    _draw_what_is_missing(setup, folder)
    _warn_of_what_is_missing(setup, folder, plan)
    log.info("the plan, the model and the picture are in %s", folder.path)


def _draw_what_is_missing(setup: Setup, folder: RunFolder) -> None:
    for suffix in (".svg", ".png"):
        picture = folder.path / f"graph{suffix}"
        if not picture.exists() or picture.stat().st_mtime < folder.plan_file.stat().st_mtime:
            _draw(folder, setup, picture)


def _warn_of_what_is_missing(setup: Setup, folder: RunFolder, plan: Plan) -> None:
    """Say what a person would want to know before trusting the plan."""
    facts = views.status_facts(folder, setup.graph)
    if facts["failed"]:
        log.warning(
            "%d transitions failed and %d could not start; see `schedplan status %s`. Once the "
            "cause is mended: --retry-failed",
            facts["failed"],
            facts["waiting"],
            folder.path,
        )
    if not plan.stages:
        log.warning("no training improved on the untrained model: does the trainer learn?")
    _warn_of_unreached(setup)


def _warn_of_unreached(setup: Setup) -> None:
    if setup.graph.unreached:
        names = ", ".join(state.label for state in setup.graph.unreached)
        log.warning("no start leads to the final states %s", names)


def _search(setup: Setup, folder: RunFolder, retry_failed: bool) -> None:
    problem = setup.problem
    setup.make_trainer()
    if retry_failed:  # an interrupted retry must not look like a finished run
        folder.plan_file.unlink(missing_ok=True)
    ended = len(list(folder.path.glob("transitions/*/result.json")))
    if ended:
        log.info("resuming: %d of %d transitions have ended", ended, problem.graph.transitions)
    with (
        log_to_file(folder.path / "log.txt"),
        Display(setup.config.metric, problem.graph.transitions) as display,
    ):

        def on_event(event: Event) -> None:
            display(event)
            setup.plugins.emit(event)

        try:
            solve(
                problem,
                folder.path,
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


@app.command()
def status(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    form: Form = Format.TABLE,
) -> None:
    """Show what is done, begun and failed in a run, and the time left."""
    folder = RunFolder(run)
    facts = views.status_facts(folder, load_run(folder).graph)
    print_data(facts, views.status_table(facts), form)


@app.command()
def show(
    plan: Annotated[Path, typer.Argument(metavar="RUN|PLAN", help="A run folder or a plan.")],
    form: Form = Format.TABLE,
) -> None:
    """Show the stages of a plan."""
    found = _load_plan(plan)
    print_data(found.as_dict(), views.plan_table(found), form)


@app.command()
def graph(
    source: Annotated[Path, typer.Argument(metavar="CONFIG|RUN")],
    output: Annotated[Path, typer.Option("-o", "--output", help=".svg, .png, .dot or .graphml")],
    plugin: PluginNames = None,
    set_: Overrides = None,
) -> None:
    """Draw the graph of states; of a run, with its scores and the path chosen."""
    if source.is_dir():
        folder = RunFolder(source)
        _draw(folder, load_run(folder), output)
    else:
        setup = load_config(source, plugin or (), set_ or ())
        write_graph(output, setup.graph, title=setup.config.name)
    log.info("%s", output)


@app.command("replay")
def replay_(
    plan: Annotated[Path, typer.Argument(metavar="RUN|PLAN", help="A run folder or a plan.")],
    plugin: PluginNames = None,
    out: Out = None,
    set_: Overrides = None,
    form: Form = Format.TABLE,
) -> None:
    """Train along a plan, without a search."""
    found = _load_plan(plan)
    setup = load_plan(found, plan, plugin or (), set_ or ())
    if not found.stages:
        raise UsageError("the plan has no stages to train", where=str(plan))
    beside = plan.with_name(f"{plan.name}-replay") if plan.is_dir() else None
    folder = RunFolder(out or beside or Path("runs") / f"{found.name}-replay")
    config = {"replay": found.as_dict(), "trainer": setup.facts()["trainer"]}
    folder.configure(config)
    with (
        redirect_stdout(sys.stderr),
        log_to_file(folder.path / "log.txt"),
        Display(found.metric, len(found.path)) as display,
    ):
        setup.make_trainer()
        outcomes = replay(found, setup.trainer, folder.path, on_event=display, config=config)
    facts = views.replay_facts(found, outcomes)
    print_data(facts, views.replay_table(facts), form)
    log.info("the model is in %s", folder.model)


@app.command()
def plugins(form: Form = Format.TABLE) -> None:
    """Show what plug-ins are installed and what they add."""
    facts = views.plugin_facts()
    print_data({"plugins": facts}, views.plugin_table(facts), form)


def _load_plan(path: Path) -> Plan:
    if not path.is_dir():
        return Plan.load(path)
    folder = RunFolder(path)
    if not folder.plan_file.exists():
        config = folder.config()
        if "replay" in config:
            return Plan.from_dict(config["replay"], where=str(folder.config_file))
        raise UsageError(
            "the run has no plan yet",
            where=str(path),
            hint="`schedplan status` shows how far it is",
        )
    return Plan.load(folder.plan_file)


def _draw(folder: RunFolder, setup: Setup, output: Path) -> None:
    outcomes = {
        key: outcome
        for key in map(transition_key, setup.graph.dag.edges)
        if (outcome := folder.transition(key).outcome())
    }
    path = best_path(setup.graph, outcomes, setup.config.mode)
    config = setup.config
    write_graph(output, setup.graph, outcomes, path, config.name, config.metric, config.mode)
