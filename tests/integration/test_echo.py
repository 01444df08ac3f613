"""The first five minutes: starting a relay, and talking to it with `relayctl phone`."""

from __future__ import annotations

import re
import socket
import stat
from pathlib import Path

import pytest

from tests.integration.relay_process import HOST, Site, scenario

ROOT = Path(__file__).parents[2]


@scenario(30)
async def test_first_start(site: Site) -> None:
    """In an empty folder, without a file, the secrets are made, for the owner alone, and the relay is up."""
    relay = await site.start()
    said = relay.out.decode()
    assert f"listening for phones on {site.endpoint}" in said
    for name in ("secret", "admin-token"):
        path = site.folder / "relay-state" / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert len(site.state(name)) >= 32
        assert site.state(name).decode() not in said
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@scenario(30)
async def test_second_start(site: Site) -> None:
    """What the first start made is used by the second."""
    await (await site.start()).end()
    before = site.secret, site.state("admin-token")
    await site.start()
    assert (site.secret, site.state("admin-token")) == before


@pytest.mark.parametrize("dialect", ["3.2", "3.3"])
@scenario(30)
async def test_echo(shared: Site, dialect: str) -> None:
    """`relayctl phone --say` prints the reply and exits 0 at the first one."""
    said = await shared.say("# echo hi", "--dialect", dialect, "--device", f"phone-{dialect}")
    assert (said.code, said.out) == (0, "에코: hi\n")


@scenario(30)
async def test_approves_itself(site: Site) -> None:
    """`relayctl phone` is answered by a relay at which nobody is approved yet."""
    await site.start()
    said = await site.say("# echo hi")
    assert (said.code, said.out, said.err) == (0, "에코: hi\n", "")


@scenario(30)
async def test_no_reply(shared: Site) -> None:
    """Without a reply within the time-out the exit code is 1, and a line says what to look at."""
    said = await shared.say("nobody answers this", "--timeout", "0.5")
    assert (said.code, said.out) == (1, "")
    assert "no reply within 0.5 s" in said.err


@scenario(30)
async def test_no_relay(site: Site) -> None:
    """Without a relay the exit code is 1, and a line says how to start one."""
    said = await site.say("# echo hi")
    assert (said.code, said.out) == (1, "")
    assert f"no relay listens at {HOST}:{site.port}" in said.err
    assert "twistd -n relay" in said.err


@scenario(30)
async def test_stays_pending(site: Site) -> None:
    """With `--no-approve` the phone is a stranger: pending, unanswered, and told how to change that."""
    relay = await site.start()
    said = await site.say("# echo hi", "--no-approve", "--timeout", "0.5")
    assert (said.code, said.out) == (1, "")
    assert "relayctl devices approve relayctl relayctl" in said.err
    assert "relayctl devices approve relayctl relayctl" in relay.out.decode()
    listed = await site.relayctl("devices", "list", "--status", "pending")
    assert "relayctl" in listed.out
    assert "pending" in listed.out


@scenario(30)
async def test_relay_tac(site: Site) -> None:
    """`twistd -ny relay.tac` starts the same relay."""
    (site.folder / "relay.tac").write_bytes((ROOT / "relay.tac").read_bytes())
    site.configure({"relay.listen": [site.endpoint]})
    await site.listening(site.spawn("twistd", "-ny", "relay.tac"))
    said = await site.say("# echo hi")
    assert (said.code, said.out) == (0, "에코: hi\n")


@scenario(30)
async def test_help(site: Site) -> None:
    """Both programs explain themselves, and start nothing."""
    relay = await site.run("twistd", "relay", "--help")
    assert relay.code == 0
    for option in ("--listen", "--config", "--state-dir", "--database", "--name", "--check"):
        assert option in relay.out
    ctl = await site.relayctl("--help")
    assert ctl.code == 0
    for command in ("status", "phones", "devices", "rooms", "closes", "secret", "phone", "simulate"):
        assert re.search(rf"^  {command} ", ctl.out, re.MULTILINE)
    assert not (site.folder / "relay-state").exists()


@pytest.mark.parametrize("whose", ["port", "admin_port"])
@scenario(30)
async def test_port_is_taken(site: Site, whose: str) -> None:
    """A port that somebody else has ends the start, with one line that names it and says what to do."""
    port = getattr(site, whose)
    with socket.socket() as other:
        other.bind((HOST, port))
        other.listen()
        said = await site.run("twistd", "-n", "relay", "--listen", site.endpoint)
    assert said.code == 1
    lines = [line for line in (said.out + said.err).splitlines() if f"{HOST}:{port}" in line]
    assert len(lines) == 1
    assert "already in use" in lines[0]
    assert "--listen" in lines[0]
    assert "Traceback" not in said.out + said.err


@scenario(30)
async def test_bad_configuration(site: Site) -> None:
    """Every mistake is named at once, from wherever it came, and nothing is started."""
    (site.folder / "relay.toml").write_text("[limits]\nconections = 5\nqueue = 0\n", "utf-8")
    site.configure({"ping.interval": "often"})
    said = await site.run("twistd", "-n", "relay", "--config", "relay.toml", "--listen", "everywhere")
    assert said.code == 1
    for mistake in (
        "limits.conections: unknown key (from file relay.toml); did you mean connections?",
        "limits.queue = 0 (from file relay.toml)",
        "ping.interval = 'often' (from environment RELAYTW_PING__INTERVAL)",
        "relay.listen.0 = 'everywhere' (from flag)",
    ):
        assert mistake in said.out
    assert not (site.folder / "relay-state").exists()


@scenario(30)
async def test_bot_that_cannot_be_loaded(site: Site) -> None:
    """A bot module with a mistake in it ends the start, with the reason."""
    (site.folder / "broken.py").write_text("from relaytw.bots import Bot\nbot = Bot(\n", "utf-8")
    site.configure({"bots.load": ["broken"]})
    said = await site.run("twistd", "-n", "relay", "--listen", site.endpoint)
    assert said.code == 1
    assert "broken" in said.out + said.err
    assert "SyntaxError" in said.out + said.err
