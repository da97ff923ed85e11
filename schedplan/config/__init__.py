"""From a YAML file to a problem: reading, checking, and errors that name file and line."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from inspect import isgeneratorfunction, signature
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from schedplan.config.model import Config, allowed_keys, no_section
from schedplan.config.named import make_named
from schedplan.config.options import bind, call, from_pydantic
from schedplan.config.presets import preset_config
from schedplan.errors import ConfigError, SchedplanError, TrainerError, did_you_mean
from schedplan.frontier import FRONTIERS, Frontier
from schedplan.graph import StateGraph, build_graph, default_final, default_start
from schedplan.journal import RunFolder
from schedplan.knees import AtMost, KneeEstimator
from schedplan.plan import Plan
from schedplan.plugins import Plugins, import_attribute
from schedplan.pruning import PRUNINGS, Pruning
from schedplan.rules import Rule, Where
from schedplan.solver import Budget, Problem, SearchOptions
from schedplan.space import Axis, Link, Space
from schedplan.trainer import GeneratorTrainer, Trainer, data_of
from schedplan.transition import unknown_metric
from schedplan.yaml_file import Document, KeyPath, override, read_yaml, unknown_key

__all__ = ["Config", "Setup", "load_config", "load_plan", "load_preset", "load_run"]


def load_config(path: Path, plugins: Sequence[str] = (), overrides: Sequence[str] = ()) -> Setup:
    """Read a configuration and load the plug-ins that it and `plugins` name.

    Args:
        path: a YAML file.
        plugins: names of plug-ins, besides those under `plugins:`.
        overrides: `a.b=value` texts.

    Raises:
        UsageError: for anything wrong; the message names file and line.
    """
    document = read_yaml(path)
    override(document, overrides)
    return _setup(document, plugins)


def load_preset(name: str, plugins: Sequence[str] = (), overrides: Sequence[str] = ()) -> Setup:
    """Return the setup of the configuration called `name` that a plug-in offers.

    Args:
        name: one of those that `schedplan presets` lists.
        plugins: names of plug-ins, besides those under `plugins:`.
        overrides: `a.b=value` texts.

    Raises:
        UsageError: for anything wrong.
    """
    document = preset_config(name)
    override(document, overrides)
    return _setup(document, plugins)


def load_run(folder: RunFolder) -> Setup:
    """Return the setup that a run folder was made with; RunFolderError if there is none."""
    facts = folder.config()
    facts.pop("data", None)
    if "replay" in facts:
        raise ConfigError(
            "the folder holds a replay, which has no graph of states",
            where=str(folder.path),
            hint="`schedplan show` prints the plan that it trains along",
        )
    return _setup(Document(facts, str(folder.config_file)), ())


def load_plan(
    plan: Plan, where: str, plugins: Sequence[str] = (), overrides: Sequence[str] = ()
) -> Setup:
    """Return the setup to train along a plan: the one that it was found with, with the options
    under `trainer.replay` in place of the search's.

    Args:
        plan: the plan.
        where: the file that it was read from, for messages. Modules named by `trainer.use` are
            looked for beside the original configuration, or else beside this file.
        plugins: further plug-ins.
        overrides: `a.b=value` texts.

    Raises:
        ConfigError: if the plan does not say what trains.
    """
    facts = plan.provenance.get("config")
    if not isinstance(facts, dict):
        raise ConfigError(
            "the plan does not say what trains",
            where=where,
            hint="plans made by `schedplan run` do, under provenance.config",
        )
    _look_for_modules_in(Path(str(plan.provenance.get("source", where))).parent)
    document = Document(copy.deepcopy(facts), where)
    override(document, overrides)
    _apply_replay(document)
    return _setup(document, plugins)


def _apply_replay(document: Document) -> None:
    """Let the options under `trainer.replay` take the place of the search's, but not of `--set`."""
    trainer = document.data.get("trainer")
    if isinstance(trainer, dict) and isinstance(trainer.get("replay"), dict):
        for name, value in trainer.pop("replay").items():
            if ("trainer", name) not in document.overrides:
                trainer[name] = value


def _setup(document: Document, plugins: Sequence[str]) -> Setup:
    with _located(document):
        try:
            config = Config.model_validate(document.data)
        except ValidationError as error:
            raise _explained(error) from error
    config.plugins = list(dict.fromkeys([*config.plugins, *plugins]))
    with _located(document, ("plugins",)):
        return Setup(config, document, Plugins(config.plugins))


