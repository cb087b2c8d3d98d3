"""A call: the actors that live under `/calls/<id>`, each around a machine of `actors/machines`.

    exchange            takes in whoever comes, begins calls (exchange.py)
    calls/<id>          one supervisor per call (tree.py)
      call              ringing to ended: its legs and its committed history (call.py)
      session           both floors; the serial point of the conversation (session.py)
      speaker           text to sound (speaker.py, speech.py)
      agent             thinks: model, tools, team (agent.py, work.py)
      bridge            several people hear each other (bridge.py)
      legs/<leg>        one supervisor per person
        leg             the line: attached, lost, back (leg.py)
        outbound        pacer and played clock (outbound.py)
        inbound         frames to windows and to the ears (inbound.py)
        listener        sound to text (listener.py)

Whatever restarts asks its siblings where things stand; references outlive restarts, so nobody has
to restart with anybody else. What no sibling could tell (a leg's token and wire, the history) is
kept in a small `...Memory` object that its child spec hands to each of an actor's lives.
"""
