"""What docs/operating.md and the runbooks tell an operator to type is typed, by the operator, on the VPS."""

import json
import re
import shlex

from tests.vps.machine import OPERATOR, ROOT, Vps

PAGES = (ROOT / "docs/operating.md", *sorted((ROOT / "docs/runbooks").glob("*.md")))

LOOKS = re.compile(
    r"(sudo )?(docker (exec|inspect|logs|network ls|ps|stats)|systemctl (status|list-timers)|fail2ban-client status"
    r"|journalctl -u|apt list|cat|curl|df|du|free|getent|grep|ls|tail|vmstat"
    r"|/opt/hbot/scripts/((status|health_check|review)\.sh|backup\.sh --help))(?!\w)"
)
"""What changes nothing and is typed as it stands."""

CHANGES = re.compile(r"sudo (docker|systemctl|journalctl|apt-get|reboot)\b|chronyc|timedatectl")
"""What changes something, or asks what the embedded VPS has not: only that the machine knows it is proven here."""

BITGET = "api.bitget.com"
"""The VPS of the tests reaches it or not; a name that is not found is an answer too."""

PLACES = {"<bot>": "bot1", "<vps>": "vps1", "<part>": "prometheus"}


def commands() -> dict[str, str]:
    """Every command of the pages, with its places filled in, and the page that it is from."""
    found: dict[str, str] = {}
    for page in PAGES:
        text = page.read_text()
        for said in (*re.findall(r"`([^`\n]+)`", text), *re.findall(r"^    (\S.*)$", text, re.MULTILINE)):
            command = said.split("   #")[0].strip()
            for place, name in PLACES.items():
                command = command.replace(place, name)
            if LOOKS.match(command) or CHANGES.match(command):
                found.setdefault(command, page.name)
    return found


def test_nothing_that_a_page_calls_with_sudo_is_passed_over() -> None:
    for page in PAGES:
        for said in re.findall(r"`(sudo [^`\n]+)`|^    (sudo .*)$", page.read_text(), re.MULTILINE):
            command = "".join(said)
            assert LOOKS.match(command) or CHANGES.match(command), f"{page.name}: {command}"


def test_what_the_pages_tell_an_operator_to_type_is_known_and_answers(vps: Vps) -> None:
    vps.until_bots_are_well(240)
    typed = commands()
    assert len(typed) > 40
    script = "".join(f"try {shlex.quote(command)} {int(bool(CHANGES.match(command)))}\n" for command in typed)
    program = f"""
    try() {{
      if [ "$2" = 1 ]; then said=$(sudo sh -c "command -v $(set -- ${{1#sudo }}; echo $1)" 2>&1); code=$?
      else said=$(timeout 30 bash -c "$1" 2>&1 </dev/null); code=$?; fi
      python3 -c 'import json, sys; print(json.dumps(sys.argv[1:]))' "$1" "$code" "$(tail -n 3 <<<"$said")"
    }}
    {script}"""
    vps.run(f"cat > /run/typed.sh <<'END_OF_SCRIPT'\n{program}\nEND_OF_SCRIPT\nchmod 0644 /run/typed.sh")
    answers = [json.loads(line) for line in vps.run(f"runuser -l {OPERATOR} -c 'bash /run/typed.sh'").splitlines()]
    vps.run("rm /run/typed.sh")
    assert [command for command, _, _ in answers] == list(typed)
    bad = []
    for command, code, said in answers:
        # A unit that has nothing to do at the moment is told by 3.
        well = {"0", "3"} if "systemctl status" in command else {"0"}
        if " report " in command:  # of a bot that has just begun it says that there is no window yet
            well = {"0", "2"}
        if BITGET in command:
            well = {code} - {"126", "127"}
        if code not in well or "not seeing messages from other users" in said:
            bad.append(f"{typed[command]}: {command}: exit code {code}: {said}")
    assert not bad, "\n".join(bad)
