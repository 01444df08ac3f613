"""The bridge script in Rhino and the real relay: what is said in a chat is answered there, once."""

from __future__ import annotations

import hashlib
import random
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import MakePhone
from tests.e2e.handlers import PICTURE
from tests.e2e.relays import BadLine, RealRelay
from tests.e2e.rhino import Engines, Phone
from tests.e2e.test_tls import certificate


@pytest.fixture
def real(ending: ExitStack, tmp_path: Path) -> RealRelay:
    """A relay that lets everybody talk who knows the secret."""
    relay = RealRelay(tmp_path / "relay")
    ending.callback(relay.kill)
    relay.start()
    return relay


def line_to(relay: RealRelay, ending: ExitStack, **faults: Any) -> BadLine:
    """A bad line to a relay."""
    line = BadLine(relay.port, chance=random.Random(4), **faults)
    ending.callback(line.close)
    return line


def answered(phone: Phone, *numbers: int, seconds: float = 60.0) -> None:
    """Wait until each of these messages was answered; none twice, and nothing else."""
    wanted = sorted(f"answer {number}" for number in numbers)
    phone.wait(
        lambda: len(set(phone.typed)) >= len(wanted),
        f"{len(wanted)} answers, {len(set(phone.typed))} there", seconds,
    )  # fmt: skip
    time.sleep(0.3)
    assert sorted(phone.typed) == wanted


# -- as with the relays of today


def test_echo_33(real: RealRelay, ending: ExitStack, make_phone: MakePhone) -> None:
    """Through something that knows no 4.0 the script and the relay talk in 3.3: texts, pictures, pings."""
    phone = make_phone(line_to(real, ending, old=True).server())
    phone.says("(dialect 3.3)")
    phone.hear("# echo 안녕 😀")
    phone.types("에코: 안녕 😀")
    phone.hear("# picture")
    shared = phone.wait(lambda: phone.of("shared"), "a picture")[0]
    assert shared["files"][0]["sha256"].zfill(64) == hashlib.sha256(PICTURE).hexdigest()
    assert "is told" not in real.log


def test_restart_33(real: RealRelay, ending: ExitStack, make_phone: MakePhone) -> None:
    """After a kill of the relay the script comes back, and sends what was said meanwhile."""
    phone = make_phone(line_to(real, ending, old=True).server())
    phone.hear("# now 0")
    phone.types("answer 0")
    real.kill()
    phone.says("lost")
    phone.hear("# now 1")
    real.start()
    phone.wait(lambda: "answer 1" in phone.typed, "the second answer")
    # What was on the wire when the relay died may come twice in 3.3.
    assert [text for text in phone.typed if text != "answer 0"] == ["answer 1"]


def test_wrong_secret(real: RealRelay, ending: ExitStack, make_phone: MakePhone) -> None:
    """With another secret nobody is answered, and both logs say why."""
    phone = make_phone(line_to(real, ending, old=True).server(), secret="another")
    phone.hear("# now 0")
    phone.says("the relay says bad_signature")
    assert "bad_signature" in real.log
    assert phone.typed == []


def test_printed_script(real: RealRelay, ending: ExitStack, engines: Engines, tmp_path: Path) -> None:
    """What `relayctl bridge-script` prints works as it is."""
    phone = Phone(engines, tmp_path / "phone", {})
    phone.script = real.relayctl("bridge-script", "--bot", "봇", "--server", f"127.0.0.1:{real.port}")
    ending.callback(phone.close)
    phone.start().hear("# now 0")
    phone.types("answer 0")


# -- dialect 4.0


def test_echo(real: RealRelay, make_phone: MakePhone) -> None:
    """The script and the relay talk in 4.0: texts, pictures, acknowledgements."""
    phone = make_phone(real.server())
    phone.says("(dialect 4.0)")
    phone.hear("# echo 안녕 😀 \u2028", room="가족", channel=18000000000000001)
    phone.types("에코: 안녕 😀 \u2028")
    phone.hear("# picture")
    shared = phone.wait(lambda: phone.of("shared"), "a picture")[0]
    assert shared["files"][0]["sha256"].zfill(64) == hashlib.sha256(PICTURE).hexdigest()
    phone.wait(
        lambda: phone.evaluate("RelayBridge.inside.waiting().length") == 0, "every message acknowledged"
    )


def test_wrong_secret_40(real: RealRelay, make_phone: MakePhone) -> None:
    """With another secret the handshake fails, and the message is kept until the right one delivers it.

    The app has been started anew since then, and cannot write to a room before somebody writes there: that
    the answer was not typed is said.
    """
    phone = make_phone(real.server(), secret="another")
    phone.hear("# now 0")
    kept = phone.file("chats")
    phone.wait(
        lambda: kept.exists() and b"# now 0" in kept.read_bytes(), "the message on the phone's storage"
    )
    phone.says("bad_signature")
    phone.kill()
    phone = make_phone(real.server())
    phone.says("was not typed: no_room")
    phone.hear("# now 1")
    answered(phone, 1)


