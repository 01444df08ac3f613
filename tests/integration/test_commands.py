"""An operator at work: `relayctl` and the HTTP API at a running relay."""

from __future__ import annotations

import json
import re

import pytest

from relaytw.admin.shapes import RelayStatus
from relaytw.cli.main import relayctl
from tests.integration.relay_process import Said, Site, eventually, eventually_asked, scenario


async def done(site: Site, *command: str) -> str:
    """What a command printed that has to succeed."""
    said = await site.relayctl(*command)
    assert said.code == 0, said
    return said.out


@pytest.mark.parametrize("dialect", ["3.2", "3.3"])
@scenario(60)
async def test_simulate(site: Site, dialect: str) -> None:
    """Many simulated phones are approved, answered once each, and counted."""
    await site.start()
    given = ["--phones", "5", "--rate", "100", "--for", "2", "--dialect", dialect, "--port", str(site.port)]
    out = await done(site, "simulate", *given)
    assert re.search(r"^sent +200$", out, re.MULTILINE)
    assert re.search(r"^answered +200$", out, re.MULTILINE)
    assert re.search(r"^missing +0$", out, re.MULTILINE)
    assert re.search(r"^duplicates +0$", out, re.MULTILINE)
    assert (await site.deserted()).accepted == 200


@scenario(30)
async def test_simulate_without_a_relay(site: Site) -> None:
    """Without a relay simulated phones say so, and how to start one."""
    said = await site.relayctl("simulate", "--port", str(site.port), "--for", "1")
    assert said.code == 1
    assert "twistd -n relay" in said.err


@scenario(30)
async def test_approving_a_live_phone(site: Site) -> None:
    """Approving a device, and then its room, takes effect on the connection that is on."""
    relay = await site.start()
    phone = await site.phone("phone", bot="my bot")
    assert phone.answer is not None
    assert (phone.answer.success, phone.answer.approved) == (True, False)
    assert "relayctl devices approve 'my bot' phone" in relay.out.decode()
    phone.wire.say("our room", "# echo too early", channel_id="123")
    await eventually_asked(site.ask_metrics, lambda text: "relaytw_restricted_total 1.0" in text, "a message")

    await done(site, "devices", "approve", "my bot", "phone")
    phone.wire.say("our room", "# echo still too early", channel_id="123")
    await eventually(lambda: b"relayctl rooms approve" in relay.out, "a hint")
    hint = re.search(rb"relayctl rooms approve '(.*)' (\S+) (\S+)\)", relay.out)
    assert hint is not None
    assert [word.decode() for word in hint.groups()] == ["my bot", "phone", "123"]
    assert "our room" in await done(site, "rooms", "list", "--status", "pending")

    await done(site, "rooms", "approve", "my bot", "phone", "123")
    phone.wire.say("our room", "# echo at last", channel_id="123")
    await phone.hears("에코: at last")
    assert phone.texts == ["에코: at last"]

    await done(site, "rooms", "block", "my bot", "phone", "123")
    phone.wire.say("our room", "# echo not here", channel_id="123")
    await done(site, "devices", "block", "my bot", "phone")
    await eventually(lambda: phone.gone, "the end of a blocked phone")
    again = await site.phone("phone", bot="my bot")
    assert again.answer is not None
    assert again.answer.success is False
    await eventually(lambda: again.gone, "the end of a blocked phone")
    assert phone.texts == ["에코: at last"]
    assert [close.reason for close in await site.closes()] == ["not_approved"] * 2


@scenario(30)
async def test_settings_of_a_bot(open_site: Site) -> None:
    """A bot is known once its phone is; what is set for it holds on the connection that is on, and later."""
    site = open_site
    relay = await site.start()
    phone = await site.phone("phone", bot="my bot")
    await phone.echoes("room", "one")

    async def known() -> str:
        return await done(site, "bots", "list")

    await eventually_asked(known, lambda out: "my bot" in out, "the bot")
    await done(site, "bots", "set", "my bot", "prefix=!", "per_room=1", "max_message_size=4096")
    phone.wire.say("room", "! echo two")
    await phone.hears("에코: two")
    await done(site, "bots", "pause", "my bot")
    phone.wire.say("room", "! echo not now")
    await eventually_asked(site.ask_metrics, lambda text: "relaytw_paused_total 1.0" in text, "a message")
    await done(site, "bots", "resume", "my bot")
    shown = json.loads(await done(site, "bots", "show", "my bot", "--json"))
    assert (shown["prefix"], shown["per_room"], shown["paused"]) == ("!", 1, False)
    refused = await site.relayctl("bots", "set", "my bto", "prefix=?")
    assert (refused.code, refused.err) == (1, "Error: no bot my bto was seen yet\n")

    relay.signal("TERM")
    await relay.gone()
    await site.start()
    again = await site.phone("phone", bot="my bot")
    again.wire.say("room", "! echo three")
    await again.hears("에코: three")
    assert phone.texts + again.texts == ["에코: one", "에코: two", "에코: three"]
    again.wire.say("room", "x" * 5000)
    await eventually(lambda: again.gone, "the end of a phone whose line is too long")


