"""What chat users and phone owners read: every text of the relay that is not for its operator.

The texts of bots are there in English too, for bots that speak it.
"""

from __future__ import annotations

from collections.abc import Mapping

HANDSHAKE_APPROVED = "승인된 기기입니다. 메시지를 중계합니다."
HANDSHAKE_PENDING = "승인 대기 중입니다. 관리자가 승인하면 답장이 시작됩니다."
HANDSHAKE_PENDING_CODE = "승인 대기 중입니다 (승인 코드: {code}). 관리자가 승인하면 답장이 시작됩니다."
HANDSHAKE_REFUSED_BECAUSE = "이 기기는 승인되지 않았습니다: {reason}"
HANDSHAKE_REFUSED = "이 기기는 승인되지 않았습니다. 관리자에게 문의하세요."
HANDSHAKE_PENALTY = "접속이 너무 잦아 잠시 차단되었습니다. 잠시 후 다시 시도하세요."

HANDLER_FAILED = "⚠️ 명령을 처리하지 못했습니다."
HANDLER_TIMED_OUT = "⚠️ 처리 시간이 초과되었습니다."
ASK_TIMED_OUT = "⌛ 답장이 없어 대화를 마칩니다. 다시 시작하려면 명령을 다시 입력하세요."
ASK_REFUSED = "⚠️ 지금은 진행 중인 대화가 너무 많습니다. 잠시 후 다시 시도하세요."
ASK_EXPIRED = "⌛ 서버가 다시 시작되어 이전 대화가 끝났습니다. 명령을 다시 입력하세요."
WEBHOOK_DOWN = "⚠️ 지금은 봇 서버가 응답하지 않습니다. 잠시 후 다시 시도해 주세요."
BAD_MEDIA = "⚠️ 미디어를 보낼 수 없습니다: {why}"
ADMIN_ONLY = "관리자만 사용할 수 있는 명령입니다."

ECHO = "에코: "
ECHO_NUMBERED = "[{number}/{count}] 에코: {text}"
TOO_MANY_PICTURES = "그림은 한 번에 {most}장까지 그릴 수 있습니다."
PHONE_GONE = "지금은 기기가 연결되어 있지 않습니다."

USAGE = "사용법: {usage}"
MISSING = "{name} 값이 필요합니다."
NOT_A_NUMBER = "{name}: {value!r} 은(는) 숫자가 아닙니다."
NOT_A_CHOICE = "{name}: {value!r} 은(는) 쓸 수 없습니다. ({choices})"
OUT_OF_RANGE = "{name}: {least} 이상 {most} 이하여야 합니다."
TOO_MANY = "{value!r} 은(는) 쓰이지 않습니다."
NO_VALUE = "{name} 옵션에 값이 필요합니다."
COOLING = "⏳ {seconds}초 뒤에 다시 쓸 수 있습니다."

HELP = "쓸 수 있는 명령:"
HELP_LINE = "{prefix}  {about}"
HELP_MORE = "자세히: {prefix} 명령"
NO_SUCH_COMMAND = "{name!r} 명령은 없습니다."

RELOADED = "봇 설정을 다시 읽었습니다."
NOTHING_CHANGED = "바뀐 설정이 없습니다."
SETTING_CHANGED = "{bot}: {name} {before} → {after}"
MORE_CHANGED = "… 외 {count}건"
CANNOT_RELOAD = "⚠️ 지금은 봇 설정을 읽을 수 없습니다. 이전 설정을 그대로 사용합니다."

CLIENT_INFO = """\
봇: {bot}
기기: {device}
스크립트: {version} (방언 {dialect})
주소: {address}
상태: {status}
연결: {since}
왕복 시간: {round_trip}
메모리: {memory}
메시지: {messages}"""

#: What bots say in English, by what they say in Korean.
ENGLISH: Mapping[str, str] = {
    HANDLER_FAILED: "⚠️ The command failed.",
    HANDLER_TIMED_OUT: "⚠️ The command took too long.",
    BAD_MEDIA: "⚠️ The media cannot be sent: {why}",
    ASK_TIMED_OUT: "⌛ No answer; the conversation is over. Use the command again to start anew.",
    ASK_REFUSED: "⚠️ Too many conversations are going on. Please try again later.",
    ADMIN_ONLY: "Only admins may use this command.",
    USAGE: "Usage: {usage}",
    MISSING: "{name} is missing.",
    NOT_A_NUMBER: "{name}: {value!r} is not a number.",
    NOT_A_CHOICE: "{name}: {value!r} is not allowed. ({choices})",
    OUT_OF_RANGE: "{name} must be from {least} to {most}.",
    TOO_MANY: "{value!r} is one argument too many.",
    NO_VALUE: "The option {name} needs a value.",
    COOLING: "⏳ Available again in {seconds} s.",
    HELP: "Commands:",
    HELP_MORE: "More: {prefix} COMMAND",
    NO_SUCH_COMMAND: "There is no command {name!r}.",
}


def say(text: str, language: str = "ko", /, **fields: object) -> str:
    """One of these texts, its fields filled in, in a language: `ko` or `en`; Korean where it has no other."""
    return (ENGLISH.get(text, text) if language == "en" else text).format(**fields)
