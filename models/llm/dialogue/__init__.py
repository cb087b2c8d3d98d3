"""The dialogue engine: an LLM that follows a script. No key, no network, the same answer always.

docs/dialogue.md is for who writes scripts. In here: `words.py` (what was said, comparable),
`slots.py` and `pattern.py` (what scripts listen for), `matching.py` (does it fit), `template.py`
(what is said), `script.py` (all of it as values), `reading.py` (from TOML), `dialogue.py` (a
conversation in, the next step out), `engine.py` (the provider).
"""

from models.llm.dialogue.dialogue import Dialogue as Dialogue
from models.llm.dialogue.engine import DialogueConfig as DialogueConfig
from models.llm.dialogue.engine import DialogueLlm as DialogueLlm
from models.llm.dialogue.phrases import phrases as phrases
from models.llm.dialogue.reading import demo_script as demo_script
from models.llm.dialogue.reading import load_script as load_script
from models.llm.dialogue.reading import read_script as read_script
from models.llm.dialogue.script import Script as Script
from models.llm.dialogue.state import Step as Step
from models.llm.dialogue.tables import ScriptError as ScriptError
from models.llm.dialogue.team import control_tools as control_tools
