"""`make bench`: how long the playbooks take on the embedded VPS, as an operator waits for them.

Prints wall seconds, module runs per host and the changes of each run. It judges nothing: figures belong to a machine.
"""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INVENTORY = ROOT / "inventories" / "demo"
BENCH_INVENTORY = ROOT / "build" / "inventory_bench"


@dataclass(frozen=True, slots=True)
class Timing:
    """One timed playbook run: what it was, wall seconds, and `ok`/`changed` counts by host."""

    step: str
    seconds: float
    recap: dict[str, tuple[int, int]]

    def line(self) -> str:
        """The run as one row of the printed table."""
        hosts = "  ".join(f"{host} {ok} ({changed})" for host, (ok, changed) in sorted(self.recap.items()))
        return f"{self.step:<34}{self.seconds:8.1f} s   {hosts}"


def playbook(step: str, *arguments: str) -> Timing:
    """Run `ansible-playbook` with `arguments` on the bench's inventory and time it.

    Raises:
        SystemExit: the run failed; its output is printed.
    """
    started = time.monotonic()
    result = subprocess.run(
        ["ansible-playbook", "-i", str(BENCH_INVENTORY), *arguments],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - started
    if result.returncode != 0:
        sys.exit(f"{step} failed:\n{result.stdout[-4000:]}{result.stderr[-1000:]}")
    recap = {
        host: (int(ok), int(changed))
        for host, ok, changed in re.findall(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)", result.stdout, re.MULTILINE)
    }
    timing = Timing(step, seconds, recap)
    print(timing.line(), flush=True)
    return timing


def main() -> int:
    """Bench a first run, a no-change run, an added bot and a no-change run with it."""
    machine = [sys.executable, "-m", "embedded_vps"]
    for command in ("up", "reset"):
        subprocess.run([*machine, command], cwd=ROOT, check=True)
    subprocess.run(["rm", "-rf", str(BENCH_INVENTORY)], check=True)
    subprocess.run(["cp", "-a", str(INVENTORY), str(BENCH_INVENTORY)], check=True)
    print(f"{'run':<34}{'wall':>10}   module runs (changed) by host", flush=True)
    timings = [
        playbook("site.yml, first run", "site.yml"),
        playbook("site.yml, no change, 2 bots", "site.yml"),
        playbook("add_bot.yml -e bot=bot3", "add_bot.yml", "-e", "bot=bot3"),
        playbook("add_bot.yml, no change", "add_bot.yml", "-e", "bot=bot3"),
        playbook("site.yml, no change, 3 bots", "site.yml"),
        playbook("status.yml", "status.yml"),
    ]
    results = ROOT / "build" / "bench.json"
    results.write_text(
        json.dumps([{"step": t.step, "seconds": round(t.seconds, 1), "recap": t.recap} for t in timings])
    )
    print(f"also in {results.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
