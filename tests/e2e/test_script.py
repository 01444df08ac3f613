"""The bridge script alone in Rhino: what it computes, what it may be written in, what it keeps."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relaytw.cli.bridge_script import fill, read_script
from tests.e2e.rhino import JAR, Engines, Phone
from tests.e2e.scripted import SECRET, hkdf, keys, seal

#: RFC 5869, appendix A: key, salt, purpose, what is made of them.
RFC_5869 = [
    (
        "0b" * 22,
        "000102030405060708090a0b0c",
        "f0f1f2f3f4f5f6f7f8f9",
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    (
        bytes(range(0x50)).hex(),
        bytes(range(0x60, 0xB0)).hex(),
        bytes(range(0xB0, 0x100)).hex(),
        (
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
            "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"
        ),
    ),
    (
        "0b" * 22,
        "",
        "",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ),
]
_CHECK = Path(__file__).with_name("es5.js")
_VECTORS = Path(__file__).parents[1] / "vectors"
#: An open line written without white space, as the script writes them.
_OPEN = re.compile(r'\{"v":4,"event":"(\w+)","data":(.*)\}')


@pytest.fixture(scope="module")
def alone(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phone]:
    """A script that is connected to nobody."""
    phone = Phone(
        engines, tmp_path_factory.mktemp("alone"), {"bot": "bot", "secret": SECRET, "servers": []}
    ).start()
    phone.evaluate("I = RelayBridge.inside; 1")
    yield phone
    phone.close()


#: Each of it newer than ES5.
NEWER = (
    "let a = 1;", "const a = 1;", "var f = (x) => x;", "var s = `t`;", "for (var a of []) {}",
    "var [a] = [1];", "var o = {f() {}};", "function f(a = 1) {}", "function* g() { yield 1; }",
    "class A {}", "var a = new Map();", "var p = Promise;", "'a'.startsWith('b');", "[1].includes(1);",
    "Object.assign({}, {});", "var o = {[1]: 2};",
)  # fmt: skip


def faults(folder: Path, *scripts: str) -> list[str]:
    """Of each script, what in it is no ES5, in words."""
    paths = [folder / f"{number:02}.js" for number in range(len(scripts))]
    for path, script in zip(paths, scripts, strict=True):
        path.write_text(script, encoding="utf-8")
    command = [
        "java",
        "-cp",
        str(JAR),
        "org.mozilla.javascript.tools.shell.Main",
        str(_CHECK),
        *map(str, paths),
    ]
    said = subprocess.run(  # noqa: S603 (our own check)
        command, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return ["\n".join(line for line in said if line.startswith(str(path))) for path in paths]


def test_es5(tmp_path: Path) -> None:
    """The script is ES5 alone, as older engines of the app want it; what is newer would be found."""
    script = fill(read_script(), {"bot": "봇\u2028", "secret": SECRET})
    found, *others = faults(tmp_path, script, *NEWER)
    assert found == ""
    assert [newer for newer, fault in zip(NEWER, others, strict=True) if not fault] == []


@pytest.mark.parametrize(("key", "salt", "purpose", "made"), RFC_5869)
def test_hkdf(alone: Phone, key: str, salt: str, purpose: str, made: str) -> None:
    """Keys are derived as RFC 5869 says."""
    call = f"I.hkdf(I.unhex('{key}'), I.unhex('{salt}'), I.unhex('{purpose}'), {len(made) // 2})"
    assert alone.evaluate(f"I.hex({call})") == made
    ours = hkdf(bytes.fromhex(key), bytes.fromhex(salt), bytes.fromhex(purpose), len(made) // 2)
    assert ours.hex() == made


def test_hmac(alone: Phone) -> None:
    """HMAC-SHA256 is that of Python, for keys and texts of every size."""
    for size in (0, 1, 32, 63, 64, 65, 200):
        key, text = os.urandom(size), os.urandom(3 * size)
        made = alone.evaluate(f"I.hex(I.hmac(I.unhex('{key.hex()}'), I.unhex('{text.hex()}')))")
        assert made == hmac.new(key, text, "sha256").hexdigest()


def test_keys_and_seals(alone: Phone) -> None:
    """Both keys, and the seals under them, are those that Python computes from the same lines."""
    hello, challenge = '{"v":4,"event":"hello","data":{"bot":"봇 😀"}}', '{"v":4, "event":"challenge"}'
    phone_nonce, relay_nonce = os.urandom(16).hex(), os.urandom(16).hex()
    made = alone.evaluate(
        f"K = I.keysOf({json.dumps(SECRET)}, '{phone_nonce}', '{relay_nonce}', "
        f"I.latin1(I.utf8({json.dumps(hello)})), {json.dumps(challenge)}); [I.hex(K.phone), I.hex(K.relay)]"
    )
    phone, relay = keys(SECRET, phone_nonce, relay_nonce, hello.encode(), challenge.encode())
    assert made == [phone.hex(), relay.hex()]
    data = '{"text":"에코 😀 \u2028"}'
    line = alone.evaluate(f"I.seal(K.phone, 7, 'chat', {json.dumps(data)})").encode("latin-1")
    covered = f'"seq":7,"event":"chat","data":{data}}}'.encode()
    assert (
        line == b'{"v":4,"mac":"' + hmac.new(phone, covered, "sha256").hexdigest().encode() + b'",' + covered
    )
    theirs = seal(relay, 3, "reply", {"text": "에코 😀"}).decode("latin-1")
    assert alone.evaluate(f"I.unseal(K.relay, 3, {json.dumps(theirs)}).data") == {"text": "에코 😀"}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("I.unseal(K.relay, 4, L)", "missing or was sent twice"),
        ("I.unseal(K.phone, 3, L)", "seal is broken"),
        ("I.unseal(K.relay, 3, L.replace('aaa', 'aab'))", "seal is broken"),
        ("I.unseal(K.relay, 3, L + ' ')", "seal is broken"),
        ("I.unseal(K.relay, 3, L.slice(0, -1))", "seal is broken"),
        ("I.unseal(K.relay, 3, L.replace('\"v\":4', '\"v\": 4'))", "not sealed"),
        ("I.unseal(K.relay, 3, L.substring(0, 79))", "not sealed"),
        (
            "I.unseal(K.relay, 3, L.substring(0, 14) + L.substring(14, 78).toUpperCase() + L.substring(78))",
            "not sealed",
        ),
        ("I.unseal(K.relay, 3, '')", "not sealed"),
    ],
)
def test_bad_seals(alone: Phone, change: str, why: str) -> None:
    """A line with another number, key, content or form is refused, with a reason."""
    line = seal(bytes(32), 3, "reply", {"text": "aaa ABC"}).decode("latin-1")
    alone.evaluate(
        f"K = {{relay: I.unhex('{'00' * 32}'), phone: I.unhex('{'01' * 32}')}}; L = {json.dumps(line)}; 1"
    )
    said = alone.evaluate(
        f"(function () {{ try {{ {change}; return 'fine'; }} catch (e) {{ return e.message; }} }}())"
    )
    assert why in said


def vectors(name: str) -> Any:
    """What stands in a file of test vectors."""
    return json.loads((_VECTORS / name).read_text(encoding="ascii"))


def refuses(alone: Phone, case: dict[str, Any]) -> bool:
    """Does the script refuse a line of seals.json?"""
    line = json.dumps(case["line"].encode().decode("latin-1"))
    taken = f"I.unseal(I.unhex(V.{case['from']}_key), {case['due']}, {line})"
    said: bool = alone.evaluate(
        f"(function () {{ try {{ {taken}; return false; }} catch (e) {{ return true; }} }}())"
    )
    return said


def test_vectors(alone: Phone) -> None:
    """The script computes the keys and seals of the test vectors, and refuses the seals that are broken."""
    for case in vectors("keys.json")["cases"]:
        said = [json.dumps(case[name].encode().decode("latin-1")) for name in ("hello", "challenge")]
        made = alone.evaluate(
            f"K = I.keysOf({json.dumps(case['secret'])}, '{case['phone_nonce']}', '{case['relay_nonce']}', "
            f"{', '.join(said)}); [I.hex(K.phone), I.hex(K.relay)]"
        )
        assert made == [case["phone_key"], case["relay_key"]], case["name"]
    file = vectors("seals.json")
    alone.evaluate(f"V = {json.dumps(file)}; 1")
    written = 0
    for case in file["lines"]:
        key, line = f"I.unhex(V.{case['from']}_key)", case["sealed"].encode().decode("latin-1")
        if plain := _OPEN.fullmatch(case["open"]):
            call = f"I.seal({key}, {case['seq']}, '{plain[1]}', {json.dumps(plain[2])})"
            assert alone.evaluate(call) == line
            written += 1
        packet = alone.evaluate(f"I.unseal({key}, {case['seq']}, {json.dumps(line)})")
        assert packet == json.loads(case["sealed"])
    assert written >= 5
    assert [case["name"] for case in file["refused"] if not refuses(alone, case)] == []


def test_whole_characters(alone: Phone) -> None:
    """Halves of surrogate pairs are replaced, pairs are not; a cut never makes halves."""
    assert (
        alone.evaluate(r"I.whole('\ud83d\ude00 \ud83d x \ude00 \ude00\ud83d')")
        == "😀 \ufffd x \ufffd \ufffd\ufffd"
    )
    assert alone.evaluate(r"[I.cut('a\ud83d\ude00', 2), I.cut('a\ud83d\ude00', 3), I.cut(null, 1)]") == [
        "a",
        "a😀",
        None,
    ]


def test_delays(alone: Phone) -> None:
    """Delays double from the first to the most, and half of each is chance."""
    alone.evaluate("RELAY_SETTINGS.retryFirst = 2000; RELAY_SETTINGS.retryMost = 60000; 1")
    for failures, most in [(0, 2000), (1, 4000), (2, 8000), (4, 32000), (5, 60000), (1000, 60000)]:
        alone.evaluate(f"D = []; while (D.length < 50) {{ D.push(I.delayAfter({failures})); }} 1")
        delays = alone.evaluate("D")
        assert most / 2 <= min(delays) < max(delays) <= most
        assert max(delays) - min(delays) > most / 8


def test_records_survive_damage(alone: Phone) -> None:
    """Wherever a file of records is cut or changed, the records before and behind are read."""
    records = ["one", "안녕 😀", '{"three":3}', "four"]
    alone.evaluate(
        f"R = new I.Records('cut', 1e6);"
        f"{json.dumps(records)}.forEach(function (r) {{ R.append(r, true); }}); 1"
    )
    path = alone.file("cut")
    content = path.read_bytes()
    lines = content.splitlines(keepends=True)
    read = "(function () { var r = new I.Records('cut', 1e6); return [r.read(), r.damaged]; }())"
    assert alone.evaluate(read) == [records, 0]
    for size in range(0, len(content), 3):
        path.write_bytes(content[:size])
        ends = [sum(map(len, lines[: count + 1])) for count in range(4)]
        count = sum(size >= end for end in ends)
        assert alone.evaluate(read) == [records[:count], int(size not in (0, *ends))]
    for at in range(0, len(content), 5):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        found, damaged = alone.evaluate(read)
        assert damaged
        assert [r for r in records if r in found] == found
        assert len(found) >= 2
    path.write_bytes(b"x" * 1_000_001)
    assert alone.evaluate(read) == [[], 1]


def test_torn_append(alone: Phone) -> None:
    """After a record of which only half was written, the next one stands on a line of its own."""
    alone.evaluate(
        "R = new I.Records('torn', 1e6); R.append('one', false);"
        "R.out = {write: function () { throw new Error('full'); }, close: function () {}};"
        "try { R.append('two', false); } catch (e) {} 1"
    )
    path = alone.file("torn")
    path.write_bytes(path.read_bytes() + b"01234567 tw")
    alone.evaluate("R.append('three', false); 1")
    assert alone.evaluate("new I.Records('torn', 1e6).read()") == ["one", "three"]


def test_files_stay_small(alone: Phone) -> None:
    """However much was heard and typed, the files hold what still matters."""
    alone.evaluate(
        'C = new I.Chats(); for (N = 0; N < 1000; N++) { X = C.add(\'"text":"x"\'); '
        "if (N % 100) { C.settle(X.id); } }"
        "RELAY_SETTINGS.typedIds = 50; T = new I.Typed();"
        "for (N = 0; N < 500; N++) { T.note('m/' + N, 'h:1', ''); T.finished('m/' + N, 'h:1'); } 1"
    )
    assert alone.file("chats").read_bytes().count(b"\n") < 230
    assert alone.file("typed").read_bytes().count(b"\n") <= 301
    loaded: Any = alone.evaluate(
        "C = new I.Chats(); C.load(); T = new I.Typed(); T.load();"
        "[C.list.length, T.ids.length, T.resume('h:1'), T.resume('h:2'),"
        " T.find('m/449'), T.find('m/450') !== null]"
    )
    assert loaded == [10, 50, "m/499", None, None, True]


def test_rooms_are_bounded(alone: Phone) -> None:
    """Of very many rooms those are known in which somebody wrote last."""
    alone.evaluate(
        "RELAY_SETTINGS.rooms = 3; M = new I.Rooms();"
        "['1', '2', '3', '1', '4'].forEach(function (c) { M.heard(c, 'room ' + c, function () {}); }); 1"
    )
    names = "M.list.map(function (r) { return r.name; })"
    assert alone.evaluate(names) == ["room 3", "room 1", "room 4"]
    assert alone.evaluate(f"M = new I.Rooms(); M.load(); {names}") == ["room 3", "room 1", "room 4"]


def test_twins_are_bounded(alone: Phone) -> None:
    """A message is known again by its log id, or for a while by its words; by the other path alone."""
    assert alone.evaluate("[I.isTwin('a', '1', 'k'), I.isTwin('b', '1', 'z'), I.isTwin('b', '2', 'k')]") == [
        False,
        True,
        False,
    ]
    assert alone.evaluate(
        "[I.isTwin('a', null, 'm'), I.isTwin('b', null, 'm'), I.isTwin('b', null, 'm')]"
    ) == [False, True, False]
    alone.evaluate("RELAY_SETTINGS.twinTime = 50; I.isTwin('a', null, 'n'); java.lang.Thread.sleep(100); 1")
    assert alone.evaluate("I.isTwin('b', null, 'n')") is False


def test_no_name(engines: Engines, tmp_path: Path) -> None:
    """A phone that has no name of its own is given one that stays."""
    phone = Phone(engines, tmp_path, {"bot": "a/b", "secret": "s", "servers": []}).start()
    digest = hashlib.sha256(b"a/b").hexdigest()[:8]
    folder = tmp_path / "app" / "relaytw" / f"a_b-{digest}"
    assert folder.is_dir()
    assert not (folder / "device").exists()
    phone.evaluate("delete Device; RelayBridge.start(); 1")
    name = (folder / "device").read_text()
    assert len(name) == 16
    phone.evaluate("RelayBridge.start(); 1")
    assert (folder / "device").read_text() == name
    phone.close()