def _explained(error: ValidationError) -> ConfigError:
    """Return the one complaint that tells most, in this project's form."""
    complaints = error.errors()
    # A misspelt key is often missing under its right name, too; say the former.
    for complaint in complaints:
        if complaint["type"] == "extra_forbidden":
            *section, key = complaint["loc"]
            return unknown_key(key, allowed_keys(tuple(section)), tuple(section))
    first = complaints[0]
    if first["type"] == "model_type":
        return no_section(first["loc"], first["input"])
    return from_pydantic(error)


@dataclass(frozen=True)
class Setup:
    """A configuration made real, part by part; what is wrong with a part is told with its line.

    Attributes:
        config: the configuration, defaults filled in.
        document: the file that it came from.
        plugins: the plug-ins loaded.
    """

    config: Config
    document: Document
    plugins: Plugins

    @cached_property
    def space(self) -> Space:
        """The axes and links."""
        with self._located():
            return Space(
                axes=tuple(self._axis(name, v) for name, v in self.config.axes.items()),
                links=tuple(
                    Link(name, tuple(link.of), tuple(link.values))
                    for name, link in self.config.links.items()
                ),
            )

    @cached_property
    def rule(self) -> Rule:
        """The preset's rule and all further rules."""
        section = self.config.transitions
        fixed, reversible = tuple(section.fixed), tuple(section.reversible)
        with self._located("transitions"):
            for key, axes in (("fixed", fixed), ("reversible", reversible)):
                for position, axis in enumerate(axes):
                    self.space.position(axis, (key, position))
        with self._located("transitions", "preset"):
            rule: Rule = self.plugins.get("presets", section.preset).load()(fixed, reversible)
        for position, each in enumerate(section.rules):
            rule = rule & self._further_rule(each, ("transitions", "rules", position))
        return rule

    @cached_property
    def graph(self) -> StateGraph:
        """The graph of states, checked."""
        config, space = self.config, self.space
        fixed, reversible = config.transitions.fixed, config.transitions.reversible
        with self._located():
            start = (
                default_start(space, fixed, reversible) if config.start is None else config.start
            )
            final = default_final(space, fixed) if config.final is None else config.final
            starts = space.select(start, ("start",))
            finals = space.select(final, ("final",))
            return build_graph(space, self.rule, starts, finals)

    @cached_property
    def estimator(self) -> KneeEstimator:
        """The knee estimator, capped at `max_epochs`."""
        section = self.config.knee
        with self._located("knee", "estimator"):
            factory = self.plugins.get("estimators", section.estimator).load()
        with self._located():
            bound = bind(factory, section.model_extra or {}, ("knee",))
            return AtMost(section.max_epochs, call(bound, "the estimator", ("knee",)))

    @cached_property
    def trainer(self) -> partial[Trainer]:
        """A picklable factory of trainers; making one is left to the caller (`make_trainer`)."""
        section = self.config.trainer
        with self._located("trainer", "use"):
            factory = self._trainer_factory(section.use)
        options = section.model_extra or {}
        with self._located():
            bound = bind(factory, options, ("trainer",))
            bind(factory, {**options, **section.replay}, ("trainer", "replay"))
            return bound

    def make_trainer(self) -> Trainer:
        """Make a trainer, to see that it can be made, knows the metric and takes every state.

        Raises:
            TrainerError: if it lacks a method of the protocol.
            MetricError: if it states its metrics and ours is not among them.
        """
        with self._located():
            trainer = call(self.trainer, f"the trainer {self.config.trainer.use!r}", ("trainer",))
            if not isinstance(trainer, Trainer) or isinstance(trainer, type):
                verbs = [name for name in vars(Trainer) if not name.startswith("_")]
                lacking = [verb for verb in verbs if not callable(getattr(trainer, verb, None))]
                what = f"a {type(trainer).__name__}, which lacks {', '.join(lacking)}"
                raise TrainerError(
                    f"{self.config.trainer.use!r} makes {what if lacking else 'a class'}",
                    hint="a trainer is an object with the five methods of schedplan.Trainer",
                    path=("trainer", "use"),
                )
            known = getattr(trainer, "metrics", None)
            if known is not None and self.config.metric not in known:
                raise unknown_metric(self.config.metric, known)
            check_state = getattr(trainer, "check", None)
            if check_state is not None:
                with self._located("axes"):
                    for state in self.graph.order[1:]:
                        check_state(self.space.params(state))
            return trainer

    @cached_property
    def options(self) -> SearchOptions:
        """How the graph is searched; what every state costs and takes is checked."""
        section = self.config.search
        budget = {name: value for name, value in section.budget if value is not None}
        with self._located("search", "prune"):
            pruning = _pruning(section.prune)
        with self._located("search", "keep"):
            frontier = _frontier(section.keep)
        with self._located():
            options = SearchOptions(
                pruning=pruning,
                frontier=frontier,
                order=section.order,
                budget=Budget(**budget),
                cost=section.cost,
                devices=section.devices,
                speculate=section.speculate,
            )
            for state in self.graph.order[1:]:
                options.epoch_cost(state)
                options.devices_of(state)
            return options

    @property
    def problem(self) -> Problem:
        """All of it together."""
        config = self.config
        return Problem(
            graph=self.graph,
            trainer=self.trainer,
            metric=config.metric,
            mode=config.mode,
            estimator=self.estimator,
            seed=config.seed,
            name=config.name,
        )

    @property
    def source(self) -> str:
        """Where the configuration comes from: an absolute path, or a preset."""
        file = Path(self.document.file)
        return str(file.resolve()) if file.exists() else self.document.file

    def facts(self) -> dict[str, Any]:
        """Return the configuration as plain data, defaults filled in and all levels written out."""
        return {**self.config.model_dump(mode="json"), "axes": self.space.facts()["axes"]}

    @cached_property
    def data(self) -> dict[str, str]:
        """What a trainer says of its data, see `Trainer`; one is made to ask it."""
        trainer = self.make_trainer()
        with self._located("trainer"):
            return data_of(trainer)

    @property
    def incidental(self) -> tuple[str, ...]:
        """The trainer's options that do not matter for the result, see `Trainer`."""
        return tuple(getattr(self.trainer.func, "incidental", ()))

    def locate(self, error: SchedplanError) -> SchedplanError:
        """Give an error that names a path in the configuration its place in the file."""
        return error.at(self.document.where(error.path)) if error.path else error

    @contextmanager
    def _located(self, *prefix: str | int) -> Iterator[None]:
        with _located(self.document, prefix):
            yield

    def _trainer_factory(self, use: str) -> Callable[..., Any]:
        if ":" not in use:
            return cast("Callable[..., Any]", self.plugins.get("trainers", use).load())
        _look_for_modules_in(Path.cwd())
        _look_for_modules_in(Path(self.document.file).parent)
        factory = import_attribute(use)
        if isgeneratorfunction(factory):
            return partial(GeneratorTrainer, factory)
        return cast("Callable[..., Any]", factory)

    def _axis(self, name: str, stated: list[Any] | dict[str, Any]) -> Axis:
        if isinstance(stated, dict):
            stated = make_named(self.plugins, "axis_kinds", stated, ("axes", name))
        return Axis(name, cast("tuple[Any, ...]", stated))

    def _further_rule(self, stated: str | dict[str, Any], path: KeyPath) -> Rule:
        with self._located():
            made = make_named(self.plugins, "rules", stated, path)
        with self._located(*path):
            rule: Rule = made if isinstance(made, Rule) else Where(made)
            rule.check(self.space)
        return rule


