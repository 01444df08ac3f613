"""What a phone's rooms were called when it last said so."""

from __future__ import annotations

from sqlalchemy import bindparam, select

from relaytw.messages import ClientKey
from relaytw.store.rooms import ID_CHARS
from relaytw.store.schema import rooms
from relaytw.store.statements import Statement, Transaction

#: A name as long as this may have been cut to fit its column.
LONG = 200

_c = rooms.c
_NAMES = Statement(
    select(_c.room_id, _c.room_name, _c.bot_name, _c.device_id)
    .where(_c.bot_name == bindparam("bot"), _c.device_id == bindparam("device"))
    .limit(bindparam("most"))
)


def names_of(transaction: Transaction, client: ClientKey, most: int) -> list[tuple[str, str]]:
    """Channel ids and names of a client's rooms, as far as the table has them whole."""
    suffix = f"_{client.bot}"  # how old installations ended the ids of rooms
    rows = transaction.all(_NAMES, bot=client.bot, device=client.device, most=most)
    return [
        (str(room_id).removesuffix(suffix), str(name))
        for room_id, name, bot, device in rows
        # A database may take other letters for the same, and what is long may have been shortened.
        if (bot, device) == client and name and len(str(name)) < LONG and len(str(room_id)) < ID_CHARS
    ]
