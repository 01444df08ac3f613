"""A bot that holds a conversation: it takes an order, question by question."""

from __future__ import annotations

from relaytw.bots import AskTimeout, Bot, Message

bot = Bot()
MENU = {"1": "김밥", "2": "라면", "3": "떡볶이"}


@bot.command("# order")
async def order(message: Message) -> str:
    """Takes an order."""
    menu = "\n".join(f"{number}. {dish}" for number, dish in MENU.items())
    try:
        dish = await _choose(message, f"무엇을 드릴까요?\n{menu}")
        where = await message.ask("어디로 보낼까요?", timeout=120)
    except AskTimeout:
        return "그럼 다음에 주문해 주세요."
    if dish is None:
        return "메뉴에 없습니다. 처음부터 다시 주문해 주세요."
    message.room_state["orders"] = message.room_state.get("orders", 0) + 1
    return f"{dish}, {where.text}(으)로 보냅니다. 이 방의 {message.room_state['orders']}번째 주문입니다."


async def _choose(message: Message, question: str) -> str | None:
    """The dish that was chosen; asked for once more if it is not on the menu."""
    for text in (question, "1, 2, 3 가운데 골라 주세요."):
        answer = await message.ask(text, timeout=60)
        if answer.text.strip() in MENU:
            return MENU[answer.text.strip()]
    return None
