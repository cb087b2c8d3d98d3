"""The session: both floors of a conversation, and the one table that joins them.

Who listens, thinks and speaks are actors; what they are to do next is decided here, as a pure
function of what they told and when. Every utterance has a number, its *epoch*; whatever carries the
number of another one is dropped and counted. History is committed in words that were heard. Every
waiting state has a deadline: `deadline` is the earliest, and `time_passed` acts on it.

Four layers, each on top of the one before:

    floor       the agent's floor: the utterance that has it, and what history keeps of it
    answering   who has it next, what the agent and the speaker tell, what follows a fault
    hearing     people's sound and words: turns, and interruptions
    session     people come and go, time passes

Source: the specification's voice quality, 1 to 6.
"""

from actors.machines.session.session import Session as Session
