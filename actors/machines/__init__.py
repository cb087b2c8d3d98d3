"""The conversation's protocols as pure machines: events and times go in, decisions come out.

No clock, no channel, no logger: one line of a test is one moment. Around each machine is a thin
actor in the folder above.
"""
