"""What a room is made of, as frozen values; nothing here waits, stores or sends.

`kinds.py` holds the words of the wire, `content.py` what can be said, `event.py` the entry of a
timeline, `room.py` the room and who is in it, `traffic.py` what comes in and what came of it,
`identity.py` who somebody is, `scope.py` who may see what and who is asked to act, `transcode.py`
what a channel makes of content it cannot carry, `capabilities.py` what each kind of channel can
carry, and `wire.py` all of them as strict JSON.

Mappings inside these values are read-only by contract: whoever wants another one makes another.
"""
