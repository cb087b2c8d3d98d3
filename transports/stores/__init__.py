"""Where rooms are kept: one contract over memory, SQLite and PostgreSQL.

`backend.py` is the contract in plain calls, `requests.py` the same as messages, `actor.py` the
actors that join the two; `memory.py` and the SQL ones are backends. An answer to a request that
writes means that it is on disk.
"""
