"""Pictures and files of a state graph, and of what a search has found in it."""

from schedplan.report.path import Trace, trace
from schedplan.report.write import write_graph

__all__ = ["Trace", "trace", "write_graph"]
