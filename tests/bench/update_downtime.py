"""How long a bot is away for an update, and for a bare stop and start of its container: `make bench`.

    python -m tests.bench.update_downtime [--rounds 3]         (on the converged embedded VPS)

Both in turn, in the same run: from the moment that the stop is asked for until Docker calls the container healthy. The
stop is the bot's own, which cancels its orders. Each update changes the configuration, so that it has something to do.
It judges nothing: figures belong to a machine.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import sys

from tests.vps.machine import INVENTORY, ROOT, Vps, run_playbook

COPY = ROOT / "build" / "inventory_bench_update"
RESULT = ROOT / "build" / "bench_update_downtime.json"
BOT = "bot1"

# As host_backup stops and watches, and its watchdog knows of it; without a look at the books.
BARE = f"""\
import json, subprocess, time
def docker(*words):
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True).stdout.strip()
watchdog = ("exec", "hbot-{BOT}-watchdog", "python", "-m", "watchdog")
docker(*watchdog, "lease", "--seconds", "600", "--by", "bench", "--reason", "bench")
began = time.monotonic()
docker("stop", "--time", "90", "hbot-{BOT}")
stopped = time.monotonic()
docker("start", "hbot-{BOT}")
while docker("inspect", "-f", "{{{{.State.Health.Status}}}}", "hbot-{BOT}") != "healthy":
    time.sleep(0.2)
print(json.dumps([time.monotonic() - began, stopped - began]))
docker(*watchdog, "release", "--by", "bench", "--reason", "bench")
"""


def bare(vps: Vps) -> tuple[float, float]:
    """Seconds without a healthy bot, and those of the stop, of a bare stop and start."""
    away, stop = json.loads(vps.run(f"python3 - <<'END'\n{BARE}END"))
    return away, stop


def updated(amount: int) -> tuple[float, float]:
    """The same of an update to another configuration, as it reports them.

    Raises:
        SystemExit: it failed; its output is printed.
    """
    run = run_playbook(
        "update.yml", "--limit", BOT, "-e", "soak=5", "-e", f"bot_total_amount_quote={amount}", inventory=COPY
    )
    away = re.search(r"([\d.]+) s without a healthy bot", run.output)
    stop = re.search(r"its orders cancelled, after ([\d.]+) s", run.output)
    if run.code != 0 or not away or not stop:
        sys.exit(f"update.yml failed:\n{run.output[-4000:]}")
    return float(away[1]), float(stop[1])


def row(what: str, found: list[float]) -> str:
    """One line of the table."""
    return f"{what:<28}{statistics.median(found):>8.1f} s{min(found):>8.1f} s{max(found):>8.1f} s"


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="time a bot's absence")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    shutil.rmtree(COPY, ignore_errors=True)
    shutil.copytree(INVENTORY, COPY, symlinks=True)
    vps, before = Vps(), os.getloadavg()[0]
    bares, updates = [], []
    try:
        for number in range(options.rounds):
            bares.append(bare(vps))
            updates.append(updated(500 + number))
    finally:
        shutil.rmtree(COPY)
        run_playbook("site.yml", "--limit", BOT)
    print(f"{options.rounds} of each, load {before:.1f} before, {os.getloadavg()[0]:.1f} after")
    print(f"{'':<28}{'median':>10}{'least':>10}{'most':>10}")
    print(row("stop and start", [away for away, _ in bares]))
    print(row("  of it, the stop", [stop for _, stop in bares]))
    print(row("update", [away for away, _ in updates]))
    print(row("  of it, the stop", [stop for _, stop in updates]))
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({"bare": bares, "update": updates}), encoding="utf-8")
    print(f"also in {RESULT.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
