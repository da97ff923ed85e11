"""Every error the user can meet.

A message says what is wrong and, where known, where it is, what is allowed and what to do.
`UsageError` and its kin end the command line with exit code 2, the others with 1; none of them
shows a traceback unless `--debug` asks for it.
"""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Iterable
from difflib import get_close_matches


class SchedplanError(Exception):
    """Base of all errors of this project.

    Args:
        what: what is wrong, as one sentence without a final full stop.
        where: the place, such as `config.yaml:12` or a file.
        allowed: what would have been accepted.
        hint: what to do.
        path: keys that lead to the place inside a configuration, e.g. `("axes", "clip_length")`;
            whoever knows the file turns them into `where` (see `at`).
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        allowed: Iterable[object] | str | None = None,
        hint: str | None = None,
        path: tuple[str | int, ...] = (),
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.allowed = allowed
        self.hint = hint
        self.path = path

    def at(self, where: str) -> SchedplanError:
        """Return this error with its place filled in, unless it has one already."""
        self.where = self.where or where
        return self

    def __str__(self) -> str:
        parts = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.allowed is not None:
            allowed = self.allowed
            if not isinstance(allowed, str):
                allowed = ", ".join(map(str, allowed)) or "nothing"
            parts.append(f"allowed: {allowed}")
        if self.hint:
            parts.append(self.hint)
        return "; ".join(parts)


class UsageError(SchedplanError):
    """The user can mend this: a bad argument, configuration, file or installation."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration that cannot be used."""


class MissingKeyError(ConfigError):
    """A configuration that leaves out what has to be said."""


class SpaceError(UsageError):
    """An axis, a link or a value that does not fit the space."""


class RuleError(UsageError):
    """A transition rule that cannot be built."""


class GraphError(UsageError):
    """A state graph with a cycle, without a start, or whose final state cannot be reached."""


class EstimatorError(UsageError):
    """A knee estimator with an argument out of bounds."""


class TrainerError(UsageError):
    """A trainer that cannot be built, or does not keep its contract."""


class MetricError(TrainerError):
    """The metric to plan for is not among those that the trainer reports."""


class PlanError(UsageError):
    """A plan that cannot be read or asked for an epoch it does not have."""


class PluginError(UsageError):
    """A plug-in that is unknown, cannot be loaded, or claims a name already taken."""


class MissingDependencyError(UsageError):
    """An optional package is needed; the message names the extra to install."""


class RunFolderError(UsageError):
    """A run folder that belongs to another configuration, is in use, or is damaged."""


class NotFiniteError(SchedplanError):
    """A loss or metric is NaN or infinite; the transition that met it fails."""

    def __init__(self, what: str) -> None:
        super().__init__(what, hint="a lower learning rate or gradient clipping may help")


class RunFailedError(SchedplanError):
    """No final state can be reached any more: too many transitions have failed."""


class WorkerLostError(SchedplanError):
    """The process that ran a call has ended without an answer, by no fault of the call's."""


class ClusterError(SchedplanError):
    """A cluster is gone; the run can be gone on with."""

    def __init__(self, what: str) -> None:
        super().__init__(what, hint="run the same command again to go on")


class BrokenPoolError(SchedplanError):
    """A pool of `concurrent.futures` has lost a process; the run can be gone on with."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(
            f"the executor is broken: {cause}",
            hint="run again to go on; with schedplan.executors.ProcessExecutor, a lost process "
            "costs no more than the epoch it was in",
        )


class DamagedSnapshotError(SchedplanError):
    """A snapshot is not what was saved; `snapshot` is its folder, relative to the run's."""

    def __init__(self, snapshot: str) -> None:
        super().__init__("a snapshot is damaged", where=snapshot, hint="is the disk in order?")
        self.snapshot = snapshot


class BudgetError(SchedplanError):
    """The budget has ended before there was a plan; with a larger one the run goes on."""

    exit_code = 3


def did_you_mean(name: object, names: Iterable[str]) -> str | None:
    """Return a hint with the nearest of `names`, or None if none is near.

    Example:
        >>> did_you_mean("learning_rat", ["learning_rate", "clip_length"])
        "did you mean 'learning_rate'?"
    """
    close = get_close_matches(str(name), list(names), n=1)
    return f"did you mean {close[0]!r}?" if close else None


def portable(error: Exception) -> Exception:
    """Return an error to be sent to another process, with a note of where it was raised.

    Its traceback does not travel by itself. What cannot be pickled is told by a `RuntimeError`.

    Example:
        >>> try:
        ...     1 / 0
        ... except ZeroDivisionError as error:
        ...     portable(error).__notes__[0].splitlines()[0]
        'Traceback (most recent call last):'
    """
    note = "".join(traceback.format_exception(error)).rstrip()
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        # Copes with exceptions that cannot even be printed.
        error = RuntimeError(traceback.format_exception_only(error)[-1].strip())
    error.add_note(note)
    return error


_PROJECTS = {
    "PIL": "Pillow",
    "cv2": "opencv-python",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}
"""What pip calls packages that are not called as they are imported, of those met most often."""


def missing(package: str, extra: str | None = None) -> MissingDependencyError:
    """Return the error for a `package` that is not installed; `extra` is the one that brings it.

    Example:
        >>> print(missing("av", "video"))
        the package 'av' is not installed; install it with: pip install 'schedplan[video]'
        >>> print(missing("sklearn"))
        the package 'sklearn' is not installed; install it with: pip install scikit-learn
    """
    target = f"'schedplan[{extra}]'" if extra else _PROJECTS.get(package, package)
    return MissingDependencyError(
        f"the package {package!r} is not installed", hint=f"install it with: pip install {target}"
    )
