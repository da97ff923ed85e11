"""Writing a state graph into a file whose name says the format."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from schedplan.checks import require_suffix
from schedplan.graph import StateGraph, Transition
from schedplan.journal import Outcome, write_bytes
from schedplan.knees import Mode
from schedplan.report.exchange import dot, graphml
from schedplan.report.graph_picture import graph_picture
from schedplan.report.view import GraphView

FORMATS: Final[Mapping[str, Callable[[GraphView], bytes]]] = {
    ".svg": lambda view: graph_picture(view).svg(),
    ".png": lambda view: graph_picture(view).png(),
    ".dot": dot,
    ".graphml": graphml,
}
"""How a graph is written, by how the name of the file ends."""


def write_graph(
    file: Path,
    graph: StateGraph,
    outcomes: Mapping[str, Outcome] = {},
    path: Sequence[Transition] = (),
    title: str = "",
    metric: str = "",
    mode: Mode = "max",
    begun: Mapping[str, int] = {},
) -> None:
    """Write a graph, and what is known about it, as a picture or for other programs.

    A picture shows the states with their best scores, and the chosen path with its epochs. The
    same input gives the same file, byte by byte; a reader finds the old file or the new one.

    Args:
        file: ends in `.svg`, `.png`, `.dot` or `.graphml`, which says the format.
        graph: the states and transitions.
        outcomes: how transitions ended, by `transition_key`.
        path: the chosen transitions, from `INITIAL` to a final state; see `trace`.
        title: shown above the picture.
        metric: what a score is called.
        mode: which score of a state is its best, the highest (`max`) or the lowest (`min`).
        begun: the epochs so far of transitions that have begun and not ended, likewise.

    Raises:
        UsageError: if `file` ends in anything else.

    Example:
        >>> import tempfile
        >>> from schedplan import Axis, Space, build_graph
        >>> from schedplan.graph import basic
        >>> space = Space((Axis("rate", (0.1, 0.01)),))
        >>> graph = build_graph(space, basic(), space.states(), space.select({"rate": "last"}))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_graph(Path(folder) / "graph.dot", graph, title="demo")
        ...     (Path(folder) / "graph.dot").read_text().splitlines()[0]
        'digraph "demo" {'
    """
    require_suffix(file, FORMATS)
    render = FORMATS[file.suffix.lower()]
    view = GraphView.of(graph, outcomes, path, metric=metric, mode=mode, title=title, begun=begun)
    write_bytes(file, render(view))