def _pruning(stated: object) -> Pruning:
    if isinstance(stated, str) and stated in PRUNINGS:
        return PRUNINGS[stated]
    raise ConfigError(
        f"search.prune is {stated!r}", allowed=PRUNINGS, hint=did_you_mean(stated, PRUNINGS)
    )


def _frontier(stated: object) -> Frontier:
    """Read `NAME` or `{NAME: width}`."""
    parts = [part for item in stated.items() for part in item] if isinstance(stated, dict) else []
    name, *width = parts or [stated]
    make = FRONTIERS.get(name) if isinstance(name, str) else None
    if make and _takes(make, len(width)):
        return make(*width)
    raise ConfigError(
        f"search.keep is {stated!r}",
        allowed="best, {beam: k}, pareto or {pareto: k}",
        hint=None if make else did_you_mean(name, FRONTIERS),
    )


def _takes(factory: Callable[..., Any], arguments: int) -> bool:
    """Return whether a function can be called with so many arguments."""
    parameters = signature(factory).parameters.values()
    return sum(each.default is each.empty for each in parameters) <= arguments <= len(parameters)


def _look_for_modules_in(folder: Path) -> None:
    """Let `trainer.use` name a module that lies in `folder`."""
    place = str(folder.resolve())
    if place not in sys.path:
        sys.path.insert(0, place)


@contextmanager
def _located(document: Document, prefix: KeyPath = ()) -> Iterator[None]:
    """Give every error that passes its place in the document."""
    try:
        yield
    except SchedplanError as error:
        raise error.at(document.where((*prefix, *error.path)))  # noqa: B904 - the same error