def test_duplicates(real: RealRelay, make_phone: MakePhone) -> None:
    """A message that is sent again because its acknowledgement got lost is answered once."""
    phone = make_phone(real.server())
    # As if no acknowledgement ever arrived.
    phone.evaluate("RelayBridge.inside.Chats.prototype.settle = function () {}; 1")
    phone.hear("# now 0")
    phone.types("answer 0")
    real.kill()
    phone.says("lost")
    real.start()
    phone.says("(dialect 4.0)", 2)
    phone.hear("# now 1")
    answered(phone, 0, 1)
    phone.kill()
    phone = make_phone(real.server())
    phone.hear("# now 2")
    phone.types("answer 2")


def test_bad_line(real: RealRelay, ending: ExitStack, make_phone: MakePhone) -> None:
    """However often the connection is cut, wherever, each message is answered once."""
    line = line_to(real, ending, cuts=(300, 6000))
    phone = make_phone(line.server(), retryFirst=20, retryMost=50)
    for number in range(60):
        phone.hear(f"# {'now' if number % 3 else 'soon'} {number}")
        time.sleep(0.02)
    phone.wait(lambda: line.count > 5, "five cuts")
    line.heal()
    answered(phone, *range(60))


def test_restarts(real: RealRelay, make_phone: MakePhone) -> None:
    """However often the relay is killed, each message is answered once."""
    typed: list[str] = []
    for run in range(2):
        phone = make_phone(real.server(), retryFirst=20, retryMost=100)
        for number in range(20 * run, 20 * run + 20):
            phone.hear(f"# {'now' if number % 3 else 'soon'} {number}")
            if number % 10 == 4:
                real.kill()
                real.start()
        answered(phone, *range(20 * run, 20 * run + 20))
        typed += phone.typed
        phone.kill()
    assert len(typed) == 40


def test_app_killed(real: RealRelay, make_phone: MakePhone) -> None:
    """However often the app is killed, nothing is typed twice, and what cannot be typed is said.

    What it died at may be neither: it was noted, and then there was nobody to type it.
    """
    typed: list[str] = []
    untyped = 0
    for run in range(4):
        phone = make_phone(real.server(), retryFirst=20, retryMost=100)
        for number in range(10 * run, 10 * run + 10):
            phone.hear(f"# {'now' if number % 3 else 'soon'} {number}")
        assert phone.evaluate("1") == 1
        phone.says("(dialect 4.0)")
        time.sleep(0.05 * run)
        phone.kill()
        typed += phone.typed
        untyped += phone.logs.count("was not typed: no_room")
    phone = make_phone(real.server())
    phone.wait(lambda: phone.evaluate("RelayBridge.inside.waiting().length") == 0, "all acknowledged")
    phone.hear("# now 40")
    phone.wait(lambda: "answer 40" in phone.typed, "the last answer")
    typed += phone.typed
    assert len(typed) == len(set(typed))
    untyped += phone.logs.count("was not typed: no_room")
    assert 41 - 4 <= len(typed) + untyped <= 41


def test_media_on_a_bad_line(real: RealRelay, ending: ExitStack, make_phone: MakePhone) -> None:
    """A picture of which the connection was cut comes whole in the end, and is shown once."""
    line = line_to(real, ending, cuts=(50_000, 150_000))
    phone = make_phone(line.server(), retryFirst=20, retryMost=50)
    phone.hear("# picture")
    phone.wait(lambda: line.count > 3, "three cuts")
    line.heal()
    phone.hear("# now 0")
    answered(phone, 0)
    (shared,) = phone.of("shared")
    assert shared["files"][0]["sha256"].zfill(64) == hashlib.sha256(PICTURE).hexdigest()


@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
def test_tls(ending: ExitStack, tmp_path: Path, make_phone: MakePhone, right: bool) -> None:
    """Over TLS the relay with the right certificate is talked to, and another is not."""
    path, fingerprint = certificate(tmp_path, "relay.invalid")
    relay = RealRelay(tmp_path / "relay", path)
    ending.callback(relay.kill)
    relay.start()
    phone = make_phone(relay.server(fingerprint=fingerprint if right else "0" * 64), challengeTime=1000)
    phone.hear("# now 0")
    if right:
        phone.types("answer 0")
        assert ", TLS)" in phone.logs
    else:
        phone.says("its certificate is another one", 2)
        assert phone.typed == []