@scenario(30)
async def test_lists(shared: Site) -> None:
    """Status, phones, devices, rooms and closes show what there is, as tables and as JSON."""
    phone = await shared.phone("lists", bot="목록")
    await phone.echoes("방", "hi")
    assert re.search(r"^relay +relay-01 \(queued\), ready$", await done(shared, "status"), re.MULTILINE)
    for what in (["phones"], ["devices", "list"], ["rooms", "list"]):
        table = await done(shared, *what)
        assert "목록" in table
        assert "lists" in table
        rows = json.loads(await done(shared, *what, "--json"))
        assert ("목록", "lists") in {(row["bot"], row["device"]) for row in rows}
    assert json.loads(await done(shared, "status", "--json"))["clients"] == 1

    await done(shared, "disconnect", "목록", "lists")
    await eventually(lambda: phone.gone, "the end of a disconnected phone")
    newest = json.loads(await done(shared, "closes", "--json"))[-1]
    assert (newest["bot"], newest["device"], newest["reason"]) == ("목록", "lists", "operator")
    assert "operator" in await done(shared, "closes")


@scenario(30)
async def test_penalty(open_site: Site) -> None:
    """A phone that connects too often is boxed, listed, and let out by the operator."""
    open_site.configure({"penalty.connects_per_minute": "3", "penalty.grace": "0"})
    await open_site.start()
    for _ in range(3):
        (await open_site.phone("flapping")).reset()
        await open_site.deserted()
    boxed = await open_site.phone("flapping")
    assert boxed.answer is not None
    assert boxed.answer.success is False
    assert await (await open_site.phone("steady")).echoes("room", "hi") < 5
    assert "flapping" in await done(open_site, "penalties", "list")
    await done(open_site, "penalties", "lift", "bot", "flapping")
    assert "Nobody" in await done(open_site, "penalties", "list")
    assert await (await open_site.phone("flapping")).echoes("room", "hi") < 5


@scenario(30)
async def test_secret_and_config(shared: Site) -> None:
    """The secret can be shown and the configuration checked, without asking the relay."""
    secret = await shared.relayctl("secret", "show")
    assert (secret.code, secret.out) == (0, shared.secret.decode() + "\n")
    assert await done(shared, "config", "check") == "ok\n"
    bad = shared.folder / "bad.toml"
    bad.write_text("[limits]\nqueue = 0\n", "utf-8")
    said = await shared.relayctl("--config", str(bad), "config", "check")
    assert said.code == 1
    assert "limits.queue = 0" in said.err


@scenario(30)
async def test_open_routes(shared: Site) -> None:
    """Health, readiness and metrics need no token; everything else does."""
    for path in ("/healthz", "/readyz", "/metrics"):
        code, body = await shared.ask(path, token=False)
        assert code == 200
        assert body
    assert b"relaytw_ready 1.0" in (await shared.ask("/metrics", token=False))[1]
    for path in ("/api/v1/status", "/api/v1/phones", "/api/v1/closes", "/api/v1/devices", "/api/v1/rooms"):
        code, body = await shared.ask(path, token=False)
        assert code == 401
        assert json.loads(body)["error"]["code"] == "unauthorized"
        assert (await shared.ask(path))[0] == 200
    assert (await shared.ask("/api/v1/no-such-thing"))[0] == 404
    assert isinstance(await shared.status(), RelayStatus)


@scenario(30)
async def test_without_the_token(shared: Site) -> None:
    """Without its token the relay tells nothing, and `relayctl` where the token would be."""
    said = await shared.relayctl("--token-file", "nowhere", "status")
    assert (said.code, said.out) == (1, "")
    assert "nowhere" in said.err


@scenario(60)
async def test_no_relay(site: Site) -> None:
    """Every command that needs a relay says that there is none, in words, and exits 1."""
    commands = (
        ["status"],
        ["phones"],
        ["closes"],
        ["devices", "list"],
        ["rooms", "list"],
        ["penalties", "list"],
    )
    for command in commands:
        assert command[0] in relayctl.list_commands(None)  # type: ignore[arg-type]
        said: Said = await site.relayctl(*command)
        assert (said.code, said.out) == (1, "")
        assert "twistd -n relay" in said.err
        assert "Traceback" not in said.err


@scenario(60)
async def test_rotating_the_secret(site: Site) -> None:
    """A secret is rotated under phones that are on, survives a kill, and is retired when nobody needs it."""
    site.configure({"auth.approve_new_devices": True, "auth.approve_new_rooms": True})
    relay = await site.start()
    old = site.secret
    phone = await site.phone("phone")
    await phone.echoes("room", "before")

    assert "secret.old" in await done(site, "secret", "rotate")
    assert site.state("secret.old") == old
    assert (await done(site, "secret", "show")).strip().encode() == site.secret != old
    assert (await site.relayctl("secret", "rotate")).code == 1
    await phone.echoes("room", "with the old one")
    newcomer = await site.phone("newcomer")
    await newcomer.echoes("room", "with the new one")
    shown = await done(site, "secret", "status")
    assert "1 clients sign with the newest, 1 with an older one" in shown
    refused = await site.relayctl("secret", "retire")
    assert (refused.code, "bot@phone" in refused.err) == (1, True)

    relay.signal("KILL")
    await relay.gone()
    await site.start()
    for device, secret in (("phone", old), ("newcomer", site.secret)):
        again = await site.phone(device, secret=secret)
        await again.echoes("room", "after the kill")
    assert "bot phone" in re.sub(" +", " ", await done(site, "secret", "retire", "--yes"))
    late = await site.phone("phone", secret=old)
    late.wire.say("room", "# echo too late")
    await eventually(lambda: late.errors == ["bad_signature"], "a refusal")
    assert await site.say("# echo hi") == Said(0, "에코: hi\n", "")
