"""EPP v2.4's script: what a script configuration names as ``script_file_name: epp_v2_4.py``.

Hummingbot looks for strategies in ``scripts/`` only; everything is in the package that is mounted beside the stock
controllers. It takes the first strategy class and the first configuration class that it finds in this module: nothing
else may be imported here.
"""

from controllers.epp.adapter.runner import EppRunner, EppRunnerConfig

__all__ = ["EppRunner", "EppRunnerConfig"]
