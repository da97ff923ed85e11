"""Where transitions run: any `concurrent.futures.Executor`; users may pass their own.

One that can do more than run calls, namely give each the devices that it takes, is a
`DeviceExecutor`.
"""

from schedplan.executors.base import DeviceExecutor, Resources
from schedplan.executors.dask import DaskExecutor
from schedplan.executors.processes import ProcessExecutor
from schedplan.executors.serial import SerialExecutor

__all__ = ["DaskExecutor", "DeviceExecutor", "ProcessExecutor", "Resources", "SerialExecutor"]
