"""`kb_server_processes` and `kb_servers`: which relays run where, and when they last said so.

Both tables are the back office's, and differ from one installation to the next: a row is found by the
process's name, and what a table does not take is the caller's to survive.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, insert, or_, select, update

from relaytw.store.schema import processes, servers
from relaytw.store.statements import Statement, Transaction

#: What the back office calls a server that works.
_HEALTHY = "healthy"


class Beat(NamedTuple):
    """A sign of life: CPU in percent of a core, memory in MB, `at` as wall time."""

    name: str
    host: str
    port: int
    pid: int
    status: str
    cpu: float
    memory: float
    at: str


_FIND = Statement(select(processes.c.process_name).where(processes.c.process_name == bindparam("name")))
_UPDATE = Statement(
    update(processes)
    .where(processes.c.process_name == bindparam("name"))
    .values(
        port=bindparam("new_port"),
        pid=bindparam("new_pid"),
        status=bindparam("new_status"),
        cpu_usage=bindparam("cpu"),
        memory_usage=bindparam("memory"),
        last_heartbeat=bindparam("at"),
        updated_at=bindparam("at_again"),
    )
)
_INSERT = Statement(
    insert(processes).values(
        server_id=bindparam("server"),
        process_name=bindparam("name"),
        port=bindparam("port"),
        type="live",
        pid=bindparam("pid"),
        status=bindparam("status"),
        cpu_usage=bindparam("cpu"),
        memory_usage=bindparam("memory"),
        last_heartbeat=bindparam("at"),
        created_at=bindparam("at_again"),
        updated_at=bindparam("at_too"),
    )
)
_SERVER = Statement(
    select(servers.c.server_id)
    .where(or_(servers.c.server_host == bindparam("host"), servers.c.server_name == bindparam("name")))
    .order_by(servers.c.server_id)
)
_NEW_SERVER = Statement(
    insert(servers).values(
        server_name=bindparam("name"),
        server_host=bindparam("host"),
        status=_HEALTHY,
        created_at=bindparam("at"),
    )
)


def beat(transaction: Transaction, beat: Beat) -> None:
    """Write the sign of life into this process's row, made with its server's if there is none."""
    if transaction.one(_FIND, name=beat.name) is not None:
        transaction.run(
            _UPDATE, name=beat.name, new_port=beat.port, new_pid=beat.pid, new_status=beat.status,
            cpu=beat.cpu, memory=beat.memory, at=beat.at, at_again=beat.at,
        )  # fmt: skip
        return
    transaction.run(
        _INSERT, server=_server(transaction, beat), name=beat.name, port=beat.port, pid=beat.pid,
        status=beat.status, cpu=beat.cpu, memory=beat.memory, at=beat.at, at_again=beat.at, at_too=beat.at,
    )  # fmt: skip


def _server(transaction: Transaction, beat: Beat) -> int:
    found = transaction.one(_SERVER, host=beat.host, name=beat.host)
    if found is not None:
        return int(found[0])
    transaction.run(_NEW_SERVER, name=beat.host, host=beat.host, at=beat.at)
    return transaction.last_id
