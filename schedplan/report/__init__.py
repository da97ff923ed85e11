"""Pictures and files of a state graph, and of what a search has found in it."""

from schedplan.report.path import best_path
from schedplan.report.write import write_graph

__all__ = ["best_path", "write_graph"]
