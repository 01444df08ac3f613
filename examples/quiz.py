"""A quiz that remembers how far everybody is, also when the relay is restarted in the middle of it."""

from relaytw.bots import Bot, Message

bot = Bot()

QUESTIONS = [("대한민국의 수도는?", "서울"), ("3 × 7 = ?", "21"), ("가장 높은 산은?", "에베레스트")]
#: Seconds after which a quiz that nobody goes on with is forgotten.
PATIENCE = 600


@bot.command("# quiz")
def begin(message: Message) -> str:
    """Begins a quiz."""
    message.state.clear()
    message.state["step"] = 0
    message.state["right"] = 0
    message.state.expire(PATIENCE)
    return QUESTIONS[0][0]


@bot.command("# best")
def best(message: Message) -> str:
    """Says who was best in this room."""
    if "best" not in message.room_state:
        return "아직 아무도 끝까지 풀지 않았습니다."
    return "{name}: {right}".format(**message.room_state["best"])


@bot.message
def answer(message: Message) -> list[str] | None:
    """Takes whatever somebody in a quiz says for an answer."""
    state = message.state
    if "step" not in state:
        return None
    _, expected = QUESTIONS[state["step"]]
    right = message.text.strip() == expected
    state["right"] += right
    state["step"] += 1
    said = ["맞았습니다!" if right else f"아닙니다. {expected}입니다."]
    if state["step"] < len(QUESTIONS):
        state.expire(PATIENCE)
        return [*said, QUESTIONS[state["step"]][0]]
    return [*said, _end(message)]


def _end(message: Message) -> str:
    right = message.state["right"]
    message.state.clear()
    if right > message.room_state.get("best", {"right": -1})["right"]:
        message.room_state.set("best", {"name": message.sender, "right": right}, 30 * 86_400)
    return f"{len(QUESTIONS)}문제 가운데 {right}문제를 맞혔습니다."
