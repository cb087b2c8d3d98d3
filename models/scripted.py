"""Models without a model, for tests: each does exactly what it is told, and fails on cue.

They ship because users' tests need them too: actors like any other engine, on the node's time, so
that under the `system` fixture (docs/testing.md) an hour of talk takes milliseconds.

- `speech_pcm`: sound that spells its words; `Listener` reads it. It survives gain, mu-law and
  resampling, and what is cut off is missing from the text letter by letter
- `ScriptedTts` speaks it at so many seconds a word, with exact word times; `TtsPlan` holds faults
- `ScriptedStt` understands it, with partials and delays; `SttPlan` holds faults
- the language model is `models/llm/dialogue`; the detector for this sound is `LoudnessEngine` in
  `models/vad/scripted.py`
"""

from models.spoken import Listener as Listener
from models.spoken import speech_pcm as speech_pcm
from models.stt.scripted import ScriptedStt as ScriptedStt
from models.stt.scripted import ScriptedSttConfig as ScriptedSttConfig
from models.stt.scripted import SttFault as SttFault
from models.stt.scripted import SttPlan as SttPlan
from models.stt.scripted import SttTrouble as SttTrouble
from models.tts.scripted import ScriptedTts as ScriptedTts
from models.tts.scripted import ScriptedTtsConfig as ScriptedTtsConfig
from models.tts.scripted import TtsFault as TtsFault
from models.tts.scripted import TtsPlan as TtsPlan
from models.tts.scripted import TtsTrouble as TtsTrouble
