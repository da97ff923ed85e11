"""Pictures and files of a state graph, and the report of what a search has found in it."""

from schedplan.report.content import Content
from schedplan.report.gather import of_replay, of_search
from schedplan.report.page import write_figures, write_report
from schedplan.report.path import Trace, begun_trainings, ended_trainings, trace
from schedplan.report.write import write_graph

__all__ = [
    "Content",
    "Trace",
    "begun_trainings",
    "ended_trainings",
    "of_replay",
    "of_search",
    "trace",
    "write_figures",
    "write_graph",
    "write_report",
]
