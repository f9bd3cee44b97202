"""``tower demo``: the whole tower over the simulated distributor."""

from worker.demo.live import run_live
from worker.demo.once import run_once
from worker.demo.stage import Options

__all__ = ["Options", "run_live", "run_once"]
