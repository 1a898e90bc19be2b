"""`make demo`: an empty VPS goes in, a hardened host with a paper-trading bot comes out.

The steps are the ones an operator takes (boot, `site.yml`, wait, `status.yml`), run in order with the elapsed time in
front of each line, so that someone watching knows what is happening and how long it has taken.
"""

import csv
import io
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INVENTORY = ROOT / "inventories" / "demo"
BOOKS = "/opt/hbot/data/bot1/logs/epp_v24/bot1_a"
FIRST_FILL_TIMEOUT_S = 600
POLL_S = 2.0
REPORT_EVERY_S = 10.0


class DemoError(Exception):
    """A step of the demo did not do what it should; the message names the step and where to look."""


def say(message: str, started: float) -> None:
    """Print one progress line behind the seconds since `started` (a `time.monotonic()` value)."""
    print(f"[{time.monotonic() - started:6.1f} s] {message}", flush=True)


def run(step: str, command: list[str]) -> None:
    """Run `command` with its output shown, from the project's root.

    Raises:
        DemoError: it exited with anything but 0.
    """
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if code != 0:
        raise DemoError(f"{step} failed with exit code {code}; its output is above. Run `make demo` again to resume.")


def playbook(name: str) -> list[str]:
    """The command line that runs playbook `name` against the demo's inventory."""
    return ["ansible-playbook", "-i", str(INVENTORY), str(ROOT / name)]


def rows(book: str) -> list[dict[str, str]]:
    """The rows of one of bot1's CSV books as they are on the VPS; none when the file does not exist yet."""
    result = subprocess.run(
        [sys.executable, "-m", "embedded_vps", "exec", "--", "cat", f"{BOOKS}/{book}.csv"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return list(csv.DictReader(io.StringIO(result.stdout))) if result.returncode == 0 else []


def wait_for_first_fill(started: float) -> None:
    """Return when bot1 has booked a maker fill, telling every few seconds what it is doing meanwhile.

    Raises:
        DemoError: none came within `FIRST_FILL_TIMEOUT_S`.
    """
    deadline = time.monotonic() + FIRST_FILL_TIMEOUT_S
    next_report = time.monotonic()
    while time.monotonic() < deadline:
        maker_fills = [row for row in rows("fills") if row["is_maker"].lower() == "true"]
        if maker_fills:
            fill = maker_fills[0]
            say(f"first maker fill: {fill['side']} {fill['amount_base']} at {fill['price']}", started)
            return
        if time.monotonic() >= next_report:
            next_report = time.monotonic() + REPORT_EVERY_S
            say(f"waiting for the first maker fill: {what_bot1_does()}", started)
        time.sleep(POLL_S)
    raise DemoError(
        f"bot1 made no fill within {FIRST_FILL_TIMEOUT_S} s. Its log: "
        "python -m embedded_vps exec -- tail -n 50 /opt/hbot/data/bot1/logs/logs_v2_epp_v2_4_bot_a.log"
    )


def what_bot1_does() -> str:
    """bot1's newest minute row in one line."""
    minutes = rows("minute")
    if not minutes:
        return "bot1 has written no minute row yet"
    row = minutes[-1]
    said = [f"bot1 {row['state']}" + (f" ({row['reasons']})" if row["reasons"] else "")]
    if row["mid"]:
        said += [row["regime"], f"{row['orders_active']} orders", f"mid {row['mid']}"]
    if row["spread_pct"]:
        said.append(f"spread {float(row['spread_pct']):.2%}")
    return ", ".join(said)


def main() -> int:
    """Run the demo; 0 when bot1 made a maker fill and status found every bot well."""
    started = time.monotonic()
    # The demo shows what happens, not how Ansible words a skipped task.
    os.environ.setdefault("ANSIBLE_DISPLAY_SKIPPED_HOSTS", "false")
    try:
        say("boot an empty VPS", started)
        run("booting the VPS", [sys.executable, "-m", "embedded_vps", "up"])
        say("converge it: ansible-playbook -i inventories/demo site.yml", started)
        run("site.yml", playbook("site.yml"))
        say("the market is a recording played at 10x its own pace, on a synthetic book", started)
        wait_for_first_fill(started)
        say("ansible-playbook -i inventories/demo status.yml", started)
        run("status.yml", playbook("status.yml"))
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted; `make demo` resumes, `make demo-down` removes the machines", file=sys.stderr)
        return 130
    say("done. `make demo-down` removes the machines; images and packages stay for the next time", started)
    return 0


if __name__ == "__main__":
    sys.exit(main())
