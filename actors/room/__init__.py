"""A room: the actors that live under `/rooms/<id>`, each around machines of `actors/machines/room`.

    hooks       runs the room's hooks, beside everything else (hook_runner.py)

`hooks.py` collects hooks by decorator, for a node or for one room.
"""
