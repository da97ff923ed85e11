"""A state graph in the formats that other programs read: Graphviz DOT and GraphML."""

from __future__ import annotations

from typing import TypeAlias

import networkx as nx

from schedplan.report.text import counted, printable
from schedplan.report.view import Arrow, GraphView
from schedplan.space import State

Facts: TypeAlias = dict[str, str | int | float | bool]

_CHOSEN: Facts = {"color": "#0072B2", "penwidth": 3}
_UNUSED: dict[str, Facts] = {
    "failed": {"color": "#8A8F98", "style": "dashed"},
    "pruned": {"color": "#8A8F98", "style": "dotted"},
}
"""How transitions that led to no model are drawn."""


def dot(view: GraphView) -> bytes:
    """Return the graph in Graphviz' language: `dot -Tpdf` draws it.

    A label shows what a picture would; the attributes `score`, `epochs`, `epochs_so_far`,
    `status`, `reason`, `chosen` and `role` are the facts themselves.
    """
    lines = [
        f"digraph {_quote(view.title)} {{",
        "  rankdir=LR;",
        '  node [shape=box, style=rounded, fontname="sans-serif"];',
        '  edge [fontname="sans-serif", fontsize=10];',
        *(f"  {_quote(s.label)} [{_attributes(_drawn_state(view, s))}];" for s in view.graph.order),
        *(
            f"  {_quote(a.source.label)} -> {_quote(a.target.label)}"
            f" [{_attributes(_drawn_arrow(a))}];"
            for a in view.arrows
        ),
        "}",
    ]
    return "\n".join([*lines, ""]).encode()


def graphml(view: GraphView) -> bytes:
    """Return the graph as GraphML, for networkx, Gephi, yEd and their kind."""
    plain: nx.DiGraph[str] = nx.DiGraph(name=view.title, metric=view.metric)
    for state in view.graph.order:
        plain.add_node(state.label, **_state_facts(view, state))
    for arrow in view.arrows:
        plain.add_edge(arrow.source.label, arrow.target.label, **_arrow_facts(arrow))
    return "\n".join([*nx.generate_graphml(plain), ""]).encode()


def _state_facts(view: GraphView, state: State) -> Facts:
    facts: Facts = {
        "label": state.label,
        "role": view.role(state),
        "chosen": state in view.chosen,
    }
    return facts | ({"score": view.scores[state]} if state in view.scores else {})


def _arrow_facts(arrow: Arrow) -> Facts:
    facts: Facts = {"status": arrow.status, "chosen": arrow.chosen}
    if arrow.epochs is not None:
        facts["epochs"] = arrow.epochs
    if arrow.begun is not None:
        facts["epochs_so_far"] = arrow.begun
    if arrow.score is not None:
        facts["score"] = arrow.score
    if arrow.reason is not None:
        facts["reason"] = printable(arrow.reason)
    return facts


def _drawn_state(view: GraphView, state: State) -> Facts:
    facts = _state_facts(view, state)
    if state in view.scores:
        facts["label"] = f"{state.label}\n{view.scores[state]:.4g}"
    return facts | (_CHOSEN if state in view.chosen else {})


def _drawn_arrow(arrow: Arrow) -> Facts:
    facts = _arrow_facts(arrow)
    if arrow.status in _UNUSED:
        return {**facts, **_UNUSED[arrow.status], "label": arrow.status}
    if arrow.begun is not None:
        return {**facts, "label": f"begun, {counted(arrow.begun, 'epoch')} so far"}
    if arrow.score is None:
        return facts
    facts["label"] = f"{counted(arrow.epochs or 0, 'epoch')}\n{arrow.score:.4g}"
    return facts | (_CHOSEN if arrow.chosen else {})


def _attributes(facts: Facts) -> str:
    return ", ".join(f"{name}={_quote(value)}" for name, value in facts.items())


def _quote(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
