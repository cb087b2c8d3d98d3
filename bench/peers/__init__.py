"""Other people's frameworks under the same load: `python bench/run.py voice --peers`.

`environment.py` installs one into a virtual environment of its own, `pipecat.py` runs the load in
it and reads what came of it, `pipecat_load.py` is the load itself: a script that knows nothing of
Troupe, for it runs where only the peer is installed.
"""
