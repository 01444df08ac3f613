"""The commands every relay has: `# echo`, `# client_info`, `# IMGEXT` and `# reload bots-config`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from relaytw import texts
from relaytw.bots import Bot, Image, Message, Range
from relaytw.bots.drawing import square

bot = Bot()
_SEOUL = ZoneInfo("Asia/Seoul")
#: How many changes are told one by one.
_CHANGES_TOLD = 20
#: How many pictures one message gets.
_PICTURES = 20


@bot.command("# echo")
def echo(message: Message, text: str, *, repeat: Annotated[int, Range(1, 5)] = 1) -> str | list[str]:  # noqa: ARG001
    """말한 것을 그대로 돌려줍니다."""
    if repeat == 1:
        return texts.ECHO + text
    return [texts.ECHO_NUMBERED.format(number=n, count=repeat, text=text) for n in range(1, repeat + 1)]


@bot.command("# client_info")
def client_info(message: Message, what: Literal["summary"] = "summary") -> str:  # noqa: ARG001
    """이 방의 메시지를 중계하는 기기의 상태를 보여줍니다."""
    phone = message.phone()
    if phone is None:
        return texts.PHONE_GONE
    figures = phone.monitoring
    memory = "-"
    if figures is not None:
        memory = (
            f"{figures.memory_usage:.1f} / {figures.total_memory:.1f} MB ({figures.memory_percent:.1f} %)"
        )
    return texts.CLIENT_INFO.format(
        bot=phone.client.bot,
        device=phone.client.device,
        version=phone.version,
        dialect=phone.dialect,
        address=phone.address,
        status=phone.status,
        since=datetime.fromtimestamp(phone.connected_at, _SEOUL).strftime("%Y-%m-%d %H:%M:%S"),
        round_trip=f"{phone.round_trip_ms} ms" if phone.round_trip_ms is not None else "-",
        memory=memory,
        messages=phone.messages,
    )


@bot.command("# IMGEXT", blocking=True)
def imgext(
    message: Message,  # noqa: ARG001
    words: str,
    *,
    media_wait_time: Annotated[int, Range(0, 300_000)] = 0,
) -> Image | str:
    """단어마다 100×100 그림을 한 장씩 그려 보냅니다."""
    several = words.split()
    if len(several) > _PICTURES:
        return texts.TOO_MANY_PICTURES.format(most=_PICTURES)
    return Image(*map(square, several), wait_ms=media_wait_time or None)


@bot.command("# reload bots-config", admin=True)
async def reload_settings(message: Message) -> str:
    """봇 설정을 지금 다시 읽고 바뀐 것을 알려줍니다."""
    changes = await message.context.reload_settings(message)
    if changes is None:
        return texts.CANNOT_RELOAD
    told = [texts.SETTING_CHANGED.format(**change._asdict()) for change in changes[:_CHANGES_TOLD]]
    if len(changes) > _CHANGES_TOLD:
        told.append(texts.MORE_CHANGED.format(count=len(changes) - _CHANGES_TOLD))
    return "\n".join([texts.RELOADED, *(told or [texts.NOTHING_CHANGED])])
