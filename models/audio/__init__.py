"""Sound as values: frames, codecs, resampling, mixing, gain, levels. Nothing here waits.

Inside the node sound is mono s16le in `bytes`. `frames.py` has the words; each other file does one
thing to such bytes and knows nothing of actors. What keeps a state between pieces (`Resampler`,
`Reframer`, `GainRamp`, `SampleRing`) belongs to one stream and to one actor.

The codec's functions are called by their module's name: `g711.encode(pcm, Encoding.MULAW)`.
"""

from models.audio import g711 as g711
from models.audio.frames import FRAME_SECONDS as FRAME_SECONDS
from models.audio.frames import AudioFormat as AudioFormat
from models.audio.frames import Encoding as Encoding
from models.audio.frames import Frame as Frame
from models.audio.gain import DUCK_GAIN as DUCK_GAIN
from models.audio.gain import DUCK_MS as DUCK_MS
from models.audio.gain import RAMP_IN_MS as RAMP_IN_MS
from models.audio.gain import GainRamp as GainRamp
from models.audio.gain import fade_out as fade_out
from models.audio.levels import FLOOR_DBFS as FLOOR_DBFS
from models.audio.levels import peak as peak
from models.audio.levels import rms_dbfs as rms_dbfs
from models.audio.mixing import mix as mix
from models.audio.mixing import mix_minus as mix_minus
from models.audio.reframe import Reframer as Reframer
from models.audio.resample import Quality as Quality
from models.audio.resample import Resampler as Resampler
from models.audio.ring import SampleRing as SampleRing
from models.audio.wav import WavError as WavError
from models.audio.wav import read_wav as read_wav
from models.audio.wav import write_wav as write_wav
