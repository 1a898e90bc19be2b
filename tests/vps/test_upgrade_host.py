"""A machine is upgraded and booted anew: no order is open meanwhile, and every bot comes back with its fills."""

from tests.vps.machine import Vps, run_playbook, wait_until

STARTED = "systemctl show --property=UserspaceTimestamp"


def test_the_bots_leave_the_market_and_come_back(vps: Vps) -> None:
    before, held = vps.run(STARTED), vps.run("apt-mark showhold")
    run = run_playbook("upgrade_host.yml")
    assert run.code == 0, run.output
    assert vps.run(STARTED) != before, "it was not booted anew"
    assert vps.run("apt-mark showhold") == held
    stops = [line for line in run.output.splitlines() if "no order is left" in line]
    assert len(stops) == 2, run.output
    vps.until_bots_are_well(300)
    wait_until(
        "every fill is booked",
        lambda: (
            {str(fill["tradeId"]) for fill in vps.exchange("bot1", "fills")}
            == {row["trade_id"] for row in vps.fills_book("bot1")}
        ),
        120,
    )
